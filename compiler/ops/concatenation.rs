//! CONCATENATION: operands side by side along one dimension.

use super::{Operator, TensorType, Value};

/// Operands: any number, of one element type, and of one shape but for the dimension `axis`.
#[derive(Clone, Debug, PartialEq)]
pub struct Concatenation {
    /// The dimension along which they follow each other.
    pub axis: usize,
}

impl Operator for Concatenation {
    fn kind(&self) -> &'static str {
        "CONCATENATION"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let first = inputs.first().ok_or("there are no operands")?;
        if self.axis >= first.shape.len() {
            return Err(format!("{first} has no axis {}", self.axis));
        }
        let mut shape = first.shape.clone();
        shape[self.axis] = 0;
        for input in inputs {
            let size = input.shape.get(self.axis).copied().unwrap_or(0);
            let mut fitting = shape.clone();
            fitting[self.axis] = size;
            if **input != TensorType::new(first.dtype, fitting) {
                return Err(format!("{first} and {input} don't go side by side"));
            }
            shape[self.axis] += size;
        }
        Ok(vec![TensorType::checked(first.dtype, shape)?])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = super::infer_one(self, inputs);
        let outer: usize = ty.shape[..self.axis].iter().product();
        let mut bytes = Vec::with_capacity(ty.bytes());
        for i in 0..outer {
            for input in inputs {
                let length = input.bytes.len() / outer;
                bytes.extend(&input.bytes[i * length..][..length]);
            }
        }
        vec![Value::new(ty, bytes)]
    }

    fn describe(&self) -> String {
        format!("axis {}", self.axis)
    }
}
