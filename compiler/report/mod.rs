//! What a compiled model costs and why, layer by layer: for people as text and as a page, for
//! programs as data.

mod text;

#[cfg(feature = "html")]
mod html;

pub mod memory;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::loop_ir::Arg;
use crate::plan::cost::{self, Figure};
use crate::plan::Alternative;
use crate::target::Target;
use crate::{Compiled, Options};
use memory::{Kind, Life, Peak};

/// Everything that there is to say of a compiled model. Its fields are the keys of the report as
/// JSON, which later versions add to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The compiler's version.
    pub tflc: String,
    /// The model's file name.
    pub model: String,
    /// The model's SHA-256, in hexadecimal.
    pub sha256: String,
    /// The core.
    pub target: String,
    /// The command line's arguments.
    pub arguments: String,
    /// In which layers results aren't exact, as `--relax-requant` allows, and how far off they are.
    pub relaxed: Vec<String>,
    /// What runs, in its order.
    pub layers: Vec<Layer>,
    /// How many calls that takes: more than layers where some are computed a few rows at a time.
    pub calls: usize,
    /// The whole model.
    pub totals: Totals,
    /// The memories one after another, in bytes.
    pub memories: Vec<usize>,
    /// What lies in memory, in the order in which it is written.
    pub tensors: Vec<Life>,
    /// Where memory is fullest; none for a model without layers.
    pub peak: Option<Peak>,
}

/// A layer: a call of a function, or where it is computed in parts, several.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// The operators of the model file that it stands for.
    pub operators: Vec<usize>,
    /// The operator's kind.
    pub op: String,
    /// Its attributes, in words.
    pub attributes: String,
    /// Operands and result with their types.
    pub shapes: String,
    /// The model's name of the result.
    pub tensor: String,
    /// When it is computed, in calls from the start of a run.
    pub calls: Vec<usize>,
    /// Multiplications.
    pub macs: u64,
    /// The function that computes it.
    pub function: String,
    /// How that is written.
    pub kernel: Kernel,
    /// Cycles of one run.
    pub cycles: Figure,
    /// Bytes of constants that no earlier layer reads.
    pub constants: usize,
    /// Bytes of code that no earlier layer runs.
    pub code: Figure,
    /// Bytes of stack.
    pub stack: Figure,
    /// Bytes of memory that are alive while it runs.
    pub ram: usize,
    /// Bytes of memory for it alone, which are among those.
    pub scratch: usize,
    /// The next faster way to compute it, which takes more flash or scratch memory.
    pub faster: Option<Alternative>,
    /// The next slower way, which takes less.
    pub cheaper: Option<Alternative>,
    /// How its results go from sums to codes, where there was a choice.
    pub foldings: Vec<String>,
}

/// How a function is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// In assembly for the core's instructions.
    Assembly,
    /// As a loop nest, which the compiler makes instructions of.
    Portable,
}

/// Sums over all layers; of memory, what there is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// Multiplications.
    pub macs: u64,
    /// Cycles of an inference.
    pub cycles: Figure,
    /// Bytes of constants.
    pub constants: usize,
    /// Bytes of code.
    pub code: Figure,
    /// Bytes of flash: constants and code.
    pub flash: Figure,
    /// Bytes of static memory.
    pub ram: usize,
    /// Bytes of stack, those of what calls the layers included.
    pub stack: Figure,
}

/// About the bytes of stack that the function that calls the layers takes.
const CALLER: u64 = 80;

