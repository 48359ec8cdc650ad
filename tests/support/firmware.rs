//! Generated code on emulated cores: models are built into small bare-metal programs by the scripts
//! in `tests/firmware`, which are run on QEMU's boards and report.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use tflc::backend::c::Names;
use tflc::target::Target;
use tflc::{Compiled, Options};

use crate::golden::{Case, Model};

/// A language that tflc writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    Rust,
    C,
}

/// A core, and a board to find it on.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// The name of the core's file in `targets`.
    pub target: &'static str,
    /// Its linker script in `tests/firmware/boards`.
    pub name: &'static str,
    /// Bytes for code, constants and golden cases.
    pub flash: usize,
    /// Bytes for models and the stack.
    pub ram: usize,
}

/// A model ready for a board.
pub struct Loaded {
    /// What it is called in messages and in the program: an identifier.
    pub name: String,
    options: Options,
    compiled: Compiled,
    cases: Vec<Case>,
}

/// What a program says of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The model's name.
    pub name: String,
    /// Whether all its outputs are the golden ones.
    pub exact: bool,
    /// Its whole line.
    pub line: String,
}

/// The command that a language's program for a target takes and that isn't there.
pub fn missing(target: &str, lang: Lang) -> Option<String> {
    let found = Target::find(target).expect("is there");
    let riscv = target.starts_with("rv32");
    let qemu = if riscv { "qemu-system-riscv32" } else { "qemu-system-arm" };
    let linker = if riscv { "riscv64-unknown-elf-ld" } else { "arm-none-eabi-ld" };
    let mut commands = vec![qemu, linker];
    if lang == Lang::C {
        commands.push(&found.c.compiler);
    }
    let there = |command: &&str| {
        Command::new(command).arg("--version").output().is_ok_and(|o| o.status.success())
    };
    if let Some(command) = commands.into_iter().find(|command| !there(command)) {
        return Some(format!("{command} (see tests/setup.sh)"));
    }
    // It says itself what is missing; and builds Rust's core library, once, if it can.
    let ready = |output: Output| match output.status.success() {
        true => None,
        false => Some(String::from_utf8_lossy(&output.stderr).trim().to_string()),
    };
    match lang {
        Lang::Rust => ready(script("sysroot.sh").arg(target).output().expect("a shell script")),
        Lang::C => None,
    }
}

impl Loaded {
    /// A model compiled for a target, with up to so many of its cases; `None` if it has operators that
    /// aren't supported yet.
    pub fn new(model: &Model, target: &str, cases: usize) -> Option<Loaded> {
        let file = model.path.file_stem().expect("has one").to_string_lossy().into_owned();
        let options = Options {
            target: Target::find(target).expect("is there"),
            model: format!("{file}.tflite"),
            relax_requant: false,
            prefer: tflc::plan::Prefer::Speed,
            placement: tflc::backend::Placement::default(),
            arguments: format!("{file}.tflite --target {target}"),
        };
        let compiled = match tflc::compile(&model.bytes(), &options) {
            Ok(compiled) => compiled,
            Err(_) if model.name.contains("random-more/") => return None,
            Err(problems) => panic!("{}:\n{problems}", model.name),
        };
        let parts: Vec<&str> =
            model.name.split('/').skip_while(|part| *part != "models").skip(1).collect();
        let name = parts.join("_").trim_end_matches(".tflite").to_lowercase();
        // The last ones are the extremes; the first ones are real inputs.
        let mut all = model.cases();
        let behind = all.split_off(all.len().min(cases / 2 + cases % 2));
        let last = behind.len().saturating_sub(cases / 2);
        all.extend(behind.into_iter().skip(last));
        Some(Loaded { name, options, compiled, cases: all })
    }

    /// About what it takes of a board's flash: code only roughly.
    pub fn flash(&self) -> usize {
        let cases: usize = self
            .cases
            .iter()
            .map(|case| case.inputs.concat().len() + case.outputs.concat().len())
            .sum();
        cases
            + self.compiled.program.constant_bytes()
            + 2500 * self.compiled.program.functions.len()
    }

    /// What it takes of a board's RAM.
    pub fn ram(&self) -> usize {
        self.compiled.program.ram() + 16
    }

    fn bytes(&self) -> Vec<u8> {
        let case = |case: &Case| [case.inputs.concat(), case.outputs.concat()].concat();
        self.cases.iter().flat_map(case).collect()
    }

    /// The names of its inputs or outputs.
    fn borders(&self, what: &str, count: usize) -> Vec<String> {
        match count {
            1 => vec![what.to_string()],
            _ => (0..count).map(|index| format!("{what}{index}")).collect(),
        }
    }

    fn inputs(&self) -> Vec<String> {
        self.borders("input", self.compiled.program.inputs.len())
    }

    fn outputs(&self) -> Vec<String> {
        self.borders("output", self.compiled.program.outputs.len())
    }
}

