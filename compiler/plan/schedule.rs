//! What is run in which order: the layers one after the other, or some of them together, a few rows
//! at a time, so that only those rows of what lies between them need memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use crate::ir::{Graph, Node, Tensor, TensorId};
use crate::ops::{DType, Epilogue, Op, PooledSums, SumPixels, TensorType, Window};

/// Neighbouring layers that are computed together, so many rows of the last one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stripes {
    /// The nodes.
    pub nodes: Range<usize>,
    /// Rows of the last one's result.
    pub rows: usize,
}

/// The steps of a run.
pub struct Schedule {
    /// The graph, with a node for each stripe of a layer.
    pub graph: Graph,
    /// For each node, the one in the graph as it was, whose code and weights it may share.
    pub sources: Vec<usize>,
    /// For each node, which part of that one it is; nothing if it is all of it.
    pub notes: Vec<String>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// Tensors that are runs of others.
    pub parts: HashMap<TensorId, Part>,
    /// Tensors that hold some rows of what nobody needs as a whole, at a time.
    pub lines: BTreeSet<TensorId>,
}

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The node of that position.
    Node(usize),
    /// Moves elements to the start of a tensor: rows that are still to be read.
    Keep {
        /// The tensor.
        of: TensorId,
        /// The node whose result it is, in the graph as it was.
        source: usize,
        /// The first one.
        from: usize,
        /// How many.
        len: usize,
    },
}

/// A tensor that is a run of another one's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The other one.
    pub of: TensorId,
    /// Its first element there.
    pub at: usize,
}

impl Schedule {
    /// The schedule of a graph with some layers in stripes; these don't share a node.
    pub fn new(graph: &Graph, stripes: &[Stripes]) -> Schedule {
        let mut schedule = Schedule {
            graph: Graph { nodes: Vec::new(), ..graph.clone() },
            sources: Vec::new(),
            notes: Vec::new(),
            steps: Vec::new(),
            parts: HashMap::new(),
            lines: BTreeSet::new(),
        };
        let mut next = 0;
        while next < graph.nodes.len() {
            match stripes.iter().find(|stripes| stripes.nodes.start == next) {
                Some(stripes) => {
                    let flow = Flow::new(graph, stripes).expect("asked before");
                    schedule.add_stripes(graph, &flow);
                    next = stripes.nodes.end;
                }
                None => {
                    schedule.push(graph.nodes[next].clone(), next, String::new());
                    next += 1;
                }
            }
        }
        schedule
    }

    fn push(&mut self, node: Node, source: usize, note: String) {
        self.steps.push(Step::Node(self.graph.nodes.len()));
        self.graph.nodes.push(node);
        self.sources.push(source);
        self.notes.push(note);
    }

    fn add_stripes(&mut self, graph: &Graph, flow: &Flow) {
        // Memory for the rows of tensors that nobody needs as a whole.
        let mut lines: HashMap<TensorId, Line> = HashMap::new();
        for (&id, &capacity) in &flow.capacities {
            let tensor = &graph.tensors[id];
            let ty = with_rows(&tensor.ty, capacity);
            let tensor = self.graph.tensors.push(Tensor { ty, ..tensor.clone() });
            lines.insert(id, Line { tensor, capacity, first: 0, end: 0 });
        }
        let mut sums: Option<TensorId> = None;
        for event in &flow.events {
            let source = &graph.nodes[event.node];
            let pooling = flow.pooling.as_ref().filter(|pooling| pooling.node == event.node);
            if let (Some(pooling), Some(rows)) = (pooling, &event.operands[0]) {
                let part = self.part(graph, &lines, source.inputs[0], rows);
                sums = Some(self.add_sums(graph, pooling, part, sums, in_words(rows)));
                continue;
            }
            let mut node = Node { op: on_rows(graph, source, &event.rows), ..source.clone() };
            for (operand, rows) in node.inputs.iter_mut().zip(&event.operands) {
                if let Some(rows) = rows {
                    *operand = self.part(graph, &lines, *operand, rows);
                }
            }
            for (result, needed) in node.outputs.iter_mut().zip(&event.needed) {
                if let (Some(line), Some(needed)) = (lines.get_mut(result), *needed) {
                    let row = row(&graph.tensors[*result].ty);
                    self.make_room(line, event.node, row, needed, &event.rows);
                }
                *result = self.part(graph, &lines, *result, &event.rows);
            }
            self.push(node, event.node, in_words(&event.rows));
        }
        if let (Some(pooling), Some(sums)) = (&flow.pooling, sums) {
            let source = &graph.nodes[pooling.node];
            let op = Op::PooledSums(pooling.end.clone());
            let node = Node { op, inputs: vec![sums], ..source.clone() };
            self.push(node, pooling.node, "from sums to codes".into());
        }
    }

