//! From a graph to a program: which kernel computes each node, and where its operands lie.

mod choice;
mod memory;
mod packing;
mod share;

use std::collections::HashMap;

use crate::ir::{Graph, Node, TensorId};
use crate::kernels::{Binding, Layer as KernelLayer, Lowering, Recipe};
use crate::loop_ir::{Arg, Border, Call, Constant, Function, Layer, Program};
use crate::ops::DType;
use crate::target::Target;
use choice::{Budget, Choice};
use memory::Layout;

/// What is preferred where the budgets leave a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// The fewest cycles.
    #[default]
    Speed,
    /// The least flash.
    Size,
}

/// The program for a graph on a target: the fastest that fits its memory.
pub fn program(graph: &Graph, target: &Target) -> Program {
    preferring(graph, target, Prefer::Speed)
}

/// The program for a graph on a target: what is preferred among those that fit its memory, or what
/// comes nearest to fitting.
pub fn preferring(graph: &Graph, target: &Target, prefer: Prefer) -> Program {
    let mut choice = Choice::new(graph, target);
    if prefer == Prefer::Size {
        choice.save(Budget::Flash, usize::MAX);
    }
    loop {
        let program = with(graph, target, &choice.recipes());
        let over = |needed: usize, limit: Option<usize>| {
            limit.and_then(|limit| needed.checked_sub(limit)).filter(|&bytes| bytes > 0)
        };
        let short = [
            (Budget::Flash, over(program.constant_bytes(), target.memory.flash)),
            (Budget::Ram, over(program.ram(), target.memory.ram)),
        ];
        let save = |(budget, bytes): (Budget, Option<usize>)| {
            bytes.is_some_and(|bytes| choice.save(budget, bytes))
        };
        // Both, not just the first.
        if short.map(save) == [false, false] {
            return program;
        }
    }
}

/// The program with a recipe for each node.
fn with(graph: &Graph, target: &Target, recipes: &[&Recipe]) -> Program {
    let layout = Layout::new(graph, recipes, target.alignment);
    let mut program = Program { memories: layout.memories.clone(), ..Program::default() };
    let mut parts = Parts::default();
    for (node, recipe) in graph.nodes.iter().zip(recipes) {
        if memory::is_free(graph, node) {
            continue;
        }
        let lowering = recipe.lower(KernelLayer { graph, node, in_place: layout.in_place(node) });
        let layer = describe(graph, node);
        let call = parts.call(&mut program, &layout, node, lowering, layer);
        program.calls.push(call);
    }
    if target.memory.flash.is_some() {
        share::run(&mut program);
    }
    let border = |&id: &TensorId| {
        let tensor = &graph.tensors[id];
        Border {
            name: tensor.name.clone(),
            region: layout.region(id).expect("inputs and outputs lie in memory"),
            shape: tensor.ty.shape.clone(),
            quantization: tensor.quantization.map(|q| (q.scale, q.zero_point)),
        }
    };
    program.inputs = graph.inputs.iter().map(border).collect();
    program.outputs = graph.outputs.iter().map(border).collect();
    program
}

/// What has gone into the program so far, to be used again by layers that need the same.
#[derive(Default)]
struct Parts {
    constants: HashMap<(DType, bool, Vec<u8>), usize>,
    /// Each with the code that tells functions apart.
    functions: Vec<Function>,
}

impl Parts {
    fn call(
        &mut self,
        program: &mut Program,
        layout: &Layout,
        node: &Node,
        lowering: Lowering,
        layer: Layer,
    ) -> Call {
        let suffix = node.origin.first().map_or(String::new(), |i| format!("_{i}"));
        let code = lowering.code.finish(String::new(), Vec::new());
        let mut args = Vec::new();
        for (param, binding) in code.params.iter().zip(lowering.bindings) {
            let region = |id: TensorId| layout.region(id).expect("not a constant");
            args.push(match binding {
                Binding::Operand(i) => Arg::Region(region(node.inputs[i])),
                Binding::Result(i) => Arg::Region(region(node.outputs[i])),
                Binding::Scratch(_) => Arg::Region(layout.scratch(node).expect("planned")),
                Binding::Constant { doc, value } => {
                    let packed = code.assembly().is_some();
                    let key = (value.ty.dtype, packed, value.bytes.clone());
                    Arg::Constant(*self.constants.entry(key).or_insert_with(|| {
                        let name = format!("{}{suffix}", param.name).to_uppercase();
                        let taken = |name: &str| program.constants.iter().any(|c| c.name == name);
                        let (dtype, bytes) = (value.ty.dtype, value.bytes);
                        program.constants.push(Constant {
                            name: unique(name, taken),
                            doc,
                            dtype,
                            bytes,
                            packed,
                        });
                        program.constants.len() - 1
                    }))
                }
            });
        }
        let function =
            self.functions.iter().position(|other| *other == code).unwrap_or_else(|| {
                let taken = |name: &str| program.functions.iter().any(|f| f.name == name);
                let name = unique(format!("{}{suffix}", lowering.name), taken);
                let mut doc = vec![format!("{}: {}.", layer.what, layer.shapes)];
                if let Some(routine) = code.assembly() {
                    doc.extend(routine.doc.iter().cloned());
                }
                program.functions.push(Function { name, doc, ..code.clone() });
                self.functions.push(code);
                self.functions.len() - 1
            });
        Call { function, args, scalars: Vec::new(), layer }
    }
}

fn unique(name: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&name) {
        return name;
    }
    (2..).map(|n| format!("{name}_{n}")).find(|name| !taken(name)).expect("endless")
}

fn describe(graph: &Graph, node: &Node) -> Layer {
    let attributes = node.op.describe();
    let operands: Vec<String> = (node.inputs.iter())
        .filter(|&&id| graph.constant(id).is_none())
        .map(|&id| graph.tensors[id].ty.to_string())
        .collect();
    let output = &graph.tensors[node.outputs[0]];
    Layer {
        operators: node.origin.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
        what: format!("{} {attributes}", node.op.kind()).trim_end().to_string(),
        shapes: format!("{} → {}", operands.join(", "), output.ty),
        tensor: output.name.clone(),
        macs: graph.node_macs(node),
    }
}
