//! The door for build scripts: `tflc::build("models/kws.tflite").target("cortex-m4").compile()?`.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), tflc::BuildError> {
//!     tflc::build("models/kws.tflite").target("cortex-m4").compile()?;
//!     Ok(())
//! }
//! ```
//!
//! and in the crate `mod kws { include!(concat!(env!("OUT_DIR"), "/kws.rs")); }`.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::target::{format_size, Target};
use crate::Options;

/// A model to be compiled by a build script.
#[derive(Clone, Debug)]
pub struct Build {
    model: PathBuf,
    target: Option<String>,
    name: Option<String>,
    folder: Option<PathBuf>,
    flash: Option<usize>,
    ram: Option<usize>,
    relax_requant: bool,
}

/// Starts the compilation of a model; its path is relative to the package's folder, where build
/// scripts run.
pub fn build(model: impl AsRef<Path>) -> Build {
    let model = model.as_ref().to_path_buf();
    Build {
        model,
        target: None,
        name: None,
        folder: None,
        flash: None,
        ram: None,
        relax_requant: false,
    }
}

impl Build {
    /// The core that the code is for, by its name or as the path of a `.toml` file that describes
    /// one; must be given.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// The written file's name without `.rs`; otherwise the model's.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The folder that the file goes to; otherwise cargo's `OUT_DIR`.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The most bytes of constants that the code may have.
    pub fn flash(mut self, bytes: usize) -> Self {
        self.flash = Some(bytes);
        self
    }

    /// The most bytes of RAM that the model may take, the stack not counted.
    pub fn ram(mut self, bytes: usize) -> Self {
        self.ram = Some(bytes);
        self
    }

    /// Lets requantizations that follow each other be rounded once: each layer's results are then
    /// within 1 of the exact ones, and the file's head says how often they aren't exact.
    pub fn relax_requant(mut self) -> Self {
        self.relax_requant = true;
        self
    }

    /// Compiles the model, writes the code, and tells cargo which files it depends on. Yields the
    /// written file's path.
    ///
    /// # Errors
    /// What is wrong with the files or the model, all of it.
    pub fn compile(self) -> Result<PathBuf, BuildError> {
        let model = self.model.display();
        println!("cargo:rerun-if-changed={model}");
        let target = self.find_target()?;
        let bytes = std::fs::read(&self.model)
            .map_err(|error| BuildError(format!("{model} can't be read: {error}")))?;
        let stem = self.name.clone().unwrap_or_else(|| lossy(self.model.file_stem()));
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| {
                BuildError("OUT_DIR isn't set: outside of a build script, say .folder(…)".into())
            })?,
        };
        let output = folder.join(format!("{stem}.rs"));
        let name = lossy(self.model.file_name());
        let options = Options {
            arguments: format!(
                "{name} --target {}{} -o {stem}.rs",
                target.name,
                if self.relax_requant { " --relax-requant" } else { "" }
            ),
            relax_requant: self.relax_requant,
            model: name,
            target,
        };
        let compiled = crate::compile(&bytes, &options).map_err(|problems| {
            let list: Vec<String> = problems.0.iter().map(|p| format!("\n  {p}")).collect();
            BuildError(format!("{model} can't be compiled:{}", list.concat()))
        })?;
        let program = &compiled.program;
        let budgets = [
            ("flash", self.flash, program.constant_bytes(), "bytes of constants"),
            ("ram", self.ram, program.ram(), "bytes of RAM"),
        ];
        for (what, allowed, needed, unit) in budgets {
            if let Some(allowed) = allowed.filter(|allowed| needed > *allowed) {
                return Err(BuildError(format!(
                    "{model} takes {needed} {unit}, {} more than .{what}({}) allows",
                    needed - allowed,
                    format_size(allowed)
                )));
            }
        }
        let text = compiled.rust(&options);
        if std::fs::read(&output).ok().as_deref() != Some(text.as_bytes()) {
            std::fs::write(&output, text).map_err(|error| {
                BuildError(format!("{} can't be written: {error}", output.display()))
            })?;
        }
        Ok(output)
    }

    fn find_target(&self) -> Result<Target, BuildError> {
        let Some(name) = &self.target else {
            let advice = "name the core that the code is for, as in .target(\"cortex-m4\")";
            return Err(BuildError(format!("{}: {advice}", self.model.display())));
        };
        if !name.ends_with(".toml") {
            return Target::find(name).map_err(BuildError);
        }
        println!("cargo:rerun-if-changed={name}");
        let text = std::fs::read_to_string(name)
            .map_err(|error| BuildError(format!("{name} can't be read: {error}")))?;
        Target::parse(&text).map_err(|error| BuildError(format!("{name}: {error}")))
    }
}

fn lossy(name: Option<&std::ffi::OsStr>) -> String {
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// Why a build script couldn't compile a model.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildError(String);

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As `Display`: it is what cargo shows when a build script's `main` returns an error.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for BuildError {}
