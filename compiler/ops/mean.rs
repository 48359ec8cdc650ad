//! MEAN: sums over dimensions, rescaled by a multiplier that holds the division too.
//!
//! Formula: TFLite's `reference/reduce.h` (`QuantizedMeanOrSum`).

use super::{coordinates, strides, Epilogue, Operator, TensorType, Value};

/// Operand: int8 codes of any shape. The accumulator is `Σ (x − input_zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mean {
    /// The dimensions that are summed over, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay, with size 1.
    pub keep_dims: bool,
    /// Subtracted from every code.
    pub input_zero_point: i32,
    /// From sums to codes: its multiplier also divides by the number of codes.
    pub epilogue: Epilogue,
}

impl Mean {
    /// The operand's shape with every summed dimension of size 1.
    fn kept_shape(&self, shape: &[usize]) -> Vec<usize> {
        let sizes = shape.iter().enumerate();
        sizes.map(|(i, &size)| if self.axes.contains(&i) { 1 } else { size }).collect()
    }
}

impl Operator for Mean {
    fn kind(&self) -> &'static str {
        "MEAN"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        super::expect_codes(inputs[0])?;
        let rank = inputs[0].shape.len();
        if self.axes.iter().any(|&axis| axis >= rank) || !self.axes.is_sorted_by(|a, b| a < b) {
            return Err(format!("{} has no axes {:?}", inputs[0], self.axes));
        }
        let kept = self.kept_shape(&inputs[0].shape);
        let shape = match self.keep_dims {
            true => kept,
            false => (0..rank).filter(|i| !self.axes.contains(i)).map(|i| kept[i]).collect(),
        };
        Ok(self.epilogue.types(TensorType::checked(inputs[0].dtype, shape)?))
    }

    fn accumulators(&self, inputs: &[&Value], ty: &TensorType) -> Vec<i32> {
        let shape = &inputs[0].ty.shape;
        let kept = self.kept_shape(shape);
        let strides = strides(&kept);
        let mut sums = vec![0i32; ty.elements()];
        for (i, code) in inputs[0].ints().into_iter().enumerate() {
            let position = coordinates(shape, i).into_iter().zip(&kept).zip(&strides);
            let at: usize = position.map(|((at, size), stride)| at % size * stride).sum();
            sums[at] = sums[at].wrapping_add(code - self.input_zero_point);
        }
        sums
    }

    fn epilogue(&self) -> Option<&Epilogue> {
        Some(&self.epilogue)
    }

    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        Some(&mut self.epilogue)
    }

    fn describe(&self) -> String {
        format!("axes {:?}", self.axes)
    }
}
