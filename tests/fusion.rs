//! Random small models full of activations and requantizations behind accumulators: what the passes
//! make of them is exact, every form occurs, and what is said of a form is true.

#[path = "support/model_builder.rs"]
mod model_builder;
#[path = "support/parallel.rs"]
mod parallel;
#[path = "support/random_model.rs"]
mod random_model;

use std::collections::BTreeMap;

use random_model::Rng;
use tflc::ir::{self, Difference, Form, Graph, Obstacle};
use tflc::ops::{Chain, Op, Value};
use tflc::target::Target;
use tflc::{frontend, passes};

/// How many models are drawn.
const MODELS: u64 = 1600;

/// Differences are counted anew over so many accumulators at most.
const MOST_COUNTED: i64 = 1 << 16;

/// What must occur: forms, passes with something to do, what a form may stand behind.
const FORMS: &[&str] = &[
    "clamp",
    "one multiplier",
    "one multiplier in each channel",
    "one multiplier, relaxed",
    "stages, not monotone",
    "stages, differ",
    "table, not monotone",
    "table, differ",
    "differences counted anew",
    "more than one result",
    "map_scalars",
    "merge_duplicates",
    "hoist_activation",
    "fuse_activation",
    "fold_shift",
    "lift_requant",
    "relax_requant",
    "fold_requant",
    "fuse_residual",
    "behind ADD",
    "behind AVERAGE_POOL_2D",
    "behind CONV_2D",
    "behind DEPTHWISE_CONV_2D",
    "behind FULLY_CONNECTED",
    "behind MAX_POOL_2D",
    "behind MEAN",
    "behind MUL",
    "moved by CONCATENATION",
    "moved by PAD",
    "moved by RESHAPE",
    "moved by RESIZE_NEAREST_NEIGHBOR",
    "moved by STRIDED_SLICE",
    "moved by TRANSPOSE",
];

type Counts = BTreeMap<String, usize>;

#[test]
fn chains_stay_exact_in_every_form() {
    let seeds: Vec<u64> = (0..MODELS).collect();
    let mut all = Counts::new();
    for counts in parallel::map(&seeds, |&seed| follow(seed)) {
        for (what, count) in counts {
            *all.entry(what).or_default() += count;
        }
    }
    println!("{MODELS} models: {all:?}");
    let rare = |what: &&&str| all.get(**what).is_none_or(|&count| count < 5);
    let rare: Vec<_> = FORMS.iter().filter(rare).collect();
    assert!(rare.is_empty(), "too few of {rare:?}");
}

