//! The memory map: what lies where in a program's memory, and when; and where it is fullest.

use serde::Serialize;

use crate::loop_ir::{Access, Arg, Call, Expr, Function, Param, Place, Program, Region, Stmt};
use crate::text::thousands;

/// A value in memory from the layer that writes it to the last one that reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// The model's name of it, or of the result that it is scratch memory for.
    pub tensor: String,
    /// What it is.
    pub kind: Kind,
    /// The position of the memory that it lies in.
    pub memory: usize,
    /// The first byte in that memory.
    pub offset: usize,
    /// How many there are.
    pub bytes: usize,
    /// The call that writes it; none for the model's inputs, which are there from the start.
    pub written: Option<usize>,
    /// The last call that reads it, or that wrote it for nobody; none for the model's outputs,
    /// which stay.
    pub read: Option<usize>,
}

/// What a value is to the layer that writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An input of the model.
    Input,
    /// A layer's result.
    Result,
    /// Memory for the layer alone.
    Scratch,
}

impl Life {
    /// Whether it needs its place during a call.
    pub fn is_alive(&self, call: usize) -> bool {
        self.written.is_none_or(|from| from <= call) && self.read.is_none_or(|to| call <= to)
    }
}

/// Where a program's memory is fullest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peak {
    /// The first layer at which it is so.
    pub layer: usize,
    /// Its call.
    pub call: usize,
    /// The bytes that are alive there.
    pub bytes: usize,
    /// What is alive there, in a sentence.
    pub why: String,
}

/// What lies in memory, in the order in which it is written.
pub fn lives(program: &Program) -> Vec<Life> {
    let size = |region: Region| program.memories[region.memory].dtype.size();
    let life = |region: Region, tensor: &str, kind, written| Life {
        tensor: tensor.to_string(),
        kind,
        memory: region.memory,
        offset: region.offset * size(region),
        bytes: region.len * size(region),
        written,
        read: Some(written.unwrap_or(0)),
    };
    let mut lives: Vec<(Region, Life)> = (program.inputs.iter())
        .map(|input| (input.region, life(input.region, &input.name, Kind::Input, None)))
        .collect();
    // The latest value in a place is the one that a read of it means; rows may be several values.
    let read = |lives: &mut Vec<(Region, Life)>, region: Region, by: Option<usize>| {
        let mut open = vec![region];
        for (place, life) in lives.iter_mut().rev() {
            if open.iter().any(|open| place.overlaps(*open)) {
                life.read = by;
                open = open.into_iter().flat_map(|open| without(open, *place)).collect();
            }
        }
    };
    for (i, call) in program.calls.iter().enumerate() {
        let function = &program.functions[call.function];
        for (index, param, region) in regions(function, call) {
            if param.access == Access::Read || reads(&function.body, index) {
                read(&mut lives, region, Some(i));
            }
        }
        for (_, param, region) in regions(function, call) {
            if param.access == Access::Write {
                let kind = if param.name == "scratch" { Kind::Scratch } else { Kind::Result };
                lives.push((region, life(region, &call.layer.tensor, kind, Some(i))));
            }
        }
    }
    for output in &program.outputs {
        read(&mut lives, output.region, None);
    }
    lives.into_iter().map(|(_, life)| life).collect()
}

/// What remains of a region beside another one.
fn without(region: Region, other: Region) -> Vec<Region> {
    if !region.overlaps(other) {
        return vec![region];
    }
    let end = region.offset + region.len;
    let part =
        |from: usize, to: usize| Region { offset: from, len: to.saturating_sub(from), ..region };
    let parts = [part(region.offset, other.offset), part(other.offset + other.len, end)];
    parts.into_iter().filter(|part| part.len > 0).collect()
}

/// The parameters that are memory, with their positions.
fn regions<'a>(
    function: &'a Function,
    call: &'a Call,
) -> impl Iterator<Item = (usize, &'a Param, Region)> {
    let params = function.params.iter().zip(&call.args).enumerate();
    params.filter_map(|(index, (param, arg))| match arg {
        Arg::Region(region) => Some((index, param, *region)),
        Arg::Constant(_) => None,
    })
}

