//! Sums over the pixels of some rows: a part of a pooling that is computed a few rows at a time. No
//! model file has it; the plan makes it of AVERAGE_POOL_2D and MEAN.

use super::{DType, Operator, TensorType, Value};

/// Operands: activations NHWC of one image, int8; and, but for the first rows, the sums so far. The
/// result is the sums with these rows: an int32 for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct SumPixels;

impl Operator for SumPixels {
    fn kind(&self) -> &'static str {
        "SUM_PIXELS"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        super::expect_codes(inputs[0])?;
        let [_, _, _, channels] = super::four_dimensions(inputs[0])?;
        let sums = TensorType::checked(DType::I32, [1, 1, 1, channels])?;
        match inputs.get(1) {
            Some(before) if **before != sums => Err(format!("{before} isn't {sums}")),
            _ => Ok(vec![sums]),
        }
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = super::infer_one(self, inputs);
        let channels = ty.elements();
        let mut sums = inputs.get(1).map_or_else(|| vec![0; channels], |before| before.ints());
        for pixel in inputs[0].ints().chunks(channels) {
            sums.iter_mut().zip(pixel).for_each(|(sum, code)| *sum += code);
        }
        vec![Value::from_ints(ty, sums)]
    }
}
