//! In which order a graph's nodes run: where it has branches, some orders need less memory than
//! others.

use std::collections::BTreeMap;

use super::memory::is_free;
use crate::ir::{Graph, TensorId};

/// So many sets of nodes that have run are followed at a time.
const FOLLOWED: usize = 400;
/// Graphs of more nodes keep their order: the search would take too long.
const LARGEST: usize = 200;

/// The graph with its nodes in an order in which the least is alive at a time, if that isn't the one
/// that it has.
///
/// After each node, of all orders that ran the same nodes the one with the lowest peak is followed; so
/// the order is the best one unless more sets of nodes are possible at a time than are followed.
pub fn least(graph: &Graph) -> Option<Graph> {
    let nodes = Nodes::new(graph);
    if graph.nodes.len() > LARGEST || !nodes.have_branches() {
        return None;
    }
    let mut front: BTreeMap<Vec<bool>, Run> = BTreeMap::new();
    front.insert(vec![false; graph.nodes.len()], Run { peak: 0, order: Vec::new() });
    for _ in 0..graph.nodes.len() {
        let mut next: BTreeMap<Vec<bool>, Run> = BTreeMap::new();
        for (done, run) in &front {
            for n in (0..done.len()).filter(|&n| nodes.is_ready(n, done)) {
                let mut done = done.clone();
                let peak = run.peak.max(nodes.alive(n, &done));
                done[n] = true;
                let order = [&run.order[..], &[n]].concat();
                let other = Run { peak, order };
                match next.get_mut(&done) {
                    Some(known) if *known <= other => {}
                    _ => drop(next.insert(done, other)),
                }
            }
        }
        if next.len() > FOLLOWED {
            let mut list: Vec<_> = next.into_iter().collect();
            list.sort_by(|a, b| a.1.cmp(&b.1));
            list.truncate(FOLLOWED);
            next = list.into_iter().collect();
        }
        front = next;
    }
    let best = front.into_values().min()?;
    let own: Vec<usize> = (0..graph.nodes.len()).collect();
    (best.peak < nodes.peak(&own)).then(|| Graph {
        nodes: best.order.iter().map(|&n| graph.nodes[n].clone()).collect(),
        ..graph.clone()
    })
}

/// Nodes that have run: the lowest peak first, then the model's own order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    peak: usize,
    order: Vec<usize>,
}

/// What nodes read and write.
struct Nodes {
    /// By node.
    reads: Vec<Vec<usize>>,
    writes: Vec<Vec<usize>>,
    /// Whether what it writes is what it reads, in the same memory.
    free: Vec<bool>,
    /// By buffer.
    bytes: Vec<usize>,
    readers: Vec<Vec<usize>>,
    writer: Vec<Option<usize>>,
    stays: Vec<bool>,
}

impl Nodes {
    fn new(graph: &Graph) -> Nodes {
        let mut buffers: BTreeMap<TensorId, usize> = BTreeMap::new();
        let mut nodes = Nodes {
            reads: Vec::new(),
            writes: Vec::new(),
            free: Vec::new(),
            bytes: Vec::new(),
            readers: Vec::new(),
            writer: Vec::new(),
            stays: Vec::new(),
        };
        let mut buffer = |nodes: &mut Nodes, id: TensorId| {
            *buffers.entry(id).or_insert_with(|| {
                nodes.bytes.push(graph.tensors[id].ty.bytes());
                nodes.readers.push(Vec::new());
                nodes.writer.push(None);
                nodes.stays.push(false);
                nodes.bytes.len() - 1
            })
        };
        for &id in &graph.inputs {
            buffer(&mut nodes, id);
        }
        for (n, node) in graph.nodes.iter().enumerate() {
            let variable = |id: &&TensorId| graph.constant(**id).is_none();
            let reads: Vec<usize> =
                node.inputs.iter().filter(variable).map(|&id| buffer(&mut nodes, id)).collect();
            reads.iter().for_each(|&read| nodes.readers[read].push(n));
            let writes: Vec<usize> =
                node.outputs.iter().map(|&id| buffer(&mut nodes, id)).collect();
            writes.iter().for_each(|&write| nodes.writer[write] = Some(n));
            nodes.free.push(is_free(graph, node));
            nodes.reads.push(reads);
            nodes.writes.push(writes);
        }
        for &id in &graph.outputs {
            let output = buffer(&mut nodes, id);
            nodes.stays[output] = true;
        }
        nodes
    }

