//! Requires constants folded, and activations fused that stand behind what they are fused into (they
//! would be readers in the way); ensures that no activation stands behind operators that only move
//! data, if the nodes before those could take it over.

use crate::ir::{Graph, Node};
use crate::ops::{DType, Op};
use crate::target::Target;

/// More swaps than any sane model asks for.
const MAX_SWAPS: usize = 5000;

/// Swaps elementwise operators with the movement of data before them, so that they come to stand
/// behind what computes the data: `f(move(x)) = move(f(x))`.
pub fn run(graph: &mut Graph, _: &Target) {
    for _ in 0..MAX_SWAPS {
        match next(graph) {
            Some((movement, activation)) => swap(graph, movement, activation),
            None => return,
        }
    }
}

/// The first activation that may be swapped with a movement, behind that.
fn next(graph: &Graph) -> Option<(usize, usize)> {
    let mut uses = vec![0; graph.tensors.len()];
    for id in graph.nodes.iter().flat_map(|node| &node.inputs).chain(&graph.outputs) {
        uses[id.index()] += 1;
    }
    // For each tensor: whether what computes it, through movements alone, can take an activation
    // over, and nobody else reads what comes between.
    let mut leads = vec![false; graph.tensors.len()];
    let mut producers = vec![None; graph.tensors.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        let inputs_lead = !node.inputs.is_empty() && node.inputs.iter().all(|id| leads[id.index()]);
        if node.op.stages().is_some() && inputs_lead {
            if let Some(movement) = producers[node.inputs[0].index()] {
                if moves(&graph.nodes[movement]) {
                    return Some((movement, i));
                }
            }
        }
        let can_take = node.op.epilogue().is_some()
            || inputs_lead && (node.op.stages().is_some() || moves(node));
        for id in &node.outputs {
            let codes = graph.tensors[*id].ty.dtype == DType::I8;
            leads[id.index()] = can_take && codes && uses[id.index()] == 1;
            producers[id.index()] = Some(i);
        }
    }
    None
}

fn moves(node: &Node) -> bool {
    matches!(
        node.op,
        Op::Reshape(_)
            | Op::Concatenation(_)
            | Op::Pack(_)
            | Op::Pad(_)
            | Op::Transpose(_)
            | Op::StridedSlice(_)
            | Op::ResizeNearestNeighbor(_)
    )
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
