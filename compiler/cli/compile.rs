//! `tflc MODEL --target T -o OUT.rs|OUT.c` or `--arduino DIR`: compile, check what stands there, or
//! show a stage.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tflc::backend::c::{arduino, CFiles, Names};
use tflc::backend::{self, Placement, Section};
use tflc::ir::Graph;
use tflc::passes;
use tflc::plan::Prefer;
use tflc::target::{format_size, parse_size, Target};
use tflc::text::thousands;
use tflc::{Compiled, Options};

use super::files::{self, Folders, Output};
use super::{budget, find_target, harmless, listing, print, quoted, take, tell, Failure};

/// What shapes the code, whatever is done with it.
#[derive(Debug, Default, Args)]
pub struct Shape {
    /// The quantized .tflite file
    pub model: PathBuf,
    /// The core to compile for (`tflc targets` lists them), or a .toml file that describes one
    #[arg(short, long)]
    pub target: String,
    /// What the device has: arguments of their own.
    #[arg(skip)]
    pub budgets: Budgets,
    /// Round once where the model rounds more often: each layer's results are within 1 of the exact
    /// ones, and it is said how often they aren't exact
    #[arg(long)]
    pub relax_requant: bool,
}

/// What the device has for the model, and what to make of it.
#[derive(Clone, Debug, Default, Args)]
pub struct Budgets {
    /// The read-only memory for constants and code: the fastest code that fits; bytes, or 64K, or 1M
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub flash: Option<usize>,
    /// The memory for everything that changes, the stack not counted: the fastest code that fits
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub ram: Option<usize>,
    /// What to prefer where the budgets leave a choice
    #[arg(short = 'O', value_enum, value_name = "GOAL", default_value_t = Goal::Speed)]
    pub prefer: Goal,
}

/// What is preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Goal {
    /// The fewest cycles
    #[default]
    Speed,
    /// The least flash
    Size,
}

impl From<Goal> for Prefer {
    fn from(goal: Goal) -> Prefer {
        match goal {
            Goal::Speed => Prefer::Speed,
            Goal::Size => Prefer::Size,
        }
    }
}

/// Whose a model's memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Arena {
    /// The model's own
    #[default]
    Own,
    /// Handed in, so that several models can use it one after the other
    Shared,
}

impl From<Arena> for backend::Arena {
    fn from(arena: Arena) -> backend::Arena {
        match arena {
            Arena::Own => backend::Arena::Own,
            Arena::Shared => backend::Arena::Shared,
        }
    }
}

/// What the default command takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Parsed beside the others: clap knows whether optional arguments are there only where none of
    /// them are flattened in turn.
    #[arg(skip)]
    pub shape: Shape,
    /// The file to write: .rs for Rust, .c for C with its header beside it; - prints Rust
    #[arg(short, long, value_name = "OUT.rs|OUT.c", required_unless_present_any = ["emit", "arduino"])]
    output: Option<PathBuf>,
    /// Write an Arduino library to that folder, which is made if need be
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "emit"])]
    arduino: Option<PathBuf>,
    /// What public names in C begin with, instead of the file's name; also an Arduino library's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The linker's section for constants
    #[arg(long, value_name = "NAME", value_parser = Section::parse)]
    weights_section: Option<Section>,
    /// The linker's section for the memory: a macro in the code puts what you declare there
    #[arg(long, value_name = "NAME", value_parser = Section::parse)]
    arena_section: Option<Section>,
    /// Whose the memory is
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = Arena::Own)]
    arena: Arena,
    /// Change nothing; exit 1 if the file isn't what would be written
    #[arg(long, conflicts_with = "emit")]
    check: bool,
    /// Print that stage and write nothing: graph, graph:PASS, kernels or memory
    #[arg(long, value_name = "STAGE", value_parser = Stage::parse)]
    emit: Option<Stage>,
}

