//! Requires activations fused; ensures that no MAX_POOL_2D does with its codes what the node before
//! it could do at no cost.

use super::fold_requant::{accumulators, as_cheap};
use super::ranges::Ranges;
use crate::ir::Graph;
use crate::ops::{Chain, DType, Epilogue, Op};
use crate::target::Target;

/// Moves the chains of maxima to the nodes that compute their operands, which a function that never
/// falls allows: `f(max(x, y)) = max(f(x), f(y))`. There are more codes there than maxima, so it
/// must not cost anything: a multiplier is multiplied, a clamp is narrowed, and neither falls.
pub fn run(graph: &mut Graph, _: &Target) {
    let Some(ranges) = Ranges::new(graph) else { return };
    for pool in 0..graph.nodes.len() {
        if let Some((producer, result, chain)) = lifted(graph, &ranges, pool) {
            let after = graph.nodes[pool].outputs[0];
            let between = graph.nodes[producer].outputs[result];
            graph.tensors[between].quantization = graph.tensors[after].quantization;
            graph.tensors[between].origin = None;
            let epilogue = graph.nodes[producer].op.epilogue_mut().expect("asked before");
            epilogue.0[result] = chain;
            *graph.nodes[pool].op.epilogue_mut().expect("it is a pool") =
                Epilogue::clamp(DType::I8.range());
        }
    }
}

/// The node before a pool, which of its results the pool reads, and the chain of both.
fn lifted(graph: &Graph, ranges: &Ranges, pool: usize) -> Option<(usize, usize, Chain)> {
    let node = &graph.nodes[pool];
    let Op::MaxPool2d(op) = &node.op else { return None };
    let [chain] = &op.epilogue.0[..] else { return None };
    if *chain == Epilogue::clamp(DType::I8.range()).0[0] {
        return None;
    }
    let producer = graph.producer(node.inputs[0])?;
    let before = &graph.nodes[producer];
    let result = before.outputs.iter().position(|id| *id == node.inputs[0])?;
    if graph.uses(node.inputs[0]) > 1 {
        return None;
    }
    let mut both = before.op.epilogue()?.0[result].clone();
    both.append(chain.0.clone());
    as_cheap(&both, &accumulators(graph, before, Some(ranges))).ok()?;
    Some((producer, result, both))
}
