//! Requires nothing; ensures that no node but a copy into a model output has constant operands
//! only, unless evaluating it is a lot of work, and that every model output is an input or
//! computed.

use crate::ir::{Graph, Node};
use crate::ops::{Op, Reshape};
use crate::target::Target;

/// The most work that folding may be in all: more than any sane model asks for.
const MAX_WORK: u64 = 1 << 26;

/// Evaluates what doesn't depend on the model's inputs.
pub fn run(graph: &mut Graph, _: &Target) {
    let mut left = MAX_WORK;
    for i in 0..graph.nodes.len() {
        let node = &graph.nodes[i];
        let constants: Option<Vec<_>> = node.inputs.iter().map(|&id| graph.constant(id)).collect();
        let results = match (&node.op, constants) {
            (_, Some(operands)) => match left.checked_sub(graph.node_work(node)) {
                Some(rest) => {
                    left = rest;
                    node.op.eval(&operands)
                }
                None => continue,
            },
            (Op::Shape(shape), None) => vec![shape.of(&graph.tensors[node.inputs[0]].ty)],
            _ => continue,
        };
        for (id, value) in node.outputs.clone().into_iter().zip(results) {
            graph.tensors[id].constant = Some(value);
        }
    }
    let tensors = &graph.tensors;
    graph.nodes.retain(|node| node.outputs.iter().any(|&id| tensors[id].constant.is_none()));

    for i in 0..graph.outputs.len() {
        let id = graph.outputs[i];
        if graph.constant(id).is_none() {
            continue;
        }
        let mut copy = graph.tensors[id].clone();
        copy.constant = None;
        let op = Reshape { shape: copy.ty.shape.clone() }.into();
        let copy = graph.tensors.push(copy);
        graph.nodes.push(Node { op, inputs: vec![id], outputs: vec![copy], origin: Vec::new() });
        for output in graph.outputs.iter_mut().filter(|output| **output == id) {
            *output = copy;
        }
    }
}
