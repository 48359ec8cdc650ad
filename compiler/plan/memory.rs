//! Where tensors lie: each buffer at a fixed offset, sharing memory with those that aren't alive at
//! the same time.

use std::collections::HashMap;

use crate::ir::{Graph, TensorId};
use crate::loop_ir::{Memory, Region};
use crate::ops::{DType, Op};

/// Static memories, and the region of every tensor that lies in one.
pub struct Layout {
    /// One for each element type in use.
    pub memories: Vec<Memory>,
    regions: HashMap<TensorId, Region>,
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
    pub fn new(graph: &Graph, alignment: usize) -> Self {
        let (buffers, buffer_of) = buffers(graph);
        let mut memories: Vec<Memory> = Vec::new();
        let mut placed: Vec<Option<Region>> = vec![None; buffers.len()];
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        // Large ones first: the small ones fill the gaps.
        order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len * buffers[i].dtype.size()), i));
        for i in order {
            let buffer = &buffers[i];
            let memory = memories.iter().position(|m| m.dtype == buffer.dtype).unwrap_or_else(|| {
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
        Layout { memories, regions: buffer_of.into_iter().map(region).collect() }
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
pub fn is_free(graph: &Graph, node: &crate::ir::Node) -> bool {
    matches!(node.op, Op::Reshape(_)) && graph.constant(node.inputs[0]).is_none()
}

/// The buffers, and which one each tensor lies in.
fn buffers(graph: &Graph) -> (Vec<Buffer>, HashMap<TensorId, usize>) {
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut buffer_of = HashMap::new();
    let add = |buffers: &mut Vec<Buffer>, id: TensorId, step: usize| {
        let ty = &graph.tensors[id].ty;
        buffers.push(Buffer { dtype: ty.dtype, len: ty.elements(), alive: (step, step) });
        buffers.len() - 1
    };
    for &id in &graph.inputs {
        let buffer = add(&mut buffers, id, 0);
        buffer_of.insert(id, buffer);
    }
    for (step, node) in graph.nodes.iter().enumerate() {
        for id in &node.inputs {
            if let Some(&buffer) = buffer_of.get(id) {
                let (_, last): &mut (usize, usize) = &mut buffers[buffer].alive;
                *last = step;
            }
        }
        for &id in &node.outputs {
            let buffer = match is_free(graph, node) {
                true => buffer_of[&node.inputs[0]],
                false => add(&mut buffers, id, step),
            };
            buffer_of.insert(id, buffer);
        }
    }
    for id in &graph.outputs {
        buffers[buffer_of[id]].alive.1 = graph.nodes.len();
    }
    (buffers, buffer_of)
}
