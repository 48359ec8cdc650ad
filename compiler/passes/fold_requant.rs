//! Requires activations fused; ensures that epilogues and elementwise operators have their cheapest
//! exact form, and that the graph says which and why.

use super::ranges::{hull, image, Range, Ranges, ANY};
use super::steps::Steps;
use crate::ir::{Difference, Folding, Form, Graph, Node, Obstacle, Scope};
use crate::ops::{Chain, DType, Multiplier, Stage};
use crate::target::Target;

/// From so many results on, a table of 256 bytes is worth its flash.
const TABLE_FROM: usize = 256;

/// Shortens chains of stages, and drops elementwise operators that change nothing.
pub fn run(graph: &mut Graph, _: &Target) {
    fold_chains(graph, shortest);
    drop_unchanging(graph);
}

/// Replaces the chains for which `fold` has a form, given also how far the accumulators reach and
/// how many results there are.
pub fn fold_chains(
    graph: &mut Graph,
    fold: impl Fn(&Chain, &[Range], usize) -> Option<(Chain, Form)>,
) {
    let ranges = Ranges::new(graph);
    for i in 0..graph.nodes.len() {
        let node = &graph.nodes[i];
        let Some(epilogue) = node.op.epilogue() else { continue };
        if epilogue.0.iter().all(is_plain) {
            continue;
        }
        let accumulators = accumulators(graph, node, ranges.as_ref());
        let mut epilogue = epilogue.clone();
        for (result, chain) in epilogue.0.iter_mut().enumerate() {
            if is_plain(chain) {
                continue;
            }
            let (tensor, operators) = (node.outputs[result], node.origin.clone());
            let elements = graph.tensors[tensor].ty.elements();
            if let Some((short, form)) = fold(chain, &accumulators, elements) {
                *chain = short;
                graph.foldings.push(Folding { tensor, operators, form });
            }
        }
        *graph.nodes[i].op.epilogue_mut().expect("asked before") = epilogue;
    }
}

/// How far a node's accumulators reach, by channel.
pub fn accumulators(graph: &Graph, node: &Node, ranges: Option<&Ranges>) -> Vec<Range> {
    match ranges {
        Some(ranges) => ranges.accumulators(graph, node),
        None => vec![ANY; graph.tensors[node.outputs[0]].ty.from_innermost(0)],
    }
}

/// Whether nothing follows the first clamp.
fn is_plain(chain: &Chain) -> bool {
    let clamp = chain.0.iter().position(|stage| matches!(stage, Stage::Clamp { .. }));
    clamp.is_none_or(|clamp| clamp + 1 == chain.0.len())
}

/// The cheapest chain that yields the same codes.
fn shortest(chain: &Chain, accumulators: &[Range], elements: usize) -> Option<(Chain, Form)> {
    let obstacle = match as_cheap(chain, accumulators) {
        Ok(exact) => return Some(exact),
        Err(obstacle) => obstacle,
    };
    let (first, rest) = at_first_clamp(chain);
    let limits = image(first, ANY, 0).range;
    let has_table = rest.iter().any(|stage| matches!(stage, Stage::Table(_)));
    if !has_table && elements < TABLE_FROM {
        let requantizations =
            chain.0.iter().filter(|stage| matches!(stage, Stage::Requantize { .. }));
        return Some((chain.clone(), Form::Stages(requantizations.count(), obstacle)));
    }
    // Codes that never come take the value of the nearest that does.
    let table = Stage::table(|x| apply(rest, x.clamp(limits.0, limits.1)));
    Some((Chain([first, &[table]].concat()), Form::Table(obstacle)))
}

/// A chain that yields the same codes and costs no more than one without activations behind it, or
/// why there is none.
pub fn as_cheap(chain: &Chain, accumulators: &[Range]) -> Result<(Chain, Form), Obstacle> {
    if let Some(clamped) = clamped(chain, accumulators) {
        return Ok((clamped, Form::Clamp));
    }
    match one_multiplier(chain, offset(chain), accumulators) {
        Some((short, scope, Difference { count: 0, .. })) => {
            Ok((short, Form::OneMultiplier(scope)))
        }
        Some((_, _, difference)) => Err(Obstacle::Differs(difference)),
        None => Err(Obstacle::NotMonotone),
    }
}

