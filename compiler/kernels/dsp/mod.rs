//! Kernels in assembly for Arm cores with the DSP extension: Cortex-M4, M7, M33.
//!
//! Each is one routine that walks over a whole layer. What the layer is like stands at the head of
//! its constant, so layers of one form share a routine. Whatever a kernel can't hold, another one
//! or the portable one computes.

mod assembler;
mod conv_2d;
mod depthwise_conv_2d;
mod fully_connected;
mod gather;
mod requantize;
mod residual;
mod weights;
mod winograd;

use super::{Binding, Layer, Lowering};
use crate::loop_ir::assembly::Routine;
use crate::loop_ir::Access;
use crate::ops::{Conv2d, DType, DepthwiseConv2d, Epilogue, FullyConnected, Op, TensorType, Value};
use gather::Geometry;
use weights::Ending;

/// A layer's routine, and the constant that describes the layer to it.
pub struct Kernel {
    /// What the function is called.
    pub name: &'static str,
    /// The code: the same for all layers of one form.
    pub routine: Routine,
    /// What the layer is like, then its weights.
    pub stream: Vec<i32>,
    /// Bytes of scratch memory.
    pub scratch: usize,
    /// The operand over which the result may lie.
    pub in_place: Option<usize>,
    /// Whether the last operand is a residual.
    pub residual: bool,
}

/// The kernel for a layer, if there is one.
pub fn kernel(layer: Layer) -> Option<Kernel> {
    match &layer.node.op {
        Op::Conv2d(op) => conv_2d(layer, op),
        Op::DepthwiseConv2d(op) => depthwise_conv_2d(layer, op),
        Op::FullyConnected(op) => fully_connected(layer, op),
        _ => None,
    }
}

impl Kernel {
    /// The layer as a call of the routine.
    pub fn lower<'a>(&self, layer: Layer<'a>) -> Lowering<'a> {
        let mut lowering = Lowering::new(layer);
        lowering.name = self.name.into();
        lowering.place("input", Binding::Operand(0), layer.input(0), Access::Read);
        lowering.place("output", Binding::Result(0), layer.output(), Access::Write);
        lowering.scratch(self.scratch);
        let words = TensorType::new(DType::I32, [self.stream.len()]);
        let tensor = &layer.graph.tensors[layer.node.outputs[0]].name;
        let doc =
            format!("sizes, then weights and factors of '{tensor}' in the order of their use");
        lowering.constant("layer", doc, Value::from_ints(words, self.stream.iter().copied()));
        if self.residual {
            let last = layer.node.inputs.len() - 1;
            lowering.place("residual", Binding::Operand(last), layer.input(last), Access::Read);
        }
        lowering.code.assembly(self.routine.clone());
        lowering
    }
}

/// What becomes of a layer's sums, if it has one result and constant weights.
fn ending(layer: Layer, epilogue: &Epilogue) -> Option<Ending> {
    let bias_is_constant = layer.node.inputs.len() < 3 || layer.constant(2).is_some();
    let [chain] = &epilogue.0[..] else { return None };
    layer.constant(1)?;
    Ending::new(chain).filter(|_| bias_is_constant)
}

fn conv_2d(layer: Layer, op: &Conv2d) -> Option<Kernel> {
    let ending = ending(layer, &op.epilogue)?;
    let weights = layer.constant(1)?.ints();
    let &[images, height, width, channels] = &layer.input(0).shape[..] else { return None };
    let &[count, rows, columns, group] = &layer.input(1).shape[..] else { return None };
    let output = &layer.output().shape;
    let window = op.window;
    if images != 1 || group != channels || (window.dilation[1] > 1 && columns > 1) {
        return None;
    }
    let geometry = Geometry {
        input: [height, width],
        channels,
        output: [output[1], output[2]],
        size: [rows, columns],
        stride: window.stride,
        dilation: window.dilation[0],
        before: [window.padding.top, window.padding.left],
        padding: op.padding_value,
    }
    .simplified();
    let runs = (geometry.size[0], geometry.run());
    let filters =
        weights::filters(layer, count, runs, op.input_zero_point, &ending, |filter, row, tap| {
            weights[(filter * runs.0 + row) * runs.1 + tap]
        });
    winograd::kernel(&geometry, &filters, &ending)
        .or_else(|| conv_2d::kernel(&geometry, &filters, &ending))
}

fn fully_connected(layer: Layer, op: &FullyConnected) -> Option<Kernel> {
    let ending = ending(layer, &op.epilogue)?;
    let weights = layer.constant(1)?.ints();
    let &[units, depth] = &layer.input(1).shape[..] else { return None };
    let batches = layer.output().elements() / units;
    let filters =
        weights::filters(layer, units, (1, depth), op.input_zero_point, &ending, |unit, _, tap| {
            weights[unit * depth + tap] - op.weights_zero_point
        });
    if batches == 1 {
        return fully_connected::kernel(depth, &filters, &ending);
    }
    // Rows of activations are pixels.
    let pixels = Geometry {
        input: [1, batches],
        channels: depth,
        output: [1, batches],
        size: [1, 1],
        stride: [1, 1],
        dilation: 1,
        before: [0, 0],
        padding: 0,
    };
    conv_2d::kernel(&pixels, &filters, &ending)
}

fn depthwise_conv_2d(layer: Layer, op: &DepthwiseConv2d) -> Option<Kernel> {
    let ending = ending(layer, &op.epilogue)?;
    let weights = layer.constant(1)?.ints();
    let &[images, height, width, channels] = &layer.input(0).shape[..] else { return None };
    let &[_, rows, columns, count] = &layer.input(1).shape[..] else { return None };
    let output = &layer.output().shape;
    let window = op.window;
    if images != 1 || (window.dilation[1] > 1 && columns > 1) {
        return None;
    }
    let geometry = Geometry {
        input: [height, width],
        channels,
        output: [output[1], output[2]],
        size: [rows, columns],
        stride: window.stride,
        dilation: if rows == 1 { 1 } else { window.dilation[0] },
        before: [window.padding.top, window.padding.left],
        padding: op.padding_value,
    };
    if channels == 1 {
        // All filters read the same channel: a convolution.
        let geometry = geometry.simplified();
        let (rows, run) = (geometry.size[0], geometry.run());
        let weight =
            |filter: usize, row: usize, tap: usize| weights[(row * run + tap) * count + filter];
        let zero_point = op.input_zero_point;
        let filters = weights::filters(layer, count, (rows, run), zero_point, &ending, weight);
        return conv_2d::kernel(&geometry, &filters, &ending);
    }
    let weight = |filter: usize, _: usize, tap: usize| weights[tap * count + filter];
    let runs = (1, rows * columns);
    let filters = weights::filters(layer, count, runs, op.input_zero_point, &ending, weight);
    depthwise_conv_2d::kernel(&geometry, count / channels, &filters, &ending)
}