impl Report {
    /// The report on a model that was compiled with those options.
    pub fn new(compiled: &Compiled, options: &Options) -> Report {
        let program = &compiled.program;
        let tensors = memory::lives(program);
        let mut seen = Seen::default();
        let layers: Vec<Layer> = (program.layers().iter())
            .map(|calls| layer(compiled, &options.target, &tensors, &mut seen, calls))
            .collect();
        let code = layers.iter().map(|layer| layer.code).sum();
        let deepest = layers.iter().map(|layer| layer.stack).max_by_key(|stack| stack.value);
        let constants = layers.iter().map(|layer| layer.constants).sum();
        Report {
            tflc: env!("CARGO_PKG_VERSION").into(),
            model: options.model.clone(),
            sha256: compiled.sha256.clone(),
            target: options.target.name.clone(),
            arguments: options.arguments.clone(),
            relaxed: compiled.relaxed(),
            totals: Totals {
                macs: layers.iter().map(|layer| layer.macs).sum(),
                cycles: layers.iter().map(|layer| layer.cycles).sum(),
                constants,
                code,
                flash: Figure::exactly(constants as u64) + code,
                ram: program.ram(),
                stack: deepest.map_or(Figure::exactly(0), |stack| stack + Figure::about(CALLER)),
            },
            memories: program.memories.iter().map(|m| m.len * m.dtype.size()).collect(),
            calls: program.calls.len(),
            peak: memory::peak(program, &tensors),
            layers,
            tensors,
        }
    }

    /// The bytes that a value takes where memories are drawn one above the other.
    fn place(&self, life: &Life) -> std::ops::Range<usize> {
        let from = self.memories[..life.memory].iter().sum::<usize>() + life.offset;
        from..from + life.bytes
    }
}

/// What earlier layers have brought with them already.
#[derive(Default)]
struct Seen {
    functions: BTreeSet<usize>,
    constants: BTreeSet<usize>,
}

/// A layer that consists of those calls.
fn layer(
    compiled: &Compiled,
    target: &Target,
    tensors: &[Life],
    seen: &mut Seen,
    calls: &[usize],
) -> Layer {
    let program = &compiled.program;
    let each = || calls.iter().map(|&i| &program.calls[i]);
    // Of several functions, the one that does the most.
    let main = each().max_by_key(|call| call.layer.macs).expect("one call at least");
    let function = &program.functions[main.function];
    let own = &program.calls[calls[0]].layer;
    let (op, attributes) = own.what.split_once(' ').unwrap_or((&own.what, ""));
    let constants = each().flat_map(|call| &call.args).filter_map(|arg| match arg {
        Arg::Constant(index) => seen.constants.insert(*index).then_some(*index),
        Arg::Region(_) => None,
    });
    let constants = constants.map(|index| program.constants[index].bytes.len()).sum();
    let code = each().filter(|call| seen.functions.insert(call.function));
    let code = code.map(|call| cost::code(&program.functions[call.function], call, target)).sum();
    let choice = compiled.choices.iter().find(|choice| choice.layer.is_same(own));
    let runs: Vec<cost::Run> = each().map(|call| cost::run(program, call, target)).collect();
    let scratch = |i: &usize| {
        let own =
            tensors.iter().filter(|life| life.kind == Kind::Scratch && life.written == Some(*i));
        own.map(|life| life.bytes).sum::<usize>()
    };
    let foldings = compiled.graph.foldings.iter();
    let foldings =
        foldings.filter(|folding| compiled.graph.tensors[folding.tensor].name == own.tensor);
    Layer {
        operators: own.operators.split(", ").filter_map(|index| index.parse().ok()).collect(),
        op: op.to_string(),
        attributes: attributes.to_string(),
        shapes: own.shapes.clone(),
        tensor: own.tensor.clone(),
        calls: calls.to_vec(),
        macs: each().map(|call| call.layer.macs).sum(),
        function: function.name.clone(),
        kernel: match function.assembly() {
            Some(_) => Kernel::Assembly,
            None => Kernel::Portable,
        },
        cycles: runs.iter().map(|run| run.cycles).sum(),
        stack: runs
            .iter()
            .map(|run| run.stack)
            .max_by_key(|stack| stack.value)
            .expect("one call at least"),
        constants,
        code,
        ram: calls.iter().map(|&i| memory::alive(tensors, i)).max().unwrap_or(0),
        scratch: calls.iter().map(scratch).max().unwrap_or(0),
        faster: choice.and_then(|choice| choice.faster.clone()),
        cheaper: choice.and_then(|choice| choice.cheaper.clone()),
        foldings: foldings.map(|folding| folding.form.to_string()).collect(),
    }
}
