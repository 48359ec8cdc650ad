//! `tflc run`: the reference interpreter on raw bytes.

use std::path::{Path, PathBuf};

use clap::Args;
use tflc::ir::{self, Graph, TensorId};
use tflc::ops::{DType, Value};
use tflc::text::thousands;

use super::files::{self, Output};
use super::{compile, harmless, print, take, Failure};

/// Run a model in the reference interpreter
#[derive(Debug, Args)]
#[command(after_help = "\
Inputs and outputs are raw: the elements little-endian, in row-major order, as the tensor's own
type (quantized codes, not real numbers, for an int8 model).")]
pub struct Arguments {
    /// The quantized .tflite file
    model: PathBuf,
    /// The input's bytes; once for each of the model's inputs, in its order
    #[arg(short, long = "input", value_name = "X.bin")]
    inputs: Vec<PathBuf>,
    /// Where the output's bytes go, - being the standard output; once for each of the model's
    /// outputs. Without it, they are printed as numbers
    #[arg(short, long = "output", value_name = "Y.bin")]
    outputs: Vec<PathBuf>,
}

/// Runs the model once.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    let model = take(files::read(&arguments.model), &mut wrong);
    let inputs: Vec<_> =
        arguments.inputs.iter().filter_map(|path| take(files::read(path), &mut wrong)).collect();
    let places: Vec<_> = arguments
        .outputs
        .iter()
        .filter_map(|path| take(place(arguments, path), &mut wrong))
        .collect();
    let Some(model) = model.filter(|_| wrong.is_empty()) else {
        return Err(Failure::Unusable(wrong));
    };
    let graph = compile::import(&arguments.model, &model)?;
    let counts = [
        ("input", "--input", inputs.len(), graph.inputs.len()),
        ("output", "-o", places.len(), graph.outputs.len()),
    ];
    for (what, option, given, wanted) in counts {
        if given != wanted && !(what == "output" && given == 0) {
            wrong.push(format!(
                "{} has {wanted} {what}{}, but {option} is given {given} times{}",
                arguments.model.display(),
                if wanted == 1 { "" } else { "s" },
                if what == "input" { borders(&graph, &graph.inputs, what) } else { String::new() }
            ));
        }
    }
    let values: Vec<_> = (graph.inputs.iter().zip(&arguments.inputs).zip(inputs).enumerate())
        .filter_map(|(i, ((&id, path), bytes))| take(value(&graph, i, id, path, bytes), &mut wrong))
        .collect();
    if !wrong.is_empty() {
        return Err(Failure::Unusable(wrong));
    }
    let outputs = ir::eval(&graph, &values)?;
    if places.is_empty() {
        let mut text = String::new();
        for (i, (&id, value)) in graph.outputs.iter().zip(&outputs).enumerate() {
            text += &format!("{}\n{}", border(&graph, "output", i, id), numbers(value));
        }
        return print(harmless(&text).as_bytes());
    }
    for (place, value) in places.iter().zip(&outputs) {
        match place {
            None => print(&value.bytes)?,
            Some(output) => files::write(&[(output, &value.bytes)]).map(drop)?,
        }
    }
    Ok(())
}

/// The file of an output; `None` is the standard output.
fn place(arguments: &Arguments, path: &Path) -> Result<Option<Output>, String> {
    if path == Path::new("-") {
        return Ok(None);
    }
    let read = arguments.inputs.iter().chain([&arguments.model]);
    let sources: Vec<&Path> = read.map(|path| &**path).collect();
    Output::new(path, &sources).map(Some)
}

fn value(
    graph: &Graph,
    i: usize,
    id: TensorId,
    path: &Path,
    bytes: Vec<u8>,
) -> Result<Value, String> {
    let ty = &graph.tensors[id].ty;
    let name = path.display();
    if bytes.len() != ty.bytes() {
        let (has, wants) = (thousands(bytes.len()), thousands(ty.bytes()));
        return Err(format!(
            "{name} has {has} bytes, but {} takes {wants}",
            border(graph, "input", i, id)
        ));
    }
    if ty.dtype == DType::Bool && bytes.iter().any(|&byte| byte > 1) {
        return Err(format!(
            "{name} has other bytes than 0 and 1, but {} takes bool",
            border(graph, "input", i, id)
        ));
    }
    Ok(Value::new(ty.clone(), bytes))
}

fn borders(graph: &Graph, ids: &[TensorId], what: &str) -> String {
    let lines: Vec<String> = (ids.iter().enumerate())
        .map(|(i, &id)| {
            let bytes = thousands(graph.tensors[id].ty.bytes());
            format!("\n  {}: {bytes} bytes", border(graph, what, i, id))
        })
        .collect();
    lines.concat()
}

/// An input or output in words.
fn border(graph: &Graph, what: &str, i: usize, id: TensorId) -> String {
    let tensor = &graph.tensors[id];
    let quantization = match tensor.quantization {
        Some(q) => format!(", scale {:?}, zero point {}", q.scale, q.zero_point),
        None => String::new(),
    };
    format!("{what} {i} '{}' ({}{quantization})", tensor.name, tensor.ty)
}

/// The elements, 16 to a line.
fn numbers(value: &Value) -> String {
    let numbers: Vec<String> = match value.ty.dtype {
        DType::F32 => value.floats().iter().map(|number| format!("{number:?}")).collect(),
        _ => value.ints().iter().map(i32::to_string).collect(),
    };
    numbers.chunks(16).map(|line| format!("  {}\n", line.join(" "))).collect()
}
