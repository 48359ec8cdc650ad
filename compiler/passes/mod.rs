//! Rewrites of the graph. They lose nothing: after each, the graph computes the same bytes. Only
//! `relax_requant`, which must be asked for, does not.

mod drop_constant_channels;
mod fold_constants;
mod fold_pad;
mod fold_requant;
mod fold_shift;
mod fold_zero_point;
mod fuse_activation;
mod fuse_residual;
mod hoist_activation;
mod lift_requant;
mod map_scalars;
mod merge_duplicates;
mod prune;
mod ranges;
mod relax_requant;
mod steps;

use crate::ir::{Graph, TensorId};
use crate::ops::Chain;
use crate::target::Target;

/// A rewrite of the graph.
pub struct Pass {
    /// Its name, as in `--emit graph:NAME`.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&mut Graph, &Target),
}

impl Pass {
    /// Whether it may change results, each by 1 at most: it runs only where that was asked for.
    pub fn is_lossy(&self) -> bool {
        self.name == LOSSY
    }
}

const LOSSY: &str = stringify!(relax_requant);

macro_rules! pipeline {
    ($($name:ident)*) => {
        &[$(Pass { name: stringify!($name), run: $name::run }),*]
    };
}

/// All passes, in the order in which they run.
pub const PIPELINE: &[Pass] = pipeline![
    prune
    fold_constants
    drop_constant_channels
    fold_pad
    map_scalars
    merge_duplicates
    fuse_activation
    hoist_activation
    fuse_activation
    fold_shift
    lift_requant
    relax_requant
    fold_requant
    fuse_residual
    fold_zero_point
    prune
];

/// Whether nodes are to have one result each: routines in assembly compute no more, and twice by
/// a routine is faster than once by a loop nest.
fn single_results(target: &Target) -> bool {
    target.features.dsp
}

/// Makes `node` compute `result` too, with `chain` behind its accumulators.
fn add_result(graph: &mut Graph, node: usize, chain: Chain, result: TensorId) {
    let epilogue = graph.nodes[node].op.epilogue_mut().expect("has accumulators");
    match epilogue.0.iter().position(|other| *other == chain) {
        Some(i) if !graph.outputs.contains(&result) => {
            let same = graph.nodes[node].outputs[i];
            graph.replace_uses(result, same);
        }
        _ => {
            epilogue.0.push(chain);
            graph.nodes[node].outputs.push(result);
        }
    }
}

/// The passes that run: those that lose nothing, or all of them if results may be off by 1.
pub fn pipeline(relax_requant: bool) -> impl Iterator<Item = &'static Pass> {
    PIPELINE.iter().filter(move |pass| relax_requant || !pass.is_lossy())
}

/// The graph after all passes.
pub fn run(graph: Graph, target: &Target, relax_requant: bool) -> Graph {
    stages(graph, target, relax_requant).last().expect("at least the graph itself").1
}

/// The graph as it is (under the name "import") and after each pass.
///
/// In debug builds and tests each stage is validated, and evaluated on random inputs: it must give
/// the same bytes as the one before.
pub fn stages(
    graph: Graph,
    target: &Target,
    relax_requant: bool,
) -> impl Iterator<Item = (&'static str, Graph)> + '_ {
    let first = Some(("import", graph));
    let mut passes = pipeline(relax_requant);
    std::iter::successors(first, move |(_, before)| {
        let pass = passes.next()?;
        let mut after = before.clone();
        (pass.run)(&mut after, target);
        if cfg!(debug_assertions) {
            check::same(pass, before, &after);
        }
        Some((pass.name, after))
    })
}

mod check {
    //! The driver's proof that a pass has changed nothing.

    use super::ranges::{Range, Ranges};
    use super::{relax_requant, Pass};
    use crate::ir::{self, Graph, TensorId};
    use crate::ops::{DType, Value};

    /// Panics with the pass's name unless both graphs are valid and yield the same bytes, or nearly
    /// so where the pass is lossy.
    pub fn same(pass: &Pass, before: &Graph, after: &Graph) {
        let name = pass.name;
        if let Err(error) = ir::validate(after) {
            panic!("bug in tflc: {name} leaves the graph broken: {error}");
        }
        // Large models would take too long here; tests put them through with their golden cases.
        if before.work() > 1_000_000 {
            return;
        }
        for seed in 1..=2 {
            let inputs: Vec<Value> =
                before.inputs.iter().map(|&id| noise(before, id, seed)).collect();
            let is_right = match pass.is_lossy() {
                true => is_near(before, after, &inputs),
                false => {
                    let eval = |graph| ir::eval(graph, &inputs).expect("inputs fit");
                    eval(before) == eval(after)
                }
            };
            assert!(is_right, "bug in tflc: {name} changes what the graph computes");
            assert!(
                is_in_range(after, &inputs),
                "bug in tflc: behind {name} a range is too narrow"
            );
        }
    }

    /// Whether each node, given what it was given before, yields what it yielded before, give or
    /// take what is allowed.
    fn is_near(before: &Graph, after: &Graph, inputs: &[Value]) -> bool {
        let values = ir::eval_all(before, inputs).expect("inputs fit");
        let value = |id: &TensorId| values[id.index()].as_ref().expect("computed");
        after.nodes.iter().all(|node| {
            let results = node.op.eval(&node.inputs.iter().map(value).collect::<Vec<_>>());
            let results = results.iter().zip(node.outputs.iter().map(value));
            results.into_iter().all(|(found, expected)| {
                found == expected
                    || (found.ints().iter().zip(expected.ints()))
                        .all(|(found, expected)| found.abs_diff(expected) <= relax_requant::MOST)
            })
        })
    }

    /// Whether interval analysis foresees all accumulators and codes.
    fn is_in_range(graph: &Graph, inputs: &[Value]) -> bool {
        let Some(ranges) = Ranges::new(graph) else { return true };
        let values = ir::eval_all(graph, inputs).expect("inputs fit");
        let value = |id: TensorId| values[id.index()].as_ref().expect("computed");
        let holds = |ranges: &[Range], numbers: Vec<i32>| {
            let mut numbered = numbers.into_iter().enumerate();
            numbered.all(|(i, x)| {
                let (lo, hi) = ranges[i % ranges.len()];
                (lo..=hi).contains(&x)
            })
        };
        graph.nodes.iter().all(|node| {
            let result = node.outputs[0];
            let operands: Vec<&Value> = node.inputs.iter().map(|&id| value(id)).collect();
            let sums = node.op.accumulators(&operands, &graph.tensors[result].ty);
            let codes =
                |&id: &TensorId| ranges.of(id).is_empty() || holds(ranges.of(id), value(id).ints());
            holds(&ranges.accumulators(graph, node), sums) && node.outputs.iter().all(codes)
        })
    }

    fn noise(graph: &Graph, id: TensorId, seed: u64) -> Value {
        let ty = graph.tensors[id].ty.clone();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ id.index() as u64;
        let mut next = move || {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        match ty.dtype {
            DType::F32 => {
                let shape = ty.shape.clone();
                let reals = (0..ty.elements()).map(|_| (next() % 2001) as f32 / 100.0 - 10.0);
                Value::from_floats(&shape, reals.collect::<Vec<_>>())
            }
            DType::Bool => {
                Value::new(ty.clone(), (0..ty.bytes()).map(|_| (next() & 1) as u8).collect())
            }
            _ => Value::new(ty.clone(), (0..ty.bytes()).map(|_| (next() >> 32) as u8).collect()),
        }
    }
}
