//! Builds generated code for this machine and runs it: how `tflc verify` and the tests know that
//! what is printed computes what is meant.

#[cfg(feature = "c")]
mod c;

#[cfg(feature = "c")]
pub use c::{CCompiler, HostC};

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backend::{self, Arena, Banner, Placement};
use crate::ir::{self, Graph};
use crate::loop_ir::{Access, Arg, Border, Machine, Program};
use crate::ops::{DType, TensorType, Value};
use crate::{Compiled, Options};

/// The optimization level for a single model: what firmware is usually built with.
const LEVEL: u8 = 3;

/// What code is generated in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Built with `rustc`.
    Rust,
    /// Built with `cc`, with sanitizers where it has them.
    #[cfg(feature = "c")]
    C,
}

/// The outputs of the generated code, built for this machine, for each case's inputs. Where layers
/// are routines in assembly, which this machine may not have, the loop IR's evaluator executes the
/// whole program instead, the routines' very instructions.
///
/// # Errors
/// The compiler is missing or rejects the code, or the code fails: with the compiler's or the
/// program's own words.
pub fn run(
    compiled: &Compiled,
    options: &Options,
    language: Language,
    cases: &[Vec<Value>],
) -> Result<Vec<Vec<Value>>, String> {
    if has_assembly(&compiled.program) {
        let mut machine = Machine::new(&compiled.program);
        return Ok(cases.iter().map(|inputs| machine.run(inputs)).collect());
    }
    match language {
        Language::Rust => {
            let source = compiled.rust(options);
            let arena = options.placement.arena;
            HostRust::build(&[(&source, &compiled.program)], arena, LEVEL)?.run(0, cases)
        }
        #[cfg(feature = "c")]
        Language::C => run_program(&compiled.program, options.placement.arena, language, cases),
    }
}

/// Whether some layers are routines in assembly.
pub fn has_assembly(program: &Program) -> bool {
    program.functions.iter().any(|function| function.assembly().is_some())
}

/// [`run`] for a program, in a file without a banner.
fn run_program(
    program: &Program,
    arena: Arena,
    language: Language,
    cases: &[Vec<Value>],
) -> Result<Vec<Vec<Value>>, String> {
    match language {
        Language::Rust => {
            let placement = Placement { arena, ..Placement::default() };
            let source = backend::rust::print(program, &Banner::default(), &placement);
            HostRust::build(&[(&source, program)], arena, LEVEL)?.run(0, cases)
        }
        #[cfg(feature = "c")]
        Language::C => {
            let compiler = CCompiler::new(&["-std=c99", "-O2"]).sanitized();
            HostC::build(&[program], arena, &compiler)?.run(0, cases)
        }
    }
}

/// Where two ways of computing a model part.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The first link of the chain that breaks.
    pub link: Link,
    /// Operators of the model file whose result differs: "3" or "3, 4".
    pub operators: String,
    /// What they compute.
    pub what: String,
    /// The model's name of the result.
    pub tensor: String,
    /// The position of the first element that differs.
    pub element: usize,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

/// A link of the chain from the model to its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// From the imported graph to the one after the passes.
    Passes,
    /// From the graph to the loop IR: a kernel, or the memory plan.
    Kernel,
    /// From the loop IR to the language's text, or from there to machine code.
    Printer,
}

/// Where the generated code first differs from the reference interpreter for `inputs`, if it does.
/// The layer is found by running ever shorter programs.
///
/// # Errors
/// As for [`run`].
pub fn first_difference(
    compiled: &Compiled,
    options: &Options,
    language: Language,
    inputs: &[Value],
) -> Result<Option<Difference>, String> {
    let expected = ir::eval(compiled.reference(), inputs)?;
    let after_passes = ir::eval(&compiled.graph, inputs)?;
    for ((expected, found), id) in
        expected.iter().zip(&after_passes).zip(&compiled.imported.outputs)
    {
        if let Some((element, expected, found)) = compare(expected, found) {
            let tensor = compiled.imported.tensors[*id].name.clone();
            let (operators, what) = (String::new(), String::new());
            let link = Link::Passes;
            return Ok(Some(Difference {
                link,
                operators,
                what,
                tensor,
                element,
                expected,
                found,
            }));
        }
    }
    if let Some(difference) = wrong_kernel(&compiled.graph, &compiled.program, inputs)? {
        return Ok(Some(difference));
    }
    match has_assembly(&compiled.program) {
        true => Ok(None),
        false => wrong_text(&compiled.program, options.placement.arena, language, inputs),
    }
}

