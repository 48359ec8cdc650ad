//! The graph: a model's operators in execution order over typed tensors, integers only.
//!
//! Scales are gone: the frontend has turned them into multipliers inside the operators. A tensor
//! keeps its quantization only to be shown, and for the generated interface's constants.

mod arena;
mod eval;
mod folding;
mod print;
mod validate;

pub use arena::{Arena, Id};
pub use eval::{eval, eval_all};
pub use folding::{Difference, Folding, Form, Obstacle, Scope};
pub use validate::validate;

use crate::ops::{Op, TensorType, Value};

/// The id of a tensor in its graph.
pub type TensorId = Id<Tensor>;

/// Scale and zero point of a tensor quantized as a whole: `real = scale · (code − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// The size of one step.
    pub scale: f32,
    /// The code of zero.
    pub zero_point: i32,
}

/// An edge of the graph: a constant, an input, or what one node computes.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The model's name for it.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// As the model states it, if it does so for the whole tensor.
    pub quantization: Option<Quantization>,
    /// The contents of a constant.
    pub constant: Option<Value>,
    /// Its index in the model file, if it stands there as it is here.
    pub origin: Option<usize>,
}

/// One operator applied to tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// The operands, in the operator's order.
    pub inputs: Vec<TensorId>,
    /// The results.
    pub outputs: Vec<TensorId>,
    /// The operators of the model file that it stands for, by index.
    pub origin: Vec<usize>,
}

/// A model as a list of nodes in execution order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// All tensors; some may have lost their last use.
    pub tensors: Arena<Tensor>,
    /// The operators, each behind those whose results it reads.
    pub nodes: Vec<Node>,
    /// The model's inputs, in its order.
    pub inputs: Vec<TensorId>,
    /// The model's outputs, in its order; a tensor may stand there more than once.
    pub outputs: Vec<TensorId>,
    /// What became of requantizations that follow each other, once passes have folded them.
    pub foldings: Vec<Folding>,
}

impl Graph {
    /// The contents of `id` if it is a constant.
    pub fn constant(&self, id: TensorId) -> Option<&Value> {
        self.tensors[id].constant.as_ref()
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: String, value: Value) -> TensorId {
        self.tensors.push(Tensor {
            name,
            ty: value.ty.clone(),
            quantization: None,
            constant: Some(value),
            origin: None,
        })
    }

    /// The index of the node that computes `id`, if one does.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| node.outputs.contains(&id))
    }

    /// How many operands and model outputs `id` is.
    pub fn uses(&self, id: TensorId) -> usize {
        let operands = self.nodes.iter().flat_map(|node| &node.inputs);
        operands.chain(&self.outputs).filter(|&&used| used == id).count()
    }

    /// Makes every reader of `old` read `new`, model outputs included.
    pub fn replace_uses(&mut self, old: TensorId, new: TensorId) {
        let operands = self.nodes.iter_mut().flat_map(|node| &mut node.inputs);
        for used in operands.chain(&mut self.outputs).filter(|used| **used == old) {
            *used = new;
        }
    }

    /// The types of a node's operands.
    pub fn input_types(&self, node: &Node) -> Vec<&TensorType> {
        node.inputs.iter().map(|&id| &self.tensors[id].ty).collect()
    }

    /// The multiplications of a whole inference.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|node| self.node_macs(node)).sum()
    }

    /// About how many steps evaluating it takes, counted in multiplications.
    pub fn work(&self) -> u64 {
        let inputs = self.inputs.iter().map(|&id| self.tensors[id].ty.elements() as u64);
        let nodes = self.nodes.iter().map(|node| self.node_work(node));
        inputs.chain(nodes).fold(0, u64::saturating_add)
    }

    /// The same of one node.
    pub fn node_work(&self, node: &Node) -> u64 {
        node.op.work(&self.input_types(node), &self.tensors[node.outputs[0]].ty)
    }

    /// The multiplications of one node: accumulator updates, requantization not counted.
    pub fn node_macs(&self, node: &Node) -> u64 {
        node.op.macs(&self.input_types(node), &self.tensors[node.outputs[0]].ty)
    }
}
