//! Where tensors lie: each buffer at a fixed offset, sharing memory with those that don't need it at
//! the same time.

use std::collections::HashMap;

use super::packing::{merged, Packing, Ranges};
use super::schedule::{Part, Schedule, Step};
use crate::ir::{Graph, Node, TensorId};
use crate::kernels::{Over, Recipe};
use crate::loop_ir::{Memory, Region};
use crate::ops::{DType, Op};

/// Static memories, and the region of every tensor that lies in one.
pub struct Layout {
    /// One for each element type in use.
    pub memories: Vec<Memory>,
    regions: HashMap<TensorId, Region>,
    /// By node: memory for the layer alone.
    scratch: HashMap<usize, Region>,
    /// By node: the operand whose memory its first result takes.
    in_place: HashMap<usize, usize>,
    /// By node: the bytes that are alive while it runs, as if nothing lay over anything.
    pub alive: Vec<usize>,
}

/// How long the smallest packing is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Not at all: the first one that comes to mind.
    Glance,
    /// As long as it pays.
    Search,
}

impl Layout {
    /// Plans the memory of what is run, by a recipe for each node; buffers lie at multiples of
    /// `alignment` bytes.
    pub fn new(schedule: &Schedule, recipes: &[&Recipe], alignment: usize, effort: Effort) -> Self {
        let plan = Plan::new(schedule, recipes);
        let pieces: Vec<Vec<Piece>> = plan.buffers.iter().map(Buffer::pieces).collect();
        let alive = alive(schedule, &plan.buffers, &pieces);
        let mut memories: Vec<Memory> = Vec::new();
        let mut placed = vec![(0, 0); plan.buffers.len()];
        for Buffer { dtype, .. } in &plan.buffers {
            if memories.iter().any(|memory| memory.dtype == *dtype) {
                continue;
            }
            let step = (alignment / dtype.size()).max(1);
            let mut packing = Packing::new(step);
            let members: Vec<usize> =
                (0..plan.buffers.len()).filter(|&i| plan.buffers[i].dtype == *dtype).collect();
            for (n, &i) in members.iter().enumerate() {
                packing.push(plan.buffers[i].len);
                for (m, &j) in members[..n].iter().enumerate() {
                    packing.keep_apart(m, n, plan.forbidden(&pieces, j, i));
                }
            }
            let (offsets, len) = match effort {
                Effort::Glance => packing.greedy(),
                Effort::Search => packing.search(),
            };
            for (i, offset) in members.into_iter().zip(offsets) {
                placed[i] = (memories.len(), offset);
            }
            memories.push(Memory { dtype: *dtype, len });
        }
        let region = |place: &Place, len: usize| {
            let (memory, offset) = placed[place.buffer];
            Region { memory, offset: offset + place.at, len }
        };
        let regions = plan
            .places
            .iter()
            .map(|(&id, place)| (id, region(place, schedule.graph.tensors[id].ty.elements())));
        let scratch = plan.scratch.iter().map(|(&node, &buffer)| {
            (node, region(&Place { buffer, at: 0 }, recipes[node].scratch()))
        });
        Layout {
            regions: regions.collect(),
            scratch: scratch.collect(),
            in_place: plan.in_place,
            memories,
            alive,
        }
    }

    /// Bytes of all memories.
    pub fn ram(&self) -> usize {
        self.memories.iter().map(|memory| memory.len * memory.dtype.size()).sum()
    }

    /// The operand whose memory a node's first result takes, if it does so.
    pub fn in_place(&self, node: usize) -> Option<usize> {
        self.in_place.get(&node).copied()
    }

    /// The memory that a node's layer has for itself.
    pub fn scratch(&self, node: usize) -> Option<Region> {
        self.scratch.get(&node).copied()
    }

    /// Where a tensor lies; `None` for constants.
    pub fn region(&self, id: TensorId) -> Option<Region> {
        self.regions.get(&id).copied()
    }
}

/// Whether `node` is no step at all: its result is its operand's memory.
pub fn is_free(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Reshape(_)) && graph.constant(node.inputs[0]).is_none()
}

/// A run of memory.
struct Buffer {
    dtype: DType,
    len: usize,
    /// Whether rows come and go in it, so that all of it is needed all the time.
    line: bool,
    /// In the order of time; what is read at a time comes before what is written.
    accesses: Vec<Access>,
}

/// Elements that are read or written at some time: 0 is when the model's inputs are written, then
/// one for each step, and the last one is when its outputs are read.
struct Access {
    time: usize,
    writes: bool,
    from: usize,
    to: usize,
}

/// Elements of a buffer that hold something from one time to another.
#[derive(Clone, Copy)]
struct Piece {
    from: usize,
    to: usize,
    alive: (usize, usize),
}

/// Where a tensor begins in which buffer.
#[derive(Clone, Copy)]
struct Place {
    buffer: usize,
    at: usize,
}

/// What a step writes may lie over what it reads for the last time, as far as its routine goes on
/// reading before it writes.
struct Overlap {
    time: usize,
    read: Place,
    written: Place,
    over: Over,
}

