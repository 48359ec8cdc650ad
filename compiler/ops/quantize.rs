//! QUANTIZE: real numbers to codes at the model's border, or codes to codes of another scale.
//!
//! Formula: TFLite's `reference/quantize.h` (`AffineQuantize`) and `reference/requantize.h`
//! (`Requantize`).

use super::{elementwise, DType, Multiplier, Operator, Stage, TensorType, Value};

/// Operand: real numbers or codes of any shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantize {
    /// What the operand's elements are.
    pub source: QuantizeSource,
    /// The type of the result's codes.
    pub dtype: DType,
    /// The result's zero point.
    pub zero_point: i32,
}

/// What a [`Quantize`] starts from.
#[derive(Clone, Debug, PartialEq)]
pub enum QuantizeSource {
    /// Real numbers.
    Real {
        /// The result's scale.
        scale: f32,
    },
    /// Codes.
    Codes {
        /// Their type.
        dtype: DType,
        /// Their zero point.
        zero_point: i32,
        /// From their scale to the result's.
        multiplier: Multiplier,
    },
}

impl Quantize {
    /// The stages from codes to codes, whatever their types.
    pub fn requantization(&self) -> Option<Vec<Stage>> {
        let QuantizeSource::Codes { zero_point, multiplier, dtype } = self.source else {
            return None;
        };
        let requantize = Stage::rescale(zero_point, multiplier, self.zero_point);
        let (min, max) = self.dtype.range();
        let unchanged = requantize.is_none() && dtype == self.dtype;
        let clamp = (!unchanged).then_some(Stage::Clamp { min, max });
        Some(requantize.into_iter().chain(clamp).collect())
    }
}

impl Operator for Quantize {
    fn kind(&self) -> &'static str {
        "QUANTIZE"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let expected = match self.source {
            QuantizeSource::Real { .. } => DType::F32,
            QuantizeSource::Codes { dtype, .. } => dtype,
        };
        if inputs[0].dtype != expected {
            return Err(format!("the operand is {}, not of {expected}", inputs[0]));
        }
        Ok(vec![TensorType::checked(self.dtype, inputs[0].shape.clone())?])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = super::infer_one(self, inputs);
        match self.source {
            QuantizeSource::Codes { .. } => {
                let stages = self.requantization().expect("has stages");
                elementwise::eval(&stages, inputs[0], ty)
            }
            QuantizeSource::Real { scale } => {
                let (min, max) = self.dtype.range();
                let code = |x| tflc_rt::quantize(x, scale, self.zero_point).clamp(min, max);
                vec![Value::from_ints(ty, inputs[0].floats().into_iter().map(code))]
            }
        }
    }

    fn stages(&self) -> Option<Vec<Stage>> {
        let QuantizeSource::Codes { dtype: DType::I8, .. } = self.source else { return None };
        self.requantization().filter(|_| self.dtype == DType::I8)
    }

    fn describe(&self) -> String {
        match self.source {
            QuantizeSource::Real { scale } => {
                format!("x / {scale:e} {:+}, to {}", self.zero_point, self.dtype)
            }
            QuantizeSource::Codes { zero_point, multiplier, .. } => format!(
                "{:.6} (x {:+}) {:+}, to {}",
                multiplier.real(),
                -zero_point,
                self.zero_point,
                self.dtype
            ),
        }
    }
}
