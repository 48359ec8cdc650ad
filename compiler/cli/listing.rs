//! The loop IR and its memory as text, for `--emit` and for messages.

use std::collections::BTreeSet;
use std::fmt::Write;

use tflc::loop_ir::assembly::print;
use tflc::loop_ir::{
    Access, Arg, Binary, Call, Expr, Function, Layer, Place, Program, Region, Stmt, Update, Var,
};
use tflc::report::memory::{lives, short, Kind};
use tflc::text::{table, thousands};

/// A layer in a few words: which operators of the model it stands for, and what they yield.
pub fn title(layer: &Layer) -> String {
    let (what, tensor) = (&layer.what, short(&layer.tensor));
    match &*layer.operators {
        "" => format!("{what} {tensor}"),
        operators => format!("operator {operators} {what} {tensor}"),
    }
}

/// The different constants that a call reads, by position.
pub fn constants(call: &Call) -> impl Iterator<Item = usize> {
    let constants: BTreeSet<usize> = (call.args.iter())
        .filter_map(|arg| match arg {
            Arg::Constant(index) => Some(*index),
            Arg::Region(_) => None,
        })
        .collect();
    constants.into_iter()
}

/// The different regions of memory that a call works on.
pub fn regions(call: &Call) -> impl Iterator<Item = Region> {
    let regions: BTreeSet<_> = (call.args.iter())
        .filter_map(|arg| match arg {
            Arg::Region(Region { memory, offset, len }) => Some((*memory, *offset, *len)),
            Arg::Constant(_) => None,
        })
        .collect();
    regions.into_iter().map(|(memory, offset, len)| Region { memory, offset, len })
}

/// The calls in execution order, then the functions and the constants.
pub fn kernels(program: &Program) -> String {
    let mut text = String::new();
    for (i, call) in program.calls.iter().enumerate() {
        let layer = &call.layer;
        let args: Vec<String> = (call.args.iter())
            .map(|arg| match arg {
                Arg::Region(Region { memory, offset, len }) => {
                    format!("memory{memory}[{offset}..{}]", offset + len)
                }
                Arg::Constant(index) => program.constants[*index].name.clone(),
            })
            .chain(
                call.scalars.iter().map(|scalar| spell(&program.functions[call.function], scalar)),
            )
            .collect();
        let name = &program.functions[call.function].name;
        line(&mut text, 0, &format!("{i:>3}  {name}({})", args.join(", ")));
        line(&mut text, 2, &format!("{}: {}", title(layer), layer.shapes));
    }
    for function in &program.functions {
        text.push('\n');
        for doc in &function.doc {
            line(&mut text, 0, format!("/// {doc}").trim_end());
        }
        let params: Vec<String> = (function.params.iter())
            .map(|param| {
                let access = match param.access {
                    Access::Read => "read",
                    Access::Write => "write",
                    Access::Constant => "constant",
                };
                let len = param.len.map_or("any number".to_string(), |len| len.to_string());
                format!("{}: {access} {}[{len}]", param.name, param.dtype)
            })
            .chain(function.scalars.iter().map(|var| function.names[var.id].clone()))
            .collect();
        line(&mut text, 0, &format!("fn {}({})", function.name, params.join(", ")));
        block(&mut text, function, &function.body, 1);
    }
    text.push('\n');
    for constant in &program.constants {
        let (name, dtype, len) = (&constant.name, constant.dtype, constant.len());
        line(&mut text, 0, &format!("const {name}: {dtype}[{len}]  // {}", constant.doc));
    }
    text
}

fn line(text: &mut String, depth: usize, line: &str) {
    writeln!(text, "{:1$}{line}", "", 4 * depth).expect("written to a string");
}

