//! Requires nothing; ensures that no activation that only clamps stands alone behind a node that
//! could clamp for itself.

use crate::ir::Graph;
use crate::ops::Stage;
use crate::target::Target;

/// Moves clamps into the epilogue of the node before them, if nobody else reads that node's result.
pub fn run(graph: &mut Graph, _: &Target) {
    let mut i = 0;
    while i < graph.nodes.len() {
        match clamps(graph, i) {
            Some((producer, stages)) => {
                let activation = graph.nodes.remove(i);
                let node = &mut graph.nodes[producer];
                node.op.epilogue_mut().expect("asked before").append(stages);
                node.outputs = activation.outputs;
                node.origin.extend(activation.origin);
            }
            None => i += 1,
        }
    }
}

/// The node that could take node `i`'s stages over, and those stages, if they are clamps only.
fn clamps(graph: &Graph, i: usize) -> Option<(usize, Vec<Stage>)> {
    let node = &graph.nodes[i];
    let stages = node.op.stages()?;
    if !stages.iter().all(|stage| matches!(stage, Stage::Clamp { .. })) {
        return None;
    }
    let producer = graph.producer(node.inputs[0])?;
    graph.nodes[producer].op.epilogue()?;
    (graph.uses(node.inputs[0]) == 1).then_some((producer, stages))
}
