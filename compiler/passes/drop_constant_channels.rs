//! Requires zero points as the model states them; ensures that no channel is computed that is the
//! same code everywhere, where all who read it can do without.
//!
//! A channel is the positions of a tensor with one index along the innermost dimension; one whose
//! range is a single code is constant.
//! Channels that operators pass on one to one (depthwise convolutions, pooling, sums, …) form
//! components, and go or stay together: the convolutions at a component's start lose filters, those
//! at its end lose the weights that read it, and their biases take in what it contributed.

use super::ranges::{Range, Ranges};
use crate::ir::{Graph, Node, TensorId};
use crate::ops::{DType, Epilogue, Op, Stage, TensorType, Value};
use crate::target::Target;

/// Drops constant channels.
pub fn run(graph: &mut Graph, _: &Target) {
    let Some(ranges) = Ranges::new(graph) else { return };
    let mut channels = Channels::new(graph, &ranges);
    for node in &graph.nodes {
        channels.visit(graph, node);
    }
    for id in graph.inputs.iter().chain(&graph.outputs) {
        channels.block(*id);
    }
    let kept = channels.kept(graph);
    if kept.iter().flatten().all(|kept| kept.dropped.is_empty()) {
        return;
    }
    for i in 0..graph.nodes.len() {
        rewrite(graph, i, &kept);
    }
    for (i, kept) in kept.iter().enumerate() {
        if let Some(kept) = kept.as_ref().filter(|kept| !kept.dropped.is_empty()) {
            let tensor = &mut graph.tensors[TensorId::from_index(i)];
            *tensor.ty.shape.last_mut().expect("has channels") = kept.list.len();
            tensor.origin = None;
        }
    }
}

/// All channels of all tensors, numbered through.
struct Channels {
    /// Each tensor's first channel; `None` for constants and tensors that hold no int8 codes.
    first: Vec<Option<usize>>,
    ranges: Vec<Range>,
    /// Of the component that it is in, as a forest.
    parent: Vec<usize>,
    /// Whether something needs it as it is.
    blocked: Vec<bool>,
}

/// What is left of a tensor's channels.
struct Kept {
    /// Those that stay, ascending.
    list: Vec<usize>,
    /// Those that go, with their codes.
    dropped: Vec<(usize, i32)>,
}

impl Channels {
    /// All channels, none of them linked.
    fn new(graph: &Graph, ranges: &Ranges) -> Self {
        let mut all = Vec::new();
        let first = (graph.tensors.iter()).map(|(id, tensor)| {
            let here = tensor.constant.is_none()
                && tensor.ty.dtype == DType::I8
                && !tensor.ty.shape.is_empty();
            let first = all.len();
            here.then(|| all.extend(ranges.of(id))).map(|()| first)
        });
        let first: Vec<_> = first.collect();
        let count = all.len();
        Channels { first, ranges: all, parent: (0..count).collect(), blocked: vec![false; count] }
    }

    fn of(&self, graph: &Graph, id: TensorId) -> std::ops::Range<usize> {
        match self.first[id.index()] {
            Some(first) => first..first + graph.tensors[id].ty.from_innermost(0),
            None => 0..0,
        }
    }

    fn root(&self, mut channel: usize) -> usize {
        while self.parent[channel] != channel {
            channel = self.parent[channel];
        }
        channel
    }

    fn link(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }

    /// Keeps a tensor's channels as they are.
    fn block(&mut self, id: TensorId) {
        if let Some(first) = self.first[id.index()] {
            let end = self.first[id.index() + 1..].iter().flatten().next();
            let end = end.copied().unwrap_or(self.blocked.len());
            self.blocked[first..end].fill(true);
        }
    }

    /// Carries links through a node.
    fn visit(&mut self, graph: &Graph, node: &Node) {
        if !self.pass(graph, node) {
            for &id in node.inputs.iter().chain(&node.outputs) {
                self.block(id);
            }
        }
    }

