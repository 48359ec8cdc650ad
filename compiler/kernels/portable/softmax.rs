//! SOFTMAX: for each row the highest code, the sum of exponentials, then the quotients. The
//! exponentials are a table: a code is at most 255 under its row's highest.

use crate::kernels::Lowering;
use crate::loop_ir::{call, load, Expr, Intrinsic, Update};
use crate::ops::Softmax;

/// Lowers a softmax over the innermost dimension.
pub fn lower(lowering: &mut Lowering, op: &Softmax) {
    let ty = lowering.layer.input(0);
    let depth = ty.from_innermost(0);
    let rows = ty.elements() / depth;
    let x = lowering.operand(0, "input");
    let doc = "exponentials by distance under the row's highest code, 31 fractional bits";
    let table = lowering.words("exponentials", doc, &op.exponentials[..]);
    let out = lowering.result(0);
    // Each term is at most 2^19.
    let update = if depth < 1 << 12 { Update::Add } else { Update::WrappingAdd };

    lowering.code.repeat("row", 0usize, rows, |code, row| {
        let xs = code.view("xs", x, &row * depth, depth);
        let highest = code.accumulator("highest", -128);
        code.repeat("k", 0usize, depth, |code, k| code.update(highest, Update::Max, load(xs, k)));
        let exponential =
            |k: &Expr| load(table, (Expr::from(highest) - load(xs, k)).max(0).to_index());
        let sum = code.accumulator("sum", 0);
        code.repeat("k", 0usize, depth, |code, k| {
            let term = [exponential(&k), Expr::Int(Softmax::SUM_SHIFT as i32)];
            code.update(sum, update, call(Intrinsic::RoundingShiftRight, term));
        });
        let scale = code.name("scale", call(Intrinsic::Reciprocal, [sum.into()]));
        let leading_zeros = call(Intrinsic::LeadingZeros, [sum.into()]);
        let shift = Expr::Int(Softmax::QUOTIENT_SHIFT as i32) - leading_zeros;
        let shift = code.name("shift", shift);
        code.repeat("k", 0usize, depth, |code, k| {
            let product = call(Intrinsic::DoublingHighMul, [scale, exponential(&k)]);
            let quotient = call(Intrinsic::RoundingShiftRight, [product, shift]);
            code.store(out, &row * depth + k, (quotient - 128).max(-128).min(127));
        });
    });
}