/// Groups of models that fit on the board together, and those that are too large for it.
pub fn fit<'a>(board: &Board, models: &'a [Loaded]) -> (Vec<Vec<&'a Loaded>>, Vec<&'a Loaded>) {
    const STACK: usize = 3 << 10;
    /// Compiling more of them at once takes long on one core while the other is idle.
    const MOST: usize = 12;
    let (mut groups, mut too_large) = (Vec::<Vec<&Loaded>>::new(), Vec::new());
    let (mut flash, mut ram) = (0, 0);
    for model in models {
        if model.flash() > board.flash || model.ram() + STACK > board.ram {
            too_large.push(model);
            continue;
        }
        flash += model.flash();
        ram += model.ram();
        match groups.last_mut() {
            Some(group)
                if flash <= board.flash && ram + STACK <= board.ram && group.len() < MOST =>
            {
                group.push(model)
            }
            _ => {
                (flash, ram) = (model.flash(), model.ram());
                groups.push(vec![model]);
            }
        }
    }
    (groups, too_large)
}

/// Builds models into one program for a board and runs it.
///
/// # Errors
/// It can't be built, or it ends without a word on each model: with what the tools or it said.
pub fn run(board: &Board, lang: Lang, models: &[&Loaded]) -> Result<Vec<Verdict>, String> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("firmware-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("can be made");
    let verdicts = run_in(&folder, board, lang, models);
    // What failed stays to be looked at.
    if verdicts.as_ref().is_ok_and(|verdicts| verdicts.iter().all(|verdict| verdict.exact)) {
        fs::remove_dir_all(&folder).expect("can be deleted");
        return verdicts;
    }
    verdicts.map_err(|error| format!("{error}\n(its files are in {})", folder.display()))
}

fn run_in(
    folder: &Path,
    board: &Board,
    lang: Lang,
    models: &[&Loaded],
) -> Result<Vec<Verdict>, String> {
    let program = folder.join("app.elf");
    let mut build = script("build.sh");
    build.env("BOARD", board.name).arg(board.target).arg(&program);
    match lang {
        Lang::Rust => {
            build.arg(file("checks/check.rs")).env("MODELS", write_rust(folder, models));
        }
        Lang::C => {
            build
                .arg(file("checks/check.c"))
                .args(write_c(folder, models))
                .arg(format!("-I{}", folder.display()));
        }
    }
    let output = build.output().expect("a shell script");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("can't be built:\n{words}"));
    }
    // Generated code compiles without a warning.
    if !words.trim().is_empty() {
        return Err(format!("the compiler complains:\n{words}"));
    }
    let mut run = script("run.sh");
    let output = run
        .env("BOARD", board.name)
        .arg(board.target)
        .arg(&program)
        .output()
        .expect("a shell script");
    // Semihosting prints to stderr.
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let verdicts: Vec<Verdict> = words.lines().filter_map(verdict).collect();
    match verdicts.iter().map(|verdict| &verdict.name).eq(models.iter().map(|model| &model.name)) {
        true => Ok(verdicts),
        false => Err(format!("it ended ({}) after:\n{words}", output.status)),
    }
}

fn verdict(line: &str) -> Option<Verdict> {
    let mut words = line.split(' ');
    let (name, word) = (words.next()?, words.next()?);
    ["exact", "wrong"].contains(&word).then(|| Verdict {
        name: name.into(),
        exact: word == "exact",
        line: line.into(),
    })
}

/// Writes the models' files; returns the list of them that `check.rs` takes.
fn write_rust(folder: &Path, models: &[&Loaded]) -> PathBuf {
    let mut list = String::from("models! {\n");
    for model in models {
        let source =
            write(folder, &format!("{}.rs", model.name), model.compiled.rust(&model.options));
        let cases = write(folder, &format!("{}.cases", model.name), model.bytes());
        let inputs: Vec<String> = model.inputs().into_iter().map(|input| input + "_mut").collect();
        let (inputs, outputs) = (inputs.join(" "), model.outputs().join(" "));
        writeln!(list, "    {} {source:?} {cases:?} [{inputs}] [{outputs}];", model.name)
            .expect("a string");
    }
    list.push_str("}\n");
    write(folder, "models", list)
}

/// Writes the models' files and the list of them that `check.c` takes; returns the sources.
fn write_c(folder: &Path, models: &[&Loaded]) -> Vec<PathBuf> {
    let (mut includes, mut list, mut sources) = (String::new(), String::new(), Vec::new());
    for model in models {
        let name = &model.name;
        let names = Names::new(name);
        let prefix = names.prefix().to_string();
        let files = model.compiled.c(&model.options, &names);
        sources.push(write(folder, &format!("{name}.c"), files.source));
        write(folder, &format!("{name}.h"), files.header);
        let cases = write(folder, &format!("{name}.cases"), model.bytes());
        let border = |kind: &str, names: Vec<String>| -> String {
            let border = |name: String| {
                let function = format!("{prefix}_{name}");
                format!("{kind}({function}, {}_LEN) ", function.to_uppercase())
            };
            names.into_iter().map(border).collect()
        };
        let (inputs, outputs) =
            (border("INPUT", model.inputs()), border("OUTPUT", model.outputs()));
        writeln!(includes, "#include \"{name}.h\"").expect("a string");
        writeln!(list, "MODEL({prefix}, {cases:?}, {inputs}, {outputs})").expect("a string");
    }
    write(folder, "models.h", format!("#ifdef INCLUDES\n{includes}#else\n{list}#endif\n"));
    sources
}

/// One of the scripts, which keep what they build once in cargo's folder.
pub fn script(name: &str) -> Command {
    let mut command = Command::new(file(name));
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("firmware");
    command.env("TFLC_FIRMWARE_CACHE", cache);
    command
}

/// A file of `tests/firmware`.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/firmware").join(name)
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("can be written");
    path
}
