//! Interval analysis: which codes a tensor's channels can hold, and how far an operator's
//! accumulators reach, whatever the model's inputs are.
//!
//! A channel is the positions of a tensor with one index along the innermost dimension. Ranges are
//! carried forward through the graph from constants, clamps and tables. They hold for every input,
//! but needn't be the narrowest that do.

use crate::ir::{Graph, Node, TensorId};
use crate::ops::{Chain, DType, Mul, Op, Stage, Value, Window};

/// Graphs with more channels in all aren't looked at: theirs are hardly channels.
const MAX_CHANNELS: usize = 1 << 20;

/// The lowest and the highest value.
pub type Range = (i32, i32);

/// Any number of 32 bits: what accumulators hold of which nothing is known, or that may wrap.
pub const ANY: Range = (i32::MIN, i32::MAX);

/// The ranges of all tensors.
pub struct Ranges {
    /// By tensor and channel; nothing for tensors that hold no int8 codes.
    codes: Vec<Vec<Range>>,
}

impl Ranges {
    /// Looks at a whole graph; `None` if it has too many channels.
    pub fn new(graph: &Graph) -> Option<Ranges> {
        let count = |id: TensorId| match graph.tensors[id].ty.dtype {
            DType::I8 => graph.tensors[id].ty.from_innermost(0),
            _ => 0,
        };
        if graph.tensors.iter().map(|(id, _)| count(id)).sum::<usize>() > MAX_CHANNELS {
            return None;
        }
        let codes = graph.tensors.iter().map(|(id, tensor)| match &tensor.constant {
            Some(value) if count(id) > 0 => constant_ranges(value),
            _ => vec![DType::I8.range(); count(id)],
        });
        let mut ranges = Ranges { codes: codes.collect() };
        for node in &graph.nodes {
            for (result, &id) in node.outputs.iter().enumerate() {
                let codes = ranges.results(graph, node, result);
                if let Some(codes) = codes.filter(|codes| codes.len() == count(id)) {
                    ranges.codes[id.index()] = codes;
                }
            }
        }
        Some(ranges)
    }

    /// The ranges of a tensor's channels; empty if it holds no int8 codes.
    pub fn of(&self, id: TensorId) -> &[Range] {
        &self.codes[id.index()]
    }

    /// The codes of a node's result, by channel, if anything is known of them.
    fn results(&self, graph: &Graph, node: &Node, result: usize) -> Option<Vec<Range>> {
        let ty = &graph.tensors[node.outputs[result]].ty;
        let x = self.of(*node.inputs.first()?);
        let uniform = |range: Range| Some(vec![range; ty.from_innermost(0)]);
        if ty.dtype != DType::I8 || x.is_empty() {
            return None;
        }
        if let Some(epilogue) = node.op.epilogue().filter(|epilogue| !epilogue.has_residual()) {
            return Some(through(&epilogue.0[result], &self.accumulators(graph, node)));
        }
        if let Some(stages) = node.op.stages() {
            return Some(through(&Chain(stages), x));
        }
        match &node.op {
            Op::ResizeNearestNeighbor(_) => Some(x.to_vec()),
            Op::Reshape(_) if ty.from_innermost(0) % x.len() == 0 => {
                Some((0..ty.from_innermost(0)).map(|c| x[c % x.len()]).collect())
            }
            Op::Reshape(_) | Op::Transpose(_) => uniform(hull(x)),
            Op::StridedSlice(op) => {
                let range = op.ranges.last()?;
                let whole = (range.begin, range.stride, range.length) == (0, 1, x.len());
                match whole && ty.from_innermost(0) == x.len() {
                    true => Some(x.to_vec()),
                    false => uniform(hull(x)),
                }
            }
            Op::Pad(op) => {
                let padding = (op.value, op.value);
                match op.padding.last() {
                    Some([0, 0]) => Some(x.iter().map(|&x| hull(&[x, padding])).collect()),
                    _ => uniform(hull(&[hull(x), padding])),
                }
            }
            Op::Concatenation(op) if op.axis + 1 == ty.shape.len() => {
                Some(node.inputs.iter().flat_map(|&id| self.of(id)).copied().collect())
            }
            Op::Concatenation(_) => {
                let codes = |c: usize| node.inputs.iter().map(move |&id| self.of(id)[c]);
                Some((0..x.len()).map(|c| hull(&codes(c).collect::<Vec<_>>())).collect())
            }
            Op::Pack(_) => {
                let all: Vec<Range> = node.inputs.iter().map(|&id| hull(self.of(id))).collect();
                uniform(hull(&all))
            }
            _ => None,
        }
    }

    /// How far a node's accumulators reach, by channel of its results.
    pub fn accumulators(&self, graph: &Graph, node: &Node) -> Vec<Range> {
        let channels = graph.tensors[node.outputs[0]].ty.from_innermost(0);
        self.sums(graph, node, channels).unwrap_or_else(|| vec![ANY; channels])
    }

