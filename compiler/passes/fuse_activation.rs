//! Requires nothing; ensures that no operator that maps each code on its own stands behind a node
//! that has an epilogue, unless others read what is between them and nodes are to have one result.

use crate::ir::Graph;
use crate::target::Target;

/// Moves activations, requantizations and tables into the epilogue of the node before them. Where
/// others read that node's result too, the node gets one more result: both in one pass.
pub fn run(graph: &mut Graph, target: &Target) {
    let mut i = 0;
    while i < graph.nodes.len() {
        let alone =
            |i: usize| !super::single_results(target) || graph.uses(graph.nodes[i].inputs[0]) == 1;
        let Some((producer, result)) = behind_epilogue(graph, i).filter(|_| alone(i)) else {
            i += 1;
            continue;
        };
        let activation = graph.nodes.remove(i);
        let node = &mut graph.nodes[producer];
        node.origin.extend(activation.origin);
        let before = node.outputs[result];
        let epilogue = node.op.epilogue_mut().expect("asked before");
        let mut chain = epilogue.0[result].clone();
        chain.append(activation.op.stages().expect("asked before"));
        let after = activation.outputs[0];
        if graph.uses(before) == 0 {
            let node = &mut graph.nodes[producer];
            node.op.epilogue_mut().expect("asked before").0[result] = chain;
            node.outputs[result] = after;
        } else {
            super::add_result(graph, producer, chain, after);
        }
    }
}

/// The node with an epilogue whose result node `i` maps code by code, and which result.
fn behind_epilogue(graph: &Graph, i: usize) -> Option<(usize, usize)> {
    let node = &graph.nodes[i];
    node.op.stages()?;
    let producer = graph.producer(node.inputs[0])?;
    graph.nodes[producer].op.epilogue()?;
    let result = graph.nodes[producer].outputs.iter().position(|&id| id == node.inputs[0])?;
    Some((producer, result))
}