impl Buffer {
    fn new(dtype: DType, len: usize) -> Buffer {
        Buffer { dtype, len, line: false, accesses: Vec::new() }
    }

    /// What it holds where and when.
    fn pieces(&self) -> Vec<Piece> {
        if let (true, [first, .., last]) = (self.line, &self.accesses[..]) {
            return vec![Piece { from: 0, to: self.len, alive: (first.time, last.time) }];
        }
        let mut cuts: Vec<usize> = self.accesses.iter().flat_map(|a| [a.from, a.to]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut pieces: Vec<Piece> = Vec::new();
        let mut before: (usize, Vec<(usize, usize)>) = (0, Vec::new());
        for band in cuts.windows(2) {
            let mut alive: Vec<(usize, usize)> = Vec::new();
            for access in &self.accesses {
                if access.from > band[0] || access.to < band[1] {
                    continue;
                }
                match alive.last_mut() {
                    Some(value) if !access.writes => value.1 = access.time,
                    _ => alive.push((access.time, access.time)),
                }
            }
            let first = pieces.len() - before.1.len();
            if before.0 == band[0] && before.1 == alive {
                pieces[first..].iter_mut().for_each(|piece| piece.to = band[1]);
            } else {
                let piece = |&alive: &(usize, usize)| Piece { from: band[0], to: band[1], alive };
                pieces.extend(alive.iter().map(piece));
            }
            before = (band[1], alive);
        }
        pieces
    }
}

/// Buffers, what lies in them, and what may lie over what.
#[derive(Default)]
struct Plan {
    buffers: Vec<Buffer>,
    places: HashMap<TensorId, Place>,
    scratch: HashMap<usize, usize>,
    in_place: HashMap<usize, usize>,
    overlaps: Vec<Overlap>,
}

impl Plan {
    fn new(schedule: &Schedule, recipes: &[&Recipe]) -> Plan {
        let graph = &schedule.graph;
        let mut plan = Plan::default();
        let last_uses = last_uses(schedule);
        // By the layer that the model has.
        let mut scratch: HashMap<usize, usize> = HashMap::new();
        for &id in &graph.inputs {
            plan.access(schedule, id, 0, true);
        }
        for (time, step) in (1..).zip(&schedule.steps) {
            let (n, node) = match step {
                Step::Keep { of, from, len, .. } => {
                    let place = plan.place(schedule, *of);
                    plan.touch(place, time, false, *from, *len);
                    plan.touch(place, time, true, 0, *len);
                    continue;
                }
                Step::Node(n) => (*n, &graph.nodes[*n]),
            };
            if is_free(graph, node) {
                let place = plan.place(schedule, node.inputs[0]);
                plan.places.insert(node.outputs[0], place);
                continue;
            }
            let recipe = recipes[n];
            for &id in node.inputs.iter().filter(|&&id| graph.constant(id).is_none()) {
                plan.access(schedule, id, time, false);
            }
            plan.take_operand(schedule, recipe, n, time, &last_uses);
            for &id in &node.outputs {
                plan.access(schedule, id, time, true);
            }
            let mut written = vec![(plan.places[&node.outputs[0]], false)];
            if recipe.scratch() > 0 {
                let buffer = *scratch.entry(schedule.sources[n]).or_insert_with(|| {
                    plan.buffers.push(Buffer::new(DType::I8, 0));
                    plan.buffers.len() - 1
                });
                let place = Place { buffer, at: 0 };
                plan.buffers[buffer].len = plan.buffers[buffer].len.max(recipe.scratch());
                plan.touch(place, time, true, 0, recipe.scratch());
                plan.scratch.insert(n, buffer);
                written.push((place, true));
            }
            for (operand, id) in node.inputs.iter().enumerate() {
                let Some(&read) = plan.places.get(id) else { continue };
                for &(written, is_scratch) in &written {
                    let over = match is_scratch {
                        true => recipe.scratch_over(operand),
                        false => recipe.result_over(operand),
                    };
                    if let Some(over) = over {
                        plan.overlaps.push(Overlap { time, read, written, over });
                    }
                }
            }
        }
        for &id in &graph.outputs {
            plan.access(schedule, id, schedule.steps.len() + 1, false);
        }
        plan
    }

    /// Where a tensor lies, which gets a buffer if it has none yet.
    fn place(&mut self, schedule: &Schedule, id: TensorId) -> Place {
        if let Some(place) = self.places.get(&id) {
            return *place;
        }
        let place = match schedule.parts.get(&id) {
            Some(&Part { of, at }) => {
                let whole = self.place(schedule, of);
                Place { at: whole.at + at, ..whole }
            }
            None => {
                let ty = &schedule.graph.tensors[id].ty;
                let (dtype, len) = (ty.dtype, ty.elements());
                let line = schedule.lines.contains(&id);
                self.buffers.push(Buffer { line, ..Buffer::new(dtype, len) });
                Place { buffer: self.buffers.len() - 1, at: 0 }
            }
        };
        self.places.insert(id, place);
        place
    }

