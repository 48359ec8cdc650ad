//! CONV_2D: for each pixel, up to four filters at a time over runs of activations that lie side by
//! side in memory: a row of the filter, or a tap where it is dilated or grouped.

use super::epilogue::EpilogueCode;
use super::weights::{Offsets, Products};
use super::window::Axis;
use crate::kernels::{blocks, Lowering};
use crate::loop_ir::{load, Builder, Expr, Place};
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
    let again = layer.in_place.is_none();
    let row_at_once = columns.dilation == 1 && groups == 1;
    let mut nest = Nest {
        rows,
        columns,
        channels,
        filters,
        group,
        taps,
        row_at_once,
        x,
        w,
        products,
        epilogue,
        again,
    };
    // One tap, no padding, no steps: pixels are one long list.
    let mut images = input[0];
    if taps == group && !padded && op.window.stride == [1, 1] {
        let pixels = images * output[1] * output[2];
        images = 1;
        nest.rows = Axis { input: 1, output: 1, ..rows };
        nest.columns = Axis { input: pixels, output: pixels, ..columns };
    }

    lowering.code.repeat("image", 0usize, images, |code, image| {
        code.repeat("y", 0usize, nest.rows.output, |code, y| {
            let (from, to) = nest.rows.clip(code, "ky", &y);
            let line = Line { image: &image, y: &y, ky: (&from, &to) };
            nest.columns.each(code, true, |code, x, border| nest.pixel(code, &line, x, border));
        });
    });
}

struct Nest {
    rows: Axis,
    columns: Axis,
    channels: usize,
    filters: usize,
    /// Channels that a filter reads.
    group: usize,
    /// Weights of a filter.
    taps: usize,
    /// Whether a row of the filter is one run of memory: its taps lie side by side.
    row_at_once: bool,
    x: Place,
    w: Place,
    products: Products,
    epilogue: EpilogueCode,
    /// Whether a result may be computed twice.
    again: bool,
}

/// A row of results, and which rows of taps are inside.
struct Line<'a> {
    image: &'a Expr,
    y: &'a Expr,
    ky: (&'a Expr, &'a Expr),
}

impl Nest {
    /// All filters at one pixel; at a `border`, with as many taps a row as are inside.
    fn pixel(&self, code: &mut Builder, line: &Line, x: &Expr, border: bool) {
        let Nest { columns, .. } = self;
        let kx = match border {
            true => columns.clip(code, "kx", x),
            false => (0usize.into(), columns.size.into()),
        };
        let run = match self.row_at_once {
            true => code.name("taps", &kx.1 - &kx.0) * self.group,
            false => self.group.into(),
        };
        let run = code.name("run", run);
        let pixel = (line.image * self.rows.output + line.y) * columns.output + x;
        let pixel = code.name("pixel", pixel * self.filters);
        let groups = self.channels / self.group;
        code.repeat("group", 0usize, groups, |code, group| {
            blocks(code, self.filters / groups, FILTERS, self.again, |code, first, width| {
                let first = code.name("filter", &group * (self.filters / groups) + first);
                let accumulators = self.products.start(code, &first, width);
                code.repeat("ky", line.ky.0, line.ky.1, |code, ky| {
                    let row = line.image * self.rows.input + self.rows.position(line.y, &ky);
                    let row = code.name("row", row * columns.input);
                    let run_of_taps = |code: &mut Builder, kx: Expr| {
                        let column = columns.position(x, &kx);
                        let at = (&row + column) * self.channels + &group * self.group;
                        let xs = code.view("xs", self.x, at, &run);
                        let tap = code.name("tap", (&ky * columns.size + kx) * self.group);
                        let ws: Vec<_> = (0..width)
                            .map(|j| {
                                let at = (&first + j) * self.taps + &tap;
                                code.view(&format!("w{j}"), self.w, at, &run)
                            })
                            .collect();
                        code.repeat("k", 0usize, &run, |code, k| {
                            let x = code.name("x_k", load(xs, &k) - self.products.offset);
                            for (acc, w) in accumulators.iter().zip(&ws) {
                                code.update(*acc, self.products.update, x.clone() * load(*w, &k));
                            }
                        });
                    };
                    match self.row_at_once {
                        true => run_of_taps(code, kx.0.clone()),
                        false => code.repeat("kx", &kx.0, &kx.1, run_of_taps),
                    }
                });
                for (j, acc) in accumulators.into_iter().enumerate() {
                    let channel = &first + j;
                    self.epilogue.store(code, &pixel + &channel, acc, &channel);
                }
            });
        });
    }
}
