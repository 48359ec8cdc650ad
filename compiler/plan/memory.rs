//! Where tensors lie: each buffer at a fixed offset, sharing memory with those that aren't alive at
//! the same time.

use std::collections::HashMap;

use super::packing;
use crate::ir::{Graph, Node, TensorId};
use crate::kernels::Recipe;
use crate::loop_ir::{Memory, Region};
use crate::ops::{DType, Op};

/// Static memories, and the region of every tensor that lies in one.
pub struct Layout {
    /// One for each element type in use.
    pub memories: Vec<Memory>,
    regions: HashMap<TensorId, Region>,
    /// By first result: memory for the layer alone.
    scratch: HashMap<TensorId, Region>,
    /// By first result: the operand whose memory it takes.
    in_place: HashMap<TensorId, usize>,
}

/// A run of memory for one or more tensors of the same bytes.
#[derive(Clone, Debug)]
struct Buffer {
    dtype: DType,
    len: usize,
    /// The first and the last step at which its contents are needed.
    alive: (usize, usize),
}

impl Layout {
    /// Plans the memory of a graph, buffers at multiples of `alignment` bytes.
    pub fn new(graph: &Graph, recipes: &[&Recipe], alignment: usize) -> Self {
        let (mut buffers, buffer_of, in_place) = buffers(graph, recipes);
        let mut scratch_of: HashMap<TensorId, usize> = HashMap::new();
        for (step, (node, recipe)) in graph.nodes.iter().zip(recipes).enumerate() {
            if recipe.scratch() > 0 {
                scratch_of.insert(node.outputs[0], buffers.len());
                let len = recipe.scratch();
                buffers.push(Buffer { dtype: DType::I8, len, alive: (step, step) });
            }
        }
        let mut memories: Vec<Memory> = Vec::new();
        let mut placed = vec![None; buffers.len()];
        let overlaps = overlaps(graph, recipes, &buffers, &buffer_of, &scratch_of);
        let dtypes: Vec<DType> = buffers.iter().map(|buffer| buffer.dtype).collect();
        for dtype in dtypes {
            if memories.iter().any(|memory| memory.dtype == dtype) {
                continue;
            }
            let members: Vec<usize> =
                (0..buffers.len()).filter(|&i| buffers[i].dtype == dtype).collect();
            let list: Vec<packing::Buffer> = members.iter().map(|&i| buffers[i].packed()).collect();
            let position = |i: usize| members.iter().position(|&member| member == i);
            let overlaps: Vec<packing::Overlap> = (overlaps.iter())
                .filter_map(|overlap| {
                    let (below, above) = (position(overlap.below)?, position(overlap.above)?);
                    Some(packing::Overlap { below, above, ..*overlap })
                })
                .collect();
            let step = (alignment / dtype.size()).max(1);
            let (offsets, len) = packing::pack(&list, &overlaps, step);
            for (&i, offset) in members.iter().zip(offsets) {
                placed[i] = Some(Region { memory: memories.len(), offset, len: buffers[i].len });
            }
            memories.push(Memory { dtype, len });
        }
        let region = |(id, i): (TensorId, usize)| (id, placed[i].expect("all are placed"));
        Layout {
            memories,
            regions: buffer_of.into_iter().map(region).collect(),
            scratch: scratch_of.into_iter().map(region).collect(),
            in_place,
        }
    }

    /// The operand whose memory a node's first result takes, if it does so.
    pub fn in_place(&self, node: &Node) -> Option<usize> {
        self.in_place.get(&node.outputs[0]).copied()
    }

    /// The memory that a node's layer has for itself.
    pub fn scratch(&self, node: &Node) -> Option<Region> {
        self.scratch.get(&node.outputs[0]).copied()
    }

    /// Where a tensor lies; `None` for constants.
    pub fn region(&self, id: TensorId) -> Option<Region> {
        self.regions.get(&id).copied()
    }
}

impl Buffer {
    fn packed(&self) -> packing::Buffer {
        packing::Buffer { len: self.len, alive: self.alive }
    }
}

