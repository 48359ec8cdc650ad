//! Operators that map each code on its own, and SOFTMAX.

use super::exponential::{exp, exp_fixed_point, tanh as real_tanh};
use super::operator::Operator;
use super::quantization::range;
use super::tensor::Fault;
use super::Imported;
use crate::frontend::schema::{builtin, LeakyReluOptions, SoftmaxOptions};
use crate::ir::Quantization;
use crate::ops::{
    HardSwish, LeakyRelu, Logistic, Prelu, Relu, ReluKind, ShortMultiplier, Softmax, Table, Tanh,
};

/// The quantization of the only operand and of the result, both of int8 codes.
fn both_sides(op: &Operator) -> Option<(Quantization, Quantization)> {
    let (x, y) = (op.codes(op.input(0)?), op.codes(op.output()));
    Some((x?, y?))
}

/// That the result has the quantization that the reference kernel insists on.
fn expect_output(op: &Operator, is_right: bool, what: &str) -> Option<()> {
    is_right.then_some(()).or_else(|| {
        op.fail(
            Some(op.output()),
            Fault {
                what: what.into(),
                advice: "TensorFlow Lite refuses such a model too; convert it again",
            },
        )
    })
}

pub fn relu(op: &Operator) -> Imported {
    let (x, y) = both_sides(op)?;
    let (kind, range) = match op.builtin() {
        builtin::RELU => (ReluKind::Relu, range(Some(0.0), None, y)),
        builtin::RELU6 => (ReluKind::Relu6, range(Some(0.0), Some(6.0), y)),
        _ => (ReluKind::ReluN1To1, range(Some(-1.0), Some(1.0), y)),
    };
    let relu = Relu {
        kind,
        input_zero_point: x.zero_point,
        multiplier: op.multiplier(f64::from(x.scale / y.scale))?,
        output_zero_point: y.zero_point,
        range,
    };
    Some((relu.into(), vec![0]))
}

pub fn leaky_relu(op: &Operator) -> Imported {
    let options = op.needed_options::<LeakyReluOptions>()?;
    let (x, y) = both_sides(op)?;
    let positive = op.multiplier(f64::from(x.scale / y.scale));
    let negative = op.multiplier(f64::from(x.scale * options.alpha() / y.scale));
    let leaky_relu = LeakyRelu {
        input_zero_point: x.zero_point,
        output_zero_point: y.zero_point,
        positive: positive?,
        negative: negative?,
    };
    Some((leaky_relu.into(), vec![0]))
}

pub fn prelu(op: &Operator) -> Imported {
    let slopes = op.input(1)?;
    let (sides, a) = (both_sides(op), op.codes(slopes));
    let ((x, y), a) = (sides?, a?);
    let codes = slopes.value().map_or_else(Vec::new, |slopes| slopes.ints());
    let Some(&slope) = codes.first().filter(|first| codes.iter().all(|code| code == *first)) else {
        return op.fail(
            Some(slopes),
            Fault {
                what: "slopes must be constants, the same for all channels".into(),
                advice: "share them in the model (shared_axes), or use LeakyReLU",
            },
        );
    };
    // In float32, as TFLite 2.14 does it.
    let positive = op.multiplier(f64::from(x.scale / y.scale));
    let negative = op.multiplier(f64::from(x.scale * a.scale / y.scale));
    let prelu = Prelu {
        input_zero_point: x.zero_point,
        slope: slope - a.zero_point,
        output_zero_point: y.zero_point,
        positive: positive?,
        negative: negative?,
    };
    Some((prelu.into(), vec![0]))
}

pub fn hard_swish(op: &Operator) -> Imported {
    let (x, y) = both_sides(op)?;
    let fine_scale = (1.0 / 128.0) * x.scale;
    let output_multiplier = short_multiplier(op, fine_scale / y.scale)?;
    let reluish_multiplier = short_multiplier(op, fine_scale / (3.0 / 32768.0))?;
    if output_multiplier.exponent > 0 {
        return op.fail(
            Some(op.output()),
            Fault {
                what: "its scale is too small for the operand's scale".into(),
                advice: "TensorFlow Lite refuses such a model too; convert it again",
            },
        );
    }
    let hard_swish = HardSwish {
        input_zero_point: x.zero_point,
        output_zero_point: y.zero_point,
        output_multiplier,
        reluish_multiplier,
    };
    Some((hard_swish.into(), vec![0]))
}

/// The 16-bit multiplier nearest to the 32-bit one of a factor
/// (`DownScaleInt32ToInt16Multiplier`).
fn short_multiplier(op: &Operator, factor: f32) -> Option<ShortMultiplier> {
    let long = op.multiplier(factor.into())?;
    let multiplier = (i64::from(long.multiplier) + (1 << 15)) >> 16;
    Some(ShortMultiplier {
        multiplier: multiplier.min(i16::MAX.into()) as i16,
        exponent: long.shift,
    })
}

pub fn logistic(op: &Operator) -> Imported {
    let (x, y) = both_sides(op)?;
    expect_output(op, y.scale == 1.0 / 256.0, "its scale must be 1/256")?;
    let table = table(x, y, |x| 1.0 / (1.0 + exp(f64::from(-x)) as f32));
    Some((Logistic { table }.into(), vec![0]))
}

pub fn tanh(op: &Operator) -> Imported {
    let (x, y) = both_sides(op)?;
    let table = table(x, y, |x| real_tanh(f64::from(x)) as f32);
    Some((Tanh { table }.into(), vec![0]))
}

/// The table of a function of real numbers, computed in float32 as TFLite's `LUTPopulate` does.
fn table(x: Quantization, y: Quantization, function: impl Fn(f32) -> f32) -> Table {
    let inverse_scale = 1.0 / y.scale;
    Box::new(std::array::from_fn(|i| {
        let code = i as i32 - 128;
        let real = x.scale * (code - x.zero_point) as f32;
        let rescaled = (function(real) * inverse_scale).round();
        (rescaled + y.zero_point as f32) as i8
    }))
}

pub fn softmax(op: &Operator) -> Imported {
    let options = op.needed_options::<SoftmaxOptions>()?;
    let (x, y) = both_sides(op)?;
    let is_right = (y.scale * 256.0 - 1.0).abs() <= 0.001 && y.zero_point == -128;
    expect_output(op, is_right, "its scale must be 1/256 and its zero point -128")?;
    // PreprocessSoftmaxScaling: differences with 5 integer bits and 26 fractional ones.
    let factor = f64::from(options.beta()) * f64::from(x.scale) * f64::from(1 << 26);
    let mut exponentials = Box::new([0; 256]);
    exponentials[0] = i32::MAX;
    // From 2^30 on, nothing but the highest code is near enough to count.
    if factor.is_nan() || factor < f64::from(1 << 30) {
        let factor = op.multiplier(factor)?;
        if factor.shift < 1 {
            return op.fail(
                None,
                Fault {
                    what: "its beta times the operand's scale is too small".into(),
                    advice: "TensorFlow Lite refuses such a model too; convert it again",
                },
            );
        }
        let reach = (31i64 << 26) >> factor.shift;
        for (distance, exponential) in (0i32..).zip(exponentials.iter_mut()) {
            if i64::from(distance) <= reach {
                *exponential = exp_fixed_point(factor.apply(-distance));
            }
        }
    }
    Some((Softmax { exponentials }.into(), vec![0]))
}
