//! The reference interpreter against golden outputs of TensorFlow Lite's reference kernels.

#[path = "support/golden.rs"]
mod golden;

use golden::{crc32, Model};
use tflc::frontend;
use tflc::ir::{self, Graph, TensorId};
use tflc::ops::{DType, Value};

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
    let mut failures = Vec::new();
    for model in models {
        match frontend::import(&model.bytes()) {
            Ok(graph) => failures.extend(difference(model, &graph)),
            Err(_) if model.name.contains(MAY_BE_UNSUPPORTED) => {}
            Err(problems) => failures.push(format!("{}:\n{problems}", model.name)),
        }
    }
    assert!(
        failures.is_empty(),
        "{} models of {}:\n{}",
        failures.len(),
        models.len(),
        failures.join("\n")
    );
}

/// Where a model first differs from its golden cases.
fn difference(model: &Model, graph: &Graph) -> Option<String> {
    let layers = model.layers();
    for (i, case) in model.cases().iter().enumerate() {
        let values = ir::eval_all(graph, &case.values(graph)).expect("inputs fit");
        for layer in &layers {
            let Some(&expected) = layer.crc32.get(i) else { continue };
            let found =
                graph.tensors.iter().find(|(_, tensor)| tensor.origin == Some(layer.tensor));
            let Some((id, tensor)) = found else {
                return Some(format!("{}: the graph has no tensor {}", model.name, layer.tensor));
            };
            let checksum =
                |id: TensorId| crc32(&values[id.index()].as_ref().expect("is computed").bytes);
            // TFLite lets some operators write over their operand: then it holds their result.
            let readers = graph.nodes.iter().filter(|node| node.inputs.contains(&id));
            let mut candidates = readers.map(|node| node.outputs[0]).chain([id]);
            if candidates.all(|id| checksum(id) != expected) {
                return Some(format!("{}, case {i}: tensor '{}' differs", model.name, tensor.name));
            }
        }
        for (o, (&id, expected)) in graph.outputs.iter().zip(&case.outputs).enumerate() {
            let value = values[id.index()].as_ref().expect("is computed");
            if let Some(what) = first_difference(value, expected) {
                return Some(format!("{}, case {i}, output {o}: {what}", model.name));
            }
        }
        assert_eq!(graph.outputs.len(), case.outputs.len(), "{}", model.name);
    }
    None
}

/// The first element that differs, and how many do.
fn first_difference(value: &Value, expected: &[u8]) -> Option<String> {
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