/// The first layer of the loop IR whose result isn't the graph's.
fn wrong_kernel(
    graph: &Graph,
    program: &Program,
    inputs: &[Value],
) -> Result<Option<Difference>, String> {
    let values = ir::eval_all(graph, inputs)?;
    for call in 0..program.calls.len() {
        let layer = &program.calls[call].layer;
        let tensor = graph.tensors.iter().find(|(_, tensor)| tensor.name == layer.tensor);
        let Some(expected) = tensor.and_then(|(id, _)| values[id.index()].as_ref()) else {
            continue;
        };
        let short = shorten(program, call);
        for found in Machine::new(&short).run(inputs) {
            // Scratch memory isn't the layer's result.
            if found.bytes.len() == expected.bytes.len() {
                if let Some(difference) = compare(expected, &found) {
                    return Ok(Some(at_layer(Link::Kernel, program, call, difference)));
                }
            }
        }
    }
    Ok(None)
}

/// A layer whose result in a language isn't the loop IR's, while that of the layer before is.
fn wrong_text(
    program: &Program,
    arena: Arena,
    language: Language,
    inputs: &[Value],
) -> Result<Option<Difference>, String> {
    let difference = |program: &Program| -> Result<_, String> {
        let found = run_program(program, arena, language, &[inputs.to_vec()])?;
        let expected = Machine::new(program).run(inputs);
        Ok(expected.iter().zip(&found[0]).find_map(|(expected, found)| compare(expected, found)))
    };
    if difference(program)?.is_none() {
        return Ok(None);
    }
    let (mut right, mut wrong) = (0, program.calls.len().saturating_sub(1));
    let mut first = None;
    while right < wrong {
        let middle = (right + wrong) / 2;
        match difference(&shorten(program, middle))? {
            Some(difference) => (wrong, first) = (middle, Some(difference)),
            None => right = middle + 1,
        }
    }
    let first = match first {
        Some(first) => Some(first),
        None => difference(&shorten(program, wrong))?,
    };
    Ok(first.map(|first| at_layer(Link::Printer, program, wrong, first)))
}

fn at_layer(
    link: Link,
    program: &Program,
    call: usize,
    (element, expected, found): (usize, String, String),
) -> Difference {
    let layer = &program.calls[call].layer;
    Difference {
        link,
        operators: layer.operators.clone(),
        what: layer.what.clone(),
        tensor: layer.tensor.clone(),
        element,
        expected,
        found,
    }
}

/// The program up to and including a call, with what that call writes as outputs.
fn shorten(program: &Program, last: usize) -> Program {
    let mut short = program.clone();
    short.calls.truncate(last + 1);
    for rounds in &mut short.rounds {
        rounds.count = rounds.count.min((last + 1).saturating_sub(rounds.first) / rounds.calls);
    }
    short.rounds.retain(|rounds| rounds.count > 1);
    let call = &program.calls[last];
    let params = &program.functions[call.function].params;
    short.outputs = (params.iter().zip(&call.args))
        .filter_map(|(param, arg)| match (param.access, arg) {
            (Access::Write, Arg::Region(region)) => Some(Border {
                name: param.name.clone(),
                region: *region,
                shape: vec![region.len],
                quantization: None,
            }),
            _ => None,
        })
        .collect();
    short
}

/// The first element that differs, as it should be and as it is.
pub fn compare(expected: &Value, found: &Value) -> Option<(usize, String, String)> {
    let dtype = expected.ty.dtype;
    let size = dtype.size();
    let elements = expected.bytes.chunks_exact(size).zip(found.bytes.chunks_exact(size));
    let (element, (expected, found)) = elements.enumerate().find(|(_, (a, b))| a != b)?;
    let show = |bytes: &[u8]| {
        let value = Value::new(TensorType::new(dtype, []), bytes.to_vec());
        match dtype {
            DType::F32 => value.floats()[0].to_string(),
            _ => value.ints()[0].to_string(),
        }
    };
    Some((element, show(expected), show(found)))
}

/// Generated models built into one program for this machine.
#[derive(Debug)]
pub struct HostRust {
    folder: Folder,
    /// The types of each model's outputs.
    outputs: Vec<Vec<TensorType>>,
}

