//! Requires constant weights and biases; ensures that no operator with them subtracts a zero point
//! from its activations.

use crate::ir::Graph;
use crate::ops::{shift_zero_point, DType, Op, TensorType, Value};
use crate::target::Target;

/// Moves zero points of activations into biases: `Σ (x − z)·w + b = Σ x·w + (b − z·Σ w)`, modulo
/// 2^32. Exact with padding too, as long as padded taps read their value as it is.
pub fn run(graph: &mut Graph, _: &Target) {
    for i in 0..graph.nodes.len() {
        let node = &graph.nodes[i];
        let (zero_point, weights_zero_point) = match &node.op {
            Op::Conv2d(op) => (op.input_zero_point, 0),
            Op::DepthwiseConv2d(op) => (op.input_zero_point, 0),
            Op::FullyConnected(op) => (op.input_zero_point, op.weights_zero_point),
            _ => continue,
        };
        let bias = node.inputs.get(2).copied();
        let Some(weights) = graph.constant(node.inputs[1]) else {
            continue;
        };
        if zero_point == 0 || bias.is_some_and(|id| graph.constant(id).is_none()) {
            continue;
        }
        let channels = graph.tensors[node.outputs[0]].ty.from_innermost(0);
        let depthwise = matches!(node.op, Op::DepthwiseConv2d(_));
        let taps = weights.ty.elements() / channels;
        let biases = shift_zero_point(
            bias.and_then(|id| graph.constant(id)),
            channels,
            -zero_point,
            weights,
            weights_zero_point,
            |i| if depthwise { i % channels } else { i / taps },
        );
        let name = match bias {
            Some(id) => graph.tensors[id].name.clone(),
            None => format!("{}/bias", graph.tensors[node.outputs[0]].name),
        };
        let value = Value::from_ints(TensorType::new(DType::I32, [channels]), biases);
        let folded = graph.add_constant(name, value);
        let node = &mut graph.nodes[i];
        match node.inputs.get_mut(2) {
            Some(bias) => *bias = folded,
            None => node.inputs.push(folded),
        }
        match &mut node.op {
            Op::Conv2d(op) => op.input_zero_point = 0,
            Op::DepthwiseConv2d(op) => op.input_zero_point = 0,
            Op::FullyConnected(op) => op.input_zero_point = 0,
            _ => unreachable!("chosen above"),
        }
    }
}