/// The chain with nothing but a clamp behind its first stages, if that is all that the rest does to
/// the codes that can come: they are few, so all of them are tried.
pub fn clamped(chain: &Chain, accumulators: &[Range]) -> Option<Chain> {
    let (first, rest) = at_first_clamp(chain);
    let codes = accumulators.iter().enumerate().map(|(c, &range)| image(first, range, c).range);
    let (min, max) = hull(&codes.collect::<Vec<_>>());
    let (low, high) = (apply(rest, min), apply(rest, max));
    let unchanged = low <= high && (min..=max).all(|x| apply(rest, x) == x.clamp(low, high));
    unchanged.then(|| {
        let mut short = Chain(first.to_vec());
        short.append(vec![Stage::Clamp { min: low, max: high }]);
        short
    })
}

/// The stages up to the first clamp, and those behind it, which map codes to codes.
fn at_first_clamp(chain: &Chain) -> (&[Stage], &[Stage]) {
    let clamp = chain.0.iter().position(|stage| matches!(stage, Stage::Clamp { .. }));
    chain.0.split_at(clamp.map_or(0, |clamp| clamp + 1))
}

fn apply(stages: &[Stage], x: i32) -> i32 {
    stages.iter().fold(x, |x, stage| stage.apply(x, 0))
}

/// The accumulator that stands for zero: what the first requantization subtracts.
pub fn offset(chain: &Chain) -> i32 {
    let offset = |stage: &Stage| match stage {
        Stage::Requantize { offset, .. } => Some(*offset),
        _ => None,
    };
    chain.0.iter().find_map(offset).unwrap_or(0)
}

/// One requantization around `offset` and a clamp, as near to the whole chain as they can be, over which
/// accumulators they were compared, and how far they differ. `None` if the chain falls somewhere.
pub fn one_multiplier(
    chain: &Chain,
    offset: i32,
    accumulators: &[Range],
) -> Option<(Chain, Scope, Difference)> {
    let mut multipliers = chain.0.iter().filter_map(|stage| match stage {
        Stage::Requantize { multipliers, .. } => Some(&multipliers[..]),
        _ => None,
    });
    let by_channel = multipliers.clone().any(|multipliers| multipliers.len() > 1);
    let first = multipliers.next().unwrap_or(&[Multiplier::ONE]);
    // What the middle of the accumulators' scale becomes.
    let zero_point = apply(&chain.0, offset);
    let limits = image(&chain.0, ANY, 0).range;
    let together = [hull(accumulators)];
    let ranges = if by_channel { accumulators } else { &together };
    let all: Option<Vec<Steps>> =
        ranges.iter().enumerate().map(|(c, &range)| Steps::new(&chain.0, range, c)).collect();
    let all = all?;
    let multiplier = |(c, steps): (usize, &Steps)| {
        steps.fit(offset, zero_point, limits).unwrap_or(first[c % first.len()])
    };
    let multipliers = all.iter().enumerate().map(multiplier).collect();
    let (min, max) = limits;
    let short =
        vec![Stage::Requantize { offset, multipliers, zero_point }, Stage::Clamp { min, max }];
    let mut difference = Difference::default();
    for (c, (steps, &range)) in all.iter().zip(ranges).enumerate() {
        difference += steps.difference(&Steps::new(&short, range, c)?);
    }
    let scope = Scope { accumulators: together[0], channels: ranges.len() };
    Some((Chain(short), scope, difference))
}

/// Drops elementwise operators that yield the codes that they read.
fn drop_unchanging(graph: &mut Graph) {
    let mut i = 0;
    while i < graph.nodes.len() {
        let node = &graph.nodes[i];
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let stages = node.op.stages().filter(|_| graph.tensors[input].ty.dtype == DType::I8);
        let unchanged =
            stages.is_some_and(|stages| (-128..128).all(|code| apply(&stages, code) == code));
        // A model output keeps a tensor of its own name and quantization.
        if unchanged && !graph.outputs.contains(&output) {
            graph.nodes.remove(i);
            graph.replace_uses(output, input);
        } else {
            i += 1;
        }
    }
}