/// A stage of the compiler to look at.
#[derive(Clone, Debug)]
enum Stage {
    /// The graph as imported, or after the pass of that name.
    Graph(Option<&'static str>),
    /// The functions and the calls of the loop IR.
    Kernels,
    /// Where everything lies in memory.
    Memory,
}

impl Stage {
    fn parse(text: &str) -> Result<Stage, String> {
        let Some(wanted) = text.strip_prefix("graph:") else {
            return match text {
                "graph" => Ok(Stage::Graph(None)),
                "kernels" => Ok(Stage::Kernels),
                "memory" => Ok(Stage::Memory),
                _ => Err("the stages are graph, graph:PASS, kernels and memory".into()),
            };
        };
        let mut names: Vec<&str> = Vec::new();
        for pass in passes::PIPELINE {
            // A pass that runs twice is shown after the second time.
            if !names.contains(&pass.name) {
                names.push(pass.name);
            }
        }
        match names.iter().find(|name| **name == wanted) {
            Some(name) => Ok(Stage::Graph(Some(name))),
            None => Err(format!("the passes are {}", names.join(", "))),
        }
    }
}

/// Compiles as the command line says.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    let target = take(find_target(&arguments.shape.target), &mut wrong);
    let model = take(files::read(&arguments.shape.model), &mut wrong);
    let placement = placement(arguments);
    let consistent = take(placement.check(), &mut wrong);
    let place = take(Place::new(arguments), &mut wrong);
    let (Some(target), Some(model), Some(()), Some(place)) = (target, model, consistent, place)
    else {
        return Err(Failure::Unusable(wrong));
    };
    if let Some(stage) = &arguments.emit {
        return print(harmless(&emit(stage, arguments, &model, &target)?).as_bytes());
    }
    let options = options(arguments, target);
    let compiled = compile(&arguments.shape.model, &model, &options)?;
    budget::keep(&arguments.shape.model, &arguments.shape.budgets, &compiled, &options.target)?;
    let texts = match &place.form {
        Form::Rust => vec![compiled.rust(&options)],
        Form::C(names) => {
            let CFiles { source, header } = compiled.c(&options, names);
            vec![source, header]
        }
        Form::Arduino(names) => compiled.arduino(&options, names).into(),
    };
    match place.action {
        Action::Print => print(texts.concat().as_bytes()),
        Action::Check => check(arguments, &place.paths, &texts),
        Action::Write(outputs, _folders) => {
            let files: Vec<_> = outputs.iter().zip(texts.iter().map(String::as_bytes)).collect();
            let changed = files::write(&files)?;
            if options.relax_requant {
                tell(&relaxed(&compiled));
            }
            print(summary(arguments, &place.paths, &compiled, changed).as_bytes())
        }
    }
}

/// Where the code goes.
struct Place {
    form: Form,
    /// The files.
    paths: Vec<PathBuf>,
    action: Action,
}

/// What the code is written as.
enum Form {
    Rust,
    C(Names),
    Arduino(Names),
}

/// What is done with the code.
enum Action {
    Print,
    /// Into the folders that it takes, which are gone again if it comes to nothing.
    Write(Vec<Output>, Folders),
    /// It is compared with what stands there.
    Check,
}

impl Place {
    fn new(arguments: &Arguments) -> Result<Place, String> {
        if let Some(folder) = &arguments.arduino {
            return Place::library(arguments, folder);
        }
        let stdout = Place { form: Form::Rust, paths: Vec::new(), action: Action::Print };
        let path = match &arguments.output {
            _ if arguments.emit.is_some() => return Ok(stdout),
            Some(path) if path != Path::new("-") => path,
            _ if arguments.check => {
                return Err("--check compares with a file: -o - has none".into())
            }
            _ if arguments.name.is_some() => return Err(NAME_WITHOUT_C.into()),
            _ => return Ok(stdout),
        };
        let name = path.display();
        let (form, paths) = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") if arguments.name.is_some() => return Err(NAME_WITHOUT_C.into()),
            Some("rs") => (Form::Rust, vec![path.clone()]),
            Some("c") => {
                let header = path.with_extension("h");
                (Form::C(names(arguments, path, &header)?), vec![path.clone(), header])
            }
            Some("h") => {
                let source = path.with_extension("c");
                return Err(format!(
                    "-o {name}: say -o {}; the header goes beside it",
                    source.display()
                ));
            }
            Some("cpp" | "hpp" | "cc" | "cxx") => {
                return Err(format!(
                    "-o {name}: the file must end in .c; the header beside it serves C++ too"
                ));
            }
            _ => {
                return Err(format!(
                    "-o {name}: the file must end in .rs or .c (or be -, to print)"
                ));
            }
        };
        Place::of(arguments, form, paths, &[])
    }

    /// An Arduino library, called as `--name` says or like its folder.
    fn library(arguments: &Arguments, folder: &Path) -> Result<Place, String> {
        let names = match &arguments.name {
            Some(name) => Names::new(name)
                .with_prefix(name)
                .and_then(|_| arduino::names(name))
                .map_err(|error| format!("--name {error}"))?,
            None => {
                let name = folder.file_name().ok_or_else(|| {
                    let folder = folder.display();
                    format!("--arduino {folder}: what is the library called? say --name NAME")
                })?;
                arduino::names(&name.to_string_lossy()).map_err(|error| {
                    format!("--arduino {}: {error}; say --name NAME", folder.display())
                })?
            }
        };
        let paths = arduino::paths(&names).map(|path| folder.join(path));
        let examples = folder.join("examples");
        let folders = [folder, &folder.join("src"), &examples, &examples.join(names.prefix())];
        Place::of(arguments, Form::Arduino(names), paths.into(), &folders)
    }

    /// Those files in `folders`, which are made unless nothing is to be changed.
    fn of(
        arguments: &Arguments,
        form: Form,
        paths: Vec<PathBuf>,
        folders: &[&Path],
    ) -> Result<Place, String> {
        let action = if arguments.check {
            Action::Check
        } else {
            let folders = Folders::make(folders)?;
            let sources = [&*arguments.shape.model, Path::new(&arguments.shape.target)];
            let outputs = paths.iter().map(|path| Output::new(path, &sources));
            Action::Write(outputs.collect::<Result<_, _>>()?, folders)
        };
        Ok(Place { form, paths, action })
    }
}

