//! PRELU with one slope for all channels: positive values rescaled, negative ones multiplied by the
//! slope's code first.
//!
//! Formula: TFLite's `reference/prelu.h` (`BroadcastPrelu4DSlow`).

use super::{elementwise, Multiplier, Operator, Stage, TensorType, Value};

/// Operand: int8 codes of any shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Prelu {
    /// The operand's zero point.
    pub input_zero_point: i32,
    /// The slope's code less its zero point.
    pub slope: i32,
    /// The result's zero point.
    pub output_zero_point: i32,
    /// The factor of values from 0 on.
    pub positive: Multiplier,
    /// The factor of products with the slope.
    pub negative: Multiplier,
}

impl Operator for Prelu {
    fn kind(&self) -> &'static str {
        "PRELU"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        elementwise::infer(inputs)
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        elementwise::eval(&self.stages().expect("has stages"), inputs[0], inputs[0].ty.clone())
    }

    fn stages(&self) -> Option<Vec<Stage>> {
        Some(vec![Stage::table(|code| {
            let value = code - self.input_zero_point;
            let rescaled = match value >= 0 {
                true => self.positive.apply(value),
                false => self.negative.apply(value * self.slope),
            };
            let code = rescaled.wrapping_add(self.output_zero_point);
            code.clamp(i8::MIN.into(), i8::MAX.into())
        })])
    }

    fn describe(&self) -> String {
        let slope = f64::from(self.slope) * self.negative.real();
        format!("{:.6} x, {slope:.6} x if negative", self.positive.real())
    }
}
