//! AVERAGE_POOL_2D: the mean of the codes under the window, padding left out.
//!
//! Formula: TFLite's `reference_integer_ops/pooling.h` (`AveragePool`): ties away from zero.

use super::{pooling, Epilogue, Operator, TensorType, Value, Window};

/// Operand: activations NHWC, int8. The result has the operand's quantization.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragePool2d {
    /// The window's steps.
    pub window: Window,
    /// From means to codes: a clamp.
    pub epilogue: Epilogue,
}

impl Operator for AveragePool2d {
    fn kind(&self) -> &'static str {
        "AVERAGE_POOL_2D"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        pooling::infer(&self.window, inputs[0])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        pooling::eval(&self.window, inputs[0], |codes, channel| {
            let mean = tflc_rt::divide_rounded(codes.iter().sum(), codes.len() as i32);
            self.epilogue.apply(mean, channel)
        })
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
