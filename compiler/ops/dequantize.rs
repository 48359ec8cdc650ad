//! DEQUANTIZE: codes to real numbers, at the model's border.
//!
//! Formula: TFLite's `reference/dequantize.h` (`Dequantize`).

use super::{DType, Operator, TensorType, Value};

/// Operand: codes of any shape and of an integer type.
#[derive(Clone, Debug, PartialEq)]
pub struct Dequantize {
    /// The operand's scale.
    pub scale: f32,
    /// The operand's zero point.
    pub zero_point: i32,
}

impl Operator for Dequantize {
    fn kind(&self) -> &'static str {
        "DEQUANTIZE"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match inputs[0].dtype {
            DType::I8 | DType::U8 | DType::I16 => {
                Ok(vec![TensorType::checked(DType::F32, inputs[0].shape.clone())?])
            }
            _ => Err(format!("the operand is {}, not of codes", inputs[0])),
        }
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let codes = inputs[0].ints().into_iter();
        let reals = codes.map(|code| tflc_rt::dequantize(code, self.scale, self.zero_point));
        vec![Value::from_floats(&inputs[0].ty.shape, reals)]
    }

    fn describe(&self) -> String {
        format!("{:e} (x {:+})", self.scale, -self.zero_point)
    }
}
