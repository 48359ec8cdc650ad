//! Requires nothing; ensures that no elementwise operator stands alone that changes nothing.

use crate::ir::Graph;
use crate::ops::DType;
use crate::target::Target;

/// Drops operators that map every code to itself: requantizations to the same scale and zero
/// point, activations that never bite.
pub fn run(graph: &mut Graph, _: &Target) {
    let mut i = 0;
    while i < graph.nodes.len() {
        let node = &graph.nodes[i];
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let stages = node.op.stages().filter(|_| graph.tensors[input].ty.dtype == DType::I8);
        let is_identity = stages.is_some_and(|stages| {
            (-128..128).all(|code| stages.iter().fold(code, |x, stage| stage.apply(x, 0)) == code)
        });
        // A model output keeps a tensor of its own name and quantization.
        if is_identity && !graph.outputs.contains(&output) {
            graph.nodes.remove(i);
            graph.replace_uses(output, input);
        } else {
            i += 1;
        }
    }
}
