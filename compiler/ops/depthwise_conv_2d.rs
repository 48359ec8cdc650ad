//! DEPTHWISE_CONV_2D: each channel convolved on its own, with one filter or several.
//!
//! Formula: TFLite's `reference_integer_ops/depthwise_conv.h` (`DepthwiseConvPerChannel`).

use super::{Epilogue, Operator, TensorType, Value, Window};

/// Operands: activations NHWC, int8; filters `[1, rows, columns, output channels]`, int8; bias
/// `[output channels]`, int32, which may be left out. Output channel `o` reads input channel
/// `o / m`, where there are `m` times as many output channels as input channels.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthwiseConv2d {
    /// The filters' steps.
    pub window: Window,
    /// Subtracted from every activation.
    pub input_zero_point: i32,
    /// The code that taps outside of the operand read.
    pub padding_value: i32,
    /// From accumulators to codes, by output channel.
    pub epilogue: Epilogue,
}

impl Operator for DepthwiseConv2d {
    fn kind(&self) -> &'static str {
        "DEPTHWISE_CONV_2D"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        super::expect_weights(inputs)?;
        let [n, h, w, c] = super::four_dimensions(inputs[0])?;
        let [one, kh, kw, oc] = super::four_dimensions(inputs[1])?;
        if one != 1 || [kh, kw] != self.window.size || c == 0 || oc % c != 0 {
            return Err(format!("filters {} don't fit activations {}", inputs[1], inputs[0]));
        }
        super::expect_bias(inputs, oc)?;
        let [oh, ow] = self.window.output([h, w])?;
        Ok(self.epilogue.types(TensorType::checked(inputs[0].dtype, [n, oh, ow, oc])?))
    }

    fn accumulators(&self, inputs: &[&Value], output: &TensorType) -> Vec<i32> {
        let (x, w) = (inputs[0].ints(), inputs[1].ints());
        let bias = inputs.get(2).map(|bias| bias.ints());
        let [n, ih, iw, ic] = inputs[0].ty.shape[..].try_into().expect("four dimensions");
        let [_, kh, kw, oc] = inputs[1].ty.shape[..].try_into().expect("four dimensions");
        let mut results = Vec::with_capacity(output.elements());
        for b in 0..n {
            for oy in 0..output.shape[1] {
                for ox in 0..output.shape[2] {
                    for o in 0..oc {
                        let mut acc = bias.as_ref().map_or(0, |bias| bias[o]);
                        let channel = o / (oc / ic);
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let tap = self.window.tap([ih, iw], [oy, ox], [ky, kx]);
                                let code = tap.map_or(self.padding_value, |[y, x_]| {
                                    x[((b * ih + y) * iw + x_) * ic + channel]
                                });
                                let weight = w[(ky * kw + kx) * oc + o];
                                let product = (code - self.input_zero_point) * weight;
                                acc = acc.wrapping_add(product);
                            }
                        }
                        results.push(acc);
                    }
                }
            }
        }
        results
    }

    fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
        let [rows, columns] = [inputs[1].shape[1], inputs[1].shape[2]];
        output.elements() as u64 * (rows * columns) as u64
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
