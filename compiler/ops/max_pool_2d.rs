//! MAX_POOL_2D: the highest code under the window, padding left out.
//!
//! Formula: TFLite's `reference_integer_ops/pooling.h` (`MaxPool`).

use super::{pooling, Epilogue, Operator, TensorType, Value, Window};

/// Operand: activations NHWC, int8. The result has the operand's quantization.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2d {
    /// The window's steps.
    pub window: Window,
    /// From the highest codes to codes: a clamp.
    pub epilogue: Epilogue,
}

impl Operator for MaxPool2d {
    fn kind(&self) -> &'static str {
        "MAX_POOL_2D"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(self.epilogue.types(pooling::infer(&self.window, inputs[0])?))
    }

    fn accumulators(&self, inputs: &[&Value], ty: &TensorType) -> Vec<i32> {
        pooling::summaries(&self.window, inputs[0], ty, |codes| {
            codes.iter().copied().max().unwrap_or(i8::MIN.into())
        })
    }

    fn work(&self, _inputs: &[&TensorType], output: &TensorType) -> u64 {
        pooling::work(&self.window, output)
    }

    fn epilogue(&self) -> Option<&Epilogue> {
        Some(&self.epilogue)
    }

    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        Some(&mut self.epilogue)
    }

    fn describe(&self) -> String {
        self.window.to_string()
    }
}
