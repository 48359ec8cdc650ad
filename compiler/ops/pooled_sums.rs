//! From the sums over all pixels to what AVERAGE_POOL_2D or MEAN makes of them. No model file has it;
//! see `sum_pixels`.

use super::{DType, Epilogue, Operator, TensorType, Value};

/// Operand: an int32 for each channel. The accumulator is `(sum − offset) / divisor`, ties away from
/// zero.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledSums {
    /// Subtracted from each sum: MEAN's zero points.
    pub offset: i32,
    /// What AVERAGE_POOL_2D divides by.
    pub divisor: i32,
    /// The result's dimensions.
    pub shape: Vec<usize>,
    /// From accumulators to codes.
    pub epilogue: Epilogue,
}

impl Operator for PooledSums {
    fn kind(&self) -> &'static str {
        "POOLED_SUMS"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let ty = TensorType::checked(DType::I8, self.shape.clone())?;
        match inputs[0].dtype == DType::I32 && inputs[0].elements() == ty.elements() {
            true => Ok(self.epilogue.types(ty)),
            false => Err(format!("{} isn't the sums for {ty}", inputs[0])),
        }
    }

    fn accumulators(&self, inputs: &[&Value], _ty: &TensorType) -> Vec<i32> {
        let accumulator = |sum: i32| match self.divisor {
            1 => sum - self.offset,
            divisor => tflc_rt::divide_rounded(sum - self.offset, divisor),
        };
        inputs[0].ints().into_iter().map(accumulator).collect()
    }

    fn epilogue(&self) -> Option<&Epilogue> {
        Some(&self.epilogue)
    }

    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        Some(&mut self.epilogue)
    }
}
