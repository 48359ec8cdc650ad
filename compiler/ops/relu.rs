//! RELU, RELU6 and RELU_N1_TO_1 on their own: a rescaling and a clamp.
//!
//! Formula: TFLite's `reference_ops.h` (`ReluX`). With the same quantization on both sides it is
//! exactly the clamp. (TFLM's RELU6 never rescales.)

use super::{elementwise, Multiplier, Operator, Stage, TensorType, Value};

/// Operand: int8 codes of any shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Relu {
    /// Which of the three.
    pub kind: ReluKind,
    /// The operand's zero point.
    pub input_zero_point: i32,
    /// From the operand's scale to the result's.
    pub multiplier: Multiplier,
    /// The result's zero point.
    pub output_zero_point: i32,
    /// The lowest and the highest code of the result.
    pub range: (i32, i32),
}

/// Where a [`Relu`] clamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReluKind {
    /// From 0.
    Relu,
    /// From 0 to 6.
    Relu6,
    /// From −1 to 1.
    ReluN1To1,
}

impl Operator for Relu {
    fn kind(&self) -> &'static str {
        match self.kind {
            ReluKind::Relu => "RELU",
            ReluKind::Relu6 => "RELU6",
            ReluKind::ReluN1To1 => "RELU_N1_TO_1",
        }
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        elementwise::infer(inputs)
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        elementwise::eval(&self.stages().expect("has stages"), inputs[0], inputs[0].ty.clone())
    }

    fn stages(&self) -> Option<Vec<Stage>> {
        let requantize =
            Stage::rescale(self.input_zero_point, self.multiplier, self.output_zero_point);
        let (min, max) = self.range;
        Some(requantize.into_iter().chain([Stage::Clamp { min, max }]).collect())
    }
}