const NAME_WITHOUT_C: &str =
    "--name is what public names in C begin with: Rust has modules for that";

/// The names for a file of C and its header.
fn names(arguments: &Arguments, path: &Path, header: &Path) -> Result<Names, String> {
    let names = Names::new(&path.file_stem().unwrap_or_default().to_string_lossy());
    if header.file_name().and_then(|name| name.to_str()) != Some(&names.header()) {
        return Err(format!("-o {}: #include can't name the header beside it", path.display()));
    }
    match &arguments.name {
        Some(name) => names.with_prefix(name).map_err(|error| format!("--name {error}")),
        None => Ok(names),
    }
}

impl Shape {
    /// What the library is asked, by that command line.
    fn asked(&self, target: Target, placement: Placement, arguments: String) -> Options {
        let (model, relax_requant) = (file_name(&self.model), self.relax_requant);
        let target = target.with_memory(self.budgets.flash, self.budgets.ram);
        let prefer = self.budgets.prefer.into();
        Options { target, model, relax_requant, prefer, placement, arguments }
    }

    /// What the library is asked for a report.
    pub fn options(&self, target: Target) -> Options {
        self.asked(target, Placement::default(), self.command(file_name))
    }

    /// The arguments, with paths as `show` has them.
    fn command(&self, show: fn(&Path) -> String) -> String {
        let [model, target] = [&self.model, Path::new(&self.target)].map(|path| spell(path, show));
        let mut line = format!("{model} --target {target}");
        for (name, size) in [("flash", self.budgets.flash), ("ram", self.budgets.ram)] {
            if let Some(size) = size {
                line += &format!(" --{name} {}", format_size(size));
            }
        }
        if self.budgets.prefer == Goal::Size {
            line += " -O size";
        }
        if self.relax_requant {
            line += " --relax-requant";
        }
        line
    }
}

/// What the library is asked. Folders are left out, so that the file is the same wherever it is
/// made; and where it is printed, it is what a file named after the model would hold.
fn options(arguments: &Arguments, target: Target) -> Options {
    arguments.shape.asked(target, placement(arguments), command(arguments, file_name))
}