    /// Sees to it that `rows` can be written behind those from `needed` on, by moving the latter.
    fn make_room(
        &mut self,
        line: &mut Line,
        source: usize,
        row: usize,
        needed: usize,
        rows: &Range<usize>,
    ) {
        if needed >= line.end {
            line.first = rows.start;
        } else if rows.end - line.first > line.capacity {
            let (from, len) = ((needed - line.first) * row, (line.end - needed) * row);
            self.steps.push(Step::Keep { of: line.tensor, source, from, len });
            self.lines.insert(line.tensor);
            line.first = needed;
        }
        line.end = rows.end;
    }

    /// Takes some rows into a pooling's sums.
    fn add_sums(
        &mut self,
        graph: &Graph,
        pooling: &Pooling,
        rows: TensorId,
        before: Option<TensorId>,
        note: String,
    ) -> TensorId {
        let source = &graph.nodes[pooling.node];
        let result = &graph.tensors[source.outputs[0]];
        let channels = pooling.end.shape.iter().product();
        let ty = TensorType::new(DType::I32, [1, 1, 1, channels]);
        let sums = self.graph.tensors.push(Tensor { ty, quantization: None, ..result.clone() });
        let inputs = std::iter::once(rows).chain(before).collect();
        let node =
            Node { op: Op::SumPixels(SumPixels), inputs, outputs: vec![sums], ..source.clone() };
        self.push(node, pooling.node, note);
        sums
    }

    /// A tensor for some rows of another one, as they lie now.
    fn part(
        &mut self,
        graph: &Graph,
        lines: &HashMap<TensorId, Line>,
        id: TensorId,
        rows: &Range<usize>,
    ) -> TensorId {
        let tensor = &graph.tensors[id];
        let (of, first) = lines.get(&id).map_or((id, 0), |line| (line.tensor, line.first));
        let part = Part { of, at: (rows.start - first) * row(&tensor.ty) };
        let ty = with_rows(&tensor.ty, rows.len());
        let id = self.graph.tensors.push(Tensor { ty, ..tensor.clone() });
        self.parts.insert(id, part);
        id
    }
}

/// Memory for some rows at a time.
struct Line {
    tensor: TensorId,
    capacity: usize,
    /// The rows that are there now.
    first: usize,
    end: usize,
}

/// A pooling over all pixels behind the last node: it takes each stripe's rows in as they come.
struct Pooling {
    node: usize,
    /// What becomes of the sums.
    end: PooledSums,
}

impl Pooling {
    /// The node's, if it is one.
    fn new(graph: &Graph, node: usize) -> Option<Pooling> {
        let Node { op, inputs, outputs, .. } = &graph.nodes[node];
        let [operand] = inputs[..] else { return None };
        let &[1, height, width, channels] = &graph.tensors[operand].ty.shape[..] else {
            return None;
        };
        let shape = graph.tensors[outputs[0]].ty.shape.clone();
        let count = i32::try_from(height * width).ok()?;
        let (offset, divisor, epilogue) = match op {
            Op::AveragePool2d(op)
                if op.window.size == [height, width] && op.window.padding.is_none() =>
            {
                (0, count, &op.epilogue)
            }
            Op::Mean(op) if op.axes == [1, 2] => {
                (op.input_zero_point.checked_mul(count)?, 1, &op.epilogue)
            }
            _ => return None,
        };
        if shape.iter().product::<usize>() != channels || count > MAX_SUMMED {
            return None;
        }
        let end = PooledSums { offset, divisor, shape, epilogue: epilogue.clone() };
        Some(Pooling { node, end })
    }
}

/// So many codes have a sum of 32 bits.
const MAX_SUMMED: i32 = 1 << 23;

/// Which rows of what are computed in which order: each only when one that needs it is about to be.
struct Flow {
    events: Vec<Event>,
    /// What may come behind the nodes that are computed row by row.
    pooling: Option<Pooling>,
    /// The results that are read by these nodes only, with the most rows that are there at a time.
    capacities: BTreeMap<TensorId, usize>,
}

/// Some rows of a node's results are computed.
struct Event {
    node: usize,
    rows: Range<usize>,
    /// Rows of each operand, where it is one that has rows.
    operands: Vec<Option<Range<usize>>>,
    /// By result, if only these nodes read it: the first row that is still to be read then, those that
    /// are written now among them.
    needed: Vec<Option<usize>>,
}

/// Whether layers can be computed in stripes.
pub fn possible(graph: &Graph, stripes: &Stripes) -> bool {
    Flow::new(graph, stripes).is_some()
}

