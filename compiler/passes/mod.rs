//! Rewrites of the graph that lose nothing: after each, the graph computes the same bytes.

mod drop_constant_channels;
mod fold_constants;
mod fold_pad;
mod fold_requant;
mod fold_zero_point;
mod fuse_activation;
mod fuse_residual;
mod hoist_activation;
mod merge_duplicates;
mod prune;

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
    merge_duplicates
    fuse_activation
    hoist_activation
    fuse_activation
    fold_requant
    fuse_residual
    fold_zero_point
    prune
];

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

/// The graph after all passes.
pub fn run(graph: Graph, target: &Target) -> Graph {
    stages(graph, target).last().expect("at least the graph itself").1
}

/// The graph as it is (under the name "import") and after each pass.
///
/// In debug builds and tests each stage is validated, and evaluated on random inputs: it must give
/// the same bytes as the one before.
pub fn stages<'a>(
    graph: Graph,
    target: &'a Target,
) -> impl Iterator<Item = (&'static str, Graph)> + 'a {
    let first = Some(("import", graph));
    let mut passes = PIPELINE.iter();
    std::iter::successors(first, move |(_, before)| {
        let pass = passes.next()?;
        let mut after = before.clone();
        (pass.run)(&mut after, target);
        if cfg!(debug_assertions) {
            check::same(pass.name, before, &after);
        }
        Some((pass.name, after))
    })
}

mod check {
    //! The driver's proof that a pass has changed nothing.

    use crate::ir::{self, Graph, TensorId};
    use crate::ops::{DType, Value};

    /// Panics with the pass's name unless both graphs are valid and yield the same bytes.
    pub fn same(pass: &str, before: &Graph, after: &Graph) {
        if let Err(error) = ir::validate(after) {
            panic!("bug in tflc: {pass} leaves the graph broken: {error}");
        }
        // Large models would take too long here; tests put them through with their golden cases.
        if before.work() > 1_000_000 {
            return;
        }
        for seed in 1..=2 {
            let inputs: Vec<Value> =
                before.inputs.iter().map(|&id| noise(before, id, seed)).collect();
            let [expected, actual] =
                [before, after].map(|graph| ir::eval(graph, &inputs).expect("inputs fit"));
            assert!(expected == actual, "bug in tflc: {pass} changes what the graph computes");
        }
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
