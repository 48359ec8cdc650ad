//! Compiles quantized `.tflite` models to source code for microcontrollers: no interpreter, no
//! heap, memory planned to the byte, the same output bytes as TensorFlow Lite's reference kernels.
//!
//! ```text
//! bytes → frontend → Graph (integers only) → passes → plan → loop IR → backend → files
//! ```
//!
//! This library is pure: bytes and options go in, text comes out. `main.rs` and `build_script.rs`
//! are the doors to the outside. `ARCHITECTURE.md` shows the whole way on one page.

#![warn(missing_docs)]

pub mod backend;
mod build_script;
pub mod frontend;
pub mod harness;
pub mod ir;
pub mod kernels;
pub mod loop_ir;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod report;
pub mod target;
pub mod text;

pub use build_script::{build, Build, BuildError};

use backend::Placement;
use frontend::Problems;
use ir::{Folding, Form, Graph};
use loop_ir::Program;
use plan::{Choice, Plan, Prefer};
use target::Target;

/// What the compiler is to do with a model.
#[derive(Clone, Debug)]
pub struct Options {
    /// The core that the code is for.
    pub target: Target,
    /// The model's file name without folders, for the banner.
    pub model: String,
    /// Whether requantizations that follow each other may be rounded once: each layer's results are
    /// then within 1 of the exact ones, and [`Compiled::relaxed`] tells how often they aren't exact.
    pub relax_requant: bool,
    /// What is preferred where the target's memory leaves a choice.
    pub prefer: Prefer,
    /// Where the code's data lies.
    pub placement: Placement,
    /// The command line's arguments that shaped the output, for the banner: what to run again.
    pub arguments: String,
}

/// A compiled model, at every stage.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The graph as imported.
    pub imported: Graph,
    /// The graph after the passes.
    pub graph: Graph,
    /// The code, verified.
    pub program: Program,
    /// How layers are computed that there are several ways for.
    pub choices: Vec<Choice>,
    /// The model file's SHA-256, in hexadecimal.
    pub sha256: String,
}

/// Compiles the bytes of a `.tflite` file.
///
/// # Errors
/// Everything in the model that can't be compiled, at once.
pub fn compile(model: &[u8], options: &Options) -> Result<Compiled, Problems> {
    let imported = frontend::import(model)?;
    let graph = passes::run(imported.clone(), &options.target, options.relax_requant);
    let Plan { program, choices } = plan::preferring(&graph, &options.target, options.prefer);
    if let Err(error) = loop_ir::verify(&program) {
        panic!("bug in tflc: the verifier rejects the code for {}: {error}", options.model);
    }
    Ok(Compiled { imported, graph, program, choices, sha256: sha256(model) })
}

impl Compiled {
    /// The model as one Rust file.
    pub fn rust(&self, options: &Options) -> String {
        backend::rust::print(&self.program, &self.banner(options), &options.placement)
    }

    /// The model as C files of those names.
    #[cfg(feature = "c")]
    pub fn c(&self, options: &Options, names: &backend::c::Names) -> backend::c::CFiles {
        backend::c::print(&self.program, &self.banner(options), names, &options.placement)
    }

    /// The model as an Arduino library of those names: its files, in the order of
    /// [`paths`](backend::c::arduino::paths).
    #[cfg(feature = "c")]
    pub fn arduino(&self, options: &Options, names: &backend::c::Names) -> [String; 4] {
        backend::c::arduino::print(&self.program, &self.banner(options), names, &options.placement)
    }

    /// The graph whose bytes the code yields: as imported, or, where that isn't exact because it was
    /// asked to round once, behind the passes.
    pub fn reference(&self) -> &Graph {
        match self.relaxed().is_empty() {
            true => &self.imported,
            false => &self.graph,
        }
    }

    /// What rounding once has cost, layer by layer, in words; `graph.foldings` has it in numbers.
    pub fn relaxed(&self) -> Vec<String> {
        let words = |folding: &Folding| match &folding.form {
            Form::Relaxed(scope, difference) => {
                let list: Vec<String> = folding.operators.iter().map(usize::to_string).collect();
                let plural = if list.len() == 1 { "" } else { "s" };
                Some(format!("operator{plural} {}: {difference} {scope}", list.join(", ")))
            }
            _ => None,
        };
        self.graph.foldings.iter().filter_map(words).collect()
    }

    fn banner(&self, options: &Options) -> backend::Banner {
        backend::Banner {
            model: options.model.clone(),
            sha256: self.sha256.clone(),
            arguments: options.arguments.clone(),
            target: options.target.name.clone(),
            macs: self.graph.macs(),
            relaxed: self.relaxed(),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
