//! CONV_2D: for each pixel, up to four filters at a time over runs of activations that lie side by
//! side in memory: a row of the filter, or a tap where it is dilated or grouped.

use super::epilogue::EpilogueCode;
use super::weights::{Offsets, Products};
use super::window::Axis;
use crate::kernels::{blocks, Lowering};
use crate::loop_ir::{load, Builder, Expr};
use crate::ops::Conv2d;

/// Filters computed side by side: as many accumulators and pointers as a Cortex-M has registers
/// for.
const FILTERS: usize = 4;

/// Lowers a convolution.
pub fn lower(lowering: &mut Lowering, op: &Conv2d) {
    let layer = lowering.layer;
    let (input, filter, output) =
        (&layer.input(0).shape, &layer.input(1).shape, &layer.output().shape);
    let (channels, filters, group) = (input[3], filter[0], filter[3]);
    let groups = channels / group;
    let taps: usize = filter[1..].iter().product();
    let [rows, columns] = Axis::both(&op.window, input, output);
    let padded = !(rows.is_inside() && columns.is_inside());

    let offsets = Offsets {
        zero_point: op.input_zero_point,
        padding_value: padded.then_some(op.padding_value),
        weight_offset: 0,
    };
    let x = lowering.operand(0, "input");
    let w = lowering.operand(1, "weights");
    let products = Products::new(lowering, filters, taps, offsets, |i| i / taps);
    let epilogue = EpilogueCode::new(lowering, &op.epilogue);
    // A row of the filter is one run of memory where its taps lie side by side.
    let row_at_once = columns.dilation == 1 && groups == 1;
    // One tap, no padding, no steps: pixels are one long list.
    let pointwise = taps == group && !padded && op.window.stride == [1, 1];
    let (images, rows, columns) = if pointwise {
        let all = Axis { input: output[0] * output[1] * output[2], output: output[0] * output[1] * output[2], ..columns };
        (1, Axis { input: 1, output: 1, ..rows }, all)
    } else {
        (input[0], rows, columns)
    };

    lowering.code.repeat("image", 0usize, images, |code, image| {
        code.repeat("y", 0usize, rows.output, |code, y| {
            let (ky_from, ky_to) = rows.clip(code, "ky", &y);
            code.repeat("x", 0usize, columns.output, |code, x_| {
                let (kx_from, kx_to) = columns.clip(code, "kx", &x_);
                let run = match row_at_once {
                    true => code.name("taps", &kx_to - &kx_from),
                    false => 1usize.into(),
                };
                let run = code.name("run", run * group);
                let pixel = (&image * rows.output + &y) * columns.output + &x_;
                let pixel = code.name("pixel", pixel * filters);
                code.repeat("group", 0usize, groups, |code, g| {
                    blocks(code, filters / groups, FILTERS, |code, first, width| {
                        let first = code.name("filter", &g * (filters / groups) + first);
                        let accumulators: Vec<_> = (0..width)
                            .map(|j| {
                                let start = match products.bias {
                                    Some(bias) => load(bias, &first + j),
                                    None => 0.into(),
                                };
                                code.accumulator(&format!("acc{j}"), start)
                            })
                            .collect();
                        code.repeat("ky", &ky_from, &ky_to, |code, ky| {
                            let row = rows.position(&y, &ky);
                            let row = code.name("row", (&image * rows.input + row) * columns.input);
                            let (from, to) = match row_at_once {
                                true => (kx_from.clone(), &kx_from + 1),
                                false => (kx_from.clone(), kx_to.clone()),
                            };
                            let run_of_taps = |code: &mut Builder, kx: Expr| {
                                let at = (&row + columns.position(&x_, &kx)) * channels + &g * group;
                                let xs = code.view("xs", x, at, &run);
                                let tap = code.name("tap", (&ky * filter[2] + kx) * group);
                                let ws: Vec<_> = (0..width)
                                    .map(|j| {
                                        let at = (&first + j) * taps + &tap;
                                        code.view(&format!("w{j}"), w, at, &run)
                                    })
                                    .collect();
                                code.repeat("k", 0usize, &run, |code, k| {
                                    let x = code.name("x_k", load(xs, &k) - products.offset);
                                    for (acc, w) in accumulators.iter().zip(&ws) {
                                        code.update(*acc, products.update, x.clone() * load(*w, &k));
                                    }
                                });
                            };
                            if row_at_once {
                                run_of_taps(code, from);
                            } else {
                                code.repeat("kx", from, to, |code, kx| run_of_taps(code, kx));
                            }
                        });
                        for (j, acc) in accumulators.into_iter().enumerate() {
                            let channel = &first + j;
                            epilogue.store(code, &pixel + &channel, acc, &channel);
                        }
                    });
                });
            });
        });
    });
}