    fn sums(&self, graph: &Graph, node: &Node, channels: usize) -> Option<Vec<Range>> {
        let ty = |id: TensorId| &graph.tensors[id].ty;
        let x = self.of(*node.inputs.first()?);
        let bias = || match node.inputs.get(2).map(|&id| graph.constant(id)) {
            Some(bias) => bias.map(Value::ints),
            None => Some(vec![0; channels]),
        };
        let weights = || graph.constant(*node.inputs.get(1)?).map(Value::ints);
        let image = |id: TensorId| [ty(id).shape[1], ty(id).shape[2]];
        let (from, to) = (node.inputs[0], node.outputs[0]);
        Some(match &node.op {
            Op::Conv2d(op) => {
                let (weights, bias) = (weights()?, bias()?);
                let borders = borders(&op.window, image(from), image(to));
                let depth = ty(node.inputs[1]).shape[3];
                let taps = weights.len() / channels;
                let filters_per_group = channels / (x.len() / depth);
                let sum = |o: usize| {
                    let first = o / filters_per_group * depth;
                    at_borders(&borders, op.padding_value, |read| {
                        let taps = weights[o * taps..][..taps].iter().enumerate();
                        let terms = taps.map(|(i, &w)| (read(i / depth, x[first + i % depth]), w));
                        sum_range(bias[o], op.input_zero_point, terms)
                    })
                };
                (0..channels).map(sum).collect()
            }
            Op::DepthwiseConv2d(op) => {
                let (weights, bias) = (weights()?, bias()?);
                let borders = borders(&op.window, image(from), image(to));
                let sum = |o: usize| {
                    let code = x[o / (channels / x.len())];
                    at_borders(&borders, op.padding_value, |read| {
                        let taps = weights.iter().skip(o).step_by(channels).enumerate();
                        let terms = taps.map(|(tap, &w)| (read(tap, code), w));
                        sum_range(bias[o], op.input_zero_point, terms)
                    })
                };
                (0..channels).map(sum).collect()
            }
            Op::FullyConnected(op) => {
                let (weights, bias) = (weights()?, bias()?);
                let row = weights.len() / channels;
                let all = [hull(x)];
                // Rows may hold several positions, or parts of one.
                let x = if row % x.len() == 0 { x } else { &all };
                let sum = |o: usize| {
                    let taps = weights[o * row..][..row].iter().enumerate();
                    let terms = taps.map(|(i, &w)| (x[i % x.len()], w - op.weights_zero_point));
                    sum_range(bias[o], op.input_zero_point, terms)
                };
                (0..channels).map(sum).collect()
            }
            Op::AveragePool2d(_) | Op::MaxPool2d(_) => x.to_vec(),
            Op::Mean(op) => {
                let count = (ty(from).elements() / ty(to).elements()) as i64;
                let sum = |(lo, hi): Range| {
                    let [lo, hi] = [lo, hi].map(|x| (i64::from(x - op.input_zero_point)) * count);
                    narrow(lo, hi)
                };
                match op.axes.contains(&(ty(from).shape.len() - 1)) {
                    true => vec![sum(hull(x)); channels],
                    false => x.iter().map(|&x| sum(x)).collect(),
                }
            }
            Op::Add(op) => {
                let share = |operand: usize, (lo, hi): Range| {
                    let [lo, hi] = [lo, hi].map(|code| op.operands[operand].apply(code));
                    (i64::from(lo.min(hi)), i64::from(lo.max(hi)))
                };
                let sum = |a: Range, b: Range| {
                    let (a, b) = (share(0, a), share(1, b));
                    narrow(a.0 + b.0, a.1 + b.1)
                };
                self.pairs(node, channels).map(|(a, b)| sum(a, b)).collect()
            }
            Op::Mul(op) => {
                self.pairs(node, channels).map(|(a, b)| product_range(op, a, b)).collect()
            }
            _ => return None,
        })
    }

    /// The two operands' ranges in each channel of the result.
    fn pairs<'a>(
        &'a self,
        node: &Node,
        channels: usize,
    ) -> impl Iterator<Item = (Range, Range)> + 'a {
        let [a, b] = [0, 1].map(|operand| self.of(node.inputs[operand]));
        (0..channels).map(|c| (a[c % a.len()], b[c % b.len()]))
    }
}

/// The range that holds all of these, of which there is one at least.
pub fn hull(ranges: &[Range]) -> Range {
    ranges[1..].iter().fold(ranges[0], |(lo, hi), range| (lo.min(range.0), hi.max(range.1)))
}

