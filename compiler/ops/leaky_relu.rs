//! LEAKY_RELU: positive values rescaled, negative ones also multiplied by a slope.
//!
//! Formula: TFLite's `reference/leaky_relu.h` (`QuantizeLeakyRelu`). A negative slope is a
//! negative multiplier, as in TFLite 2.14.

use super::{elementwise, Multiplier, Operator, Stage, TensorType, Value};

/// Operand: int8 codes of any shape.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyRelu {
    /// The operand's zero point.
    pub input_zero_point: i32,
    /// The result's zero point.
    pub output_zero_point: i32,
    /// The factor of values from 0 on.
    pub positive: Multiplier,
    /// The factor of values under 0.
    pub negative: Multiplier,
}

impl Operator for LeakyRelu {
    fn kind(&self) -> &'static str {
        "LEAKY_RELU"
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
            let multiplier = if value >= 0 { self.positive } else { self.negative };
            let code = multiplier.apply(value).wrapping_add(self.output_zero_point);
            code.clamp(i8::MIN.into(), i8::MAX.into())
        })])
    }

    fn describe(&self) -> String {
        format!("{:.6} x, {:.6} x if negative", self.positive.real(), self.negative.real())
    }
}
