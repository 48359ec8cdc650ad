//! `tflc verify`: is the generated code exact?

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tflc::backend::Placement;
use tflc::harness::{self, Language, Link};
use tflc::ir::{self, Graph};
use tflc::ops::{DType, TensorType, Value};
use tflc::text::thousands;
use tflc::Options;

use super::arithmetic::{Arithmetic, KNOWN};
use super::{budget, compile, files, find_target, print, take, tell, Failure};

/// Builds the generated code for this machine and checks its outputs, bit for bit
///
/// The outputs are compared with those of the reference interpreter, or with the ones given.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The quantized .tflite file
    model: PathBuf,
    /// The core whose code is built, for this machine
    #[arg(short, long, default_value = "host")]
    target: String,
    /// The language that the code is generated in: rust needs rustc; c needs cc, or what CC names,
    /// and is run under sanitizers where the compiler has them
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
    /// How many inputs to try: the extremes first, then random ones, the same every time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    cases: u32,
    #[command(flatten)]
    budgets: compile::Budgets,
    /// Compile with --relax-requant: the outputs are compared with those that it allows, and it is
    /// said how far they are from the exact ones
    #[arg(long, conflicts_with = "golden")]
    relax_requant: bool,
    /// Whose the memory is: code that shares it is called in another way
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = compile::Arena::Own)]
    arena: compile::Arena,
    /// Try these inputs, and compare with these outputs: {"cases": [{"inputs": [HEX], "outputs":
    /// [HEX]}]}, each tensor's bytes in hexadecimal
    #[arg(long, value_name = "CASES.json", conflicts_with = "cases")]
    golden: Option<PathBuf>,
}

/// The languages by their names.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lang {
    Rust,
    C,
}

/// Inputs of a model, and what its outputs should be.
struct Case {
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

/// Builds, runs and compares.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    let target = take(find_target(&arguments.target), &mut wrong);
    let model = take(files::read(&arguments.model), &mut wrong);
    let golden = arguments.golden.as_ref().map(|path| take(files::read(path), &mut wrong));
    let (Some(target), Some(model), true) = (target, model, wrong.is_empty()) else {
        return Err(Failure::Unusable(wrong));
    };
    let name = arguments.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (relax_requant, budgets) = (arguments.relax_requant, &arguments.budgets);
    let options = Options {
        target: target.with_memory(budgets.flash, budgets.ram),
        model: name,
        relax_requant,
        prefer: budgets.prefer.into(),
        placement: Placement { arena: arguments.arena.into(), ..Placement::default() },
        arguments: String::new(),
    };
    let compiled = compile::compile(&arguments.model, &model, &options)?;
    budget::keep(&arguments.model, budgets, &compiled, &options.target)?;
    let graph = compiled.reference();
    let cases = match (&arguments.golden, golden.flatten()) {
        (Some(path), Some(text)) => {
            let golden = Golden::parse(&text, graph)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            if golden.sha256.is_some_and(|sha256| sha256 != compiled.sha256) {
                tell(&format!("note: {} was made with another model file", path.display()));
            }
            golden.cases
        }
        _ => generate(graph, arguments.cases as usize)?,
    };
    let language = match arguments.lang {
        Lang::Rust => Language::Rust,
        Lang::C => Language::C,
    };
    let inputs: Vec<Vec<Value>> = cases.iter().map(|case| case.inputs.clone()).collect();
    let results = harness::run(&compiled, &options, language, &inputs)?;
    let differs = |(case, results): (&Case, &Vec<Value>)| case.outputs != *results;
    let differing = cases.iter().zip(&results).filter(|&pair| differs(pair)).count();
    let Some(first) = cases.iter().zip(&results).position(differs) else {
        let origin = arguments
            .golden
            .as_ref()
            .map_or(String::new(), |path| format!(" of {}", path.display()));
        let mut message = format!("bit-exact: {} cases{origin}\n", cases.len());
        if harness::has_assembly(&compiled.program) {
            message +=
                "the layers in assembly were executed instruction by instruction, not built\n";
        }
        if relax_requant {
            message += &distance(&compiled.imported, &cases)?;
        }
        return print(message.as_bytes());
    };
    let case = &cases[first];
    let mut message = format!(
        "not bit-exact: {differing} of {} cases differ; case {first}, {}",
        cases.len(),
        where_outputs_differ(graph, &case.outputs, &results[first])
    );
    if ir::eval(graph, &case.inputs)? == results[first] {
        // The code does what the model says; the golden outputs say something else.
        message += &other_arithmetic(graph, &cases);
    } else if let Some(difference) =
        harness::first_difference(&compiled, &options, language, &case.inputs)?
    {
        message += &format!("\n{}", culprit(&difference));
    }
    Err(Failure::No(message))
}

