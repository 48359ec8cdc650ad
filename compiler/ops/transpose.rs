//! TRANSPOSE: the operand's dimensions in another order.

use super::{coordinates, strides, Operator, TensorType, Value};

/// Operand: of any type.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// For each dimension of the result, the operand's.
    pub permutation: Vec<usize>,
}

impl Operator for Transpose {
    fn kind(&self) -> &'static str {
        "TRANSPOSE"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let TensorType { dtype, shape } = inputs[0];
        let mut axes = self.permutation.clone();
        axes.sort_unstable();
        if !axes.into_iter().eq(0..shape.len()) {
            return Err(format!(
                "{:?} is no order of the dimensions of {}",
                self.permutation, inputs[0]
            ));
        }
        let shape: Vec<usize> = self.permutation.iter().map(|&axis| shape[axis]).collect();
        Ok(vec![TensorType::checked(*dtype, shape)?])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = super::infer_one(self, inputs);
        let strides = strides(&inputs[0].ty.shape);
        vec![inputs[0].gather(&ty, |i| {
            let position = coordinates(&ty.shape, i).into_iter().zip(&self.permutation);
            position.map(|(at, &axis)| at * strides[axis]).sum()
        })]
    }

    fn describe(&self) -> String {
        format!("{:?}", self.permutation)
    }
}