    /// The same; `false` if the node needs its operands and its result as they are.
    fn pass(&mut self, graph: &Graph, node: &Node) -> bool {
        let (Some(&x), &[y]) = (node.inputs.first(), &node.outputs[..]) else {
            return false;
        };
        if node.op.epilogue().is_some_and(Epilogue::has_residual) {
            return false;
        }
        let ty = |id: TensorId| &graph.tensors[id].ty;
        let (from, to) = (self.of(graph, x), self.of(graph, y));
        let has_constants = node.inputs[1..].iter().all(|&id| graph.constant(id).is_some());
        if to.is_empty()
            || from.is_empty() && !matches!(node.op, Op::Add(_) | Op::Mul(_) | Op::Concatenation(_))
        {
            return false;
        }
        match &node.op {
            Op::Conv2d(op) if ty(node.inputs[1]).shape[3] == from.len() => {
                let shape = [ty(x), ty(y)].map(|ty| [ty.shape[1], ty.shape[2]]);
                if op.window.clips(shape[0], shape[1]) {
                    // What a channel contributes must be the same at the border.
                    for channel in from {
                        let padding = (op.padding_value, op.padding_value);
                        self.blocked[channel] |= self.ranges[channel] != padding;
                    }
                }
                has_constants
            }
            Op::FullyConnected(_) => has_constants && ty(node.inputs[1]).shape[1] % from.len() == 0,
            Op::DepthwiseConv2d(_) => {
                let multiplier = to.len() / from.len();
                for (o, channel) in to.enumerate() {
                    self.link(from.start + o / multiplier, channel);
                }
                has_constants
            }
            Op::AveragePool2d(_) | Op::MaxPool2d(_) | Op::ResizeNearestNeighbor(_) => {
                self.each(from, to)
            }
            Op::Mean(op) if !op.axes.contains(&(ty(x).shape.len() - 1)) => self.each(from, to),
            Op::Pad(op) if op.padding.last() == Some(&[0, 0]) => self.each(from, to),
            Op::StridedSlice(op) => {
                let Some(range) = op.ranges.last() else { return false };
                let whole = range.begin == 0 && range.stride == 1 && range.length == from.len();
                whole && to.len() == from.len() && self.each(from, to)
            }
            Op::Reshape(_) if to.len() % from.len() == 0 => {
                for (i, channel) in to.enumerate() {
                    self.link(from.start + i % from.len(), channel);
                }
                true
            }
            Op::Concatenation(op) => self.concatenate(graph, node, op.axis),
            Op::Add(_) | Op::Mul(_) => self.combine(graph, node),
            op => op.stages().is_some() && self.each(from, to),
        }
    }

    /// Channels one to one.
    fn each(&mut self, from: std::ops::Range<usize>, to: std::ops::Range<usize>) -> bool {
        for (source, channel) in from.zip(to) {
            self.link(source, channel);
        }
        true
    }

    fn concatenate(&mut self, graph: &Graph, node: &Node, axis: usize) -> bool {
        let to = self.of(graph, node.outputs[0]);
        let innermost = axis + 1 == graph.tensors[node.outputs[0]].ty.shape.len();
        let parts: Vec<_> = node.inputs.iter().map(|&id| self.of(graph, id)).collect();
        if parts.iter().any(|part| part.is_empty()) {
            return false;
        }
        let mut first = to.start;
        for part in parts {
            let end = first + part.len();
            self.each(part, first..end);
            if innermost {
                first = end;
            }
        }
        true
    }

    /// Two operands, element by element.
    fn combine(&mut self, graph: &Graph, node: &Node) -> bool {
        let to = self.of(graph, node.outputs[0]);
        let computed = || node.inputs.iter().filter(|&&id| graph.constant(id).is_none());
        if computed().any(|&id| self.of(graph, id).len() != to.len()) {
            return false;
        }
        for &id in computed() {
            self.each(self.of(graph, id), to.clone());
        }
        true
    }

    /// What stays of each tensor with channels: every component that isn't free, and constant where
    /// weights read it, and at least one channel of each tensor.
    fn kept(&self, graph: &Graph) -> Vec<Option<Kept>> {
        let count = self.ranges.len();
        let mut stays = vec![false; count];
        // Biases take in one code of a channel; other operators only pass it on, and may make it
        // constant themselves, as activations do.
        let mut to_be_constant = vec![false; count];
        for node in &graph.nodes {
            if matches!(node.op, Op::Conv2d(_) | Op::FullyConnected(_)) {
                to_be_constant[self.of(graph, node.inputs[0])].fill(true);
            }
        }
        for channel in 0..count {
            let (lo, hi) = self.ranges[channel];
            if self.blocked[channel] || to_be_constant[channel] && lo != hi {
                stays[self.root(channel)] = true;
            }
        }
        let all: Vec<_> = graph.tensors.iter().map(|(id, _)| self.of(graph, id)).collect();
        for channels in all.iter().filter(|channels| !channels.is_empty()) {
            if !channels.clone().any(|c| stays[self.root(c)]) {
                stays[self.root(channels.start)] = true;
            }
        }
        let kept = |channels: &std::ops::Range<usize>| {
            let (list, dropped): (Vec<usize>, Vec<usize>) =
                (0..channels.len()).partition(|c| stays[self.root(channels.start + c)]);
            let code = |c: usize| (c, self.ranges[channels.start + c].0);
            Kept { list, dropped: dropped.into_iter().map(code).collect() }
        };
        all.iter().map(|channels| (!channels.is_empty()).then(|| kept(channels))).collect()
    }
}

