//! How operators are computed: each kernel lowers a node to a function of the loop IR.
//!
//! `portable` has a loop nest for every operator on any core. A kernel knows operators; no operator
//! knows a kernel.

pub mod dsp;
mod moves;
pub mod portable;

use crate::ir::{Graph, Node};
use crate::loop_ir::assembly::Routine;
use crate::loop_ir::{Access, Builder, Place};
use crate::ops::{DType, Epilogue, Op, TensorType, Value};
use crate::target::Target;

pub use dsp::Over;

/// A node in its graph: what a kernel is asked to compute.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// The node.
    pub node: &'a Node,
    /// The operand whose memory the first result takes: one of [`in_place`]'s.
    pub in_place: Option<usize>,
}

impl<'a> Layer<'a> {
    /// The type of operand `index`.
    pub fn input(&self, index: usize) -> &'a TensorType {
        &self.graph.tensors[self.node.inputs[index]].ty
    }

    /// The type of the result.
    pub fn output(&self) -> &'a TensorType {
        &self.graph.tensors[self.node.outputs[0]].ty
    }

    /// Operand `index`, if it is there and a constant.
    pub fn constant(&self, index: usize) -> Option<&'a Value> {
        self.node.inputs.get(index).and_then(|&id| self.graph.constant(id))
    }

    /// The range of operand `index`'s elements: a constant's own, else its type's.
    pub fn range(&self, index: usize) -> (i32, i32) {
        match self.constant(index) {
            Some(value) => {
                let ints = value.ints();
                let (min, max) = (ints.iter().min(), ints.iter().max());
                (min.copied().unwrap_or(0), max.copied().unwrap_or(0))
            }
            None => self.input(index).dtype.range(),
        }
    }
}

/// The operands whose memory a loop nest's first result may take.
fn in_place(graph: &Graph, node: &Node) -> Vec<usize> {
    let last = node.inputs.len().wrapping_sub(1);
    let candidates = match &node.op {
        Op::Add(_) | Op::Mul(_) => vec![0, 1],
        Op::SumPixels(_) => vec![1],
        op if op.stages().is_some() => vec![0],
        op if op.epilogue().is_some_and(Epilogue::has_residual) => vec![last],
        _ => Vec::new(),
    };
    let result = &graph.tensors[node.outputs[0]].ty;
    let fits = |&index: &usize| {
        node.inputs.get(index).is_some_and(|&operand| graph.tensors[operand].ty == *result)
    };
    candidates.into_iter().filter(fits).collect()
}

/// How a layer is computed.
pub enum Recipe {
    /// By a loop nest of that form.
    Portable(portable::Form),
    /// By a routine in assembly for cores with the DSP extension.
    Dsp(Box<dsp::Kernel>, dsp::Run),
}

impl Recipe {
    /// The ways to compute a layer on a core, the fastest first.
    pub fn all(graph: &Graph, node: &Node, target: &Target) -> Vec<Recipe> {
        let layer = Layer { graph, node, in_place: None };
        if !target.features.dsp {
            return vec![Recipe::Portable(target.into())];
        }
        let run = |kernel: dsp::Kernel| {
            let run = kernel.run(layer, &dsp::prices(&target.cycles));
            Recipe::Dsp(Box::new(kernel), run)
        };
        let mut recipes: Vec<Recipe> = dsp::kernels(layer).into_iter().map(run).collect();
        recipes.sort_by_key(Recipe::cycles);
        recipes.push(Recipe::Portable(target.into()));
        recipes
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Recipe::Portable(_) => "portable",
            Recipe::Dsp(kernel, _) => kernel.name,
        }
    }

    /// The cycles of a routine; loop nests cost what compilers make of them.
    pub fn cycles(&self) -> Option<u64> {
        match self {
            Recipe::Portable(_) => None,
            Recipe::Dsp(_, run) => Some(run.cost.cycles),
        }
    }

    /// How the first result may lie over an operand that isn't needed any more, if it may at all.
    pub fn result_over(&self, operand: usize) -> Option<Over> {
        match self {
            Recipe::Portable(_) => None,
            Recipe::Dsp(_, run) => run.result.iter().find(|(i, _)| *i == operand).map(|(_, o)| *o),
        }
    }

    /// The same of the scratch memory.
    pub fn scratch_over(&self, operand: usize) -> Option<Over> {
        match self {
            Recipe::Portable(_) => None,
            Recipe::Dsp(_, run) => run.scratch.iter().find(|(i, _)| *i == operand).map(|(_, o)| *o),
        }
    }

    /// The routine, if it is one.
    pub fn routine(&self) -> Option<&Routine> {
        match self {
            Recipe::Portable(_) => None,
            Recipe::Dsp(kernel, _) => Some(&kernel.routine),
        }
    }

    /// Bytes of memory that the layer needs for itself.
    pub fn scratch(&self) -> usize {
        match self {
            Recipe::Portable(_) => 0,
            Recipe::Dsp(kernel, _) => kernel.scratch,
        }
    }

    /// The operands whose memory a node's first result may take: those of which no element is read
    /// once its place has been written.
    pub fn in_place(&self, graph: &Graph, node: &Node) -> Vec<usize> {
        match self {
            Recipe::Portable(_) => in_place(graph, node),
            // Where a routine's results may lie, the plan decides.
            Recipe::Dsp(..) => Vec::new(),
        }
    }

    /// The layer as code.
    pub fn lower<'a>(&self, layer: Layer<'a>) -> Lowering<'a> {
        match self {
            Recipe::Portable(form) => portable::lower(layer, *form),
            Recipe::Dsp(kernel, _) => kernel.lower(layer),
        }
    }
}