    fn have_branches(&self) -> bool {
        self.readers.iter().any(|readers| readers.len() > 1)
            || self.writes.iter().any(|writes| writes.len() > 1)
            || self.reads.iter().any(|reads| reads.len() > 1)
    }

    fn is_ready(&self, n: usize, done: &[bool]) -> bool {
        let written = |&read: &usize| self.writer[read].is_none_or(|writer| done[writer]);
        !done[n] && self.reads[n].iter().all(written)
    }

    /// Bytes alive while a node runs behind others: what was written and is still to be read, and what
    /// it writes.
    fn alive(&self, n: usize, done: &[bool]) -> usize {
        let is_alive = |&buffer: &usize| {
            let written = self.writer[buffer].is_none_or(|writer| done[writer]);
            let wanted = self.stays[buffer] || self.readers[buffer].iter().any(|&n| !done[n]);
            (written && wanted) || (!self.free[n] && self.writes[n].contains(&buffer))
        };
        (0..self.bytes.len()).filter(is_alive).map(|buffer| self.bytes[buffer]).sum()
    }

    fn peak(&self, order: &[usize]) -> usize {
        let mut done = vec![false; order.len()];
        let mut peak = 0;
        for &n in order {
            peak = peak.max(self.alive(n, &done));
            done[n] = true;
        }
        peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Node, Tensor};
    use crate::ops::{Concatenation, DType, Op, TensorType};

    /// Nodes that each read some of the tensors before theirs; tensor 0 is the input, the last one the
    /// output.
    fn graph(bytes: &[usize], reads: &[Vec<usize>]) -> Graph {
        let mut graph = Graph::default();
        let tensor = |&bytes: &usize| Tensor {
            name: String::new(),
            ty: TensorType::new(DType::I8, [1, bytes]),
            quantization: None,
            constant: None,
            origin: None,
        };
        let ids: Vec<TensorId> =
            bytes.iter().map(|bytes| graph.tensors.push(tensor(bytes))).collect();
        let node = |(reads, &output): (&Vec<usize>, &TensorId)| Node {
            op: Op::Concatenation(Concatenation { axis: 1 }),
            inputs: reads.iter().map(|&i| ids[i]).collect(),
            outputs: vec![output],
            origin: Vec::new(),
        };
        graph.nodes = reads.iter().zip(&ids[1..]).map(node).collect();
        graph.inputs = vec![ids[0]];
        graph.outputs = vec![ids[bytes.len() - 1]];
        graph
    }

    /// The lowest peak of all orders that begin so.
    fn least_peak(nodes: &Nodes, done: &mut Vec<bool>, peak: usize) -> usize {
        let ready: Vec<usize> = (0..done.len()).filter(|&n| nodes.is_ready(n, done)).collect();
        let mut least = if ready.is_empty() { peak } else { usize::MAX };
        for n in ready {
            let peak = peak.max(nodes.alive(n, done));
            done[n] = true;
            least = least.min(least_peak(nodes, done, peak));
            done[n] = false;
        }
        least
    }

    #[test]
    fn the_best_order_of_all_is_found() {
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 33) % below as u64) as usize
        };
        let mut improved = 0;
        for _ in 0..200 {
            let count = 3 + random(5);
            let bytes: Vec<usize> = (0..=count).map(|_| 1 + random(100)).collect();
            let reads: Vec<Vec<usize>> =
                (0..count).map(|n| (0..1 + random(2)).map(|_| random(n + 1)).collect()).collect();
            let graph = graph(&bytes, &reads);
            let nodes = Nodes::new(&graph);
            let own: Vec<usize> = (0..count).collect();
            let found = match least(&graph) {
                Some(other) => {
                    improved += 1;
                    let other = Nodes::new(&other);
                    other.peak(&own)
                }
                None => nodes.peak(&own),
            };
            let best = least_peak(&nodes, &mut vec![false; count], 0);
            assert_eq!(found, best, "{bytes:?} {reads:?}");
        }
        assert!(improved > 10, "{improved}");
    }
}
