//! SHAPE: the operand's shape as numbers. Shapes are static, so it is always a constant.

use super::{DType, Operator, TensorType, Value};

/// Operand: of any type; its contents don't matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The type of the numbers: `I32` or `I64`.
    pub dtype: DType,
}

impl Shape {
    /// The result for an operand of type `ty`.
    pub fn of(&self, ty: &TensorType) -> Value {
        let sizes = ty.shape.iter().map(|&size| size as i32);
        Value::from_ints(TensorType::new(self.dtype, [ty.shape.len()]), sizes)
    }
}

impl Operator for Shape {
    fn kind(&self) -> &'static str {
        "SHAPE"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(vec![TensorType::checked(self.dtype, [inputs[0].shape.len()])?])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        vec![self.of(&inputs[0].ty)]
    }
}