/// Takes the dropped channels out of a node.
fn rewrite(graph: &mut Graph, i: usize, kept: &[Option<Kept>]) {
    let node = graph.nodes[i].clone();
    let changed = |id: &TensorId| kept[id.index()].as_ref().filter(|kept| !kept.dropped.is_empty());
    let input = node.inputs.first().and_then(changed);
    let output = node.outputs.first().and_then(changed);
    if input.is_none() && output.is_none() && !node.inputs.iter().any(|id| changed(id).is_some()) {
        return;
    }
    let mut op = node.op.clone();
    let mut inputs = node.inputs.clone();
    if let (Some(output), Some(epilogue)) = (output, op.epilogue_mut()) {
        for stage in epilogue.0.iter_mut().flat_map(|chain| &mut chain.0) {
            if let Stage::Requantize { multipliers, .. } = stage {
                if multipliers.len() > 1 {
                    *multipliers = output.list.iter().map(|&c| multipliers[c]).collect();
                }
            }
        }
    }
    match &mut op {
        Op::Conv2d(_) | Op::FullyConnected(_) | Op::DepthwiseConv2d(_) => {
            let new = rewrite_weights(graph, &node, input, output);
            inputs.truncate(1);
            inputs.extend(new);
        }
        Op::Add(_) | Op::Mul(_) => {
            for id in &mut inputs {
                let channels = graph.tensors[*id].ty.from_innermost(0);
                if let (Some(value), Some(output)) =
                    (graph.constant(*id), output.filter(|_| channels > 1))
                {
                    let name = graph.tensors[*id].name.clone();
                    let value = select(value, &output.list);
                    *id = graph.add_constant(name, value);
                }
            }
        }
        Op::Reshape(op) => {
            if let (Some(output), Some(innermost)) = (output, op.shape.last_mut()) {
                *innermost = output.list.len();
            }
        }
        Op::StridedSlice(op) => {
            if let Some(output) = output {
                op.ranges.last_mut().expect("has channels").length = output.list.len();
                *op.shape.last_mut().expect("has channels") = output.list.len();
            }
        }
        _ => {}
    }
    graph.nodes[i].op = op;
    graph.nodes[i].inputs = inputs;
}

/// The new weights, and the new bias if there is one.
fn rewrite_weights(
    graph: &mut Graph,
    node: &Node,
    input: Option<&Kept>,
    output: Option<&Kept>,
) -> Vec<TensorId> {
    let weights = graph.constant(node.inputs[1]).expect("asked before").clone();
    let depthwise = matches!(node.op, Op::DepthwiseConv2d(_));
    let results = match depthwise {
        true => weights.ty.from_innermost(0),
        false => weights.ty.shape[0],
    };
    let mut biases = match node.inputs.get(2) {
        Some(&id) => graph.constant(id).expect("asked before").ints(),
        None => vec![0; results],
    };
    let mut new = weights;
    if let (Some(input), false) = (input, depthwise) {
        // What the dropped channels contribute is the same for every result of a filter.
        let (zero_point, weights_zero_point) = match &node.op {
            Op::Conv2d(op) => (op.input_zero_point, 0),
            Op::FullyConnected(op) => (op.input_zero_point, op.weights_zero_point),
            _ => unreachable!("chosen by the caller"),
        };
        let channels = input.list.len() + input.dropped.len();
        let taps = new.ty.elements() / results;
        let ints = new.ints();
        for (o, bias) in biases.iter_mut().enumerate() {
            for (i, w) in ints[o * taps..][..taps].iter().enumerate() {
                if let Ok(at) = input.dropped.binary_search_by_key(&(i % channels), |&(c, _)| c) {
                    let share =
                        (input.dropped[at].1 - zero_point).wrapping_mul(w - weights_zero_point);
                    *bias = bias.wrapping_add(share);
                }
            }
        }
        // A fully connected layer may read several positions in a row.
        let row = new.ty.from_innermost(0);
        let list: Vec<usize> =
            (0..row).filter(|i| input.list.binary_search(&(i % channels)).is_ok()).collect();
        new = select(&new, &list);
    }
    if let Some(output) = output {
        biases = output.list.iter().map(|&c| biases[c]).collect();
        new = match depthwise {
            true => select(&new, &output.list),
            false => {
                let row = new.ty.elements() / results;
                let mut ty = new.ty.clone();
                ty.shape[0] = output.list.len();
                new.gather(&ty, |i| output.list[i / row] * row + i % row)
            }
        };
    }
    let name = |graph: &Graph, i: usize| match node.inputs.get(i) {
        Some(&id) => graph.tensors[id].name.clone(),
        None => format!("{}/bias", graph.tensors[node.outputs[0]].name),
    };
    let (weights_name, bias_name) = (name(graph, 1), name(graph, 2));
    let bias = Value::from_ints(TensorType::new(DType::I32, [biases.len()]), biases);
    vec![graph.add_constant(weights_name, new), graph.add_constant(bias_name, bias)]
}

/// The positions `list` along the innermost dimension.
fn select(value: &Value, list: &[usize]) -> Value {
    let row = value.ty.from_innermost(0);
    let mut ty = value.ty.clone();
    *ty.shape.last_mut().expect("has channels") = list.len();
    value.gather(&ty, |i| i / list.len() * row + list[i % list.len()])
}
