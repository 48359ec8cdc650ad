//! What converters leave of activations after quantization-aware training costs nothing, or next to
//! nothing: see `docs/relu-after-qat.md`.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[allow(dead_code)]
#[path = "support/firmware.rs"]
mod firmware;
#[allow(dead_code)]
#[path = "support/golden.rs"]
mod golden;
#[path = "support/parallel.rs"]
mod parallel;

use std::fs;
use std::path::Path;

use firmware::Lang;
use golden::Model;
use tflc::ir::{Graph, Node, TensorId};
use tflc::ops::{DType, Op};
use tflc::target::Target;
use tflc::{frontend, passes};

/// Networks with an activation of its own behind each layer, the same networks with the activations
/// inline, and how much more the former may cost.
const PAIRS: [(&str, &str, f64); 4] = [
    ("same_relu", "inline_relu", 1.01),
    ("same_relu6", "inline_relu6", 1.01),
    ("different_relu", "inline_relu", 1.03),
    ("different_relu6", "inline_relu6", 1.03),
];

#[test]
fn no_activation_is_left_behind_its_producer() {
    let mut models = golden::models("tests/models");
    models.extend(golden::models("../shared/models"));
    let mut left = Vec::new();
    // Nodes have any number of results on the one, but a single one where routines compute them.
    for name in ["rv32imc", "cortex-m4"] {
        let target = Target::find(name).expect("is there");
        left.extend(parallel::map(&models, |model| {
            // Operators that come later are no concern of this test.
            let graph = passes::run(frontend::import(&model.bytes()).ok()?, &target, false);
            let alone = |id: TensorId| !target.features.dsp || graph.uses(id) == 1;
            let left = graph.nodes.iter().filter(|node| is_activation(&graph, node));
            let mut left =
                left.filter(|node| alone(node.inputs[0]) && can_take(&graph, node.inputs[0]));
            let text = |node: &Node| {
                format!("{} for {name}: {} {:?}", model.name, node.op.kind(), node.origin)
            };
            left.next().map(text)
        }));
    }
    let left: Vec<String> = left.into_iter().flatten().collect();
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// RELU, RELU6, RELU_N1_TO_1 and QUANTIZE from int8 codes to int8 codes.
fn is_activation(graph: &Graph, node: &Node) -> bool {
    let codes = |id: TensorId| graph.tensors[id].ty.dtype == DType::I8;
    matches!(node.op, Op::Relu(_) | Op::Quantize(_))
        && codes(node.inputs[0])
        && codes(node.outputs[0])
}

/// Whether what computes a tensor, be it through movement that nobody else reads, has accumulators
/// to apply an activation to.
fn can_take(graph: &Graph, id: TensorId) -> bool {
    let Some(producer) = graph.producer(id).map(|i| &graph.nodes[i]) else { return false };
    let moves = matches!(
        producer.op,
        Op::Reshape(_)
            | Op::Concatenation(_)
            | Op::Pack(_)
            | Op::Pad(_)
            | Op::Transpose(_)
            | Op::StridedSlice(_)
    );
    producer.op.epilogue().is_some()
        || moves
            && graph.uses(id) == 1
            && producer.inputs.iter().all(|&id| can_take(graph, id) && graph.uses(id) == 1)
}

#[test]
fn standing_activations_cost_as_little_as_inline_ones() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("relu_after_qat");
    fs::create_dir_all(&folder).expect("can be made");
    let models = golden::models("tests/models/qat");
    let find = |name: &str| {
        let named = |model: &&Model| model.path.file_stem().is_some_and(|stem| stem == name);
        models.iter().find(named).expect("is there")
    };
    let mut excesses = Vec::new();
    for (lang, word) in [(Lang::Rust, "rust"), (Lang::C, "c")] {
        if let Some(missing) = firmware::missing("cortex-m4", lang) {
            extent::left_out(&format!("costs in {lang:?}, for want of {missing}"));
            continue;
        }
        let names: Vec<&str> =
            PAIRS.iter().flat_map(|&(standing, inline, _)| [standing, inline]).collect();
        let cycles = parallel::map(&names, |name| cycles(&folder, find(name), word));
        for ((standing, inline, limit), cycles) in PAIRS.iter().zip(cycles.chunks(2)) {
            let ratio = cycles[0] as f64 / cycles[1] as f64;
            let line =
                format!("{standing}: {} cycles, {ratio:.4}× {inline}'s in {lang:?}", cycles[0]);
            println!("{line}");
            if ratio > *limit {
                excesses.push(format!("{line}, at most {limit}×"));
            }
        }
    }
    assert!(excesses.is_empty(), "{}", excesses.join("\n"));
}

/// Cycles on a Cortex-M4 for the first golden case.
fn cycles(folder: &Path, model: &Model, lang: &str) -> u64 {
    let case = model.cases().swap_remove(0);
    let stem = model.path.file_stem().expect("has a name").to_string_lossy();
    // Several measurements of a model may run at once.
    let file = folder.join(format!("{stem}-{lang}-{:?}.case", std::thread::current().id()));
    fs::write(&file, [case.inputs.concat(), case.outputs.concat()].concat())
        .expect("can be written");
    let output = firmware::script("measure.sh")
        .args([&model.path, Path::new("cortex-m4"), Path::new(lang)])
        .env("TFLC", env!("CARGO_BIN_EXE_tflc"))
        .env("CASE", &file)
        .output()
        .expect("can be run");
    let line = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cycles = line.split_whitespace().find_map(|word| word.strip_prefix("cycles="));
    cycles.and_then(|cycles| cycles.parse().ok()).unwrap_or_else(|| panic!("no cycles in {line}"))
}
