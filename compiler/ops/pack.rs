//! PACK: operands stacked along a new dimension.

use super::{Operator, TensorType, Value};

/// Operands: any number, of one type.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// Where the new dimension goes.
    pub axis: usize,
}

impl Operator for Pack {
    fn kind(&self) -> &'static str {
        "PACK"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let first = inputs.first().ok_or("there are no operands")?;
        if let Some(other) = inputs.iter().find(|other| *other != first) {
            return Err(format!("{first} and {other} can't be stacked"));
        }
        if self.axis > first.shape.len() {
            return Err(format!("a stack of {first} has no axis {}", self.axis));
        }
        let mut shape = first.shape.clone();
        shape.insert(self.axis, inputs.len());
        Ok(vec![TensorType::checked(first.dtype, shape)?])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = super::infer_one(self, inputs);
        let outer: usize = ty.shape[..self.axis].iter().product();
        let length = inputs[0].bytes.len() / outer;
        let mut bytes = Vec::with_capacity(ty.bytes());
        for i in 0..outer {
            for input in inputs {
                bytes.extend(&input.bytes[i * length..][..length]);
            }
        }
        vec![Value::new(ty, bytes)]
    }

    fn describe(&self) -> String {
        format!("axis {}", self.axis)
    }
}
