//! The public part of the files: the struct that holds all memory, the functions on it, and the
//! macros that describe inputs and outputs, as the templates take them.

use std::fmt::Write;

use serde::Serialize;

use super::lines::{self, INDENT};
use super::{ascii, c_type, comment, real_text, Names};
use crate::backend::{describe, placement, Arena, Placement, Section};
use crate::loop_ir::{Arg, Border, Call, Expr, Program, Region};
use crate::text;

/// A memory, a member of the struct.
#[derive(Serialize)]
struct Memory {
    name: String,
    #[serde(rename = "type")]
    ty: &'static str,
    len: usize,
    /// Whether the elements' type alone would not align it to words.
    narrow: bool,
}

/// An input or output.
#[derive(Serialize)]
struct Edge {
    /// The macros' names up to the last underscore.
    upper: String,
    /// The function that yields its memory.
    function: String,
    /// Its name in an example.
    local: String,
    /// "the input", or "input 0".
    words: String,
    /// The same at the start of a sentence.
    title: String,
    /// The model's name of it.
    tensor: String,
    #[serde(rename = "type")]
    ty: &'static str,
    len: usize,
    shape: String,
    quantized: bool,
    scale: String,
    zero_point: String,
    /// Its first element.
    place: String,
}

/// What the templates say of the program itself.
pub fn context(
    program: &Program,
    names: &Names,
    placement: &Placement,
    functions: &[String],
    constants: &[String],
) -> tera::Context {
    let mut context = tera::Context::new();
    context.insert("prefix", names.prefix());
    context.insert("upper", &names.upper());
    context.insert("header", &names.header());
    let memories: Vec<Memory> = (program.memories.iter().enumerate())
        .map(|(index, memory)| Memory {
            name: describe::memory(&program.memories, index),
            ty: c_type(memory.dtype),
            len: memory.len,
            narrow: memory.dtype.size() < 4,
        })
        .collect();
    context.insert("memories", &memories);
    let section = |section: &Option<Section>| section.as_ref().map(Section::to_string);
    context.insert("weights_section", &section(&placement.weights_section));
    context.insert("arena_section", &section(&placement.arena_section));
    context.insert("shared", &(placement.arena == Arena::Shared));
    context.insert("arena_size", &placement::arena_size(program));
    context.insert("arena_align", &placement::arena_align(program));
    context.insert("inputs", &edges(program, names, "input", &program.inputs));
    context.insert("outputs", &edges(program, names, "output", &program.outputs));
    context.insert("run", &run(program, functions, constants));
    context
}

fn edges(program: &Program, names: &Names, what: &str, borders: &[Border]) -> Vec<Edge> {
    let edge = |(index, border): (usize, &Border)| {
        let name = describe::border_name(what, index, borders.len());
        let words = describe::border_words(what, index, borders.len());
        let (scale, zero_point) = border.quantization.unwrap_or_default();
        // C has no empty initializer: a scalar is a list of one.
        let shape = if border.shape.is_empty() { &[1][..] } else { &border.shape };
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        Edge {
            upper: format!("{}_{}", names.upper(), name.to_uppercase()),
            function: format!("{}_{name}", names.prefix()),
            title: title(&words),
            words,
            tensor: ascii(&text::code(&border.name)).replace('`', "'"),
            ty: c_type(program.memories[border.region.memory].dtype),
            len: border.region.len,
            shape: format!("{{{}}}", shape.join(", ")),
            quantized: border.quantization.is_some(),
            scale: real_text(scale),
            zero_point: if zero_point < 0 {
                format!("({zero_point})")
            } else {
                zero_point.to_string()
            },
            place: place(border.region, 0, &format!("m->{}", array(program, border.region.memory))),
            local: name,
        }
    };
    borders.iter().enumerate().map(edge).collect()
}

/// The array of a memory within the struct.
fn array(program: &Program, memory: usize) -> String {
    let name = describe::memory(&program.memories, memory);
    match program.memories[memory].dtype.size() {
        4.. => name,
        _ => format!("{name}.data"),
    }
}

/// The first element of a region that lies `step` elements further on in each round.
fn place(region: Region, step: isize, array: &str) -> String {
    let start = match region.offset {
        0 => array.to_string(),
        offset => format!("{array} + {offset}"),
    };
    match (step, step.unsigned_abs()) {
        (0, _) => start,
        (1.., step) => format!("{start} + {ROUND} * {step}"),
        (_, step) => format!("{start} - {ROUND} * {step}"),
    }
}

/// The counter of rounds.
const ROUND: &str = "round";

/// The body of the function that runs the model.
fn run(program: &Program, functions: &[String], constants: &[String]) -> String {
    let mut out = String::new();
    for (index, memory) in program.memories.iter().enumerate() {
        let used = |arg: &Arg| matches!(arg, Arg::Region(region) if region.memory == index);
        if program.calls.iter().any(|call| call.args.iter().any(used)) {
            let (ty, name) = (c_type(memory.dtype), describe::memory(&program.memories, index));
            writeln!(out, "    {ty} *const {name} = m->{};", array(program, index))
                .expect("a string");
        }
    }
    if program.calls.is_empty() {
        out.push_str("    (void)m;\n");
    }
    for rounds in program.all_rounds() {
        let mut indent = INDENT;
        if rounds.count > 1 {
            out.push('\n');
            comment(&mut out, indent, &[describe::rounds(rounds.count)]);
            let count = rounds.count;
            let head = format!("for (size_t {ROUND} = 0; {ROUND} < {count}; ++{ROUND}) {{");
            lines::push(&mut out, indent, &head);
            indent += INDENT;
        }
        for index in rounds.first..rounds.first + rounds.calls {
            if rounds.count == 1 || index > rounds.first {
                out.push('\n');
            }
            let call = &program.calls[index];
            let last = &program.calls[rounds.last(index)];
            comment(&mut out, indent, &[describe::repeated(&call.layer, &last.layer)]);
            let args = arguments(program, call, &program.steps(&rounds, index), constants);
            lines::push(&mut out, indent, &format!("{}({args});", functions[call.function]));
        }
        if rounds.count > 1 {
            out.push_str("    }\n");
        }
    }
    out
}

/// The arguments of a call whose regions lie that much further on in each round.
fn arguments(program: &Program, call: &Call, steps: &[isize], constants: &[String]) -> String {
    let args = call.args.iter().zip(steps).map(|(arg, &step)| match *arg {
        Arg::Region(region) => {
            place(region, step, &describe::memory(&program.memories, region.memory))
        }
        Arg::Constant(constant) => constants[constant].clone(),
    });
    let scalars = call.scalars.iter().map(|scalar| match scalar {
        Expr::Index(value) => value.to_string(),
        Expr::Int(value) => value.to_string(),
        other => unreachable!("{other:?} is no constant scalar"),
    });
    args.chain(scalars).collect::<Vec<_>>().join(", ")
}

/// With a capital letter.
fn title(words: &str) -> String {
    let (first, rest) = words.split_at(1);
    first.to_uppercase() + rest
}
