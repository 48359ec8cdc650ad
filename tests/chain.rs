//! A failure names the culprit: golden outputs of TensorFlow Lite's reference kernels, compared at
//! each link of the chain from a model file to code: the graph as imported, after each pass, and
//! the loop IR.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[path = "support/golden.rs"]
mod golden;
#[path = "support/parallel.rs"]
mod parallel;

use golden::{crc32, Case, Model};
use tflc::ir::{self, Graph, TensorId};
use tflc::loop_ir::{self, Machine};
use tflc::ops::Value;
use tflc::target::Target;
use tflc::{frontend, harness, passes, plan};

/// Models whose operators may come later: an error is fine, a wrong answer isn't.
const MAY_BE_UNSUPPORTED: &str = "random-more/";

/// The targets that code is made for: one where layers have their own functions, one where they
/// share them.
const TARGETS: [&str; 4] = ["host", "cortex-m0", "cortex-m4", "rv32imc"];

/// Models of more multiplications take long, and run on one target only.
const LARGE: u64 = 1_000_000;

#[test]
fn own_models_are_exact() {
    check(&golden::models("tests/models"));
}

#[test]
fn vectors_are_exact() {
    check(&golden::models("tests/vectors"));
}

#[test]
fn shared_models_are_exact() {
    check(&golden::models("../shared/models"));
}

fn check(models: &[Model]) {
    let targets = TARGETS.map(|name| Target::find(name).expect("is there"));
    let results = parallel::map(models, |model| follow(model, &targets));
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(
        failures.is_empty(),
        "{} models of {}:\n{}",
        failures.len(),
        models.len(),
        failures.join("\n")
    );
}

/// Follows a model along the chain to where it first differs from its golden cases.
fn follow(model: &Model, targets: &[Target]) -> Result<(), String> {
    let imported = match frontend::import(&model.bytes()) {
        Ok(graph) => graph,
        Err(_) if model.name.contains(MAY_BE_UNSUPPORTED) => return Ok(()),
        Err(problems) => return Err(format!("{}, import:\n{problems}", model.name)),
    };
    let cases = model.cases();
    intermediates(model, &cases, &imported)?;

    let (mut graphs, mut programs) = (Vec::new(), Vec::new());
    for target in targets {
        let mut graph = imported.clone();
        for (stage, next) in passes::stages(imported.clone(), target, false) {
            graph = next;
            if !graphs.contains(&graph) {
                let eval = |inputs: &[Value]| ir::eval(&graph, inputs).expect("inputs fit");
                compare(model, stage, &cases, &graph, eval)?;
                graphs.push(graph.clone());
            }
        }
        let program = plan::program(&graph, target);
        loop_ir::verify(&program)
            .map_err(|error| format!("{}, verifier for {}: {error}", model.name, target.name))?;
        // Routines are quick to evaluate.
        let large =
            graph.macs() > LARGE && !programs.is_empty() && !harness::has_assembly(&program);
        let seen = programs.contains(&program) || large;
        if !seen {
            let link = format!("loop IR for {}", target.name);
            let mut machine = Machine::new(&program);
            compare(model, &link, &cases, &graph, |inputs| machine.run(inputs))?;
        }
        programs.push(program);
    }
    Ok(())
}

/// Compares the tensors inside a model with what is known of them.
fn intermediates(model: &Model, cases: &[Case], graph: &Graph) -> Result<(), String> {
    let layers = model.layers();
    let known = layers.iter().map(|layer| layer.crc32.len()).max().unwrap_or(0);
    for (i, case) in cases.iter().enumerate().take(known) {
        let values = ir::eval_all(graph, &case.values(graph)).expect("inputs fit");
        for layer in &layers {
            let Some(&expected) = layer.crc32.get(i) else { continue };
            let found =
                graph.tensors.iter().find(|(_, tensor)| tensor.origin == Some(layer.tensor));
            let Some((id, tensor)) = found else {
                return Err(format!("{}: the graph has no tensor {}", model.name, layer.tensor));
            };
            let checksum =
                |id: TensorId| crc32(&values[id.index()].as_ref().expect("is computed").bytes);
            // TFLite lets some operators write over their operand: then it holds their result.
            let readers = graph.nodes.iter().filter(|node| node.inputs.contains(&id));
            let mut candidates = readers.map(|node| node.outputs[0]).chain([id]);
            if candidates.all(|id| checksum(id) != expected) {
                return Err(format!(
                    "{}, import, case {i}: tensor '{}' differs",
                    model.name, tensor.name
                ));
            }
        }
    }
    Ok(())
}

/// Compares what a link of the chain makes of the cases with what it should.
fn compare(
    model: &Model,
    link: &str,
    cases: &[Case],
    graph: &Graph,
    mut run: impl FnMut(&[Value]) -> Vec<Value>,
) -> Result<(), String> {
    for (i, case) in cases.iter().enumerate() {
        let outputs = run(&case.values(graph));
        assert_eq!(outputs.len(), case.outputs.len(), "{}", model.name);
        for (o, (value, expected)) in outputs.iter().zip(&case.outputs).enumerate() {
            let expected = Value::new(value.ty.clone(), expected.clone());
            if let Some((at, expected, found)) = harness::compare(&expected, value) {
                return Err(format!(
                    "{}, {link}, case {i}, output {o}: element {at} is {found} instead of {expected}",
                    model.name
                ));
            }
        }
    }
    Ok(())
}