impl Flow {
    fn new(graph: &Graph, stripes: &Stripes) -> Option<Flow> {
        let mut nodes = stripes.nodes.clone();
        let pooling = Pooling::new(graph, nodes.clone().last()?);
        nodes.end -= usize::from(pooling.is_some());
        let last = nodes.clone().last()?;
        if pooling.as_ref().is_some_and(|p| graph.nodes[p.node].inputs != graph.nodes[last].outputs)
        {
            return None;
        }
        let mut order = Order::new(graph, &nodes, stripes)?;
        let total = rows(&graph.tensors[graph.nodes[last].outputs[0]].ty)?;
        for first in (0..total).step_by(stripes.rows) {
            let stripe = first..(first + stripes.rows).min(total);
            order.produce(last, stripe.clone())?;
            if let Some(pooling) = &pooling {
                let operands = vec![Some(stripe.clone())];
                order.events.push(Event {
                    node: pooling.node,
                    rows: 0..0,
                    operands,
                    needed: Vec::new(),
                });
            }
        }
        // What others read must be there as a whole in the end.
        for node in nodes.clone() {
            if order.whole[node - nodes.start] {
                let total = rows(&graph.tensors[graph.nodes[node].outputs[0]].ty)?;
                order.produce(node, 0..total)?;
            }
        }
        let mut flow = Flow { events: order.events, pooling, capacities: BTreeMap::new() };
        flow.keep(graph, &order.inside);
        Some(flow)
    }

    /// Finds how long each row of what is read inside only is needed.
    fn keep(&mut self, graph: &Graph, inside: &BTreeSet<TensorId>) {
        // The first row that is still to be read, from the last event back.
        let mut needed: HashMap<TensorId, usize> = HashMap::new();
        for event in self.events.iter_mut().rev() {
            let node = &graph.nodes[event.node];
            for (id, rows) in node.inputs.iter().zip(&event.operands) {
                if let Some(rows) = rows {
                    let first = needed.entry(*id).or_insert(usize::MAX);
                    *first = rows.start.min(*first);
                }
            }
            let first = |id: &TensorId| {
                let first = needed.get(id).copied().unwrap_or(usize::MAX);
                inside.contains(id).then_some(first.min(event.rows.start))
            };
            if event.rows.is_empty() {
                continue;
            }
            event.needed = node.outputs.iter().map(first).collect();
            for (&id, needed) in node.outputs.iter().zip(&event.needed) {
                if let Some(needed) = needed {
                    let capacity = self.capacities.entry(id).or_insert(0);
                    *capacity = (event.rows.end - needed).max(*capacity);
                }
            }
        }
    }
}

/// The events under construction.
struct Order<'a> {
    graph: &'a Graph,
    nodes: Range<usize>,
    /// By node: the rows that are computed at a time, those done, and whether others need its results.
    chunks: Vec<usize>,
    done: Vec<usize>,
    whole: Vec<bool>,
    /// Results that are read by these nodes only, and which one yields them.
    inside: BTreeSet<TensorId>,
    producers: HashMap<TensorId, usize>,
    events: Vec<Event>,
}

impl<'a> Order<'a> {
    fn new(graph: &'a Graph, nodes: &Range<usize>, stripes: &Stripes) -> Option<Self> {
        let outside = |id: &TensorId| {
            let mut others =
                graph.nodes.iter().enumerate().filter(|(n, _)| !stripes.nodes.contains(n));
            graph.outputs.contains(id) || others.any(|(_, node)| node.inputs.contains(id))
        };
        let mut order = Order {
            graph,
            nodes: nodes.clone(),
            chunks: vec![stripes.rows; nodes.len()],
            done: vec![0; nodes.len()],
            whole: Vec::new(),
            inside: BTreeSet::new(),
            producers: HashMap::new(),
            events: Vec::new(),
        };
        for n in nodes.clone() {
            let node = &graph.nodes[n];
            rows(&graph.tensors[node.outputs[0]].ty)?;
            let whole = node.outputs.iter().any(outside);
            order.whole.push(whole);
            if !whole {
                order.inside.extend(&node.outputs);
            }
            order.producers.extend(node.outputs.iter().map(|&id| (id, n)));
        }
        for n in nodes.clone().rev() {
            let stride = window(&graph.nodes[n].op).map_or(1, |window| window.stride[0]);
            let chunk = order.chunks[n - nodes.start] * stride;
            for id in &graph.nodes[n].inputs {
                if let Some(producer) = order.producers.get(id) {
                    let own = &mut order.chunks[producer - nodes.start];
                    *own = chunk.max(*own);
                }
            }
        }
        Some(order)
    }

