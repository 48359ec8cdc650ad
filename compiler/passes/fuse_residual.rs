//! Requires activations fused; ensures that no ADD stands behind a convolution or a fully connected
//! layer that only it reads, but for those that routines in assembly compute without it.

use crate::ir::{Graph, TensorId};
use crate::ops::{Add, Chain, DType, Op, Stage, TensorType, Value};
use crate::target::Target;

/// Moves sums into the epilogue of the node that computes one of the operands; the other operand
/// is its residual, over which it may write.
pub fn run(graph: &mut Graph, target: &Target) {
    for i in 0..graph.nodes.len() {
        if let Some((producer, own)) = candidate(graph, i, target) {
            fuse(graph, producer, i, own);
        }
    }
    graph.nodes.retain(|node| !node.outputs.is_empty());
}

/// The node whose only result is operand `own` of the sum `i` and of nothing else.
fn candidate(graph: &Graph, i: usize, target: &Target) -> Option<(usize, usize)> {
    let node = &graph.nodes[i];
    let Op::Add(_) = node.op else { return None };
    let [a, b] = node.inputs[..] else { return None };
    let ty = |id: TensorId| &graph.tensors[id].ty;
    if a == b || ty(a) != ty(b) || graph.constant(a).is_some() || graph.constant(b).is_some() {
        return None;
    }
    let producer = |own: usize| {
        let producer = graph.producer(node.inputs[own])?;
        let other = &graph.nodes[producer];
        let sums = match other.op {
            Op::Conv2d(_) => true,
            // Routines for these have no residual, and the sum has a routine of its own.
            Op::DepthwiseConv2d(_) | Op::FullyConnected(_) => !target.features.dsp,
            _ => false,
        };
        let alone = other.outputs.len() == 1 && graph.uses(node.inputs[own]) == 1;
        let free = !other.op.epilogue()?.has_residual();
        (sums && alone && free).then_some((producer, own))
    };
    // The later one: the other operand is there by then without moving anything.
    producer(0).into_iter().chain(producer(1)).max()
}

/// Makes node `producer` compute the sum `i` too, in its place.
fn fuse(graph: &mut Graph, producer: usize, i: usize, own: usize) {
    let Op::Add(add) = graph.nodes[i].op.clone() else { unreachable!("asked before") };
    let residual = graph.nodes[i].inputs[1 - own];
    let sum = std::mem::take(&mut graph.nodes[i].outputs);
    let mut node = graph.nodes[producer].clone();
    graph.nodes[producer].outputs.clear();
    if node.inputs.len() == 2 {
        let channels = graph.tensors[node.outputs[0]].ty.from_innermost(0);
        let ty = TensorType::new(DType::I32, [channels]);
        let name = format!("{}/bias", graph.tensors[node.outputs[0]].name);
        node.inputs.push(graph.add_constant(name, Value::from_ints(ty, vec![0; channels])));
    }
    node.inputs.push(residual);
    let epilogue = node.op.epilogue_mut().expect("asked before");
    let before = epilogue.0[0].clone();
    epilogue.0 = add.epilogue.0.iter().map(|after| join(&before, &add, own, after)).collect();
    node.outputs = sum;
    node.origin.extend(graph.nodes[i].origin.clone());
    // Here the residual is there for certain.
    graph.nodes[i] = node;
}

/// The chain up to the operand, the sum, and the chain behind it.
fn join(before: &Chain, add: &Add, own: usize, after: &Chain) -> Chain {
    let mut chain = before.clone();
    let [own, other] = [own, 1 - own].map(|operand| add.operands[operand]);
    chain.append(vec![Stage::AddResidual { own, other }]);
    chain.append(after.0.clone());
    chain
}