/// Which taps of a window are inside the image, in row-major order: each combination that comes
/// at some position. There are few, as most positions are far from the borders.
fn borders(window: &Window, image: [usize; 2], output: [usize; 2]) -> Vec<Vec<bool>> {
    let before = [window.padding.top, window.padding.left];
    let along = |axis: usize| {
        let is_inside = |position: usize, tap: usize| {
            let at = position * window.stride[axis] + tap * window.dilation[axis];
            at.checked_sub(before[axis]).is_some_and(|at| at < image[axis])
        };
        let inside =
            |i: usize| (0..window.size[axis]).map(|tap| is_inside(i, tap)).collect::<Vec<_>>();
        let mut all: Vec<_> = (0..output[axis]).map(inside).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (rows, columns) = (along(0), along(1));
    let both = |row: &[bool], column: &[bool]| {
        row.iter().flat_map(|r| column.iter().map(move |c| *r && *c)).collect()
    };
    rows.iter().flat_map(|row| columns.iter().map(move |column| both(row, column))).collect()
}

/// The hull of sums at all kinds of positions. `sum` is told what a tap reads: the range given, or
/// padding.
fn at_borders(
    borders: &[Vec<bool>],
    padding: i32,
    sum: impl Fn(&dyn Fn(usize, Range) -> Range) -> Range,
) -> Range {
    let read =
        |inside: &Vec<bool>| sum(&|tap, code| if inside[tap] { code } else { (padding, padding) });
    hull(&borders.iter().map(read).collect::<Vec<_>>())
}

/// The same range in 32 bits; any number if it doesn't fit, because sums wrap.
fn narrow(lo: i64, hi: i64) -> Range {
    match (i32::try_from(lo), i32::try_from(hi)) {
        (Ok(lo), Ok(hi)) => (lo, hi),
        _ => ANY,
    }
}

/// The range of `start + Σ (x − zero_point)·w`.
fn sum_range(start: i32, zero_point: i32, terms: impl Iterator<Item = (Range, i32)>) -> Range {
    let start = i64::from(start);
    let (lo, hi) = terms.fold((start, start), |(lo, hi), (x, w)| {
        let ends = [x.0, x.1].map(|x| i64::from(x - zero_point) * i64::from(w));
        (lo + ends[0].min(ends[1]), hi + ends[0].max(ends[1]))
    });
    narrow(lo, hi)
}

fn product_range(op: &Mul, a: Range, b: Range) -> Range {
    let ends = |(lo, hi): Range, zero_point: i32| [lo - zero_point, hi - zero_point];
    let (a, b) = (ends(a, op.zero_points[0]), ends(b, op.zero_points[1]));
    let products = [a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]];
    hull(&products.map(|product| (product, product)))
}

/// The range of a constant's codes in each channel.
fn constant_ranges(value: &Value) -> Vec<Range> {
    let channels = value.ty.from_innermost(0);
    let codes = value.ints();
    let codes = |c: usize| codes.iter().skip(c).step_by(channels).map(|&code| (code, code));
    (0..channels).map(|c| hull(&codes(c).collect::<Vec<_>>())).collect()
}

/// The codes behind a chain, by channel.
fn through(chain: &Chain, accumulators: &[Range]) -> Vec<Range> {
    let code = |(c, &range): (usize, &Range)| image(&chain.0, range, c).range;
    accumulators.iter().enumerate().map(code).collect()
}

/// What becomes of a range.
pub struct Image {
    /// The range of the results.
    pub range: Range,
    /// Whether a higher value never has a lower result.
    pub rises: bool,
}

/// What stages without a residual make of the values of a range, in channel `channel`.
pub fn image(stages: &[Stage], range: Range, channel: usize) -> Image {
    let start = Image { range, rises: true };
    stages.iter().fold(start, |Image { range: (lo, hi), rises }, stage| match stage {
        Stage::Table(table) => {
            // Only codes come to a table, whatever else is asked about.
            let [first, last] = [lo, hi].map(|code| (code.clamp(-128, 127) + 128) as usize);
            let results = &table[first..=last];
            let results: Vec<Range> = results.iter().map(|&x| (x.into(), x.into())).collect();
            Image { range: hull(&results), rises: rises && results.is_sorted() }
        }
        // Between two ends that don't wrap nothing does.
        Stage::Requantize { .. }
            if lo != hi && [lo, hi].iter().any(|&x| wraps(stage, x, channel)) =>
        {
            Image { range: ANY, rises: false }
        }
        stage => {
            let [first, last] = [lo, hi].map(|x| stage.apply(x, channel));
            let range = (first.min(last), first.max(last));
            Image { range, rises: rises && first <= last }
        }
    })
}

/// Whether a requantization of `x` leaves 32 bits on its way.
fn wraps(stage: &Stage, x: i32, channel: usize) -> bool {
    let Stage::Requantize { offset, multipliers, zero_point } = stage else { return false };
    let multiplier = multipliers[if multipliers.len() == 1 { 0 } else { channel }];
    let fits = |x: i64| i32::try_from(x).is_ok();
    let Some(x) = x.checked_sub(*offset) else { return true };
    let shifted = i64::from(x) << multiplier.shift.max(0);
    !fits(shifted) || !fits(i64::from(multiplier.apply(x)) + i64::from(*zero_point))
}
