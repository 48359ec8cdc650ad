//! Golden cases: inputs and the reference kernels' outputs, as JSON beside each model.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tflc::ir::Graph;
use tflc::ops::Value;

use crate::extent::left_out;

/// A model file and the name it is called by in messages.
pub struct Model {
    /// Its path from the package's folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// One input of a model, with what the reference kernels make of it.
pub struct Case {
    /// The inputs' bytes, in the model's order.
    pub inputs: Vec<Vec<u8>>,
    /// The outputs' bytes, in the model's order.
    pub outputs: Vec<Vec<u8>>,
}

/// What the reference kernels compute in the middle of a model.
pub struct Layer {
    /// The tensor's index in the model file.
    pub tensor: usize,
    /// The CRC-32 of its bytes for each of the first cases.
    pub crc32: Vec<u32>,
}

/// The models in a folder of the package, with the folders under it, in order. A folder that is
/// not there is said to be left out.
pub fn models(folder: &str) -> Vec<Model> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut models = Vec::new();
    collect(&root.join(folder), folder, &mut models);
    if models.is_empty() {
        left_out(&format!("golden cases of {folder}, which holds no models"));
    }
    models
}

fn collect(folder: &Path, name: &str, models: &mut Vec<Model>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    for path in paths {
        let name = format!("{name}/{}", path.file_name().expect("has a name").to_string_lossy());
        if path.is_dir() {
            collect(&path, &name, models);
        } else if name.ends_with(".tflite") {
            models.push(Model { name, path });
        }
    }
}

impl Model {
    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Its golden cases.
    pub fn cases(&self) -> Vec<Case> {
        let json = self.json("json").unwrap_or_else(|| panic!("{} has no golden cases", self.name));
        let cases = json["cases"].as_array().expect("cases");
        let tensors =
            |tensors: &Json| tensors.as_array().expect("tensors").iter().map(hex).collect();
        let case = |case: &Json| Case {
            inputs: tensors(&case["inputs"]),
            outputs: tensors(&case["outputs"]),
        };
        cases.iter().map(case).collect()
    }

    /// What is known of its intermediate tensors.
    pub fn layers(&self) -> Vec<Layer> {
        let Some(json) = self.json("layers.json") else { return Vec::new() };
        let layer = |layer: &Json| Layer {
            tensor: layer["tensor"].as_u64().expect("an index") as usize,
            crc32: layer["crc32"].as_array().expect("checksums").iter().map(crc).collect(),
        };
        json["ops"].as_array().expect("operators").iter().map(layer).collect()
    }

    fn json(&self, extension: &str) -> Option<Json> {
        let text = fs::read_to_string(self.path.with_extension(extension)).ok()?;
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.name)))
    }
}

impl Case {
    /// The inputs as values of the graph's input types.
    pub fn values(&self, graph: &Graph) -> Vec<Value> {
        let inputs = graph.inputs.iter().zip(&self.inputs);
        inputs.map(|(&id, bytes)| Value::new(graph.tensors[id].ty.clone(), bytes.clone())).collect()
    }
}

fn crc(json: &Json) -> u32 {
    u32::from_str_radix(json.as_str().expect("a checksum"), 16).expect("hexadecimal")
}

fn hex(json: &Json) -> Vec<u8> {
    let text = json.as_str().expect("a string").as_bytes();
    let digit = |digit: u8| (digit as char).to_digit(16).expect("hexadecimal") as u8;
    text.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The CRC-32 of zlib.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
