//! Scales and zero points: read from the file, checked, and turned into integers. QUANTIZE and
//! DEQUANTIZE, which are nothing else, are imported here.

use super::operator::Operator;
use super::tensor::{Fault, Tensor};
use super::Imported;
use crate::ir::Quantization;
use crate::ops::{DType, Dequantize, Quantize, QuantizeSource};

/// How a model comes to have nothing but int8 inside.
pub const FULL_INTEGER: &str = "convert with full integer quantization \
    (a representative dataset, and target_spec.supported_ops = [TFLITE_BUILTINS_INT8])";

/// The quantization of a tensor that has one for all its elements.
pub fn of_whole(tensor: &Tensor) -> Result<Quantization, Fault> {
    let (scales, zero_points) = of_channels(tensor)?;
    match (&scales[..], &zero_points[..]) {
        (&[scale], &[zero_point]) => Ok(Quantization { scale, zero_point }),
        _ => Err(Fault {
            what: format!("it has {} scales; only weights may have more than one", scales.len()),
            advice: FULL_INTEGER,
        }),
    }
}

/// Scales and zero points as the file says them, as many of the one as of the other, all sane.
pub fn of_channels(tensor: &Tensor) -> Result<(Vec<f32>, Vec<i32>), Fault> {
    let quantization = tensor.quantization.filter(|q| q.scale().is_some_and(|s| !s.is_empty()));
    let Some(quantization) = quantization else {
        return Err(Fault { what: "it has no scale and zero point".into(), advice: FULL_INTEGER });
    };
    if quantization.details_type() != 0 {
        return Err(Fault { what: "it is quantized in a custom way".into(), advice: FULL_INTEGER });
    }
    let scales: Vec<f32> = quantization.scale().into_iter().flatten().collect();
    let mut zero_points: Vec<i64> = quantization.zero_point().into_iter().flatten().collect();
    if zero_points.is_empty() {
        zero_points = vec![0; scales.len()];
    }
    if zero_points.len() != scales.len() {
        return Err(Fault::damage(format!(
            "it has {} scales, but {} zero points",
            scales.len(),
            zero_points.len()
        )));
    }
    if let Some(scale) = scales.iter().find(|scale| !scale.is_finite() || **scale <= 0.0) {
        return Err(Fault::damage(format!("its scale is {scale}")));
    }
    let (min, max) = match tensor.ty.dtype {
        DType::F32 | DType::I64 => DType::I32.range(),
        dtype => dtype.range(),
    };
    let code = |zero_point: i64| i32::try_from(zero_point).ok().filter(|z| (min..=max).contains(z));
    let codes: Option<Vec<i32>> = zero_points.iter().map(|&z| code(z)).collect();
    match codes {
        Some(zero_points) => Ok((scales, zero_points)),
        None => Err(Fault::damage(format!("its zero point is not within {min} to {max}"))),
    }
}

/// The lowest and highest int8 code of real numbers from `low` to `high`.
pub fn range(low: Option<f32>, high: Option<f32>, q: Quantization) -> (i32, i32) {
    let (min, max) = DType::I8.range();
    let code = |x: f32| ((x / q.scale).round() as i32).saturating_add(q.zero_point);
    (low.map_or(min, |x| code(x).max(min)), high.map_or(max, |x| code(x).min(max)))
}

/// Whether a QUANTIZE or DEQUANTIZE reads or writes codes of this type.
fn holds_codes(dtype: DType) -> bool {
    matches!(dtype, DType::I8 | DType::U8 | DType::I16)
}

fn fail_type(op: &Operator, tensor: &Tensor) -> Imported {
    op.fail(
        Some(tensor),
        Fault {
            what: format!("elements of type {} are not supported here", tensor.ty.dtype),
            advice: FULL_INTEGER,
        },
    )
}

pub fn quantize(op: &Operator) -> Imported {
    let (input, output) = (op.input(0)?, op.output());
    if !holds_codes(output.ty.dtype) {
        return fail_type(op, output);
    }
    let to = op.quantization(output)?;
    let source = match input.ty.dtype {
        DType::F32 => QuantizeSource::Real { scale: to.scale },
        dtype if holds_codes(dtype) => {
            let from = op.quantization(input)?;
            let multiplier = op.multiplier(f64::from(from.scale) / f64::from(to.scale))?;
            QuantizeSource::Codes { dtype, zero_point: from.zero_point, multiplier }
        }
        _ => return fail_type(op, input),
    };
    let quantize = Quantize { source, dtype: output.ty.dtype, zero_point: to.zero_point };
    Some((quantize.into(), vec![0]))
}

pub fn dequantize(op: &Operator) -> Imported {
    let input = op.input(0)?;
    if !holds_codes(input.ty.dtype) {
        return fail_type(op, input);
    }
    let Quantization { scale, zero_point } = op.quantization(input)?;
    Some((Dequantize { scale, zero_point }.into(), vec![0]))
}
