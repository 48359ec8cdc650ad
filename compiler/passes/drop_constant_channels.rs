//! Requires zero points as the model states them; ensures that no channel is computed that is the
//! same code everywhere, where all who read it can do without.
//!
//! A channel is the positions of a tensor with one index along the innermost dimension. Ranges of
//! codes are carried forward through the graph; a channel whose range is one code is constant.
//! Channels that operators pass on one to one (depthwise convolutions, pooling, sums, …) form
//! components, and go or stay together: the convolutions at a component's start lose filters, those
//! at its end lose the weights that read it, and their biases take in what it contributed.

use crate::ir::{Graph, Node, TensorId};
use crate::ops::{Chain, DType, Epilogue, Mul, Op, Stage, TensorType, Value};
use crate::target::Target;

/// Models with more channels in all are left as they are: theirs are hardly channels.
const MAX_CHANNELS: usize = 1 << 20;

/// Drops constant channels.
pub fn run(graph: &mut Graph, _: &Target) {
    let Some(mut channels) = Channels::new(graph) else { return };
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

/// The lowest and the highest code.
type Range = (i32, i32);

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
    /// All channels, with nothing known of them; `None` if they are too many.
    fn new(graph: &Graph) -> Option<Self> {
        let mut count = 0;
        let first = (graph.tensors.iter()).map(|(_, tensor)| {
            let here = tensor.constant.is_none()
                && tensor.ty.dtype == DType::I8
                && !tensor.ty.shape.is_empty();
            let first = count;
            if here {
                count += tensor.ty.from_innermost(0);
            }
            here.then_some(first)
        });
        let first: Vec<_> = first.collect();
        (count <= MAX_CHANNELS).then(|| Channels {
            first,
            ranges: vec![DType::I8.range(); count],
            parent: (0..count).collect(),
            blocked: vec![false; count],
        })
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

    /// Carries ranges and links through a node.
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
        let weights = node.inputs.get(1).and_then(|&id| graph.constant(id));
        let bias = node.inputs.get(2).map(|&id| graph.constant(id));
        if to.is_empty()
            || from.is_empty() && !matches!(node.op, Op::Add(_) | Op::Mul(_) | Op::Concatenation(_))
        {
            return false;
        }
        match &node.op {
            Op::Conv2d(op) if ty(node.inputs[1]).shape[3] == from.len() => {
                let (Some(weights), false) = (weights, bias == Some(None)) else { return false };
                let shape = [ty(x), ty(y)].map(|ty| [ty.shape[1], ty.shape[2]]);
                let clipped = op.window.clips(shape[0], shape[1]);
                let padding = clipped.then_some(op.padding_value);
                let sums = Sums {
                    weights,
                    bias: bias.flatten(),
                    zero_point: op.input_zero_point,
                    weights_zero_point: 0,
                };
                self.products(&sums, from.clone(), to, padding, &op.epilogue);
                if let Some(padding) = padding {
                    for channel in
                        from.filter(|&c| self.ranges[c] != (padding, padding)).collect::<Vec<_>>()
                    {
                        self.blocked[channel] = true;
                    }
                }
                true
            }
            Op::FullyConnected(op) if ty(node.inputs[1]).shape[1] % from.len() == 0 => {
                let (Some(weights), false) = (weights, bias == Some(None)) else { return false };
                let sums = Sums {
                    weights,
                    bias: bias.flatten(),
                    zero_point: op.input_zero_point,
                    weights_zero_point: op.weights_zero_point,
                };
                self.products(&sums, from, to, None, &op.epilogue);
                true
            }
            Op::DepthwiseConv2d(op) => {
                let (Some(weights), false) = (weights, bias == Some(None)) else { return false };
                let shape = [ty(x), ty(y)].map(|ty| [ty.shape[1], ty.shape[2]]);
                let padding = op.window.clips(shape[0], shape[1]).then_some(op.padding_value);
                let biases = bias.flatten().map(Value::ints);
                let weights = weights.ints();
                let multiplier = to.len() / from.len();
                for (o, channel) in to.clone().enumerate() {
                    let source = from.start + o / multiplier;
                    let taps = weights.iter().skip(o).step_by(to.len());
                    let terms = taps.map(|&w| (hull(self.ranges[source], padding), w));
                    let start = biases.as_ref().map_or(0, |bias| bias[o]);
                    let sum = sum_range(start, op.input_zero_point, terms);
                    self.ranges[channel] = through(&op.epilogue, sum, o);
                    self.link(source, channel);
                }
                true
            }
            Op::AveragePool2d(op) => self.each(from, to, |x, c| through(&op.epilogue, wide(x), c)),
            Op::MaxPool2d(op) => self.each(from, to, |x, c| through(&op.epilogue, wide(x), c)),
            Op::Mean(op) if !op.axes.contains(&(ty(x).shape.len() - 1)) => {
                let count = (ty(x).elements() / ty(y).elements()) as i64;
                let zero = op.input_zero_point as i64;
                self.each(from, to, |(lo, hi), c| {
                    through(
                        &op.epilogue,
                        ((lo as i64 - zero) * count, (hi as i64 - zero) * count),
                        c,
                    )
                })
            }
            Op::ResizeNearestNeighbor(_) => self.each(from, to, |x, _| x),
            Op::Pad(op) if op.padding.last() == Some(&[0, 0]) => {
                self.each(from, to, |x, _| hull(x, Some(op.value)))
            }
            Op::StridedSlice(op) => {
                let Some(range) = op.ranges.last() else { return false };
                let whole = range.begin == 0 && range.stride == 1 && range.length == from.len();
                whole && to.len() == from.len() && self.each(from, to, |x, _| x)
            }
            Op::Reshape(_) if to.len() % from.len() == 0 => {
                for (i, channel) in to.enumerate() {
                    let source = from.start + i % from.len();
                    self.ranges[channel] = self.ranges[source];
                    self.link(source, channel);
                }
                true
            }
            Op::Concatenation(op) => self.concatenate(graph, node, op.axis),
            Op::Add(op) => self.combine(graph, node, |[a, b], c| {
                let term = |i: usize, range: Range| {
                    let ends = [range.0, range.1].map(|code| op.operands[i].apply(code) as i64);
                    (ends[0].min(ends[1]), ends[0].max(ends[1]))
                };
                let (a, b) = (term(0, a), term(1, b));
                through(&op.epilogue, (a.0 + b.0, a.1 + b.1), c)
            }),
            Op::Mul(op) => self.combine(graph, node, |codes, c| {
                through(&op.epilogue, product_range(op, codes), c)
            }),
            op => match op.stages() {
                Some(stages) => {
                    let epilogue = Epilogue(vec![Chain(stages)]);
                    self.each(from, to, |x, c| through(&epilogue, wide(x), c))
                }
                None => false,
            },
        }
    }

    /// Channels one to one.
    fn each(
        &mut self,
        from: std::ops::Range<usize>,
        to: std::ops::Range<usize>,
        range: impl Fn(Range, usize) -> Range,
    ) -> bool {
        for (c, (source, channel)) in from.zip(to).enumerate() {
            self.ranges[channel] = range(self.ranges[source], c);
            self.link(source, channel);
        }
        true
    }

    /// Results of filters over all channels, in the layout `[filter, …, channel]`.
    fn products(
        &mut self,
        sums: &Sums,
        from: std::ops::Range<usize>,
        to: std::ops::Range<usize>,
        padding: Option<i32>,
        epilogue: &Epilogue,
    ) {
        let weights = sums.weights.ints();
        let taps = weights.len() / to.len();
        let biases = sums.bias.map(Value::ints);
        for (o, channel) in to.enumerate() {
            let terms = weights[o * taps..][..taps].iter().enumerate().map(|(i, &w)| {
                let range = self.ranges[from.start + i % from.len()];
                (hull(range, padding), w - sums.weights_zero_point)
            });
            let start = biases.as_ref().map_or(0, |bias| bias[o]);
            self.ranges[channel] = through(epilogue, sum_range(start, sums.zero_point, terms), o);
        }
    }

    fn concatenate(&mut self, graph: &Graph, node: &Node, axis: usize) -> bool {
        let to = self.of(graph, node.outputs[0]);
        let innermost = axis + 1 == graph.tensors[node.outputs[0]].ty.shape.len();
        let parts: Vec<_> = node.inputs.iter().map(|&id| self.of(graph, id)).collect();
        if parts.iter().any(|part| part.is_empty()) {
            return false;
        }
        let mut first = to.start;
        for (i, part) in parts.into_iter().enumerate() {
            let end = first + part.len();
            for (source, channel) in part.zip(first..end) {
                let range = self.ranges[source];
                self.ranges[channel] = match innermost || i == 0 {
                    true => range,
                    false => {
                        (range.0.min(self.ranges[channel].0), range.1.max(self.ranges[channel].1))
                    }
                };
                self.link(source, channel);
            }
            if innermost {
                first = end;
            }
        }
        true
    }

    /// Two operands, element by element.
    fn combine(
        &mut self,
        graph: &Graph,
        node: &Node,
        range: impl Fn([Range; 2], usize) -> Range,
    ) -> bool {
        let to = self.of(graph, node.outputs[0]);
        let operand = |this: &Self, id: TensorId| -> Option<Vec<Range>> {
            let channels = this.of(graph, id);
            match graph.constant(id) {
                Some(value) => Some(constant_ranges(value, to.len())),
                None => (channels.len() == to.len()).then(|| this.ranges[channels].to_vec()),
            }
        };
        let (Some(a), Some(b)) = (operand(self, node.inputs[0]), operand(self, node.inputs[1]))
        else {
            return false;
        };
        for (c, channel) in to.clone().enumerate() {
            self.ranges[channel] = range([a[c], b[c]], c);
            for &id in &node.inputs {
                if graph.constant(id).is_none() {
                    let source = self.of(graph, id).start + c;
                    self.link(source, channel);
                }
            }
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

/// The weights of filters over all channels.
struct Sums<'a> {
    weights: &'a Value,
    bias: Option<&'a Value>,
    zero_point: i32,
    weights_zero_point: i32,
}

fn hull((lo, hi): Range, other: Option<i32>) -> Range {
    other.map_or((lo, hi), |other| (lo.min(other), hi.max(other)))
}

fn wide((lo, hi): Range) -> (i64, i64) {
    (lo as i64, hi as i64)
}

/// The range of `start + Σ (x − zero_point)·w`.
fn sum_range(start: i32, zero_point: i32, terms: impl Iterator<Item = (Range, i32)>) -> (i64, i64) {
    let start = start as i64;
    terms.fold((start, start), |(lo, hi), (x, w)| {
        let ends = [x.0, x.1].map(|x| (x as i64 - zero_point as i64) * w as i64);
        (lo + ends[0].min(ends[1]), hi + ends[0].max(ends[1]))
    })
}

fn product_range(op: &Mul, [a, b]: [Range; 2]) -> (i64, i64) {
    let ends = |(lo, hi): Range, zero: i32| [(lo - zero) as i64, (hi - zero) as i64];
    let (a, b) = (ends(a, op.zero_points[0]), ends(b, op.zero_points[1]));
    let products = [a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]];
    (products.into_iter().min().expect("four"), products.into_iter().max().expect("four"))
}

/// The range of codes for accumulators from `lo` to `hi`.
fn through(epilogue: &Epilogue, (lo, hi): (i64, i64), channel: usize) -> Range {
    let (Ok(lo), Ok(hi)) = (i32::try_from(lo), i32::try_from(hi)) else {
        return DType::I8.range();
    };
    epilogue.0[0].0.iter().fold((lo, hi), |(lo, hi), stage| match stage {
        Stage::Table(table) => {
            let results = &table[(lo + 128) as usize..=(hi + 128) as usize];
            let (min, max) = (results.iter().min(), results.iter().max());
            (*min.expect("not empty") as i32, *max.expect("not empty") as i32)
        }
        // Between two ends that don't wrap nothing does.
        Stage::Requantize { .. }
            if lo != hi && [lo, hi].iter().any(|&x| wraps(stage, x, channel)) =>
        {
            (i32::MIN, i32::MAX)
        }
        stage => {
            let ends = [lo, hi].map(|x| stage.apply(x, channel));
            (ends[0].min(ends[1]), ends[0].max(ends[1]))
        }
    })
}

/// Whether a requantization of `x` leaves 32 bits on its way.
fn wraps(stage: &Stage, x: i32, channel: usize) -> bool {
    let Stage::Requantize { offset, multipliers, zero_point } = stage else { return false };
    let multiplier = multipliers[if multipliers.len() == 1 { 0 } else { channel }];
    let shifted = (x as i64 - *offset as i64) << multiplier.shift.max(0);
    let fits = |x: i64| i32::try_from(x).is_ok();
    !fits(shifted) || !fits(multiplier.apply(x - offset) as i64 + *zero_point as i64)
}

/// The range of a constant operand in each of `channels` channels.
fn constant_ranges(value: &Value, channels: usize) -> Vec<Range> {
    let innermost = value.ty.from_innermost(0);
    let mut ranges: Vec<Option<Range>> = vec![None; innermost];
    for (i, code) in value.ints().into_iter().enumerate() {
        let range = &mut ranges[i % innermost];
        *range = Some(hull(range.unwrap_or((code, code)), Some(code)));
    }
    let range = |c: usize| ranges[c % innermost].expect("each channel has a code");
    (0..channels).map(range).collect()
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