/// What a parameter of a lowered function stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Binding {
    /// The node's operand of that position, in memory.
    Operand(usize),
    /// The node's result of that position.
    Result(usize),
    /// So many bytes of memory for the layer alone, at a word's address.
    Scratch(usize),
    /// Read-only data.
    Constant {
        /// What it holds, in words.
        doc: String,
        /// The contents.
        value: Value,
    },
}

/// A layer as code: the body, and what its parameters stand for.
pub struct Lowering<'a> {
    /// The layer.
    pub layer: Layer<'a>,
    /// The function under construction.
    pub code: Builder,
    /// One for each parameter.
    pub bindings: Vec<Binding>,
    /// What the function is called, before it is made unique.
    pub name: String,
    /// How it goes about it, in words.
    pub doc: String,
    /// What loop nests are like on the core.
    pub form: portable::Form,
}

impl<'a> Lowering<'a> {
    /// An empty function for `layer`.
    pub fn new(layer: Layer<'a>) -> Self {
        let name = layer.node.op.kind().to_lowercase();
        Lowering {
            layer,
            code: Builder::default(),
            bindings: Vec::new(),
            name,
            doc: String::new(),
            form: portable::Form::default(),
        }
    }

    /// A parameter for operand `index`, called `name`.
    pub fn operand(&mut self, index: usize, name: &str) -> Place {
        if let Some(value) = self.layer.constant(index) {
            let tensor = &self.layer.graph.tensors[self.layer.node.inputs[index]].name;
            return self.constant(name, format!("{name} '{tensor}'"), value.clone());
        }
        if self.layer.in_place == Some(index) {
            return self.result(0);
        }
        let bound = Binding::Operand(index);
        // The same tensor twice is the same parameter.
        let same = |b: &Binding| match b {
            Binding::Operand(i) => self.layer.node.inputs[*i] == self.layer.node.inputs[index],
            _ => false,
        };
        if let Some(param) = self.bindings.iter().position(same) {
            return Place::Param(param);
        }
        let ty = self.layer.input(index);
        self.bind(bound, name, ty, Access::Read)
    }

    /// A parameter for result `index`.
    pub fn result(&mut self, index: usize) -> Place {
        let binding = Binding::Result(index);
        if let Some(param) = self.bindings.iter().position(|b| *b == binding) {
            return Place::Param(param);
        }
        self.bind(binding, "output", self.layer.output(), Access::Write)
    }

    /// A parameter for memory of its own.
    pub fn scratch(&mut self, bytes: usize) -> Place {
        let ty = TensorType::new(DType::I8, [bytes]);
        self.bind(Binding::Scratch(bytes), "scratch", &ty, Access::Write)
    }

    /// A parameter for read-only data.
    pub fn constant(&mut self, name: &str, doc: String, value: Value) -> Place {
        let ty = value.ty.clone();
        self.bind(Binding::Constant { doc, value }, name, &ty, Access::Constant)
    }

    /// A parameter for a table of 32-bit numbers.
    pub fn words(&mut self, name: &str, doc: &str, words: &[i32]) -> Place {
        let ty = TensorType::new(DType::I32, [words.len()]);
        self.constant(name, doc.to_string(), Value::from_ints(ty, words.iter().copied()))
    }

    /// A parameter called `name` for what is bound to it.
    pub fn place(&mut self, name: &str, binding: Binding, ty: &TensorType, access: Access) {
        self.bind(binding, name, ty, access);
    }

    fn bind(&mut self, binding: Binding, name: &str, ty: &TensorType, access: Access) -> Place {
        self.bindings.push(binding);
        self.code.param(name, ty.dtype, ty.elements(), access)
    }
}
