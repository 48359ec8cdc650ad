//! Requires nothing; ensures that every node's result is used.

use crate::ir::Graph;
use crate::target::Target;

/// Drops nodes whose results nobody reads, last to first.
pub fn run(graph: &mut Graph, _: &Target) {
    sweep(graph);
}

/// The same, for passes that leave such nodes behind.
pub fn sweep(graph: &mut Graph) {
    let mut used: Vec<bool> = vec![false; graph.tensors.len()];
    for id in &graph.outputs {
        used[id.index()] = true;
    }
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.nodes).into_iter().rev() {
        if node.outputs.iter().any(|id| used[id.index()]) {
            for id in &node.inputs {
                used[id.index()] = true;
            }
            kept.push(node);
        }
    }
    kept.reverse();
    graph.nodes = kept;
}