impl HostRust {
    /// Builds generated files with the programs that they are printed from, for an arena of that
    /// kind, at an optimization level of `rustc`. Sums are checked for overflow, which the verifier excludes.
    ///
    /// # Errors
    /// `rustc` is missing or rejects the code.
    pub fn build(models: &[(&str, &Program)], arena: Arena, level: u8) -> Result<HostRust, String> {
        let folder = Folder::new()?;
        for (index, (source, _)) in models.iter().enumerate() {
            folder.write(&format!("model{index}.rs"), source)?;
        }
        let programs: Vec<&Program> = models.iter().map(|(_, program)| *program).collect();
        folder.write("main.rs", &main(&programs, arena))?;
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(&rustc)
            .current_dir(&folder.0)
            .args(["--edition=2021", "--cap-lints=allow", "-Coverflow-checks=on"])
            .arg(format!("-Copt-level={level}"))
            .args(["-Cdebuginfo=0", "-Ccodegen-units=16", "main.rs", "-omain"])
            .output()
            .map_err(|error| format!("can't run {}: {error}", Path::new(&rustc).display()))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(format!("rustc rejects the generated code:\n{words}"));
        }
        let outputs =
            |program: &&Program| (program.outputs.iter()).map(|b| ty(program, b)).collect();
        Ok(HostRust { folder, outputs: programs.iter().map(outputs).collect() })
    }

    /// The outputs of the model of that position for each case's inputs.
    ///
    /// # Errors
    /// The program panics.
    pub fn run(&self, model: usize, cases: &[Vec<Value>]) -> Result<Vec<Vec<Value>>, String> {
        let failed = |error: std::io::Error| format!("can't run the generated code: {error}");
        let mut child = Command::new(self.folder.0.join("main"))
            .args([model.to_string(), cases.len().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let inputs: Vec<u8> =
            cases.iter().flatten().flat_map(|value| &value.bytes).copied().collect();
        // The program reads everything before it writes anything.
        let mut stdin = child.stdin.take().expect("piped");
        let written = stdin.write_all(&inputs);
        drop(stdin);
        let output = child.wait_with_output().map_err(failed)?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(format!("the generated code fails ({}): {words}", output.status));
        }
        written.map_err(failed)?;
        let mut bytes = &output.stdout[..];
        let mut take = |ty: &TensorType| {
            let (value, rest) = bytes.split_at_checked(ty.bytes())?;
            bytes = rest;
            Some(Value::new(ty.clone(), value.to_vec()))
        };
        let results: Option<Vec<Vec<Value>>> =
            cases.iter().map(|_| self.outputs[model].iter().map(&mut take).collect()).collect();
        results.ok_or_else(|| "the generated code wrote too little".into())
    }
}

fn ty(program: &Program, border: &Border) -> TensorType {
    TensorType::new(program.memories[border.region.memory].dtype, border.shape.clone())
}

/// A program that runs the model of the number given on as many cases as given, whose inputs come
/// from its standard input.
fn main(programs: &[&Program], arena: Arena) -> String {
    let mut out = String::from("use std::io::{Read, Write};\n\n");
    let mut arms = String::new();
    for index in 0..programs.len() {
        writeln!(out, "mod model{index};").expect("a string");
        writeln!(arms, "        {index} => run{index}(cases, &input, &mut output),")
            .expect("a string");
    }
    for (index, program) in programs.iter().enumerate() {
        let mut body = String::new();
        let mut size = 0;
        for (i, border) in program.inputs.iter().enumerate() {
            let method = if program.inputs.len() == 1 {
                "input_mut".into()
            } else {
                format!("input{i}_mut")
            };
            let ty = ty(program, border);
            let parse = match ty.dtype {
                DType::Bool => "bytes[0] != 0".into(),
                dtype => format!("{dtype}::from_le_bytes(bytes.try_into().unwrap())"),
            };
            write!(
                body,
                "        let bytes = case[{size}..{}].chunks_exact({});
        for (element, bytes) in model.{method}().iter_mut().zip(bytes) {{
            *element = {parse};
        }}\n",
                size + ty.bytes(),
                ty.dtype.size()
            )
            .expect("a string");
            size += ty.bytes();
        }
        body.push_str("        model.run();\n");
        for (i, border) in program.outputs.iter().enumerate() {
            let method =
                if program.outputs.len() == 1 { "output".into() } else { format!("output{i}") };
            let bytes = match ty(program, border).dtype {
                DType::Bool => "[*element as u8]",
                _ => "element.to_le_bytes()",
            };
            write!(
                body,
                "        for element in model.{method}() {{
            output.extend({bytes});
        }}\n"
            )
            .expect("a string");
        }
        let model = match arena {
            Arena::Own => format!("Box::new(model{index}::Model::new())"),
            // What others leave there, as far as the model may care.
            Arena::Shared => format!(
                "model{index}::Model::new(Box::leak(Box::new([!0 / 3; model{index}::ARENA_LEN])))"
            ),
        };
        write!(
            out,
            "
fn run{index}(cases: usize, input: &[u8], output: &mut Vec<u8>) {{
    let mut model = {model};
    for case in 0..cases {{
        let case = &input[case * {size}..][..{size}];
{body}    }}
}}\n"
        )
        .expect("a string");
    }
    out + &format!(
        "
fn main() {{
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).unwrap();
    let mut output = Vec::new();
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().unwrap());
    let (model, cases) = (arguments.next().unwrap(), arguments.next().unwrap());
    match model {{
{arms}        _ => panic!(\"no such model\"),
    }}
    std::io::stdout().write_all(&output).unwrap();
}}\n"
    )
}

/// A folder for temporary files, deleted in the end.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder, String> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        loop {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("tflc-{}-{next}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Folder(path)),
                // Left by another process of the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("can't make {}: {error}", path.display())),
            }
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.0.join(name);
        std::fs::write(&path, text)
            .map_err(|error| format!("can't write {}: {error}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be deleted stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
