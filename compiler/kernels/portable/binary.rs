//! ADD, SUB and MUL: element by element, dimensions of size 1 repeated.

use super::epilogue::{addend, EpilogueCode};
use super::nest::{nest, Steps};
use crate::kernels::Lowering;
use crate::loop_ir::{load, Builder, Expr};
use crate::ops::{Add, Epilogue, Mul, TensorType};

/// Lowers a sum or a difference.
pub fn lower_add(lowering: &mut Lowering, op: &Add) {
    let form = lowering.form;
    lower(lowering, &op.epilogue, |_, [a, b]| {
        addend(a, &op.operands[0], form) + addend(b, &op.operands[1], form)
    });
}

/// Lowers a product.
pub fn lower_mul(lowering: &mut Lowering, op: &Mul) {
    lower(lowering, &op.epilogue, |_, [a, b]| (a - op.zero_points[0]) * (b - op.zero_points[1]));
}

fn lower(
    lowering: &mut Lowering,
    epilogue: &Epilogue,
    combine: impl Fn(&mut Builder, [Expr; 2]) -> Expr,
) {
    let layer = lowering.layer;
    let shape = &layer.output().shape;
    let a = lowering.operand(0, "a");
    let b = lowering.operand(1, "b");
    let epilogue = EpilogueCode::new(lowering, epilogue);
    let steps = [0, 1].map(|i| stretched(layer.input(i), shape));
    let [from_a, from_b] = steps;
    let code = &mut lowering.code;
    nest(code, shape, [from_a, from_b, Steps::dense(shape)], |code, [at_a, at_b, to]| {
        let sum = combine(code, [load(a, at_a), load(b, at_b)]);
        epilogue.store(code, to, sum, &0usize.into());
    });
}

/// Steps through an operand that stands in for `shape`: dimensions of size 1 stay.
fn stretched(operand: &TensorType, shape: &[usize]) -> Steps {
    let mut steps = Steps::dense(&operand.shape);
    for (stride, &size) in steps.strides.iter_mut().zip(&operand.shape) {
        if size == 1 {
            *stride = 0;
        }
    }
    steps.strides.splice(0..0, vec![0; shape.len() - operand.shape.len()]);
    steps
}
