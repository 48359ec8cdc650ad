//! Requires nothing; ensures that no two nodes compute the same from the same operands, nor the
//! same accumulators, unless nodes are to have one result and neither's codes tell the other's.

use crate::ir::{Graph, Node, TensorId};
use crate::ops::{Epilogue, Map, Op, Stage};
use crate::target::Target;

/// Computes once what several nodes compute: converters emit a layer twice where it has two
/// consumers, once plain and once with an activation.
pub fn run(graph: &mut Graph, target: &Target) {
    let mut i = 0;
    while i < graph.nodes.len() {
        let node = &graph.nodes[i];
        // Nodes of one result must be equal; others may differ in what is behind their accumulators.
        let whole = node.op.epilogue().is_none() || super::single_results(target);
        // A model output keeps a tensor of its own name and quantization.
        let is_output = node.outputs.iter().any(|id| graph.outputs.contains(id));
        let first = match whole && is_output {
            true => None,
            false => (0..i).find(|&j| {
                let other = &graph.nodes[j];
                same(graph, other, node) && (!whole || other.op == node.op)
            }),
        };
        match first {
            Some(first) => merge(graph, first, i),
            None => {
                if let Some((first, stages)) = whole.then(|| earlier(graph, i)).flatten() {
                    let inputs = vec![graph.nodes[first].outputs[0]];
                    let node = &mut graph.nodes[i];
                    (node.op, node.inputs) = (Map { kind: "CLAMP", stages }.into(), inputs);
                }
                i += 1;
            }
        }
    }
}

/// An earlier node whose codes need but a narrower clamp, and what follows it, to become a node's.
fn earlier(graph: &Graph, node: usize) -> Option<(usize, Vec<Stage>)> {
    let chain = |op: &Op| match op.epilogue().map(|epilogue| &epilogue.0[..]) {
        Some([chain]) => Some(chain.0.clone()),
        _ => None,
    };
    let own = chain(&graph.nodes[node].op)?;
    let [requantize @ Stage::Requantize { .. }, Stage::Clamp { min, max }, ..] = &own[..] else {
        return None;
    };
    let wider = |other: &[Stage]| {
        matches!(other, [same, Stage::Clamp { min: low, max: high }]
            if same == requantize && low <= min && max <= high)
    };
    let first = (0..node).find(|&j| {
        let other = &graph.nodes[j];
        same(graph, other, &graph.nodes[node]) && chain(&other.op).is_some_and(|c| wider(&c))
    })?;
    Some((first, own[1..].to_vec()))
}

/// Whether two nodes do the same with the same operands, but for their epilogues.
fn same(graph: &Graph, a: &Node, b: &Node) -> bool {
    let operands = |a: TensorId, b: TensorId| {
        a == b || graph.constant(a).is_some() && graph.constant(a) == graph.constant(b)
    };
    a.inputs.len() == b.inputs.len()
        && a.inputs.iter().zip(&b.inputs).all(|(&a, &b)| operands(a, b))
        && without_epilogue(&a.op) == without_epilogue(&b.op)
}

fn without_epilogue(op: &Op) -> Op {
    let mut op = op.clone();
    if let Some(epilogue) = op.epilogue_mut() {
        *epilogue = Epilogue(Vec::new());
    }
    op
}

/// Makes node `first` compute what node `second` does too.
fn merge(graph: &mut Graph, first: usize, second: usize) {
    let second = graph.nodes.remove(second);
    graph.nodes[first].origin.extend(second.origin);
    let chains = second.op.epilogue().map(|epilogue| epilogue.0.clone());
    for (i, id) in second.outputs.into_iter().enumerate() {
        let Some(chains) = &chains else {
            let result = graph.nodes[first].outputs[i];
            graph.replace_uses(id, result);
            continue;
        };
        super::add_result(graph, first, chains[i].clone(), id);
    }
}
