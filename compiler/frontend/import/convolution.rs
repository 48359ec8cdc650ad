//! CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.

use super::operator::Operator;
use super::quantization;
use super::tensor::{Fault, Tensor};
use super::Imported;
use crate::frontend::schema::{
    padding, Conv2DOptions, DepthwiseConv2DOptions, FullyConnectedOptions,
};
use crate::ir::Quantization;
use crate::ops::{Conv2d, DType, DepthwiseConv2d, Epilogue, FullyConnected, Multiplier, Window};

pub fn conv_2d(op: &Operator) -> Imported {
    let options = op.needed_options::<Conv2DOptions>()?;
    let sizes = Sizes {
        stride: [options.stride_h(), options.stride_w()],
        dilation: [options.dilation_h_factor(), options.dilation_w_factor()],
        padding: options.padding(),
    };
    let channels = Channels { axis: 0, activation: options.fused_activation_function() };
    let (common, window) = (common(op, channels), filter_window(op, sizes));
    let (common, window) = (common?, window?);
    let conv = Conv2d {
        window,
        input_zero_point: common.input.zero_point,
        padding_value: common.input.zero_point,
        epilogue: common.epilogue_by_scale(op)?,
    };
    Some((conv.into(), common.operands))
}

pub fn depthwise_conv_2d(op: &Operator) -> Imported {
    let options = op.needed_options::<DepthwiseConv2DOptions>()?;
    let sizes = Sizes {
        stride: [options.stride_h(), options.stride_w()],
        dilation: [options.dilation_h_factor(), options.dilation_w_factor()],
        padding: options.padding(),
    };
    let channels = Channels { axis: 3, activation: options.fused_activation_function() };
    let (common, window) = (common(op, channels), filter_window(op, sizes));
    let (common, window) = (common?, window?);
    let conv = DepthwiseConv2d {
        window,
        input_zero_point: common.input.zero_point,
        padding_value: common.input.zero_point,
        epilogue: common.epilogue_by_scale(op)?,
    };
    Some((conv.into(), common.operands))
}

pub fn fully_connected(op: &Operator) -> Imported {
    let options = op.needed_options::<FullyConnectedOptions>()?;
    if options.weights_format() != 0 {
        op.report(
            op.input(1),
            Fault {
                what: "shuffled weights (weights_format 1) are not supported".into(),
                advice: "convert it again: only delegates make such weights",
            },
        );
    }
    let channels = Channels { axis: 0, activation: options.fused_activation_function() };
    let common = common(op, channels)?;
    let (weights_zero_point, epilogue) = match (&common.scales[..], &common.zero_points[..]) {
        // GetQuantizedConvolutionMultipler: the product of the scales is a float32.
        (&[scale], &[zero_point]) => {
            let product = f64::from(common.input.scale * scale);
            let multiplier = op.multiplier(product / f64::from(common.output.scale))?;
            (zero_point, common.epilogue(vec![multiplier]))
        }
        _ => (0, common.epilogue_by_scale(op)?),
    };
    let fully_connected = FullyConnected {
        keep_dims: options.keep_num_dims(),
        input_zero_point: common.input.zero_point,
        weights_zero_point,
        epilogue,
    };
    Some((fully_connected.into(), common.operands))
}

/// Where output channels are in the weights, and what is fused behind them.
struct Channels {
    axis: usize,
    activation: i8,
}

/// What operators with weights have in common.
struct Common {
    input: Quantization,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    output: Quantization,
    range: (i32, i32),
    operands: Vec<usize>,
}

fn common(op: &Operator, channels: Channels) -> Option<Common> {
    let (input, weights) = (op.input(0)?, op.input(1)?);
    let operands = if op.has_input(2) { vec![0, 1, 2] } else { vec![0, 1] };
    let (x, w) = (op.codes(input), weights_quantization(op, weights, channels.axis));
    let y = op.codes(op.output());
    let bias = bias(op);
    let (input, (scales, zero_points), output, ()) = (x?, w?, y?, bias?);
    let range = op.activation_range(channels.activation, output)?;
    Some(Common { input, scales, zero_points, output, range, operands })
}

impl Common {
    fn epilogue(&self, multipliers: Vec<Multiplier>) -> Epilogue {
        Epilogue::requantize(multipliers, self.output.zero_point, self.range)
    }

