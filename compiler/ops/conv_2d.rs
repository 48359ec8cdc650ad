//! CONV_2D: `Σ (x − input_zero_point) · w + bias`, then the epilogue.
//!
//! Formula: TFLite's `reference_integer_ops/conv.h` (`ConvPerChannel`).

use super::{Epilogue, Operator, TensorType, Value, Window};

/// Operands: activations NHWC, int8; filters `[output channels, rows, columns, channels per
/// group]`, int8; bias `[output channels]`, int32, which may be left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// The filter's steps.
    pub window: Window,
    /// Subtracted from every activation.
    pub input_zero_point: i32,
    /// The code that taps outside of the operand read.
    pub padding_value: i32,
    /// From accumulators to codes, by output channel.
    pub epilogue: Epilogue,
}

impl Operator for Conv2d {
    fn kind(&self) -> &'static str {
        "CONV_2D"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        super::expect_weights(inputs)?;
        let [n, h, w, c] = super::four_dimensions(inputs[0])?;
        let [oc, kh, kw, gc] = super::four_dimensions(inputs[1])?;
        let groups = c.checked_div(gc).unwrap_or(0);
        let fit = groups > 0 && c % gc == 0 && oc % groups == 0;
        if [kh, kw] != self.window.size || !fit {
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
        let [oc, kh, kw, gc] = inputs[1].ty.shape[..].try_into().expect("four dimensions");
        let filters_per_group = oc / (ic / gc);
        let mut results = Vec::with_capacity(output.elements());
        for b in 0..n {
            for oy in 0..output.shape[1] {
                for ox in 0..output.shape[2] {
                    for o in 0..oc {
                        let mut acc = bias.as_ref().map_or(0, |bias| bias[o]);
                        let first_channel = o / filters_per_group * gc;
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let tap = self.window.tap([ih, iw], [oy, ox], [ky, kx]);
                                let filter = ((o * kh + ky) * kw + kx) * gc;
                                for c in 0..gc {
                                    let code = tap.map_or(self.padding_value, |[y, x_]| {
                                        x[((b * ih + y) * iw + x_) * ic + first_channel + c]
                                    });
                                    let product = (code - self.input_zero_point) * w[filter + c];
                                    acc = acc.wrapping_add(product);
                                }
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
        output.elements() as u64 * (inputs[1].elements() / inputs[1].shape[0]) as u64
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
