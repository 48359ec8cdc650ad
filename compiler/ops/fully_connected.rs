//! FULLY_CONNECTED: `Σ (x − input_zero_point) · (w − weights_zero_point) + bias` for each row of
//! activations and each row of weights, then the epilogue.
//!
//! Formula: TFLite's `reference_integer_ops/fully_connected.h` (`FullyConnected` and
//! `FullyConnectedPerChannel`).

use super::{Epilogue, Operator, TensorType, Value};

/// Operands: activations of any shape that divides into rows, int8; weights `[units, row length]`,
/// int8; bias `[units]`, int32, which may be left out.
#[derive(Clone, Debug, PartialEq)]
pub struct FullyConnected {
    /// Whether the result keeps the activations' dimensions but the innermost; otherwise it is
    /// `[rows, units]`.
    pub keep_dims: bool,
    /// Subtracted from every activation.
    pub input_zero_point: i32,
    /// Subtracted from every weight.
    pub weights_zero_point: i32,
    /// From accumulators to codes, by unit.
    pub epilogue: Epilogue,
}

impl Operator for FullyConnected {
    fn kind(&self) -> &'static str {
        "FULLY_CONNECTED"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        super::expect_weights(inputs)?;
        let &[units, length] = &inputs[1].shape[..] else {
            return Err(format!("weights {} must have two dimensions", inputs[1]));
        };
        let misfit =
            || format!("rows of weights {} don't fit activations {}", inputs[1], inputs[0]);
        if length == 0 || inputs[0].elements() % length != 0 {
            return Err(misfit());
        }
        super::expect_bias(inputs, units)?;
        let mut shape = vec![inputs[0].elements() / length, units];
        if self.keep_dims {
            shape = inputs[0].shape.clone();
            match shape.last_mut() {
                Some(innermost) if *innermost == length => *innermost = units,
                _ => return Err(misfit()),
            }
        }
        Ok(self.epilogue.types(TensorType::checked(inputs[0].dtype, shape)?))
    }

    fn accumulators(&self, inputs: &[&Value], ty: &TensorType) -> Vec<i32> {
        let (x, w) = (inputs[0].ints(), inputs[1].ints());
        let bias = inputs.get(2).map(|bias| bias.ints());
        let length = inputs[1].ty.shape[1];
        let mut results = Vec::with_capacity(ty.elements());
        for row in x.chunks_exact(length) {
            for (unit, weights) in w.chunks_exact(length).enumerate() {
                let mut acc = bias.as_ref().map_or(0, |bias| bias[unit]);
                for (code, weight) in row.iter().zip(weights) {
                    let product =
                        (code - self.input_zero_point) * (weight - self.weights_zero_point);
                    acc = acc.wrapping_add(product);
                }
                results.push(acc);
            }
        }
        results
    }

    fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
        output.elements() as u64 * inputs[1].shape[1] as u64
    }

    fn epilogue(&self) -> Option<&Epilogue> {
        Some(&self.epilogue)
    }

    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        Some(&mut self.epilogue)
    }

    fn describe(&self) -> String {
        match self.weights_zero_point {
            0 => String::new(),
            zero_point => format!("weights {:+}", -zero_point),
        }
    }
}
