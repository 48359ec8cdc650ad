//! `tflc MODEL --target T -o OUT.rs`: compile, check what stands there, or show a stage.

use std::path::{Path, PathBuf};

use clap::Args;
use tflc::ir::Graph;
use tflc::passes;
use tflc::target::{format_size, parse_size, Target};
use tflc::{Compiled, Options};

use super::files::{self, Output};
use super::{budget, find_target, harmless, listing, print, quoted, take, thousands, Failure};

/// What the default command takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The quantized .tflite file
    model: PathBuf,
    /// The core to compile for (`tflc targets` lists them), or a .toml file that describes one
    #[arg(short, long)]
    target: String,
    /// The Rust file to write; - prints it
    #[arg(short, long, value_name = "OUT.rs", required_unless_present = "emit")]
    output: Option<PathBuf>,
    /// Fail if the constants take more read-only memory: bytes, or 64K, or 1M
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    flash: Option<usize>,
    /// Fail if the model takes more memory, the stack not counted
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    ram: Option<usize>,
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
    let target = take(find_target(&arguments.target), &mut wrong);
    let model = take(files::read(&arguments.model), &mut wrong);
    let place = take(Place::new(arguments), &mut wrong);
    let (Some(target), Some(model), Some(place)) = (target, model, place) else {
        return Err(Failure::Unusable(wrong));
    };
    if let Some(stage) = &arguments.emit {
        return print(harmless(&emit(stage, arguments, &model, &target)?).as_bytes());
    }
    let options = options(arguments, target);
    let compiled = compile(&arguments.model, &model, &options)?;
    budget::keep(&arguments.model, arguments.flash, arguments.ram, &compiled, &options.target)?;
    let text = compiled.rust(&options);
    match place {
        Place::Stdout => print(text.as_bytes()),
        Place::Checked(path) => check(arguments, path, &text),
        Place::File(output) => {
            let changed = output.write(text.as_bytes())?;
            let summary = summary(&output.path, &compiled, changed);
            print(summary.as_bytes())
        }
    }
}

/// Where the code goes.
enum Place<'a> {
    Stdout,
    File(Output),
    /// Nowhere: it is compared with what stands there.
    Checked(&'a Path),
}

impl Place<'_> {
    fn new(arguments: &Arguments) -> Result<Place<'_>, String> {
        let path = match &arguments.output {
            None => return Ok(Place::Stdout),
            Some(_) if arguments.emit.is_some() => return Ok(Place::Stdout),
            Some(path) if path == Path::new("-") && arguments.check => {
                return Err("--check compares with a file: -o - has none".into());
            }
            Some(path) if path == Path::new("-") => return Ok(Place::Stdout),
            Some(path) => path,
        };
        let name = path.display();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => {}
            Some("c" | "h" | "cpp" | "hpp" | "cc") => {
                return Err(format!(
                    "-o {name}: this version writes Rust only, to a file ending in .rs"
                ));
            }
            _ => return Err(format!("-o {name}: the file must end in .rs (or be -, to print)")),
        }
        if arguments.check {
            return Ok(Place::Checked(path));
        }
        let own = Path::new(&arguments.target);
        Output::new(path, &[&arguments.model, own]).map(Place::File)
    }
}

/// What the library is asked. Folders are left out, so that the file is the same wherever it is
/// made; and where it is printed, it is what a file named after the model would hold.
fn options(arguments: &Arguments, target: Target) -> Options {
    let file_name =
        |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let output = match &arguments.output {
        Some(path) if path != Path::new("-") => path.clone(),
        _ => arguments.model.with_extension("rs"),
    };
    let line = command(arguments, &output, file_name);
    Options { target, model: file_name(&arguments.model), arguments: line }
}

/// The arguments that write `output`, with paths as `show` has them.
fn command(arguments: &Arguments, output: &Path, show: fn(&Path) -> String) -> String {
    let path = |path: &Path| match show(path) {
        name if name.starts_with('-') => quoted(&format!("./{name}")),
        name => quoted(&name),
    };
    let target = path(Path::new(&arguments.target));
    let mut line = format!("{} --target {target}", path(&arguments.model));
    for (name, size) in [("flash", arguments.flash), ("ram", arguments.ram)] {
        if let Some(size) = size {
            line += &format!(" --{name} {}", format_size(size));
        }
    }
    line + &format!(" -o {}", path(output))
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
        Stage::Graph(None) => import(&arguments.model, model)?.to_string(),
        Stage::Graph(Some(pass)) => {
            let stages = passes::stages(import(&arguments.model, model)?, target);
            let after = stages.filter(|(name, _)| name == pass).last();
            after.expect("a pass of the pipeline").1.to_string()
        }
        Stage::Kernels => {
            let options = options(arguments, target.clone());
            listing::kernels(&compile(&arguments.model, model, &options)?.program)
        }
        Stage::Memory => {
            let options = options(arguments, target.clone());
            listing::memory(&compile(&arguments.model, model, &options)?.program)
        }
    })
}

fn summary(path: &Path, compiled: &Compiled, changed: bool) -> String {
    let program = &compiled.program;
    format!(
        "{}: {} layers, {} MACs, {} bytes of RAM, {} bytes of constants{}\n",
        path.display(),
        program.calls.len(),
        thousands(compiled.graph.macs() as usize),
        thousands(program.ram()),
        thousands(program.constant_bytes()),
        if changed { "" } else { " (unchanged)" }
    )
}

/// Compares with what stands at `path`.
fn check(arguments: &Arguments, path: &Path, expected: &str) -> Result<(), Failure> {
    let name = path.display();
    let as_given = |path: &Path| path.to_string_lossy().into_owned();
    let refresh = format!("to write it, run\n  tflc {}", command(arguments, path, as_given));
    let found = match std::fs::read(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::No(format!("there is no file {name}; {refresh}")));
        }
        Err(error) => return Err(format!("{name} can't be read: {error}").into()),
    };
    if found == expected.as_bytes() {
        return print(format!("{name} is up to date\n").as_bytes());
    }
    let found = String::from_utf8_lossy(&found);
    let difference = if found.replace("\r\n", "\n") == expected {
        "only its line ends differ (a version control system may have changed them)".to_string()
    } else {
        first_difference(&found, expected)
    };
    Err(Failure::No(format!("{name} is stale: {difference}\n{refresh}")))
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
