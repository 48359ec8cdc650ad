//! A failure names the culprit: golden outputs of TensorFlow Lite's reference kernels, compared at
//! each link of the chain from a model file to code: the graph as imported, after each pass, and
//! the loop IR.

#[path = "support/golden.rs"]
mod golden;
#[path = "support/parallel.rs"]
mod parallel;

use golden::{crc32, Case, Model};
use tflc::ir::{self, Graph, TensorId};
use tflc::loop_ir::{self, Machine};
use tflc::ops::{DType, Value};
use tflc::target::Target;
use tflc::{frontend, passes, plan};

/// Models whose operators may come later: an error is fine, a wrong answer isn't.
const MAY_BE_UNSUPPORTED: &str = "random-more/";

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
    let target = Target::find("host").expect("is there");
    let results = parallel::map(models, |model| follow(model, &target));
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
fn follow(model: &Model, target: &Target) -> Result<(), String> {
    let imported = match frontend::import(&model.bytes()) {
        Ok(graph) => graph,
        Err(_) if model.name.contains(MAY_BE_UNSUPPORTED) => return Ok(()),
        Err(problems) => return Err(format!("{}, import:\n{problems}", model.name)),
    };
    let cases = model.cases();
    intermediates(model, &cases, &imported)?;

    let mut last: Option<Graph> = None;
    for (stage, graph) in passes::stages(imported, target) {
        if last.as_ref() != Some(&graph) {
            compare(model, stage, &cases, &graph, |inputs| {
                ir::eval(&graph, inputs).expect("inputs fit")
            })?;
        }
        last = Some(graph);
    }
    let graph = last.expect("at least the graph itself");
    let program = plan::program(&graph, target);
    loop_ir::verify(&program).map_err(|error| format!("{}, verifier: {error}", model.name))?;
    compare(model, "loop IR", &cases, &graph, |inputs| Machine::new(&program).run(inputs))
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
    run: impl Fn(&[Value]) -> Vec<Value>,
) -> Result<(), String> {
    for (i, case) in cases.iter().enumerate() {
        let outputs = run(&case.values(graph));
        assert_eq!(outputs.len(), case.outputs.len(), "{}", model.name);
        for (o, (value, expected)) in outputs.iter().zip(&case.outputs).enumerate() {
            if let Some(what) = first_difference(value, expected) {
                return Err(format!("{}, {link}, case {i}, output {o}: {what}", model.name));
            }
        }
    }
    Ok(())
}

/// The first element that differs, and how many do.
fn first_difference(value: &Value, expected: &[u8]) -> Option<String> {
    if value.bytes == expected {
        return None;
    }
    if value.bytes.len() != expected.len() {
        return Some(format!("{} bytes instead of {}", value.bytes.len(), expected.len()));
    }
    let expected = Value::new(value.ty.clone(), expected.to_vec());
    let (ours, theirs) = (elements(value), elements(&expected));
    let mut differing = (0..ours.len()).filter(|&i| ours[i] != theirs[i]);
    let first = differing.next()?;
    let count = 1 + differing.count();
    let (ours, theirs) = (&ours[first], &theirs[first]);
    Some(format!(
        "element {first} is {ours} instead of {theirs} ({count} of {} differ)",
        value.ty.elements()
    ))
}

fn elements(value: &Value) -> Vec<String> {
    match value.ty.dtype {
        DType::F32 => value.floats().iter().map(|x| format!("{x:?}")).collect(),
        _ => value.ints().iter().map(i32::to_string).collect(),
    }
}