/// Whether a loop nest reads the parameter of that position: so it does with a result that takes
/// an operand's place.
fn reads(body: &[Stmt], param: usize) -> bool {
    fn loads(expr: &Expr, param: usize) -> bool {
        match expr {
            Expr::Load(place, at) => *place == Place::Param(param) || loads(at, param),
            Expr::Binary(_, a, b) => loads(a, param) || loads(b, param),
            Expr::Call(_, args) => args.iter().any(|arg| loads(arg, param)),
            Expr::ToInt(value) | Expr::ToIndex(value) => loads(value, param),
            Expr::Int(_) | Expr::Index(_) | Expr::Real(_) | Expr::Var(_) => false,
        }
    }
    body.iter().any(|stmt| match stmt {
        Stmt::Let(_, value) | Stmt::Accumulator(_, value) | Stmt::Update(_, _, value) => {
            loads(value, param)
        }
        Stmt::View { of, .. } => *of == Place::Param(param),
        Stmt::Store { value, .. } => loads(value, param),
        Stmt::For { body, .. } => reads(body, param),
        Stmt::Assembly(_) => false,
    })
}

/// The bytes that are alive at a call: where values lie over each other, each byte counts once.
pub fn alive(lives: &[Life], call: usize) -> usize {
    let mut places: Vec<(usize, usize, usize)> = (lives.iter())
        .filter(|life| life.is_alive(call))
        .map(|life| (life.memory, life.offset, life.offset + life.bytes))
        .collect();
    places.sort();
    let (mut bytes, mut done) = (0, (0, 0));
    for (memory, from, to) in places {
        let from = if done.0 == memory { from.max(done.1) } else { from };
        if from < to {
            bytes += to - from;
            done = (memory, to);
        }
    }
    bytes
}

/// The fullest moment; none for a program without layers.
pub fn peak(program: &Program, lives: &[Life]) -> Option<Peak> {
    let calls = 0..program.calls.len();
    let call = calls.max_by_key(|&call| (alive(lives, call), std::cmp::Reverse(call)))?;
    let layer = program.layers().iter().position(|calls| calls.contains(&call))?;
    let bytes = alive(lives, call);
    let mut there: Vec<&Life> = lives.iter().filter(|life| life.is_alive(call)).collect();
    there.sort_by_key(|life| std::cmp::Reverse(life.bytes));
    let list: Vec<String> = (there.iter())
        .map(|life| {
            let role = match life.kind {
                Kind::Result if life.written == Some(call) => "its result".to_string(),
                Kind::Scratch => "its scratch memory".to_string(),
                _ if life.read == Some(call) => format!("its operand {}", short(&life.tensor)),
                _ => format!("{}, which is read later", short(&life.tensor)),
            };
            format!("{role} ({})", thousands(life.bytes))
        })
        .collect();
    let what = &program.calls[call].layer;
    let operators = match &*what.operators {
        "" => String::new(),
        operators if operators.contains(',') => format!(", operators {operators}"),
        operators => format!(", operator {operators}"),
    };
    let part = match &*what.part {
        "" => String::new(),
        part => format!(", {part}"),
    };
    let mut why = format!(
        "The peak is at layer {layer}, {}{operators}{part}: {} bytes are alive: {}",
        what.what,
        thousands(bytes),
        list.join(", ")
    );
    let sum: usize = there.iter().map(|life| life.bytes).sum();
    if sum > bytes {
        why += &format!("; {} bytes of them lie over each other", thousands(sum - bytes));
    }
    match program.ram() - bytes {
        0 => why.push('.'),
        gaps => {
            why += &format!(
                ". The other {} bytes of the memory are alignment and gaps between values that live at \
                 different times.",
                thousands(gaps)
            );
        }
    }
    Some(Peak { layer, call, bytes, why })
}

/// A tensor's name in quotes; of the names that converters join, the first.
pub fn short(name: &str) -> String {
    match name.split_once(';') {
        Some((first, _)) => format!("'{first};…'"),
        None => format!("'{name}'"),
    }
}
