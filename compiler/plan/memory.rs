//! Where tensors lie: each buffer at a fixed offset, sharing memory with those that aren't alive at
//! the same time.

use std::collections::HashMap;

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
    pub fn new(graph: &Graph, recipes: &[Recipe], alignment: usize) -> Self {
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
        let mut placed: Vec<Option<Region>> = vec![None; buffers.len()];
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        // Large ones first: the small ones fill the gaps.
        order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len * buffers[i].dtype.size()), i));
        for i in order {
            let buffer = &buffers[i];
            let memory =
                memories.iter().position(|m| m.dtype == buffer.dtype).unwrap_or_else(|| {
                    memories.push(Memory { dtype: buffer.dtype, len: 0 });
                    memories.len() - 1
                });
            let step = (alignment / buffer.dtype.size()).max(1);
            let mut taken: Vec<Region> = (0..buffers.len())
                .filter(|&j| buffers[j].overlaps(buffer))
                .filter_map(|j| placed[j])
                .filter(|region| region.memory == memory)
                .collect();
            taken.sort_by_key(|region| region.offset);
            let mut offset = 0;
            for region in taken {
                if region.offset >= offset + buffer.len {
                    break;
                }
                offset = offset.max((region.offset + region.len).next_multiple_of(step));
            }
            placed[i] = Some(Region { memory, offset, len: buffer.len });
            memories[memory].len = memories[memory].len.max(offset + buffer.len);
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
    fn overlaps(&self, other: &Buffer) -> bool {
        self.alive.0 <= other.alive.1 && other.alive.0 <= self.alive.1
    }
}

/// Whether `node` is no step at all: its result is its operand's memory.
pub fn is_free(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Reshape(_)) && graph.constant(node.inputs[0]).is_none()
}

/// The buffers, which one each tensor lies in, and which results take an operand's.
#[allow(clippy::type_complexity)]
fn buffers(
    graph: &Graph,
    recipes: &[Recipe],
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
