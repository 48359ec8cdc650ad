//! Requires activations fused; ensures that epilogues and elementwise operators have their cheapest
//! exact form.

use crate::ir::Graph;
use crate::ops::{Chain, DType, Stage};
use crate::target::Target;

/// From so many results on, a table of 256 bytes is worth its flash.
const TABLE_FROM: usize = 256;

/// Shortens chains of stages, and drops elementwise operators that change nothing.
///
/// Behind a chain's first clamp its values are codes, so the rest of it is a function of one code:
/// its values decide whether it is nothing, a clamp, or a table.
pub fn run(graph: &mut Graph, _: &Target) {
    let mut i = 0;
    while i < graph.nodes.len() {
        let elements = graph.tensors[graph.nodes[i].outputs[0]].ty.elements();
        if let Some(epilogue) = graph.nodes[i].op.epilogue_mut() {
            for chain in &mut epilogue.0 {
                *chain = shorten(chain, elements);
            }
        }
        let node = &graph.nodes[i];
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let stages = node.op.stages().filter(|_| graph.tensors[input].ty.dtype == DType::I8);
        let unchanged = stages.is_some_and(|stages| {
            (-128..128).all(|code| stages.iter().fold(code, |x, stage| stage.apply(x, 0)) == code)
        });
        // A model output keeps a tensor of its own name and quantization.
        if unchanged && !graph.outputs.contains(&output) {
            graph.nodes.remove(i);
            graph.replace_uses(output, input);
        } else {
            i += 1;
        }
    }
}

/// The cheapest chain that yields the same codes.
fn shorten(chain: &Chain, elements: usize) -> Chain {
    let Some(clamp) = chain.0.iter().position(|stage| matches!(stage, Stage::Clamp { .. })) else {
        return chain.clone();
    };
    let &Stage::Clamp { min, max } = &chain.0[clamp] else { unreachable!("found") };
    let rest = &chain.0[clamp + 1..];
    let end = (rest.iter().position(|stage| matches!(stage, Stage::AddResidual { .. })))
        .unwrap_or(rest.len());
    let (mapping, sum) = rest.split_at(end);
    let is_code = |x: i32| (-128..=127).contains(&x);
    if mapping.is_empty() && sum.is_empty() || !is_code(min) || !is_code(max) {
        return chain.clone();
    }
    let code = |x: i32| mapping.iter().fold(x, |x, stage| stage.apply(x, 0));
    let mut short = Chain(chain.0[..=clamp].to_vec());
    let (low, high) = (code(min), code(max));
    if low <= high && (min..=max).all(|x| code(x) == x.max(low).min(high)) {
        short.append(vec![Stage::Clamp { min: low, max: high }]);
    } else if elements >= TABLE_FROM || mapping.iter().any(|stage| matches!(stage, Stage::Table(_)))
    {
        // Codes that never come take the value of the nearest that does.
        short.append(vec![Stage::table(|x| code(x.clamp(min, max)))]);
    } else {
        short.append(mapping.to_vec());
    }
    if let Some((residual, behind)) = sum.split_first() {
        short.append(vec![residual.clone()]);
        short.append(shorten(&Chain(behind.to_vec()), elements).0);
    }
    short
}