/// Where the code's data lies.
fn placement(arguments: &Arguments) -> Placement {
    Placement {
        weights_section: arguments.weights_section.clone(),
        arena_section: arguments.arena_section.clone(),
        arena: arguments.arena.into(),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A path as an argument.
fn spell(path: &Path, show: fn(&Path) -> String) -> String {
    match show(path) {
        name if name.starts_with('-') => quoted(&format!("./{name}")),
        name => quoted(&name),
    }
}

/// The arguments that write the code, with paths as `show` has them.
fn command(arguments: &Arguments, show: fn(&Path) -> String) -> String {
    let mut line = arguments.shape.command(show);
    if let Some(name) = &arguments.name {
        line += &format!(" --name {}", quoted(name));
    }
    line += &placement(arguments).to_string();
    let path = |path: &Path| spell(path, show);
    line + &match (&arguments.arduino, &arguments.output) {
        (Some(folder), _) => format!(" --arduino {}", path(folder)),
        (None, Some(output)) if output != Path::new("-") => format!(" -o {}", path(output)),
        _ => format!(" -o {}", path(&arguments.shape.model.with_extension("rs"))),
    }
}

/// Compiles a model that was read from `path`.
pub fn compile(path: &Path, model: &[u8], options: &Options) -> Result<Compiled, Failure> {
    tflc::compile(model, options).map_err(|problems| unusable(path, &problems))
}

/// Imports a model that was read from `path`.
pub fn import(path: &Path, model: &[u8]) -> Result<Graph, Failure> {
    tflc::frontend::import(model).map_err(|problems| unusable(path, &problems))
}

fn unusable(path: &Path, problems: &tflc::frontend::Problems) -> Failure {
    let list: Vec<String> = problems.0.iter().map(|problem| format!("\n  {problem}")).collect();
    format!("{} can't be compiled:{}", path.display(), list.concat()).into()
}

fn emit(
    stage: &Stage,
    arguments: &Arguments,
    model: &[u8],
    target: &Target,
) -> Result<String, Failure> {
    Ok(match stage {
        Stage::Graph(None) => import(&arguments.shape.model, model)?.to_string(),
        Stage::Graph(Some(pass)) => {
            let imported = import(&arguments.shape.model, model)?;
            let stages = passes::stages(imported, target, arguments.shape.relax_requant);
            let after = stages.filter(|(name, _)| name == pass).last();
            after.ok_or_else(|| format!("{pass} runs with --relax-requant only"))?.1.to_string()
        }
        Stage::Kernels => {
            let options = options(arguments, target.clone());
            listing::kernels(&compile(&arguments.shape.model, model, &options)?.program)
        }
        Stage::Memory => {
            let options = options(arguments, target.clone());
            listing::memory(&compile(&arguments.shape.model, model, &options)?.program)
        }
    })
}

/// What rounding once has cost.
fn relaxed(compiled: &Compiled) -> String {
    match &compiled.relaxed()[..] {
        [] => "exact: --relax-requant finds nothing to round once".into(),
        layers => format!(
            "not exact, as --relax-requant allows; the accumulators for which results differ:\n  {}",
            layers.join("\n  ")
        ),
    }
}

fn summary(arguments: &Arguments, paths: &[PathBuf], compiled: &Compiled, changed: bool) -> String {
    let program = &compiled.program;
    let written = match &arguments.arduino {
        Some(folder) => vec![folder],
        None => paths.iter().collect(),
    };
    let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    format!(
        "{}: {} layers, {} MACs, {} bytes of RAM, {} bytes of constants{}\n",
        written.join(" and "),
        program.layers().len(),
        thousands(compiled.graph.macs()),
        thousands(program.ram()),
        thousands(program.constant_bytes()),
        if changed { "" } else { " (unchanged)" }
    )
}

/// Compares with what stands at `paths`.
fn check(arguments: &Arguments, paths: &[PathBuf], expected: &[String]) -> Result<(), Failure> {
    let mut stale = Vec::new();
    let mut current = String::new();
    for (path, expected) in paths.iter().zip(expected) {
        match staleness(path, expected)? {
            Some(message) => stale.push(message),
            None => current += &format!("{} is up to date\n", path.display()),
        }
    }
    if stale.is_empty() {
        return print(current.as_bytes());
    }
    let as_given = |path: &Path| path.to_string_lossy().into_owned();
    let refresh = format!("to write it, run\n  tflc {}", command(arguments, as_given));
    let separator = if stale[0].contains('\n') { "\n" } else { "; " };
    Err(Failure::No(format!("{}{separator}{refresh}", stale.join("\n"))))
}

/// In what a file isn't as it should be, if it isn't.
fn staleness(path: &Path, expected: &str) -> Result<Option<String>, Failure> {
    let name = path.display();
    let found = match std::fs::read(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some(format!("there is no file {name}")));
        }
        Err(error) => return Err(format!("{name} can't be read: {error}").into()),
    };
    if found == expected.as_bytes() {
        return Ok(None);
    }
    let found = String::from_utf8_lossy(&found);
    let difference = if found.replace("\r\n", "\n") == expected {
        "only its line ends differ (a version control system may have changed them)".to_string()
    } else {
        first_difference(&found, expected)
    };
    Ok(Some(format!("{name} is stale: {difference}")))
}

fn first_difference(found: &str, expected: &str) -> String {
    let cut = |line: Option<&str>| match line {
        None => "nothing: it ends here".to_string(),
        Some(line) if line.chars().count() > 100 => line.chars().take(100).chain(['…']).collect(),
        Some(line) => line.to_string(),
    };
    let (mut a, mut b) = (found.split('\n'), expected.split('\n'));
    for number in 1.. {
        let lines = (a.next(), b.next());
        if lines.0 != lines.1 {
            let (found, expected) = (cut(lines.0), cut(lines.1));
            return format!("line {number}\n  has        {found}\n  should be  {expected}");
        }
        if lines == (None, None) {
            break;
        }
    }
    "it holds bytes that aren't text".to_string()
}
