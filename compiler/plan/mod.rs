//! From a graph to a program: which kernel computes each node, in which order and how many rows at a
//! time, and where operands lie.

mod choice;
pub mod cost;
mod memory;
mod order;
mod packing;
mod rounds;
mod schedule;
mod search;
mod share;

use std::collections::HashMap;

use serde::Serialize;

use crate::ir::{Graph, Node, TensorId};
use crate::kernels::{Binding, Layer as KernelLayer, Lowering, Recipe};
use crate::loop_ir::{
    load, Access, Arg, Border, Builder, Call, Constant, Function, Layer, Program, Region,
};
use crate::ops::DType;
use crate::target::Target;
use choice::Way;
use memory::Layout;
use schedule::{Schedule, Step};

/// What is preferred where the budgets leave a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// The fewest cycles.
    #[default]
    Speed,
    /// The least flash.
    Size,
}

/// A program, and which choices it came from.
pub struct Plan {
    /// The code.
    pub program: Program,
    /// What was chosen for each layer that there are several ways to compute.
    pub choices: Vec<Choice>,
}

/// How a layer is computed, and how else it could be.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The layer.
    pub layer: Layer,
    /// What is done.
    pub taken: Alternative,
    /// The next faster way, which takes more flash or scratch memory.
    pub faster: Option<Alternative>,
    /// The next slower way, which takes less.
    pub cheaper: Option<Alternative>,
}

/// A way to compute a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alternative {
    /// The kernel.
    pub kernel: &'static str,
    /// Cycles of a run.
    pub cycles: u64,
    /// Bytes of constants, and of code that it doesn't share with other layers.
    pub flash: usize,
    /// Bytes of scratch memory.
    pub scratch: usize,
}

/// The program for a graph on a target: the fastest that fits its memory.
pub fn program(graph: &Graph, target: &Target) -> Program {
    preferring(graph, target, Prefer::Speed).program
}

/// The program for a graph on a target: what is preferred among those that fit its memory, or what
/// comes nearest to fitting.
pub fn preferring(graph: &Graph, target: &Target, prefer: Prefer) -> Plan {
    let other = order::least(graph);
    let own = search::run(graph, target, prefer);
    let other = other.map(|graph| (search::run(&graph, target, prefer), graph));
    // Another order costs nothing.
    let (solution, graph) = match &other {
        Some((solution, graph)) if solution.is_smaller(&own) => (solution, graph),
        _ => (&own, graph),
    };
    let choice = |(node, (ways, &taken)): (usize, (&Vec<Way>, &usize))| {
        let way = |way: Option<usize>| way.and_then(|way| ways.get(way)).map(Way::alternative);
        (ways.len() > 1).then(|| Choice {
            layer: describe(graph, node),
            taken: ways[taken].alternative(),
            faster: way(taken.checked_sub(1)),
            cheaper: way(Some(taken + 1)),
        })
    };
    let choices = solution.ways.iter().zip(&solution.chosen).enumerate().filter_map(choice);
    let mut program = solution.program.clone();
    program.rounds = rounds::find(&program);
    Plan { choices: choices.collect(), program }
}

/// The program for a schedule of a graph with a recipe for each of its nodes, laid out like that.
fn assemble(
    model: &Graph,
    schedule: &Schedule,
    recipes: &[&Recipe],
    layout: &Layout,
    target: &Target,
) -> Program {
    let graph = &schedule.graph;
    let mut program = Program { memories: layout.memories.clone(), ..Program::default() };
    let mut parts = Parts::default();
    for step in &schedule.steps {
        let call = match *step {
            Step::Node(n) if memory::is_free(graph, &graph.nodes[n]) => continue,
            Step::Node(n) => {
                let node = &graph.nodes[n];
                let in_place = layout.in_place(n);
                let lowering = recipes[n].lower(KernelLayer { graph, node, in_place });
                let args = Bound { layout, node, scratch: layout.scratch(n) };
                let layer = Layer {
                    macs: graph.node_macs(node),
                    part: schedule.notes[n].clone(),
                    ..describe(model, schedule.sources[n])
                };
                parts.call(&mut program, args, lowering, layer)
            }
            Step::Keep { of, source, from, len } => {
                let rows = (graph.tensors[of].ty.dtype, from, len);
                let whole = layout.region(of).expect("it lies in memory");
                parts.keep(&mut program, whole, rows, describe(model, source))
            }
        };
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
    /// A layer, by what it is lowered to.
    fn call(
        &mut self,
        program: &mut Program,
        bound: Bound,
        lowering: Lowering,
        layer: Layer,
    ) -> Call {
        let Bound { layout, node, scratch } = bound;
        let suffix = node.origin.first().map_or(String::new(), |i| format!("_{i}"));
        let code = lowering.code.finish(String::new(), Vec::new());
        let mut args = Vec::new();
        for (param, binding) in code.params.iter().zip(lowering.bindings) {
            let region = |id: TensorId| layout.region(id).expect("not a constant");
            args.push(match binding {
                Binding::Operand(i) => Arg::Region(region(node.inputs[i])),
                Binding::Result(i) => Arg::Region(region(node.outputs[i])),
                Binding::Scratch(_) => Arg::Region(scratch.expect("planned")),
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
        let name = format!("{}{suffix}", lowering.name);
        let mut doc = vec![format!("{}: {}.", layer.what, layer.shapes)];
        if let Some(routine) = code.assembly() {
            doc.extend(routine.doc.iter().cloned());
        }
        let function = self.function(program, code, &name, doc);
        Call { function, args, scalars: Vec::new(), layer }
    }

    /// Of `whole`, so many elements that are still to be read, moved to its start.
    fn keep(
        &mut self,
        program: &mut Program,
        whole: Region,
        (dtype, from, len): (DType, usize, usize),
        layer: Layer,
    ) -> Call {
        let mut code = Builder::default();
        let rows = code.param("rows", dtype, from + len, Access::Write);
        code.repeat("i", 0usize, len, |code, i| code.store(rows, &i, load(rows, &i + from)));
        let code = code.finish(String::new(), Vec::new());
        let doc = vec!["Rows that are still to be read move to where they are kept.".to_string()];
        let function = self.function(program, code, "keep_rows", doc);
        let args = vec![Arg::Region(Region { len: from + len, ..whole })];
        let layer = Layer { part: "rows kept".into(), ..layer };
        Call { function, args, scalars: Vec::new(), layer }
    }

    /// The function of that code, which is added where there is none yet.
    fn function(
        &mut self,
        program: &mut Program,
        code: Function,
        name: &str,
        doc: Vec<String>,
    ) -> usize {
        if let Some(known) = self.functions.iter().position(|other| *other == code) {
            return known;
        }
        let taken = |name: &str| program.functions.iter().any(|f| f.name == name);
        let name = unique(name.to_string(), taken);
        program.functions.push(Function { name, doc, ..code.clone() });
        self.functions.push(code);
        self.functions.len() - 1
    }
}

/// What a node's operands, results and scratch memory are bound to.
struct Bound<'a> {
    layout: &'a Layout,
    node: &'a Node,
    scratch: Option<Region>,
}

fn unique(name: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&name) {
        return name;
    }
    (2..).map(|n| format!("{name}_{n}")).find(|name| !taken(name)).expect("endless")
}

/// The layer of a graph's node, as a whole.
fn describe(graph: &Graph, node: usize) -> Layer {
    let node = &graph.nodes[node];
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
        ..Layer::default()
    }
}