    /// Computes what is missing of some rows of a node's results, and what that takes.
    fn produce(&mut self, node: usize, wanted: Range<usize>) -> Option<()> {
        let own = node - self.nodes.start;
        while self.done[own] < wanted.end {
            let start = match self.whole[own] {
                true => self.done[own],
                false => wanted.start.max(self.done[own]),
            };
            let rows = start..(start + self.chunks[own]).min(wanted.end);
            let operands = read(self.graph, &self.graph.nodes[node], rows.clone())?;
            for (id, rows) in self.graph.nodes[node].inputs.iter().zip(&operands) {
                if let (Some(&producer), Some(rows)) = (self.producers.get(id), rows) {
                    self.produce(producer, rows.clone())?;
                }
            }
            self.done[own] = rows.end;
            self.events.push(Event { node, rows, operands, needed: Vec::new() });
        }
        Some(())
    }
}

fn in_words(rows: &Range<usize>) -> String {
    match rows.len() {
        1 => format!("row {}", rows.start),
        _ => format!("rows {} to {}", rows.start, rows.end - 1),
    }
}

/// The rows of a tensor of one image.
fn rows(ty: &TensorType) -> Option<usize> {
    match ty.shape[..] {
        [1, rows, _, _] => Some(rows),
        _ => None,
    }
}

/// The elements of a row.
fn row(ty: &TensorType) -> usize {
    ty.shape[2] * ty.shape[3]
}

fn with_rows(ty: &TensorType, rows: usize) -> TensorType {
    TensorType::new(ty.dtype, [1, rows, ty.shape[2], ty.shape[3]])
}

fn window(op: &Op) -> Option<&Window> {
    match op {
        Op::Conv2d(op) => Some(&op.window),
        Op::DepthwiseConv2d(op) => Some(&op.window),
        Op::AveragePool2d(op) => Some(&op.window),
        Op::MaxPool2d(op) => Some(&op.window),
        _ => None,
    }
}

/// Which rows of its operands a node reads for some rows of its results; `None` where an operand
/// has no rows, or none of them would be read.
fn read(graph: &Graph, node: &Node, of: Range<usize>) -> Option<Vec<Option<Range<usize>>>> {
    let result = &graph.tensors[node.outputs[0]].ty;
    rows(result)?;
    let residual = node.op.epilogue().is_some_and(Epilogue::has_residual);
    let mut operands = Vec::new();
    for (i, &id) in node.inputs.iter().enumerate() {
        let tensor = &graph.tensors[id];
        operands.push(match (tensor.constant.is_some(), window(&node.op)) {
            // Weights; of other constants, each row is its own.
            (true, Some(_)) if !residual || i + 1 < node.inputs.len() => None,
            (true, None) if has_no_rows(&tensor.ty) => None,
            (false, Some(window)) if i == 0 => {
                let range = taps(window, &of, rows(&tensor.ty)?);
                Some(range).filter(|range| !range.is_empty()).map(Some)?
            }
            (false, Some(_)) if !residual || i + 1 < node.inputs.len() => return None,
            (false, _) if tensor.ty.shape == result.shape => Some(of.clone()),
            _ => return None,
        });
    }
    let by_element = matches!(node.op, Op::Add(_) | Op::Mul(_)) || node.op.stages().is_some();
    (by_element || window(&node.op).is_some()).then_some(operands)
}

/// Whether a constant is the same for all rows of what it is broadcast to.
fn has_no_rows(ty: &TensorType) -> bool {
    ty.shape.iter().rev().nth(2).is_none_or(|&rows| rows == 1)
}

/// The rows of an operand of so many that a window reads for some rows of results.
fn taps(window: &Window, of: &Range<usize>, height: usize) -> Range<usize> {
    let top = window.padding.top;
    let end = (of.end - 1) * window.stride[0] + (window.size[0] - 1) * window.dilation[0] + 1;
    (of.start * window.stride[0]).saturating_sub(top)..end.saturating_sub(top).min(height)
}

/// A node's operator for some rows of its result: of what lies around the operand, only what these
/// rows reach.
fn on_rows(graph: &Graph, node: &Node, of: &Range<usize>) -> Op {
    let mut op = node.op.clone();
    let window = match &mut op {
        Op::Conv2d(op) => &mut op.window,
        Op::DepthwiseConv2d(op) => &mut op.window,
        Op::AveragePool2d(op) => &mut op.window,
        Op::MaxPool2d(op) => &mut op.window,
        _ => return op,
    };
    let height = rows(&graph.tensors[node.inputs[0]].ty).expect("windows slide over rows");
    let end = (of.end - 1) * window.stride[0] + (window.size[0] - 1) * window.dilation[0] + 1;
    let padding = &mut window.padding;
    (padding.top, padding.bottom) = (
        padding.top.saturating_sub(of.start * window.stride[0]),
        end.saturating_sub(padding.top + height),
    );
    op
}