    fn access(&mut self, schedule: &Schedule, id: TensorId, time: usize, writes: bool) {
        let place = self.place(schedule, id);
        self.touch(place, time, writes, 0, schedule.graph.tensors[id].ty.elements());
    }

    fn touch(&mut self, place: Place, time: usize, writes: bool, from: usize, len: usize) {
        let from = place.at + from;
        let access = Access { time, writes, from, to: from + len };
        self.buffers[place.buffer].accesses.push(access);
    }

    /// Lets a node's first result take an operand's buffer, if its recipe allows it and nobody needs
    /// what lies there any more.
    fn take_operand(
        &mut self,
        schedule: &Schedule,
        recipe: &Recipe,
        n: usize,
        time: usize,
        last_uses: &HashMap<TensorId, usize>,
    ) {
        let node = &schedule.graph.nodes[n];
        let whole = |id: &TensorId| !schedule.parts.contains_key(id);
        if !node.outputs.iter().all(whole) {
            return;
        }
        let mut candidates = recipe.in_place(&schedule.graph, node);
        candidates.retain(|&operand| whole(&node.inputs[operand]));
        let taken = candidates.into_iter().find(|&index| {
            let Some(place) = self.places.get(&node.inputs[index]) else { return false };
            let lies_there = |id: &TensorId| {
                self.places.get(id).is_some_and(|other| other.buffer == place.buffer)
            };
            let others = || node.inputs.iter().enumerate().filter(|&(i, _)| i != index);
            let needed = |id: &TensorId| last_uses.get(id).is_some_and(|&last| last > time);
            !others().any(|(_, id)| lies_there(id))
                && !self.places.keys().any(|id| lies_there(id) && needed(id))
        });
        if let Some(index) = taken {
            self.places.insert(node.outputs[0], self.places[&node.inputs[index]]);
            self.in_place.insert(n, index);
        }
    }

    /// By how much buffer `b` must not begin behind buffer `a`.
    fn forbidden(&self, pieces: &[Vec<Piece>], a: usize, b: usize) -> Ranges {
        let mut forbidden = Vec::new();
        for p in &pieces[a] {
            for q in &pieces[b] {
                if p.alive.0 > q.alive.1 || q.alive.0 > p.alive.1 {
                    continue;
                }
                let apart = (p.from as i64 - q.to as i64, p.to as i64 - q.from as i64);
                if p.alive.1 == q.alive.0 && p.alive.0 < q.alive.0 {
                    forbidden.extend(self.over(a, b, q.alive.0, apart));
                } else if q.alive.1 == p.alive.0 && q.alive.0 < p.alive.0 {
                    let over = self.over(b, a, p.alive.0, (-apart.1, -apart.0));
                    forbidden.extend(over.into_iter().map(|(from, to)| (-to, -from)));
                } else {
                    forbidden.push(apart);
                }
            }
        }
        merged(forbidden)
    }

    /// What remains forbidden of a range where `written` is written at a time for which `read` is
    /// read for the last time.
    fn over(&self, read: usize, written: usize, time: usize, (from, to): (i64, i64)) -> Ranges {
        let overlaps = self.overlaps.iter().filter(|overlap| {
            let buffers = (overlap.read.buffer, overlap.written.buffer);
            overlap.time == time && buffers == (read, written)
        });
        let mut forbidden = Vec::new();
        let mut allowed = false;
        for overlap in overlaps {
            allowed = true;
            let same = overlap.read.at as i64 - overlap.written.at as i64;
            let from = from.max(overlap.over.limit.saturating_add(same));
            match overlap.over.same && from < same && same < to {
                true => forbidden.extend([(from, same), (same, to)]),
                false => forbidden.push((from, to)),
            }
        }
        if allowed {
            forbidden
        } else {
            vec![(from, to)]
        }
    }
}

/// The bytes that are alive while each node runs.
fn alive(schedule: &Schedule, buffers: &[Buffer], pieces: &[Vec<Piece>]) -> Vec<usize> {
    // By time: what comes alive, less what is no longer.
    let mut changes = vec![0i64; schedule.steps.len() + 3];
    for (buffer, pieces) in buffers.iter().zip(pieces) {
        for piece in pieces {
            let bytes = ((piece.to - piece.from) * buffer.dtype.size()) as i64;
            changes[piece.alive.0] += bytes;
            changes[piece.alive.1 + 1] -= bytes;
        }
    }
    let mut by_node = vec![0; schedule.graph.nodes.len()];
    let mut now = changes[0];
    for (change, step) in changes[1..].iter().zip(&schedule.steps) {
        now += change;
        if let Step::Node(n) = step {
            by_node[*n] = now as usize;
        }
    }
    by_node
}

/// The last time at which each tensor is read.
fn last_uses(schedule: &Schedule) -> HashMap<TensorId, usize> {
    let mut last = HashMap::new();
    for (time, step) in (1..).zip(&schedule.steps) {
        if let Step::Node(n) = step {
            last.extend(schedule.graph.nodes[*n].inputs.iter().map(|&id| (id, time)));
        }
    }
    last.extend(schedule.graph.outputs.iter().map(|&id| (id, schedule.steps.len() + 1)));
    last
}
