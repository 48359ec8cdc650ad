//! RESHAPE, SQUEEZE and EXPAND_DIMS: the same elements under another shape.

use super::{Operator, TensorType, Value};

/// Operand: of any type.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// The result's shape.
    pub shape: Vec<usize>,
}

impl Operator for Reshape {
    fn kind(&self) -> &'static str {
        "RESHAPE"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let output = TensorType::checked(inputs[0].dtype, self.shape.clone())?;
        if output.elements() != inputs[0].elements() {
            return Err(format!("{} can't become {output}", inputs[0]));
        }
        Ok(vec![output])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        vec![inputs[0].reshaped(&self.shape)]
    }

    fn is_reshape(&self) -> bool {
        true
    }
}