/// How far the cases' outputs are from the exact ones.
fn distance(exact: &Graph, cases: &[Case]) -> Result<String, String> {
    let (mut total, mut count, mut most) = (0, 0, 0.0);
    for case in cases {
        let numbers = |value: &Value| -> Vec<f64> {
            match value.ty.dtype {
                DType::F32 => value.floats().into_iter().map(f64::from).collect(),
                _ => value.ints().into_iter().map(f64::from).collect(),
            }
        };
        for (exact, found) in ir::eval(exact, &case.inputs)?.iter().zip(&case.outputs) {
            for (exact, found) in numbers(exact).into_iter().zip(numbers(found)) {
                total += 1;
                count += usize::from(exact != found);
                most = (exact - found).abs().max(most);
            }
        }
    }
    Ok(format!(
        "as --relax-requant allows, {} of {} output elements differ from the exact ones, by up to \
         {most}\n",
        thousands(count),
        thousands(total)
    ))
}

/// The first element that differs.
fn where_outputs_differ(graph: &Graph, expected: &[Value], found: &[Value]) -> String {
    for (i, (expected, found)) in expected.iter().zip(found).enumerate() {
        if let Some((element, expected, found)) = harness::compare(expected, found) {
            let name = &graph.tensors[graph.outputs[i]].name;
            return format!(
                "output {i} '{name}', element {element}: it should be {expected} and is {found}"
            );
        }
    }
    unreachable!("they differ")
}

fn culprit(difference: &harness::Difference) -> String {
    let link = match difference.link {
        Link::Passes => "the passes change what the graph computes",
        Link::Kernel => "a kernel or the memory plan is wrong",
        Link::Printer => "the printed code isn't what its kernel says",
    };
    let layer = match &*difference.operators {
        "" => String::new(),
        operators => format!("{} of operator {operators}, ", difference.what),
    };
    format!(
        "it begins in {layer}'{}', element {}: it should be {} and is {}\n{link}: this is a bug in \
         tflc, please report it with the model if you may share it",
        difference.tensor, difference.element, difference.expected, difference.found
    )
}

/// Which arithmetic the golden outputs show, if it is a known one.
fn other_arithmetic(graph: &Graph, cases: &[Case]) -> String {
    let shows = |arithmetic: &&Arithmetic| {
        cases.iter().all(|case| arithmetic.eval(graph, &case.inputs) == case.outputs)
    };
    let shown: Vec<&str> = KNOWN.iter().filter(shows).map(|arithmetic| arithmetic.name).collect();
    let shown = match &shown[..] {
        [] => "what the golden outputs show is no arithmetic known here".to_string(),
        shown => format!("the golden outputs are those of {}", shown.join(", or of ")),
    };
    format!(
        "\nthe reference interpreter agrees with the generated code; {shown}\nfor outputs to compare \
         with, run tflite-runtime 2.14 with OpResolverType.BUILTIN_REF, or TensorFlow Lite Micro"
    )
}

/// A file of cases.
struct Golden {
    /// The model that they were made with.
    sha256: Option<String>,
    cases: Vec<Case>,
}

