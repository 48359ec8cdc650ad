//! AVERAGE_POOL_2D and MEAN in parts: sums over the pixels of some rows, and what becomes of them.

use super::blocks::{Block, Blocks};
use super::epilogue::EpilogueCode;
use crate::kernels::Lowering;

use crate::loop_ir::{call, load, Expr, Intrinsic, Update};
use crate::ops::PooledSums;

/// Channels computed side by side.
const CHANNELS: usize = 4;

/// Lowers sums over some rows.
pub fn lower_sums(lowering: &mut Lowering) {
    let layer = lowering.layer;
    let channels = layer.output().elements();
    let pixels = layer.input(0).elements() / channels;
    let x = lowering.operand(0, "input");
    let before = (layer.node.inputs.len() > 1).then(|| lowering.operand(1, "sums"));
    let out = lowering.result(0);
    let blocks = Blocks::new(channels, CHANNELS, false);
    blocks.each(&mut lowering.code, |code, Block { first, width, .. }| {
        let sums: Vec<_> = (0..width)
            .map(|j| {
                let start = before.map_or(Expr::Int(0), |sums| load(sums, &first + j));
                code.accumulator(&format!("sum{j}"), start)
            })
            .collect();
        code.repeat("pixel", 0usize, pixels, |code, pixel| {
            let xs = code.view("xs", x, pixel * channels + &first, width);
            for (j, sum) in sums.iter().enumerate() {
                code.update(*sum, Update::WrappingAdd, load(xs, j));
            }
        });
        for (j, sum) in sums.into_iter().enumerate() {
            code.store(out, &first + j, sum);
        }
    });
}

/// Lowers what becomes of the sums.
pub fn lower(lowering: &mut Lowering, op: &PooledSums) {
    let channels = lowering.layer.input(0).elements();
    let sums = lowering.operand(0, "sums");
    let epilogue = EpilogueCode::new(lowering, &op.epilogue);
    lowering.code.repeat("c", 0usize, channels, |code, c| {
        let sum = load(sums, &c).wrapping_add(op.offset.wrapping_neg());
        let value = match op.divisor {
            1 => sum,
            divisor => call(Intrinsic::DivideRounded, [sum, divisor.into()]),
        };
        epilogue.store(code, c.clone(), value, &c);
    });
}