/// Which buffers may share bytes while both are alive: results and scratch memory with the operand
/// that is read for the last time, as far as the routine goes on reading before it writes.
fn overlaps(
    graph: &Graph,
    recipes: &[&Recipe],
    buffers: &[Buffer],
    buffer_of: &HashMap<TensorId, usize>,
    scratch_of: &HashMap<TensorId, usize>,
) -> Vec<packing::Overlap> {
    let mut overlaps = Vec::new();
    for (step, (node, recipe)) in graph.nodes.iter().zip(recipes).enumerate() {
        let Some(&operand) = buffer_of.get(&node.inputs[0]) else { continue };
        let others = || node.inputs[1..].iter().filter_map(|id| buffer_of.get(id));
        if buffers[operand].alive.1 != step || others().any(|&other| other == operand) {
            continue;
        }
        let result = node.outputs[0];
        let over = [
            (buffer_of.get(&result), recipe.result_over(0)),
            (scratch_of.get(&result), recipe.scratch_over(0)),
        ];
        for (buffer, over) in over {
            if let (Some(&buffer), Some(over)) = (buffer, over) {
                let (limit, same) = (over.limit, over.same);
                if buffer != operand && buffers[buffer].alive.0 == step {
                    overlaps.push(packing::Overlap { below: operand, above: buffer, limit, same });
                }
            }
        }
    }
    overlaps
}

/// Whether `node` is no step at all: its result is its operand's memory.
pub fn is_free(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Reshape(_)) && graph.constant(node.inputs[0]).is_none()
}

/// The buffers, which one each tensor lies in, and which results take an operand's.
#[allow(clippy::type_complexity)]
fn buffers(
    graph: &Graph,
    recipes: &[&Recipe],
) -> (Vec<Buffer>, HashMap<TensorId, usize>, HashMap<TensorId, usize>) {
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut buffer_of: HashMap<TensorId, usize> = HashMap::new();
    let mut taken = HashMap::new();
    let new = |buffers: &mut Vec<Buffer>, id: TensorId, step: usize| {
        let ty = &graph.tensors[id].ty;
        buffers.push(Buffer { dtype: ty.dtype, len: ty.elements(), alive: (step, step) });
        buffers.len() - 1
    };
    let last_uses = last_uses(graph);
    // The last step at which a buffer's contents as of now are needed.
    let mut needed: Vec<usize> = Vec::new();
    for &id in &graph.inputs {
        buffer_of.insert(id, new(&mut buffers, id, 0));
        needed.push(last_uses[id.index()]);
    }
    for (step, node) in graph.nodes.iter().enumerate() {
        for id in &node.inputs {
            if let Some(&buffer) = buffer_of.get(id) {
                buffers[buffer].alive.1 = step;
            }
        }
        for (i, &id) in node.outputs.iter().enumerate() {
            let mut candidates = match i {
                0 => recipes[step].in_place(graph, node),
                _ => Vec::new(),
            };
            let lies_in = |index: usize| buffer_of.get(&node.inputs[index]).copied();
            candidates.retain(|&index| {
                let alone = |buffer| {
                    (0..node.inputs.len()).all(|j| j == index || lies_in(j) != Some(buffer))
                };
                lies_in(index).is_some_and(|buffer| needed[buffer] <= step && alone(buffer))
            });
            let buffer = match candidates.first() {
                _ if is_free(graph, node) => buffer_of[&node.inputs[0]],
                Some(&index) => {
                    taken.insert(id, index);
                    buffer_of[&node.inputs[index]]
                }
                None => {
                    needed.push(0);
                    new(&mut buffers, id, step)
                }
            };
            needed[buffer] = needed[buffer].max(last_uses[id.index()]);
            buffer_of.insert(id, buffer);
        }
    }
    for id in &graph.outputs {
        buffers[buffer_of[id]].alive.1 = graph.nodes.len();
    }
    (buffers, buffer_of, taken)
}

/// The last step that reads each tensor; behind all steps for the model's outputs.
fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last = vec![0; graph.tensors.len()];
    for (step, node) in graph.nodes.iter().enumerate() {
        for id in &node.inputs {
            last[id.index()] = step;
        }
    }
    for id in &graph.outputs {
        last[id.index()] = graph.nodes.len();
    }
    last
}