impl Golden {
    fn parse(text: &[u8], graph: &Graph) -> Result<Golden, String> {
        let json: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let cases = json["cases"].as_array().ok_or("it has no list \"cases\"")?;
        if cases.is_empty() {
            return Err("its list \"cases\" is empty".into());
        }
        let values = |case: usize, what: &str, ids: &[ir::TensorId]| {
            let list = cases[case][what].as_array().map_or(&[][..], |list| list);
            if list.len() != ids.len() {
                let (has, wants) = (list.len(), ids.len());
                return Err(format!("case {case} has {has} {what}, the model has {wants}"));
            }
            let value = |(i, &id): (usize, &ir::TensorId)| {
                let ty = &graph.tensors[id].ty;
                let bytes =
                    list[i].as_str().and_then(unhex).ok_or("isn't a string of hexadecimal digits");
                let fits = bytes.map_err(String::from).and_then(|bytes| fit(ty, bytes));
                fits.map_err(|error| format!("case {case}, {what} {i}: {error}"))
            };
            ids.iter().enumerate().map(value).collect::<Result<Vec<_>, String>>()
        };
        let case = |case: usize| {
            let inputs = values(case, "inputs", &graph.inputs)?;
            Ok(Case { inputs, outputs: values(case, "outputs", &graph.outputs)? })
        };
        let cases: Result<Vec<_>, String> = (0..cases.len()).map(case).collect();
        Ok(Golden { sha256: json["sha256"].as_str().map(String::from), cases: cases? })
    }
}

fn fit(ty: &TensorType, bytes: Vec<u8>) -> Result<Value, String> {
    if bytes.len() != ty.bytes() {
        return Err(format!("{} bytes, but {ty} has {}", bytes.len(), ty.bytes()));
    }
    if ty.dtype == DType::Bool && bytes.iter().any(|&byte| byte > 1) {
        return Err("other bytes than 0 and 1 for a bool".into());
    }
    Ok(Value::new(ty.clone(), bytes))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

/// Inputs to try, with the reference interpreter's outputs.
fn generate(graph: &Graph, count: usize) -> Result<Vec<Case>, String> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    (0..count)
        .map(|case| {
            let input = |id: &ir::TensorId| {
                let tensor = &graph.tensors[*id];
                let zero_point = tensor.quantization.map_or(0, |q| q.zero_point);
                input(&tensor.ty, zero_point, case, &mut random)
            };
            let inputs: Vec<Value> = graph.inputs.iter().map(input).collect();
            let outputs = ir::eval(graph, &inputs)?;
            Ok(Case { inputs, outputs })
        })
        .collect()
}

/// One input of a case: all lowest, all highest, all zero, extremes in turn, then random ones,
/// every other of them near zero.
fn input(ty: &TensorType, zero_point: i32, case: usize, random: &mut Random) -> Value {
    let elements = ty.elements();
    if ty.dtype == DType::F32 {
        let element = |i: usize| match case {
            0 => -1000.0,
            1 => 1000.0,
            2 => 0.0,
            3 => [-1000.0, 1000.0][i % 2],
            _ => random.unit() * [1.0, 10.0][case % 2],
        };
        return Value::from_floats(&ty.shape, (0..elements).map(element).collect::<Vec<_>>());
    }
    let (low, high) = match ty.dtype {
        DType::I64 => (i32::MIN, i32::MAX),
        dtype => dtype.range(),
    };
    let element = |i: usize| match case {
        0 => low,
        1 => high,
        2 => zero_point,
        3 => [low, high][i % 2],
        _ => {
            let span = i64::from(high) - i64::from(low);
            let offset = (random.next() % (span as u64 + 1)) as i64 + i64::from(low);
            let code = if case % 2 == 0 { offset } else { i64::from(zero_point) + offset / 8 };
            code.clamp(low.into(), high.into()) as i32
        }
    };
    Value::from_ints(ty.clone(), (0..elements).map(element).collect::<Vec<_>>())
}

/// A small generator of random numbers (xorshift64*), the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// From −1 to 1.
    fn unit(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }
}
