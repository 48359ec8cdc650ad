//! ADD, SUB, MUL and MEAN.

use super::movement::axis_of;
use super::operator::Operator;
use super::tensor::Fault;
use super::Imported;
use crate::frontend::schema::{
    activation, builtin, AddOptions, MulOptions, ReducerOptions, SubOptions,
};
use crate::ops::{Add, Addend, DType, Epilogue, Mean, Mul, Multiplier};

pub fn add(op: &Operator) -> Imported {
    let subtract = op.builtin() == builtin::SUB;
    let fused = match subtract {
        true => op.options::<SubOptions>().map(|options| options.fused_activation_function()),
        false => op.options::<AddOptions>().map(|options| options.fused_activation_function()),
    };
    let (a, b) = (op.codes(op.input(0)?), op.codes(op.input(1)?));
    let y = op.codes(op.output());
    let (a, b, y) = (a?, b?, y?);
    let range = op.activation_range(fused.unwrap_or(activation::NONE), y)?;

    let twice_largest_scale = 2.0 * f64::from(a.scale.max(b.scale));
    let addend = |scale: f32| op.multiplier(f64::from(scale) / twice_largest_scale);
    let (from_a, mut from_b) = (addend(a.scale)?, addend(b.scale)?);
    if subtract {
        from_b.multiplier = -from_b.multiplier;
    }
    let unit = f64::from(1 << Addend::LEFT_SHIFT) * f64::from(y.scale);
    let from_sum = op.multiplier(twice_largest_scale / unit)?;
    if from_sum.shift > 0 {
        return op.fail(
            Some(op.output()),
            Fault {
                what: "its scale is too small for the operands' scales".into(),
                advice: "TensorFlow Lite refuses such a model too; convert it again",
            },
        );
    }
    let add = Add {
        subtract,
        operands: [
            Addend { zero_point: a.zero_point, multiplier: from_a },
            Addend { zero_point: b.zero_point, multiplier: from_b },
        ],
        epilogue: Epilogue::requantize(vec![from_sum], y.zero_point, range),
    };
    Some((add.into(), vec![0, 1]))
}

pub fn mul(op: &Operator) -> Imported {
    let fused = op.options::<MulOptions>().map(|options| options.fused_activation_function());
    let (a, b) = (op.codes(op.input(0)?), op.codes(op.input(1)?));
    let y = op.codes(op.output());
    let (a, b, y) = (a?, b?, y?);
    let range = op.activation_range(fused.unwrap_or(activation::NONE), y)?;
    // In float32, as TFLite 2.14 does it.
    let multiplier = op.multiplier(f64::from(a.scale * b.scale / y.scale))?;
    let mul = Mul {
        zero_points: [a.zero_point, b.zero_point],
        epilogue: Epilogue::requantize(vec![multiplier], y.zero_point, range),
    };
    Some((mul.into(), vec![0, 1]))
}

pub fn mean(op: &Operator) -> Imported {
    let keep_dims = op.options::<ReducerOptions>().is_some_and(|options| options.keep_dims());
    let input = op.input(0)?;
    let (x, y, axes) = (op.codes(input), op.codes(op.output()), op.known_ints(1, "the axes"));
    let (x, y, axes) = (x?, y?, axes?);
    let rank = input.ty.shape.len();
    let mut axes = axes.into_iter().map(|a| axis_of(op, a, rank)).collect::<Option<Vec<_>>>()?;
    axes.sort_unstable();
    axes.dedup();
    let count = axes.iter().map(|&axis| input.ty.shape[axis]).product();
    let factor = op.multiplier(f64::from(x.scale) / f64::from(y.scale))?;
    let multiplier = divided(factor, count);
    let mean = Mean {
        axes,
        keep_dims,
        input_zero_point: x.zero_point,
        epilogue: Epilogue::requantize(vec![multiplier], y.zero_point, DType::I8.range()),
    };
    Some((mean.into(), vec![0]))
}

/// A multiplier divided by a count: by truncation, behind as much of a left shift as there is room
/// for (`QuantizedMeanOrSum`).
fn divided(factor: Multiplier, count: usize) -> Multiplier {
    let shift = (count.max(1).ilog2() as i32).min(32).min(31 + factor.shift);
    let multiplier = (i64::from(factor.multiplier) << shift) / count.max(1) as i64;
    Multiplier { multiplier: multiplier as i32, shift: factor.shift - shift }
}
