//! HARD_SWISH: `x · relu6(x + 3) / 6`, in 16-bit fixed point.
//!
//! Formula: TFLite's `reference/hard_swish.h` (`HardSwish` on integers).

use super::{elementwise, Operator, Stage, TensorType, Value};

/// Operand: int8 codes of any shape.
#[derive(Clone, Debug, PartialEq)]
pub struct HardSwish {
    /// The operand's zero point.
    pub input_zero_point: i32,
    /// The result's zero point.
    pub output_zero_point: i32,
    /// From the operand's scale, 128 times as fine, to the result's.
    pub output_multiplier: ShortMultiplier,
    /// From the operand's scale, 128 times as fine, to one where 3 is 32768.
    pub reluish_multiplier: ShortMultiplier,
}

/// A positive real factor as `multiplier · 2^(exponent − 15)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortMultiplier {
    /// The significand.
    pub multiplier: i16,
    /// Left shift when positive, rounding right shift when negative; −31 to 30.
    pub exponent: i32,
}

impl HardSwish {
    /// The result for one code.
    fn apply(&self, code: i32) -> i32 {
        let fine = (code - self.input_zero_point) << 7;
        let value = doubling_high_mul_rounded(fine, self.output_multiplier.multiplier.into());

        // x / 3, held within −1 and 1. The last bit of a left shift comes behind the
        // multiplication: only there saturation may change the result.
        let ShortMultiplier { multiplier, exponent } = self.reluish_multiplier;
        let mut gate = saturate((fine as i64) << (exponent - 1).max(0));
        gate = doubling_high_mul_rounded(gate, multiplier.into());
        gate = match exponent {
            1.. => saturate((gate as i64) << 1),
            _ => rounding_shift_right(gate, exponent.unsigned_abs()),
        };
        // (x + 3) / 6, from 0 to 1.
        gate = (gate + (1 << 15)) >> 1;

        let product = doubling_high_mul_truncated(gate, value);
        let shift = self.output_multiplier.exponent.unsigned_abs();
        let result = rounding_shift_right(product, shift) + self.output_zero_point;
        result.clamp(i8::MIN.into(), i8::MAX.into())
    }
}

/// `x` held within 16 bits.
fn saturate(x: i64) -> i32 {
    x.clamp(i16::MIN.into(), i16::MAX.into()) as i32
}

/// gemmlowp's `SaturatingRoundingDoublingHighMul` of 16 bits: ties up.
fn doubling_high_mul_rounded(a: i32, b: i32) -> i32 {
    saturate((a as i64 * b as i64 + (1 << 14)) >> 15)
}

/// TFLite's `SaturatingDoublingHighMul` of 16 bits: towards zero.
fn doubling_high_mul_truncated(a: i32, b: i32) -> i32 {
    saturate(a as i64 * b as i64 / (1 << 15))
}

/// gemmlowp's `RoundingDivideByPOT` of 16 bits, also where the shift is larger than makes sense.
fn rounding_shift_right(x: i32, shift: u32) -> i32 {
    let mask = ((1i64 << shift) - 1) as i16 as i32;
    let threshold = (mask >> 1) + (x < 0) as i32;
    (x >> shift) + ((x & mask) > threshold) as i32
}

impl Operator for HardSwish {
    fn kind(&self) -> &'static str {
        "HARD_SWISH"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        elementwise::infer(inputs)
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        elementwise::eval(&self.stages().expect("has stages"), inputs[0], inputs[0].ty.clone())
    }

    fn stages(&self) -> Option<Vec<Stage>> {
        Some(vec![Stage::table(|code| self.apply(code))])
    }
}
