//! Kernels in assembly for Arm cores with the DSP extension: Cortex-M4, M7, M33.
//!
//! Each is one routine that walks over a whole layer. What the layer is like stands at the head of
//! its constant, so layers of one form share a routine. Whatever a kernel can't hold, another one
//! or the portable one computes.

mod assembler;
mod binary;
mod conv_2d;
mod conv_2d_narrow;
mod copy;
mod depthwise_conv_2d;
mod depthwise_small;
mod elementwise;
mod fully_connected;
mod gather;
mod linear;
mod pool_2d;
mod requantize;
mod residual;
mod weights;
mod winograd;

use super::{moves, Binding, Layer, Lowering};
use crate::loop_ir::assembly::machine::{self, Contents, Cost, Pointer, Prices, Segment, Times};
use crate::loop_ir::assembly::Routine;
use crate::loop_ir::Access;
use crate::ops::{Conv2d, DepthwiseConv2d, Epilogue, FullyConnected, Op, Window};
use crate::target::Cycles;
use gather::Geometry;
use std::iter;
use weights::Ending;

/// A layer's routine, and the constants that describe the layer to it.
pub struct Kernel {
    /// What the function is called.
    pub name: &'static str,
    /// The code: the same for all layers of one form.
    pub routine: Routine,
    /// What it is called with.
    pub args: Vec<Argument>,
    /// What the layer is like: sizes, strides, bounds.
    pub head: Vec<i32>,
    /// Weights and factors, in the order of their use.
    pub weights: Vec<i32>,
    /// Bytes of scratch memory.
    pub scratch: usize,
}

/// What a routine gets a pointer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// The node's operand of that position.
    Operand(usize),
    /// The node's result.
    Result,
    /// The scratch memory.
    Scratch,
    /// What the layer is like.
    Head,
    /// Weights and factors.
    Weights,
}

impl Argument {
    /// What routines with weights are called with.
    pub const WEIGHTED: [Argument; 5] = [
        Argument::Operand(0),
        Argument::Result,
        Argument::Scratch,
        Argument::Head,
        Argument::Weights,
    ];
}

/// The kernels that can compute a layer.
pub fn kernels(layer: Layer) -> Vec<Kernel> {
    let kernels = match &layer.node.op {
        Op::Conv2d(op) => conv_2d(layer, op),
        Op::DepthwiseConv2d(op) => depthwise_conv_2d(layer, op),
        Op::FullyConnected(op) => fully_connected(layer, op),
        Op::Add(op) => binary::add(layer, op).map(|kernel| vec![kernel]),
        Op::AveragePool2d(op) => pool_2d::average(layer, op),
        Op::MaxPool2d(op) => pool_2d::max(layer, op),
        Op::Mean(op) => pool_2d::mean(layer, op),
        Op::Mul(op) => binary::mul(layer, op).map(|kernel| vec![kernel]),
        op => match op.stages() {
            Some(stages) => elementwise::kernel(layer, &stages),
            None => moves::moves(layer).and_then(|moves| copy::kernel(layer, &moves)),
        }
        .map(|kernel| vec![kernel]),
    };
    kernels.unwrap_or_default()
}

impl Kernel {
    /// The layer as a call of the routine.
    pub fn lower<'a>(&self, layer: Layer<'a>) -> Lowering<'a> {
        let mut lowering = Lowering::new(layer);
        lowering.name = self.name.into();
        let tensor = &layer.graph.tensors[layer.node.outputs[0]].name;
        let mut names = iter::once("input").chain(iter::repeat("other"));
        for &arg in &self.args {
            match arg {
                Argument::Operand(i) => {
                    let name = names.next().expect("endless");
                    lowering.place(name, Binding::Operand(i), layer.input(i), Access::Read);
                }
                Argument::Result => {
                    let ty = layer.output();
                    lowering.place("output", Binding::Result(0), ty, Access::Write);
                }
                Argument::Scratch => drop(lowering.scratch(self.scratch)),
                Argument::Head => {
                    let doc = format!("what the layer of '{tensor}' is like");
                    lowering.words("layer", &doc, &self.head);
                }
                Argument::Weights => {
                    let doc =
                        format!("weights and factors of '{tensor}' in the order of their use");
                    lowering.words("weights", &doc, &self.weights);
                }
            }
        }
        lowering.code.assembly(self.routine.clone());
        lowering
    }
}