/// Runs all passes, with and without the lossy one.
fn follow(seed: u64) -> Counts {
    let target = Target::default();
    let imported = frontend::import(&random_model::chains(seed).build());
    let imported = imported.unwrap_or_else(|problems| panic!("seed {seed}: {problems}"));
    let cases: Vec<Vec<Value>> = (0..4).map(|case| inputs(&imported, seed, case)).collect();
    let eval = |graph: &Graph| -> Vec<Vec<Value>> {
        cases.iter().map(|inputs| ir::eval(graph, inputs).expect("inputs fit")).collect()
    };
    let mut counts = Counts::new();
    let mut count = |what: &str| *counts.entry(what.to_string()).or_default() += 1;
    for relax in [false, true] {
        let mut expected = eval(&imported);
        let mut graph = imported.clone();
        for pass in passes::pipeline(relax) {
            let before = graph.clone();
            (pass.run)(&mut graph, &target);
            if graph == before {
                continue;
            }
            count(pass.name);
            ir::validate(&graph).unwrap_or_else(|e| panic!("seed {seed}, {}: {e}", pass.name));
            if pass.name == "hoist_activation" {
                // What stood behind a movement now stands before it.
                let maps = |graph: &Graph, id| {
                    graph.producer(id).is_some_and(|i| graph.nodes[i].op.stages().is_some())
                };
                let result = |node: &&ir::Node| node.outputs[0];
                let swapped =
                    |node: &&ir::Node| maps(&before, result(node)) && !maps(&graph, result(node));
                let swapped = graph.nodes.iter().filter(swapped);
                swapped.for_each(|node| count(&format!("moved by {}", node.op.kind())));
            }
            let found = eval(&graph);
            if pass.is_lossy() {
                check_distance(seed, &before, &graph, &cases);
                expected = found;
            } else {
                assert!(found == expected, "seed {seed}, {}:\n{before}\n{graph}", pass.name);
            }
            for folding in &graph.foldings[before.foldings.len()..] {
                let chain = |graph: &Graph| -> (Chain, &'static str) {
                    let node = &graph.nodes[graph.producer(folding.tensor).expect("is computed")];
                    let result = node.outputs.iter().position(|id| *id == folding.tensor);
                    let chains = &node.op.epilogue().expect("has accumulators").0;
                    (chains[result.expect("is there")].clone(), node.op.kind())
                };
                count(&format!("behind {}", chain(&graph).1));
                let compared = |difference: &Difference| difference.count > 0;
                let scope = match &folding.form {
                    Form::Clamp => {
                        count("clamp");
                        None
                    }
                    Form::OneMultiplier(scope) => {
                        let by_channel = scope.channels > 1;
                        count(if by_channel {
                            "one multiplier in each channel"
                        } else {
                            "one multiplier"
                        });
                        Some((scope, 0, 0))
                    }
                    Form::Relaxed(scope, difference) => {
                        count("one multiplier, relaxed");
                        assert!(difference.most == 1, "seed {seed}: {}", folding.form);
                        Some((scope, difference.count, difference.total))
                    }
                    Form::Stages(_, Obstacle::NotMonotone) => {
                        count("stages, not monotone");
                        None
                    }
                    Form::Stages(_, Obstacle::Differs(difference)) => {
                        assert!(compared(difference), "seed {seed}: {}", folding.form);
                        count("stages, differ");
                        None
                    }
                    Form::Table(Obstacle::NotMonotone) => {
                        count("table, not monotone");
                        None
                    }
                    Form::Table(Obstacle::Differs(difference)) => {
                        assert!(compared(difference), "seed {seed}: {}", folding.form);
                        count("table, differ");
                        None
                    }
                };
                // With one multiplier for all channels, the scope says which accumulators to try.
                if let Some((scope, differing, _)) = scope.filter(|(scope, ..)| scope.channels == 1)
                {
                    let (low, high) = scope.accumulators;
                    if i64::from(high) - i64::from(low) < MOST_COUNTED {
                        let (exact, short) = (chain(&before).0, chain(&graph).0);
                        let differ = |x: &i32| exact.apply(*x, 0) != short.apply(*x, 0);
                        let found = (low..=high).filter(differ).count() as u64;
                        assert_eq!(found, differing, "seed {seed}: {}", folding.form);
                        count("differences counted anew");
                    }
                }
            }
        }
        // The driver makes its own checks on the way.
        assert!(passes::run(imported.clone(), &target, relax) == graph, "seed {seed}");
        for node in &graph.nodes {
            if node.op.epilogue().is_some_and(|epilogue| epilogue.0.len() > 1) {
                count("more than one result");
            }
            // Nothing that maps codes is left behind an accumulator.
            let fusable =
                |id| graph.producer(id).is_some_and(|i| graph.nodes[i].op.epilogue().is_some());
            let left = node.op.stages().is_some() && fusable(node.inputs[0]);
            assert!(!left, "seed {seed}: {} is left\n{graph}", node.op.kind());
        }
    }
    counts
}

/// That no layer, given what it was given before, is off by more than 1.
fn check_distance(seed: u64, before: &Graph, after: &Graph, cases: &[Vec<Value>]) {
    for inputs in cases {
        let values = ir::eval_all(before, inputs).expect("inputs fit");
        let value = |id: &ir::TensorId| values[id.index()].as_ref().expect("computed");
        for node in after.nodes.iter().filter(|node| !matches!(node.op, Op::Dequantize(_))) {
            let results = node.op.eval(&node.inputs.iter().map(value).collect::<Vec<_>>());
            for (found, id) in results.iter().zip(&node.outputs) {
                for (found, exact) in found.ints().iter().zip(value(id).ints()) {
                    assert!(
                        found.abs_diff(exact) <= 1,
                        "seed {seed}: {found} for {exact}\n{after}"
                    );
                }
            }
        }
    }
}

/// All lowest, all highest, then random codes.
fn inputs(graph: &Graph, seed: u64, case: u64) -> Vec<Value> {
    let mut rng = Rng::new(seed << 8 | case);
    let mut input = |id: &ir::TensorId| {
        let ty = &graph.tensors[*id].ty;
        let (low, high) = ty.dtype.range();
        let code = |_| match case {
            0 => low,
            1 => high,
            _ => rng.range(low.into(), high.into()) as i32,
        };
        Value::from_ints(ty.clone(), (0..ty.elements()).map(code).collect::<Vec<_>>())
    };
    graph.inputs.iter().map(&mut input).collect()
}
