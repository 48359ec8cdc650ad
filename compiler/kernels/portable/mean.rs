//! MEAN: a sum for each result, rescaled once.

use super::epilogue::EpilogueCode;
use super::nest::{nest, Steps};
use crate::kernels::Lowering;
use crate::loop_ir::{load, Update};
use crate::ops::Mean;

/// Lowers a mean.
pub fn lower(lowering: &mut Lowering, op: &Mean) {
    let shape = &lowering.layer.input(0).shape;
    let kept: Vec<usize> =
        (0..shape.len()).map(|i| if op.axes.contains(&i) { 1 } else { shape[i] }).collect();
    let summed: Vec<usize> =
        (0..shape.len()).map(|i| if op.axes.contains(&i) { shape[i] } else { 1 }).collect();
    let count: usize = summed.iter().product();
    let x = lowering.operand(0, "input");
    let epilogue = EpilogueCode::new(lowering, &op.epilogue);
    let from = Steps::dense(shape);
    let update = match count < 1 << 23 {
        true => Update::Add,
        false => Update::WrappingAdd,
    };
    nest(&mut lowering.code, &kept, [from.clone(), Steps::dense(&kept)], |code, [base, to]| {
        let sum = code.accumulator("sum", 0);
        nest(code, &summed, [Steps { base, ..from }], |code, [at]| {
            code.update(sum, update, load(x, at) - op.input_zero_point);
        });
        epilogue.store(code, to, sum, &0usize.into());
    });
}
