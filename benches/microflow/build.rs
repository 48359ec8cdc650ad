//! Compiles the models with tflc, and writes the modules in which microflow's macro compiles them.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tflc::ir::Graph;
use tflc::target::Target;

/// Where models lie, and the names of those that microflow can run.
struct Source {
    folder: PathBuf,
    models: &'static [&'static str],
}

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = here.join("../..").canonicalize()?;
    let shared = root.with_file_name("shared").join("models");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let sources = [
        Source { folder: root.join("tests/models"), models: &["digits_autoencoder"] },
        Source {
            folder: microflow(&here)?.join("models"),
            models: &["sine", "speech", "person_detect"],
        },
        Source {
            folder: shared.clone(),
            models: &["hello_world_int8", "ad01_int8", "kws_ref_model", "vww_96_int8"],
        },
        Source { folder: shared.join("qat"), models: &["orig_seq1d_relu_qat_tf221"] },
        Source { folder: shared.join("random"), models: &["seed0077", "seed0107"] },
    ];

    let mut modules = String::new();
    let mut names = Vec::new();
    for source in &sources {
        if source.folder.exists() {
            println!("cargo::rerun-if-changed={}", source.folder.display());
        }
        for &name in source.models {
            let path = source.folder.join(name).with_extension("tflite");
            match fs::read(&path) {
                Ok(bytes) => {
                    modules += &module(name, &path, &bytes, &out)?;
                    names.push(name);
                }
                Err(error) => {
                    println!("cargo::warning={name} is left out: {}: {error}", path.display())
                }
            }
        }
    }
    writeln!(modules, "\n/// Calls the macro `$with` for each model's module.")?;
    writeln!(modules, "#[macro_export]\nmacro_rules! for_each_model {{\n    ($with:ident) => {{")?;
    for name in names {
        writeln!(modules, "        $with!($crate::{name});")?;
    }
    writeln!(modules, "    }};\n}}")?;
    fs::write(out.join("models.rs"), modules)?;
    Ok(())
}

/// The folder of microflow's package, which has models of its own.
fn microflow(here: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version=1", "--filter-platform", &env::var("TARGET")?])
        .current_dir(here)
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)))?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let package = packages.iter().find(|package| package["name"] == "microflow");
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    Ok(Path::new(manifest.ok_or("cargo metadata doesn't list microflow")?).with_file_name(""))
}

/// The module for one model, which both compilers fill.
fn module(name: &str, path: &Path, bytes: &[u8], out: &Path) -> Result<String, Box<dyn Error>> {
    let file = format!("{name}.tflite");
    let options = tflc::Options {
        target: Target::default(),
        relax_requant: false,
        prefer: tflc::plan::Prefer::Speed,
        placement: tflc::backend::Placement::default(),
        arguments: format!("{file} --target host"),
        model: file,
    };
    let compiled =
        tflc::compile(bytes, &options).map_err(|problems| format!("{name}:\n{problems}"))?;
    let rust = out.join(name).with_extension("rs");
    fs::write(&rust, compiled.rust(&options))?;
    let (input, input_tensor) = microflow_type(&compiled.imported, compiled.imported.inputs[0]);
    let (output, _) = microflow_type(&compiled.imported, compiled.imported.outputs[0]);
    let macs = compiled.imported.macs();
    Ok(format!(
        r#"
/// The model {name}.
pub mod {name} {{
    /// As tflc compiles it.
    pub mod tflc {{
        include!({rust:?});
    }}

    /// As microflow compiles it.
    #[microflow::model({path:?})]
    pub struct Both;

    impl crate::Both for Both {{
        const NAME: &'static str = "{name}";
        const FILE: &'static str = {path:?};
        const MACS: u64 = {macs};
        const INPUT_LEN: usize = tflc::INPUT_LEN;
        type Tflc = tflc::Model;
        type Input = {input};
        type Output = {output};

        fn tflc() -> tflc::Model {{
            tflc::Model::new()
        }}

        #[inline]
        fn run_tflc<'a>(model: &'a mut tflc::Model, input: &[i8]) -> &'a [i8] {{
            model.input_mut().copy_from_slice(input);
            model.run();
            model.output()
        }}

        #[inline]
        fn run_microflow(input: &Self::Input) -> Self::Output {{
            let scale = [tflc::INPUT_SCALE];
            let zero_point = [tflc::INPUT_ZERO_POINT as i8];
            Both::predict_inner(microflow::tensor::{input_tensor}::new(*input, scale, zero_point)).buffer
        }}
    }}
}}
"#
    ))
}

/// microflow's type for a tensor's contents, and its name for such tensors.
fn microflow_type(graph: &Graph, id: tflc::ir::TensorId) -> (String, String) {
    let shape = &graph.tensors[id].ty.shape;
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let rank = shape.len();
    (
        format!("microflow::buffer::Buffer{rank}D<i8, {}>", sizes.join(", ")),
        format!("Tensor{rank}D"),
    )
}
