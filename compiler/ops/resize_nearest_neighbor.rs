//! RESIZE_NEAREST_NEIGHBOR: rows and columns of the operand repeated or left out.

use super::{coordinates, Operator, TensorType, Value};

/// Operand: NHWC, of any element type. The frontend has computed which row and column is nearest.
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeNearestNeighbor {
    /// For each row of the result, the operand's.
    pub rows: Vec<usize>,
    /// For each column of the result, the operand's.
    pub columns: Vec<usize>,
}

impl Operator for ResizeNearestNeighbor {
    fn kind(&self) -> &'static str {
        "RESIZE_NEAREST_NEIGHBOR"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [n, h, w, c] = super::four_dimensions(inputs[0])?;
        if self.rows.iter().any(|&row| row >= h) || self.columns.iter().any(|&column| column >= w) {
            return Err(format!("{} lacks rows or columns", inputs[0]));
        }
        Ok(vec![TensorType::checked(inputs[0].dtype, [n, self.rows.len(), self.columns.len(), c])?])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = super::infer_one(self, inputs);
        let [_, h, w, c] = inputs[0].ty.shape[..].try_into().expect("four dimensions");
        vec![inputs[0].gather(&ty, |i| {
            let [b, y, x, channel] =
                coordinates(&ty.shape, i)[..].try_into().expect("four dimensions");
            ((b * h + self.rows[y]) * w + self.columns[x]) * c + channel
        })]
    }

    fn describe(&self) -> String {
        format!("to {}x{}", self.rows.len(), self.columns.len())
    }
}