/// What a core's instructions cost routines.
pub fn prices(cycles: &Cycles) -> Prices {
    Prices {
        data: cycles.data.into(),
        load: cycles.load.into(),
        load_pipelined: cycles.load_pipelined.into(),
        store: cycles.store.into(),
        multiple: cycles.multiple.into(),
        branch: cycles.branch.into(),
        branch_taken: cycles.branch_taken.into(),
    }
}

/// What an execution of a layer's routine shows.
pub struct Run {
    /// What it takes.
    pub cost: Cost,
    /// How the result may lie over each operand that the routine reads.
    pub result: Vec<(usize, Over)>,
    /// The same of the scratch memory.
    pub scratch: Vec<(usize, Over)>,
}

/// Where something that is written may lie over something that isn't needed any more, so that no
/// byte is written before it has been read for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// How many bytes behind its start it may begin at most.
    pub limit: i64,
    /// Whether it may also begin at the very same place.
    pub same: bool,
}

impl Kernel {
    /// Executes the routine on `memories`, one for each argument, those of constants empty; what it
    /// takes, and when it touches what of each.
    ///
    /// # Errors
    /// What it does that it must not.
    pub fn execute(
        &self,
        memories: &mut [Vec<u8>],
        prices: &Prices,
    ) -> Result<(Cost, Vec<Times>), String> {
        let bytes = |words: &[i32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let (head, weights) = (bytes(&self.head), bytes(&self.weights));
        let mut segments: Vec<Segment> = (self.args.iter().zip(memories))
            .map(|(arg, memory)| {
                let bytes = match arg {
                    Argument::Head => Contents::Constant(&head),
                    Argument::Weights => Contents::Constant(&weights),
                    _ => Contents::Memory(memory),
                };
                let writable = matches!(arg, Argument::Result | Argument::Scratch);
                let open = vec![(0, bytes.len(), writable)];
                Segment { bytes, open }
            })
            .collect();
        let start = |segment: usize| Pointer { segment, offset: 0 };
        let pointers: Vec<Pointer> = (0..segments.len()).map(start).collect();
        machine::trace(&self.routine, &mut segments, &pointers, prices)
    }

    /// Executes the routine on memory of its own.
    ///
    /// # Panics
    /// When it does what it must not: a bug in tflc.
    pub fn run(&self, layer: Layer, prices: &Prices) -> Run {
        let memory = |&arg: &Argument| match arg {
            Argument::Operand(i) => vec![0; layer.input(i).bytes()],
            Argument::Result => vec![0; layer.output().bytes()],
            Argument::Scratch => vec![0; self.scratch],
            Argument::Head | Argument::Weights => Vec::new(),
        };
        let mut memories: Vec<Vec<u8>> = self.args.iter().map(memory).collect();
        let (cost, times) = self
            .execute(&mut memories, prices)
            .unwrap_or_else(|error| panic!("bug in tflc: {}: {error}", self.name));
        let over = |written: Argument| -> Vec<(usize, Over)> {
            let Some(written) = self.args.iter().position(|&arg| arg == written) else {
                return Vec::new();
            };
            let operands = self.args.iter().zip(&times).filter_map(|(arg, read)| match *arg {
                Argument::Operand(i) => Some((i, &read.last_read)),
                _ => None,
            });
            operands.map(|(i, read)| (i, Over::new(read, &times[written].first_write))).collect()
        };
        Run { cost, result: over(Argument::Result), scratch: over(Argument::Scratch) }
    }
}

impl Over {
    /// For the times at which each byte is last read, and those at which each is first written.
    fn new(last_read: &[u32], first_write: &[u32]) -> Over {
        let in_time = |(&read, &write): (&u32, &u32)| write == 0 || read <= write;
        Over {
            limit: behind(last_read, first_write),
            same: last_read.iter().zip(first_write).all(in_time),
        }
    }
}

/// How many bytes behind the start of what is read, what is written may begin at most, so that
/// nothing is written before its last reading.
fn behind(last_read: &[u32], first_write: &[u32]) -> i64 {
    // By time, latest first: the lowest place that is still to be read then.
    let mut open: Vec<(u32, usize)> = last_read.iter().copied().zip(0..).collect();
    open.sort_unstable_by_key(|&(time, at)| (std::cmp::Reverse(time), at));
    let mut lowest = usize::MAX;
    for (_, at) in &mut open {
        lowest = lowest.min(*at);
        *at = lowest;
    }
    let limit = |(at, &time): (usize, &u32)| {
        let later = open.partition_point(|&(read, _)| read > time);
        let lowest = open[..later].last()?.1;
        (time > 0).then_some(lowest as i64 - 1 - at as i64)
    };
    first_write.iter().enumerate().filter_map(limit).min().unwrap_or(i64::MAX / 2)
}

/// What becomes of a layer's sums, if it has one result and constant weights.
fn ending(layer: Layer, epilogue: &Epilogue) -> Option<Ending> {
    let bias_is_constant = layer.node.inputs.len() < 3 || layer.constant(2).is_some();
    let [chain] = &epilogue.0[..] else { return None };
    layer.constant(1)?;
    Ending::new(chain, layer.node.inputs.len() - 1).filter(|_| bias_is_constant)
}

/// Zeros between the groups of filters that read few of the channels cost less than a loop nest, up
/// to so many groups.
const GROUPS: usize = 4;

fn conv_2d(layer: Layer, op: &Conv2d) -> Option<Vec<Kernel>> {
    let ending = ending(layer, &op.epilogue)?;
    let weights = layer.constant(1)?.ints();
    let &[count, rows, columns, group] = &layer.input(1).shape[..] else { return None };
    let geometry = geometry(layer, op.window, op.padding_value)?;
    let channels = geometry.channels;
    let (groups, zero_point) = (channels / group, op.input_zero_point);
    let weight = |filter: usize, y: usize, x: usize, channel: usize| {
        // The first channel that the filter reads.
        let first = filter / (count / groups) * group;
        let inside = (first..first + group).contains(&channel);
        let at = || ((filter * rows + y) * columns + x) * group + channel - first;
        if inside {
            weights[at()]
        } else {
            0
        }
    };
    if group == 1 && channels > 1 {
        let weight = |filter: usize, y: usize, x: usize| weights[(filter * rows + y) * columns + x];
        return depthwise(layer, geometry, count, zero_point, &ending, weight);
    }
    if groups > GROUPS {
        return None;
    }
    convolution(layer, geometry, count, zero_point, &ending, weight)
}

/// How a layer's window steps over its operand.
fn geometry(layer: Layer, window: Window, padding: i32) -> Option<Geometry> {
    let &[images, height, width, channels] = &layer.input(0).shape[..] else { return None };
    let output = &layer.output().shape;
    let dilation = [0, 1].map(|i| if window.size[i] == 1 { 1 } else { window.dilation[i] });
    let mut geometry = Geometry {
        images,
        input: [height, width],
        channels,
        output: [output[1], output[2]],
        size: window.size,
        stride: window.stride,
        dilation,
        before: [window.padding.top, window.padding.left],
        padding,
    };
    // Windows of one pixel don't reach from one image to the next: all of them are one.
    if window.size == [1, 1] && !geometry.padded() && height % window.stride[0] == 0 {
        geometry.images = 1;
        geometry.input[0] *= images;
        geometry.output[0] *= images;
    }
    Some(geometry)
}

/// A convolution over all channels: `weight(filter, y, x, channel)`.
fn convolution(
    layer: Layer,
    geometry: Geometry,
    count: usize,
    zero_point: i32,
    ending: &Ending,
    weight: impl Fn(usize, usize, usize, usize) -> i32,
) -> Option<Vec<Kernel>> {
    let mut kernels = Vec::new();
    if geometry.output == [1, 1] && geometry.size == geometry.input && !geometry.padded() {
        // The window is the operand: rows of a matrix.
        let ([_, columns], channels) = (geometry.size, geometry.channels);
        let depth = geometry.input.iter().product::<usize>() * channels;
        let rows =
            weights::filters(layer, count, (1, depth), zero_point, ending, |filter, _, tap| {
                let (pixel, channel) = (tap / channels, tap % channels);
                weight(filter, pixel / columns, pixel % columns, channel)
            });
        kernels.extend(fully_connected::kernels(depth, &rows, ending).into_iter().flatten());
    }
    let mut geometry = geometry.simplified();
    // Columns that lie apart are taken with those between them, whose weights are zero.
    let apart = geometry.dilation[1];
    let columns = geometry.size[1];
    geometry.size[1] = (columns - 1) * apart + 1;
    geometry.dilation[1] = 1;
    if apart > 2 {
        return None;
    }
    let [rows, run] = [geometry.size[0], geometry.run()];
    let original = layer.input(1).shape[2];
    let filters =
        weights::filters(layer, count, (rows, run), zero_point, ending, |filter, row, tap| {
            let (x, channel) = (tap / geometry.channels, tap % geometry.channels);
            // Rows and columns may have changed places.
            let at = row * columns + x / apart;
            match x % apart {
                0 => weight(filter, at / original, at % original, channel),
                _ => 0,
            }
        });
    kernels.extend(winograd::kernels(&geometry, &filters, ending));
    kernels.extend(conv_2d::kernel(&geometry, &filters, ending));
    kernels.extend(conv_2d_narrow::kernel(&geometry, &filters, ending));
    Some(each_image(kernels, layer, geometry.images))
}

/// The kernels for one image, to be run for each of so many.
fn each_image(kernels: Vec<Kernel>, layer: Layer, images: usize) -> Vec<Kernel> {
    if images == 1 {
        return kernels;
    }
    let repeated = |kernel: Kernel| {
        // Bytes from an image to the next.
        let step = |arg: &Argument| match *arg {
            Argument::Operand(i) => layer.input(i).bytes() / images,
            Argument::Result => layer.output().bytes() / images,
            Argument::Scratch | Argument::Head | Argument::Weights => 0,
        };
        let steps: Vec<usize> = kernel.args.iter().map(step).collect();
        Kernel { routine: assembler::repeated(kernel.routine, images, &steps), ..kernel }
    };
    kernels.into_iter().map(repeated).collect()
}

fn fully_connected(layer: Layer, op: &FullyConnected) -> Option<Vec<Kernel>> {
    let ending = ending(layer, &op.epilogue)?;
    let weights = layer.constant(1)?.ints();
    let &[units, depth] = &layer.input(1).shape[..] else { return None };
    let batches = layer.output().elements() / units;
    let filters =
        weights::filters(layer, units, (1, depth), op.input_zero_point, &ending, |unit, _, tap| {
            weights[unit * depth + tap] - op.weights_zero_point
        });
    if batches == 1 {
        return fully_connected::kernels(depth, &filters, &ending);
    }
    // Rows of activations are pixels.
    let pixels = Geometry {
        images: 1,
        input: [1, batches],
        channels: depth,
        output: [1, batches],
        size: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        before: [0, 0],
        padding: 0,
    };
    conv_2d::kernel(&pixels, &filters, &ending).map(|kernel| vec![kernel])
}

fn depthwise_conv_2d(layer: Layer, op: &DepthwiseConv2d) -> Option<Vec<Kernel>> {
    let ending = ending(layer, &op.epilogue)?;
    let weights = layer.constant(1)?.ints();
    let &[_, _, columns, count] = &layer.input(1).shape[..] else { return None };
    let geometry = geometry(layer, op.window, op.padding_value)?;
    let weight = |filter: usize, y: usize, x: usize| weights[(y * columns + x) * count + filter];
    depthwise(layer, geometry, count, op.input_zero_point, &ending, weight)
}

/// A convolution of each channel on its own: `weight(filter, y, x)`.
fn depthwise(
    layer: Layer,
    geometry: Geometry,
    count: usize,
    zero_point: i32,
    ending: &Ending,
    weight: impl Fn(usize, usize, usize) -> i32,
) -> Option<Vec<Kernel>> {
    if geometry.channels == 1 {
        // All filters read the same channel.
        let weight = |filter: usize, y: usize, x: usize, _: usize| weight(filter, y, x);
        return convolution(layer, geometry, count, zero_point, ending, weight);
    }
    let [rows, columns] = geometry.size;
    let weight = |filter: usize, _: usize, tap: usize| weight(filter, tap / columns, tap % columns);
    let filters = weights::filters(layer, count, (1, rows * columns), zero_point, ending, weight);
    let multiplier = count / geometry.channels;
    let mut kernels = depthwise_conv_2d::kernels(&geometry, multiplier, &filters, ending);
    kernels.extend(depthwise_small::kernel(&geometry, &filters, ending));
    Some(each_image(kernels, layer, geometry.images))
}