    /// The epilogue with a multiplier for each scale. The reference kernels that work this way take
    /// the weights' zero points for 0, whatever they are.
    fn epilogue_by_scale(&self, op: &Operator) -> Option<Epilogue> {
        let (input, output) = (f64::from(self.input.scale), f64::from(self.output.scale));
        let factors = self.scales.iter().map(|&scale| input * f64::from(scale) / output);
        let multipliers: Option<_> = factors.map(|factor| op.multiplier(factor)).collect();
        Some(self.epilogue(multipliers?))
    }
}

/// The scales and zero points of weights: one, or one for each output channel.
fn weights_quantization(
    op: &Operator,
    weights: &Tensor,
    axis: usize,
) -> Option<(Vec<f32>, Vec<i32>)> {
    if weights.ty.dtype != DType::I8 {
        let what = format!("weights of type {} are not supported", weights.ty.dtype);
        return op.fail(Some(weights), Fault { what, advice: quantization::FULL_INTEGER });
    }
    if weights.data.is_none() {
        return op.fail(
            Some(weights),
            Fault {
                what: "weights that the model computes are not supported".into(),
                advice: "make them constants",
            },
        );
    }
    let quantization = quantization::of_channels(weights);
    let (scales, zero_points) =
        quantization.map_or_else(|fault| op.fail(Some(weights), fault), Some)?;
    let stated_axis = weights.quantization.map_or(0, |q| q.quantized_dimension());
    let channels = weights.ty.shape.get(axis).copied();
    if scales.len() > 1 && (channels != Some(scales.len()) || stated_axis != axis as i32) {
        let what = format!("its {} scales are not those of its output channels", scales.len());
        return op.fail(Some(weights), Fault { what, advice: quantization::FULL_INTEGER });
    }
    Some((scales, zero_points))
}

/// That the bias, if there is one, is a constant of int32.
fn bias(op: &Operator) -> Option<()> {
    if !op.has_input(2) {
        return Some(());
    }
    let bias = op.input(2)?;
    let what = match bias.ty.dtype {
        DType::I32 if bias.data.is_some() => return Some(()),
        DType::I32 => "a bias that the model computes is not supported".into(),
        dtype => format!("a bias of type {dtype} is not supported"),
    };
    op.fail(Some(bias), Fault { what, advice: quantization::FULL_INTEGER })
}

/// A window's steps as the file's options say them.
pub struct Sizes {
    /// From one output to the next.
    pub stride: [i32; 2],
    /// From one tap to the next.
    pub dilation: [i32; 2],
    /// From [`padding`].
    pub padding: i8,
}

/// The window of the filters.
fn filter_window(op: &Operator, sizes: Sizes) -> Option<Window> {
    let weights = op.input(1)?;
    match weights.ty.shape[..] {
        [_, rows, columns, _] => window(op, [rows, columns], sizes),
        _ => {
            let what = format!("the filters are {}, not of four dimensions", weights.ty);
            op.fail(Some(weights), Fault::damage(what))
        }
    }
}

/// A window of `taps` rows and columns over the first operand.
pub fn window(op: &Operator, taps: [usize; 2], sizes: Sizes) -> Option<Window> {
    let input = op.input(0)?;
    let [_, rows, columns, _] = input.ty.shape[..] else {
        let what = format!("the activations are {}, not of four dimensions", input.ty);
        return op.fail(Some(input), Fault::damage(what));
    };
    let positive = |steps: [i32; 2], name: &str| {
        let [y, x] = steps.map(|step| usize::try_from(step).ok().filter(|&step| step > 0));
        match (y, x) {
            (Some(y), Some(x)) => Some([y, x]),
            _ => {
                op.fail(None, Fault::damage(format!("its {name} is {} by {}", steps[0], steps[1])))
            }
        }
    };
    let (stride, dilation) =
        (positive(sizes.stride, "stride"), positive(sizes.dilation, "dilation"));
    let (stride, dilation) = (stride?, dilation?);
    let image = [rows, columns];
    let window = match sizes.padding {
        padding::SAME => Window::same(image, taps, stride, dilation),
        padding::VALID => Window::valid(taps, stride, dilation),
        other => {
            return op.fail(None, Fault::damage(format!("its padding is of unknown kind {other}")));
        }
    };
    match window.output(image) {
        Ok(output) if window.is_sane(image, output) => Some(window),
        Ok(_) => op.fail(
            Some(input),
            Fault {
                what: format!(
                    "a window of {window} is too large for {rows} rows by {columns} columns"
                ),
                advice: "make the window smaller, or the image",
            },
        ),
        Err(what) => op.fail(Some(input), Fault::damage(what)),
    }
}
