//! AVERAGE_POOL_2D and MAX_POOL_2D: for each pixel, up to four channels at a time over the taps
//! that are inside.

use super::blocks::{Block, Blocks};
use super::epilogue::EpilogueCode;
use super::window::Axis;
use crate::kernels::Lowering;
use crate::loop_ir::{call, load, Expr, Intrinsic, Update};
use crate::ops::{AveragePool2d, Epilogue, MaxPool2d, Window};

/// Channels computed side by side.
const CHANNELS: usize = 4;

/// Lowers an average pooling: sums, divided by the number of taps inside.
pub fn lower_average(lowering: &mut Lowering, op: &AveragePool2d) {
    lower(lowering, &op.window, &op.epilogue, 0, Update::Add);
}

/// Lowers a max pooling.
pub fn lower_max(lowering: &mut Lowering, op: &MaxPool2d) {
    let lowest = lowering.layer.input(0).dtype.range().0;
    lower(lowering, &op.window, &op.epilogue, lowest, Update::Max);
}

fn lower(
    lowering: &mut Lowering,
    window: &Window,
    epilogue: &Epilogue,
    start: i32,
    update: Update,
) {
    let layer = lowering.layer;
    let (input, output) = (&layer.input(0).shape, &layer.output().shape);
    let channels = input[3];
    let [rows, columns] = Axis::both(window, input, output);
    let x = lowering.operand(0, "input");
    let epilogue = EpilogueCode::new(lowering, epilogue);

    lowering.code.repeat("image", 0usize, input[0], |code, image| {
        code.repeat("y", 0usize, rows.output, |code, y| {
            let (ky_from, ky_to) = rows.clip(code, "ky", &y);
            code.repeat("x", 0usize, columns.output, |code, x_| {
                let (kx_from, kx_to) = columns.clip(code, "kx", &x_);
                let pixel = (&image * rows.output + &y) * columns.output + &x_;
                let pixel = code.name("pixel", pixel * channels);
                let count = match update {
                    Update::Max => Expr::Int(1),
                    _ => {
                        let count = (&ky_to - &ky_from) * (&kx_to - &kx_from);
                        code.name("count", count.to_int())
                    }
                };
                Blocks::new(channels, CHANNELS, true).each(
                    code,
                    |code, Block { first, width, .. }| {
                        let accumulators: Vec<_> = (0..width)
                            .map(|j| code.accumulator(&format!("acc{j}"), start))
                            .collect();
                        code.repeat("ky", &ky_from, &ky_to, |code, ky| {
                            let row = &image * rows.input + rows.position(&y, &ky);
                            let row = code.name("row", row * columns.input);
                            code.repeat("kx", &kx_from, &kx_to, |code, kx| {
                                let at = (&row + columns.position(&x_, &kx)) * channels + &first;
                                let xs = code.view("xs", x, at, width);
                                for (j, acc) in accumulators.iter().enumerate() {
                                    code.update(*acc, update, load(xs, j));
                                }
                            });
                        });
                        for (j, acc) in accumulators.into_iter().enumerate() {
                            let channel = &first + j;
                            let value = match update {
                                Update::Max => acc.into(),
                                _ => call(Intrinsic::DivideRounded, [acc.into(), count.clone()]),
                            };
                            epilogue.store(code, &pixel + &channel, value, &channel);
                        }
                    },
                );
            });
        });
    });
}
