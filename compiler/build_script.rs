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
//!
//! It has what the command line has and a build can use. Looking at stages (`--emit`) and libraries
//! for other build systems (`--arduino`) are for the command line alone.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::backend::{Arena, Placement, Section};
use crate::plan::{cost, Prefer};
use crate::target::{format_size, Target};
use crate::{Compiled, Options};

/// A model to be compiled by a build script.
#[derive(Clone, Debug)]
pub struct Build {
    model: PathBuf,
    target: Option<String>,
    name: Option<String>,
    folder: Option<PathBuf>,
    flash: Option<usize>,
    ram: Option<usize>,
    check: bool,
    c: bool,
    relax_requant: bool,
    prefer: Prefer,
    weights_section: Option<String>,
    arena_section: Option<String>,
    arena: Arena,
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
        check: false,
        c: false,
        relax_requant: false,
        prefer: Prefer::Speed,
        weights_section: None,
        arena_section: None,
        arena: Arena::Own,
    }
}

impl Build {
    /// The core that the code is for, by its name or as the path of a `.toml` file that describes
    /// one; must be given.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// The written file's name without `.rs`, and what names in C begin with; otherwise the model's.
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

    /// Changes nothing; it is an error if the file in the folder isn't what would be written. For
    /// code that is checked in, as in `.folder("src").check()`.
    pub fn check(mut self) -> Self {
        self.check = true;
        self
    }

    /// Writes C and its header rather than Rust, for the crate `cc` to build.
    #[cfg(feature = "c")]
    pub fn c(mut self) -> Self {
        self.c = true;
        self
    }

    /// Prefers less flash to fewer cycles where the budgets leave a choice.
    pub fn prefer_size(mut self) -> Self {
        self.prefer = Prefer::Size;
        self
    }

    /// Lets requantizations that follow each other be rounded once: each layer's results are then
    /// within 1 of the exact ones, and the file's head says how often they aren't exact.
    pub fn relax_requant(mut self) -> Self {
        self.relax_requant = true;
        self
    }

    /// The linker's section for constants.
    pub fn weights_section(mut self, name: impl Into<String>) -> Self {
        self.weights_section = Some(name.into());
        self
    }

    /// The linker's section for the memory: the macro `arena_section!` in the code puts the static
    /// there that it is given.
    pub fn arena_section(mut self, name: impl Into<String>) -> Self {
        self.arena_section = Some(name.into());
        self
    }

    /// Takes the memory from outside, so that several models can use it one after the other:
    /// `Model::new(&mut arena)`.
    pub fn shared_arena(mut self) -> Self {
        self.arena = Arena::Shared;
        self
    }

    /// Compiles the model, writes the code, and tells cargo which files it depends on. Yields the
    /// path of the `.rs` file, or of the `.c` file.
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
            None if self.check => {
                let advice = "say .folder(…): .check() is for files that are checked in";
                return Err(BuildError(format!("{model}: {advice}")));
            }
            None => std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| {
                BuildError("OUT_DIR isn't set: outside of a build script, say .folder(…)".into())
            })?,
        };
        let output = folder.join(stem + if self.c { ".c" } else { ".rs" });
        let name = lossy(self.model.file_name());
        let placement = self.placement()?;
        let arguments = self.command(&name, &target.name, &placement, &lossy(output.file_name()));
        let relax_requant = self.relax_requant;
        let target = target.with_memory(self.flash, self.ram);
        let prefer = self.prefer;
        let options = Options { arguments, model: name, relax_requant, prefer, placement, target };
        let compiled = crate::compile(&bytes, &options).map_err(|problems| {
            let list: Vec<String> = problems.0.iter().map(|p| format!("\n  {p}")).collect();
            BuildError(format!("{model} can't be compiled:{}", list.concat()))
        })?;
        let program = &compiled.program;
        let budgets = [
            ("flash", self.flash, cost::flash(program, &options.target), "bytes of flash"),
            ("ram", self.ram, program.ram(), "bytes of RAM"),
        ];
        let excess = budgets.iter().filter_map(|&(what, allowed, needed, unit)| {
            let allowed = allowed.filter(|allowed| needed > *allowed)?;
            Some(format!(
                "{model} takes {needed} {unit}, {} more than .{what}({allowed}) allows",
                needed - allowed,
            ))
        });
        let excess: Vec<String> = excess.collect();
        if !excess.is_empty() {
            return Err(BuildError(excess.join("\n")));
        }
        for (path, text) in self.files(&compiled, &options, &output) {
            if self.check {
                println!("cargo:rerun-if-changed={}", path.display());
            }
            if std::fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
                continue;
            }
            let name = path.display();
            if self.check {
                let (model, output) = (model.to_string(), output.display().to_string());
                let target = self.target.as_deref().unwrap_or_default();
                let command = self.command(&model, target, &options.placement, &output);
                return Err(BuildError(format!(
                    "{name} isn't what {model} gives; to write it, run\n  tflc {command}"
                )));
            }
            std::fs::write(&path, text)
                .map_err(|error| BuildError(format!("{name} can't be written: {error}")))?;
        }
        Ok(output)
    }

    /// The arguments that do the same on the command line.
    fn command(&self, model: &str, target: &str, placement: &Placement, output: &str) -> String {
        let mut line = format!("{model} --target {target}");
        for (option, size) in [("flash", self.flash), ("ram", self.ram)] {
            if let Some(size) = size {
                line += &format!(" --{option} {}", format_size(size));
            }
        }
        if self.prefer == Prefer::Size {
            line += " -O size";
        }
        if self.relax_requant {
            line += " --relax-requant";
        }
        format!("{line}{placement} -o {output}")
    }

    fn placement(&self) -> Result<Placement, BuildError> {
        let section = |option: &str, name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => Section::parse(name)
                .map(Some)
                .map_err(|error| format!(".{option}({name:?}): {error}")),
        };
        let placement = || {
            let placement = Placement {
                weights_section: section("weights_section", &self.weights_section)?,
                arena_section: section("arena_section", &self.arena_section)?,
                arena: self.arena,
            };
            placement.check().map(|()| placement)
        };
        placement().map_err(|error| BuildError(format!("{}: {error}", self.model.display())))
    }

    /// The files and what is to be in them.
    fn files(
        &self,
        compiled: &Compiled,
        options: &Options,
        output: &Path,
    ) -> Vec<(PathBuf, String)> {
        #[cfg(feature = "c")]
        if self.c {
            let names = crate::backend::c::Names::new(&lossy(output.file_stem()));
            let files = compiled.c(options, &names);
            let header = output.with_file_name(names.header());
            return vec![(output.into(), files.source), (header, files.header)];
        }
        vec![(output.into(), compiled.rust(options))]
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
