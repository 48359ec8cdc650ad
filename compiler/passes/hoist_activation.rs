//! Requires constants folded; ensures that no activation stands behind operators that only move
//! data, if the nodes before those could take it over.

use crate::ir::{Graph, Node, TensorId};
use crate::ops::{DType, Op};
use crate::target::Target;

/// Swaps elementwise operators with the movement of data before them, so that they come to stand
/// behind what computes the data: `f(move(x)) = move(f(x))`.
pub fn run(graph: &mut Graph, _: &Target) {
    while let Some((movement, activation)) =
        (0..graph.nodes.len()).find_map(|i| Some((above(graph, i)?, i)))
    {
        swap(graph, movement, activation);
    }
}

/// The movement that node `i` may be swapped with.
fn above(graph: &Graph, i: usize) -> Option<usize> {
    graph.nodes[i].op.stages()?;
    let moved = graph.nodes[i].inputs[0];
    let movement = graph.producer(moved)?;
    let node = &graph.nodes[movement];
    let moves = matches!(
        node.op,
        Op::Reshape(_) | Op::Concatenation(_) | Op::Pack(_) | Op::Pad(_) | Op::Transpose(_)
            | Op::StridedSlice(_)
    );
    (moves && graph.uses(moved) == 1 && node.inputs.iter().all(|&id| leads_to_epilogue(graph, id)))
        .then_some(movement)
}

/// Whether what computes a tensor, through movements alone, can take an activation over, and
/// nobody else reads what comes between.
fn leads_to_epilogue(graph: &Graph, id: TensorId) -> bool {
    if graph.tensors[id].ty.dtype != DType::I8 || graph.uses(id) != 1 {
        return false;
    }
    let Some(node) = graph.producer(id).map(|i| &graph.nodes[i]) else { return false };
    node.op.epilogue().is_some()
        || node.op.stages().is_some() && leads_to_epilogue(graph, node.inputs[0])
        || matches!(
            node.op,
            Op::Reshape(_) | Op::Concatenation(_) | Op::Pack(_) | Op::Pad(_) | Op::Transpose(_)
                | Op::StridedSlice(_)
        ) && node.inputs.iter().all(|&id| leads_to_epilogue(graph, id))
}

/// Puts the activation before the movement, once for each operand.
fn swap(graph: &mut Graph, movement: usize, activation: usize) {
    let after = graph.nodes.remove(activation);
    let stages = after.op.stages().expect("asked before");
    let quantization = graph.tensors[after.outputs[0]].quantization;
    let operands = graph.nodes[movement].inputs.clone();
    graph.nodes[movement].outputs = after.outputs;
    if let Op::Pad(pad) = &mut graph.nodes[movement].op {
        pad.value = stages.iter().fold(pad.value, |x, stage| stage.apply(x, 0));
    }
    for (i, &operand) in operands.iter().enumerate() {
        let mut tensor = graph.tensors[operand].clone();
        tensor.origin = None;
        tensor.quantization = quantization;
        let activated = graph.tensors.push(tensor);
        graph.nodes[movement + i].inputs[i] = activated;
        let node = Node {
            op: after.op.clone(),
            inputs: vec![operand],
            outputs: vec![activated],
            origin: if i == 0 { after.origin.clone() } else { Vec::new() },
        };
        graph.nodes.insert(movement + i, node);
    }
}
