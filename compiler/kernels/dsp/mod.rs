//! Kernels in assembly for Arm cores with the DSP extension: Cortex-M4, M7, M33.
//!
//! Each is one routine that walks over a whole layer. What the layer is like stands at the head of
//! its constant, so layers of one form share a routine. Whatever a kernel can't hold, another one
//! or the portable one computes.

mod assembler;
mod conv_2d;
mod gather;
mod requantize;
mod weights;

use super::{Layer, Lowering};
use crate::loop_ir::assembly::Routine;
use crate::ops::{Conv2d, DType, Epilogue, Op, TensorType, Value};
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
}

/// The kernel for a layer, if there is one.
pub fn kernel(layer: Layer) -> Option<Kernel> {
    match &layer.node.op {
        Op::Conv2d(op) => conv_2d(layer, op),
        _ => None,
    }
}

impl Kernel {
    /// The layer as a call of the routine.
    pub fn lower<'a>(&self, layer: Layer<'a>) -> Lowering<'a> {
        let mut lowering = Lowering::new(layer);
        lowering.name = self.name.into();
        lowering.operand(0, "input");
        lowering.result(0);
        lowering.scratch(self.scratch);
        let words = TensorType::new(DType::I32, [self.stream.len()]);
        let tensor = &layer.graph.tensors[layer.node.outputs[0]].name;
        let doc =
            format!("sizes, then weights and factors of '{tensor}' in the order of their use");
        lowering.constant("layer", doc, Value::from_ints(words, self.stream.iter().copied()));
        lowering.code.assembly(self.routine.clone());
        lowering
    }
}

/// What becomes of a layer's sums, if it has one result and constant weights.
fn ending(layer: Layer, epilogue: &Epilogue) -> Option<Ending> {
    let bias_is_constant = layer.node.inputs.len() < 3 || layer.constant(2).is_some();
    let [chain] = &epilogue.0[..] else { return None };
    layer.constant(1)?;
    Ending::new(chain).filter(|ending| bias_is_constant && ending.rest.is_empty())
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
    let filters = weights::filters(
        layer,
        count,
        runs,
        op.input_zero_point,
        &ending.multipliers,
        |filter, row, tap| weights[(filter * runs.0 + row) * runs.1 + tap],
    );
    conv_2d::kernel(&geometry, &filters, &ending)
}