fn block(text: &mut String, function: &Function, body: &[Stmt], depth: usize) {
    let name = |var: &Var| &function.names[var.id];
    let expr = |e: &Expr| spell(function, e);
    for stmt in body {
        let step = match stmt {
            Stmt::Let(var, value) => format!("let {} = {}", name(var), expr(value)),
            Stmt::Accumulator(var, start) => format!("accumulator {} = {}", name(var), expr(start)),
            Stmt::Update(var, update, value) => {
                let update = match update {
                    Update::Add => "+=",
                    Update::WrappingAdd => "wrapping +=",
                    Update::Max => "max=",
                };
                format!("{} {update} {}", name(var), expr(value))
            }
            Stmt::View { var, of, at, len } => {
                let of = place(function, *of);
                format!("view {} = {of}[{}; {}]", name(var), expr(at), expr(len))
            }
            Stmt::Store { to, at, value } => {
                format!("{}[{}] = {}", place(function, *to), expr(at), expr(value))
            }
            Stmt::Assembly(routine) => {
                for printed in print::lines(&routine.code) {
                    line(text, depth, &printed.words());
                }
                continue;
            }
            Stmt::For { var, from, to, .. } => {
                format!("for {} in {}..{}", name(var), expr(from), expr(to))
            }
        };
        line(text, depth, &step);
        if let Stmt::For { body, .. } = stmt {
            block(text, function, body, depth + 1);
        }
    }
}

fn place(function: &Function, place: Place) -> &str {
    match place {
        Place::Param(index) => &function.params[index].name,
        Place::View(var) => &function.names[var.id],
    }
}

fn spell(function: &Function, e: &Expr) -> String {
    let spell = |e: &Expr| spell(function, e);
    // A product's operand, or what is subtracted, in parentheses if it is a sum.
    let tight = |e: &Expr| match e {
        Expr::Binary(Binary::Add | Binary::Sub | Binary::ShiftLeft, ..) => {
            format!("({})", spell(e))
        }
        e => spell(e),
    };
    match e {
        Expr::Int(value) => value.to_string(),
        Expr::Index(value) => value.to_string(),
        Expr::Real(value) => format!("{value:?}"),
        Expr::Var(var) => function.names[var.id].clone(),
        Expr::Load(from, at) => format!("{}[{}]", place(function, *from), spell(at)),
        Expr::Binary(op, a, b) => match op {
            Binary::Add => format!("{} + {}", spell(a), spell(b)),
            Binary::Sub => format!("{} - {}", spell(a), tight(b)),
            Binary::Mul => format!("{} * {}", tight(a), tight(b)),
            Binary::Div => format!("{} / {}", tight(a), tight(b)),
            Binary::ShiftLeft => format!("{} << {}", tight(a), tight(b)),
            Binary::WrappingAdd => format!("wrapping_add({}, {})", spell(a), spell(b)),
            Binary::SaturatingSub => format!("saturating_sub({}, {})", spell(a), spell(b)),
            Binary::Min => format!("min({}, {})", spell(a), spell(b)),
            Binary::Max => format!("max({}, {})", spell(a), spell(b)),
        },
        Expr::Call(intrinsic, args) => {
            let args: Vec<String> = args.iter().map(spell).collect();
            format!("{}({})", intrinsic.name(), args.join(", "))
        }
        Expr::ToInt(index) => format!("int({})", spell(index)),
        Expr::ToIndex(int) => format!("index({})", spell(int)),
    }
}

/// Each memory with what lies in it, when and where.
pub fn memory(program: &Program) -> String {
    let mut text = String::new();
    let lives = lives(program);
    for (i, memory) in program.memories.iter().enumerate() {
        let bytes = thousands(memory.len * memory.dtype.size());
        line(&mut text, 0, &format!("memory{i}: {}[{}], {bytes} bytes", memory.dtype, memory.len));
        let mut rows = vec![["  offset", "bytes", "calls", "what"].map(String::from)];
        for life in lives.iter().filter(|life| life.memory == i) {
            let from = life.written.map_or("input".to_string(), |call| call.to_string());
            let to = life.read.map_or("output".to_string(), |call| call.to_string());
            let what = match (life.kind, life.written) {
                (Kind::Scratch, _) => format!("scratch of {}", short(&life.tensor)),
                (_, Some(call)) => title(&program.calls[call].layer),
                (_, None) => short(&life.tensor),
            };
            let offset = format!("  {}", thousands(life.offset));
            rows.push([offset, thousands(life.bytes), format!("{from}..{to}"), what]);
        }
        for row in table(&rows, [true, true, false, false]) {
            line(&mut text, 0, &row);
        }
    }
    writeln!(text, "{} bytes of RAM in all", thousands(program.ram())).expect("a string");
    text
}
