//! SOFTMAX: exponentials over their sum along the innermost dimension, in fixed point.
//!
//! Formula: TFLite's `reference/softmax.h` (`Softmax` on integers). Its exponentials depend on
//! nothing but the distance to the highest code, so the frontend has put them into a table.

use super::{Operator, TensorType, Value};

/// Operand: int8 codes of any shape but a scalar. The result has scale 1/256 and zero point −128.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// Entry `d` is `exp(−d · beta · scale)` with 31 fractional bits, for a code `d` under its
    /// row's highest; 0 where TFLite leaves the code out.
    pub exponentials: Box<[i32; 256]>,
}

impl Softmax {
    /// How many bits fewer the fraction of an exponential has when it goes into the sum.
    pub const SUM_SHIFT: u32 = 12;

    /// The right shift of a quotient, for a sum without leading zeros.
    pub const QUOTIENT_SHIFT: u32 = 35;

    /// How a row's exponentials become codes: the reciprocal of the row's sum with 31 fractional
    /// bits, and the right shift that follows its multiplication. From a sum of 512 on, the shift
    /// passes 31.
    pub fn scale(sum: i32) -> (i32, u32) {
        let headroom = tflc_rt::leading_zeros(sum);
        let fraction = sum.wrapping_shl(headroom) ^ i32::MIN;
        (tflc_rt::reciprocal_of_one_plus(fraction), Self::QUOTIENT_SHIFT - headroom)
    }
}

impl Operator for Softmax {
    fn kind(&self) -> &'static str {
        "SOFTMAX"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        super::expect_codes(inputs[0])?;
        match inputs[0].shape[..] {
            [] => Err("the operand is a scalar".into()),
            _ => Ok(vec![inputs[0].clone()]),
        }
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = inputs[0].ty.clone();
        let mut results = Vec::with_capacity(ty.elements());
        for row in inputs[0].ints().chunks_exact(ty.from_innermost(0)) {
            let highest = row.iter().copied().max().unwrap_or(0);
            let exponential = |code: i32| self.exponentials[(highest - code) as usize];
            let share = |&code| tflc_rt::rounding_shift_right(exponential(code), Self::SUM_SHIFT);
            let sum = row.iter().map(share).fold(0, i32::wrapping_add);
            let (reciprocal, shift) = Self::scale(sum);
            results.extend(row.iter().map(|&code| {
                let product = tflc_rt::doubling_high_mul(reciprocal, exponential(code));
                let quotient = tflc_rt::rounding_shift_right(product, shift);
                (quotient - 128).clamp(i8::MIN.into(), i8::MAX.into())
            }));
        }
        vec![Value::from_ints(ty, results)]
    }
}
