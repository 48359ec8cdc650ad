//! Random small models, drawn from a seed: every operator, in odd shapes, at borders, with
//! constants and computed operands on every side, with sane and with extreme scales. All of them
//! are models that can be compiled. The same seed gives the same model on every machine.
//!
//! A drawing begins with one kind of operator, by turns, and goes on with any; operators prefer to
//! read what was computed last, so that chains come about.

#![allow(dead_code, reason = "each test crate uses its own part of this")]

use super::model_builder::*;
use tflc::frontend::schema::{activation, builtin, padding, tensor_type};

/// The file of a seed's model.
pub fn model(seed: u64) -> Vec<u8> {
    spec(seed).build()
}

/// The description of a seed's model.
pub fn spec(seed: u64) -> ModelSpec {
    let mut draw = Draw { rng: Rng::new(seed), spec: ModelSpec::default(), dead_channels: 15 };
    draw.spec.description = format!("random model {seed}");
    let count = draw.rng.range(1, 8) as usize;
    let mut kind = KINDS[seed as usize % KINDS.len()].1;
    for _ in 0..count {
        while kind(&mut draw).is_none() {
            kind = draw.any_kind();
        }
        kind = draw.any_kind();
    }
    draw.choose_outputs();
    draw.spec
}

/// The description of a seed's model of chains: something with an accumulator, by turns, and behind
/// it operators that map codes, data that is moved, second readers and layers that come twice.
pub fn chains(seed: u64) -> ModelSpec {
    let mut draw = Draw { rng: Rng::new(!seed), spec: ModelSpec::default(), dead_channels: 5 };
    draw.spec.description = format!("random chains {seed}");
    let q = draw.quantization();
    let [rows, columns, channels] = [(); 3].map(|()| draw.rng.range(1, 5) as i32);
    let input = draw.input(tensor_type::INT8, &[1, rows, columns, channels], Some(q));
    let count = draw.rng.range(1, 4);
    while draw.producer(seed as usize, input).is_none() {}
    for _ in 0..count {
        while draw.link().is_none() {}
    }
    draw.choose_outputs();
    draw.spec
}

/// Descriptions with a little less in them, to find the smallest one that still fails: without one
/// of the outputs, or without one of the operators, whose results are then inputs.
pub fn reductions(spec: &ModelSpec) -> Vec<ModelSpec> {
    let mut smaller = Vec::new();
    for i in 0..spec.outputs.len() {
        let mut less = spec.clone();
        less.outputs.remove(i);
        if !less.outputs.is_empty() {
            smaller.push(less);
        }
    }
    for i in (0..spec.operators.len()).rev() {
        let mut less = spec.clone();
        let removed = less.operators.remove(i);
        less.inputs.extend(removed.outputs);
        let operands = less.operators.iter().flat_map(|operator| &operator.inputs);
        let used: Vec<i32> = operands.chain(&less.outputs).copied().collect();
        less.inputs.retain(|input| used.contains(input));
        smaller.push(less);
    }
    smaller
}

/// Pseudo-random numbers: splitmix64.
pub struct Rng(u64);

impl Rng {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0xd129_0a66_8a91_b35b))
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number under `count`.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    /// True in so many cases of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the items.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// A real number from `low` to `high`.
    pub fn real(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// One kind of drawing: an operator or a typical group; `None` when it doesn't apply.
type Kind = fn(&mut Draw) -> Option<()>;

/// All kinds, with how often each is drawn.
const KINDS: &[(usize, Kind)] = &[
    (8, Draw::conv_2d),
    (6, Draw::depthwise_conv_2d),
    (6, Draw::fully_connected),
    (3, Draw::pool),
    (6, Draw::add_sub_mul),
    (3, Draw::reshape),
    (2, Draw::squeeze),
    (2, Draw::expand_dims),
    (2, Draw::softmax),
    (3, Draw::table),
    (4, Draw::pad),
    (4, Draw::padded_conv),
    (4, Draw::mean),
    (8, Draw::relu),
    (2, Draw::leaky_relu),
    (2, Draw::prelu),
    (2, Draw::scalar),
    (2, Draw::hard_swish),
    (7, Draw::quantize),
    (2, Draw::quantize_reals),
    (2, Draw::dequantize),
    (4, Draw::concatenation),
    (4, Draw::transpose),
    (4, Draw::strided_slice),
    (1, Draw::shape),
    (3, Draw::reshape_to_computed_shape),
    (3, Draw::pack),
    (3, Draw::resize_nearest_neighbor),
    (5, Draw::residual),
    (4, Draw::again),
    (4, Draw::dead_channels),
    (5, Draw::moved_activation),
];

/// The most elements of a tensor.
const MAX_ELEMENTS: i32 = 3000;

/// All types of elements.
const TYPES: [i8; 7] = [
    tensor_type::INT8,
    tensor_type::UINT8,
    tensor_type::INT16,
    tensor_type::INT32,
    tensor_type::INT64,
    tensor_type::FLOAT32,
    tensor_type::BOOL,
];

const ACTIVATIONS: [i8; 5] = [
    activation::NONE,
    activation::NONE,
    activation::RELU,
    activation::RELU6,
    activation::RELU_N1_TO_1,
];

/// A model that is being drawn.
struct Draw {
    rng: Rng,
    spec: ModelSpec,
    /// In how many cases of a hundred weights have channels of nothing.
    dead_channels: usize,
}

/// Scale and zero point.
type Quantization = (f32, i64);

fn elements(shape: &[i32]) -> i32 {
    shape.iter().fold(1, |product, &size| product.saturating_mul(size))
}

fn size(dtype: i8) -> usize {
    match dtype {
        tensor_type::INT64 => 8,
        tensor_type::INT32 | tensor_type::FLOAT32 => 4,
        tensor_type::INT16 => 2,
        _ => 1,
    }
}

fn is_quantized(dtype: i8) -> bool {
    matches!(dtype, tensor_type::INT8 | tensor_type::UINT8 | tensor_type::INT16)
}

/// Axes to reach a shape of at most [`MAX_ELEMENTS`].
fn fits(shape: &[i32]) -> Option<()> {
    (elements(shape) <= MAX_ELEMENTS && shape.iter().all(|&size| size > 0)).then_some(())
}

impl Draw {
    fn any_kind(&mut self) -> Kind {
        let mut ticket = self.rng.below(KINDS.iter().map(|(weight, _)| weight).sum());
        for (weight, kind) in KINDS {
            if ticket < *weight {
                return *kind;
            }
            ticket -= weight;
        }
        unreachable!("a ticket for each")
    }

    // Tensors.

    fn tensor(&self, id: i32) -> &TensorSpec {
        &self.spec.tensors[id as usize]
    }

    fn shape_of(&self, id: i32) -> Vec<i32> {
        self.tensor(id).shape.clone()
    }

    fn quantization_of(&self, id: i32) -> Quantization {
        let tensor = self.tensor(id);
        (tensor.scales[0], tensor.zero_points[0])
    }

    fn push(&mut self, dtype: i8, shape: &[i32], q: Option<Quantization>) -> i32 {
        let name = format!("t{}", self.spec.tensors.len());
        self.spec.tensors.push(TensorSpec {
            name,
            shape: shape.into(),
            dtype,
            scales: q.iter().map(|q| q.0).collect(),
            zero_points: q.iter().map(|q| q.1).collect(),
            ..TensorSpec::default()
        });
        self.spec.tensors.len() as i32 - 1
    }

    fn input(&mut self, dtype: i8, shape: &[i32], q: Option<Quantization>) -> i32 {
        let id = self.push(dtype, shape, q);
        self.spec.inputs.push(id);
        id
    }

    fn constant(
        &mut self,
        dtype: i8,
        shape: &[i32],
        q: Option<Quantization>,
        data: Vec<u8>,
    ) -> i32 {
        let id = self.push(dtype, shape, q);
        self.spec.tensors[id as usize].data = Some(data);
        id
    }

    /// A constant of random contents.
    fn noise(&mut self, dtype: i8, shape: &[i32], q: Option<Quantization>) -> i32 {
        let count = elements(shape) as usize;
        let data = match dtype {
            tensor_type::INT8 => self.codes(count),
            tensor_type::BOOL => (0..count).map(|_| self.rng.below(2) as u8).collect(),
            tensor_type::FLOAT32 => {
                let real = |_| (self.rng.real(-8.0, 8.0) as f32).to_le_bytes();
                (0..count).flat_map(real).collect()
            }
            _ => (0..count * size(dtype)).map(|_| self.rng.next() as u8).collect(),
        };
        self.constant(dtype, shape, q, data)
    }

    /// Int8 codes: spread over all values, or only the extreme ones, or all the same.
    fn codes(&mut self, count: usize) -> Vec<u8> {
        let only = self.rng.pick(&[-128i8, -127, -1, 0, 1, 127]) as u8;
        match self.rng.below(10) {
            0 => vec![only; count],
            1 => (0..count).map(|_| self.rng.pick(&[-128i8, 127]) as u8).collect(),
            2 => (0..count).map(|_| self.rng.range(-2, 2) as u8).collect(),
            3 => (0..count).map(|_| self.rng.range(-128, 127) as u8).collect(),
            _ => (0..count).map(|_| self.rng.range(-127, 127) as u8).collect(),
        }
    }

    /// A constant of integers, as 32 or as 64 bits.
    fn ints(&mut self, shape: &[i32], ints: &[i32]) -> i32 {
        if self.rng.chance(20) {
            let data = ints.iter().flat_map(|&x| i64::from(x).to_le_bytes()).collect();
            return self.constant(tensor_type::INT64, shape, None, data);
        }
        self.ints_32(shape, ints)
    }

    fn ints_32(&mut self, shape: &[i32], ints: &[i32]) -> i32 {
        let data = ints.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(tensor_type::INT32, shape, None, data)
    }

    fn operator(&mut self, kind: i32, inputs: &[i32], output: i32, options: impl Into<Options>) {
        self.spec.operators.push(OperatorSpec::new(kind, inputs, [output], options));
    }

    /// A quantized tensor that an operator is about to yield.
    fn result(&mut self, shape: &[i32], q: Quantization) -> i32 {
        self.push(tensor_type::INT8, shape, Some(q))
    }

    /// A tensor like another, of another shape.
    fn like(&mut self, id: i32, shape: &[i32]) -> i32 {
        let TensorSpec { dtype, scales, zero_points, .. } = self.tensor(id).clone();
        let q = scales.first().map(|&scale| (scale, zero_points[0]));
        self.push(dtype, shape, q)
    }

    // Numbers.

    fn zero_point(&mut self) -> i64 {
        match self.rng.below(10) {
            0 | 1 => -128,
            2 => 127,
            3 | 4 => 0,
            _ => self.rng.range(-128, 127),
        }
    }

    fn scale(&mut self) -> f32 {
        self.rng.real(-9.0, 1.0).exp2() as f32
    }

    fn quantization(&mut self) -> Quantization {
        (self.scale(), self.zero_point())
    }

    /// A quantization for results that are around `spread` in size: mostly one that their range
    /// fits, sometimes one where all saturate or all are zero.
    fn quantization_for(&mut self, spread: f64) -> Quantization {
        let off = match self.rng.below(12) {
            0 => self.rng.real(-12.0, 12.0),
            1 => self.rng.pick(&[-1.0, 0.0, 1.0]),
            _ => self.rng.real(-1.5, 1.5),
        };
        let scale = (spread / 60.0 * off.exp2()).clamp(1e-9, 1e9);
        (scale as f32, self.zero_point())
    }

    /// How large the real numbers behind a tensor's codes are.
    fn spread(&self, id: i32) -> f64 {
        f64::from(self.quantization_of(id).0) * 74.0
    }

    fn sizes(&mut self, rank: usize) -> Vec<i32> {
        loop {
            let most = if rank > 4 { 4 } else { 9 };
            let mut sizes: Vec<i32> = (0..rank).map(|_| self.rng.range(1, most) as i32).collect();
            if rank == 4 {
                sizes[0] = self.rng.pick(&[1, 1, 1, 2, 3]);
            }
            if fits(&sizes).is_some() {
                return sizes;
            }
        }
    }

    // Operands.

    /// The tensors that are inputs or computed and that `accept` takes.
    fn candidates(&self, accept: impl Fn(&TensorSpec) -> bool) -> Vec<i32> {
        let results = self.spec.operators.iter().flat_map(|operator| &operator.outputs);
        let all = self.spec.inputs.iter().chain(results);
        all.filter(|&&id| accept(self.tensor(id))).copied().collect()
    }

    /// Any tensor, of any type of elements.
    fn anything(&mut self, accept: impl Fn(&TensorSpec) -> bool) -> Option<i32> {
        let candidates = self.candidates(&accept);
        if !candidates.is_empty() && self.rng.chance(70) {
            return Some(self.rng.pick(&candidates));
        }
        let dtype = self.rng.pick(&TYPES);
        let rank = self.rng.range(0, 5) as usize;
        let shape = self.sizes(rank);
        let q = is_quantized(dtype).then(|| (self.scale(), self.rng.range(0, 100)));
        let id = match self.rng.chance(20) {
            true => self.noise(dtype, &shape, q),
            false => self.input(dtype, &shape, q),
        };
        accept(self.tensor(id)).then_some(id)
    }

    /// An int8 tensor of that rank, or of any.
    fn activations(&mut self, rank: Option<usize>) -> i32 {
        let fits = |t: &TensorSpec| {
            t.dtype == tensor_type::INT8 && rank.is_none_or(|rank| t.shape.len() == rank)
        };
        let candidates = self.candidates(fits);
        match candidates.last() {
            Some(&last) if self.rng.chance(75) => return last,
            Some(_) if self.rng.chance(50) => return self.rng.pick(&candidates),
            _ => {}
        }
        let others = self.candidates(|t| t.dtype == tensor_type::INT8);
        if let (Some(rank), Some(&other), true) = (rank, others.last(), self.rng.chance(60)) {
            if rank > 0 || elements(&self.shape_of(other)) == 1 {
                return self.reshaped(other, rank);
            }
        }
        let rank = rank.unwrap_or_else(|| self.rng.pick(&[0, 1, 2, 3, 4, 4, 5]));
        let (shape, q) = (self.sizes(rank), self.quantization());
        match self.rng.chance(8) {
            true => self.noise(tensor_type::INT8, &shape, Some(q)),
            false => self.input(tensor_type::INT8, &shape, Some(q)),
        }
    }

    /// Another operand of that shape, and perhaps of a quantization.
    fn partner(&mut self, shape: &[i32], q: Option<Quantization>) -> i32 {
        let fits = |t: &TensorSpec| {
            let same = q.is_none_or(|q| t.scales == [q.0] && t.zero_points == [q.1]);
            t.dtype == tensor_type::INT8 && t.shape == shape && same
        };
        let candidates = self.candidates(fits);
        if !candidates.is_empty() && self.rng.chance(60) {
            return self.rng.pick(&candidates);
        }
        let q = q.unwrap_or_else(|| self.quantization());
        match self.rng.chance(50) {
            true => self.noise(tensor_type::INT8, shape, Some(q)),
            false => self.input(tensor_type::INT8, shape, Some(q)),
        }
    }

    /// `id` under a random shape of that rank.
    fn reshaped(&mut self, id: i32, rank: usize) -> i32 {
        let mut shape = vec![1; rank];
        let mut rest = elements(&self.shape_of(id));
        let mut prime = 2;
        while rest > 1 {
            if rest % prime == 0 {
                let axis = self.rng.below(rank);
                shape[axis] *= prime;
                rest /= prime;
            } else {
                prime += 1;
            }
        }
        let output = self.like(id, &shape);
        let mut stated = shape.clone();
        if rank > 0 && self.rng.chance(30) {
            let open = self.rng.below(rank);
            stated[open] = -1;
        }
        let from_options = !stated.is_empty() && self.rng.chance(50);
        let options =
            ReshapeOptions { new_shape: if from_options { stated.clone() } else { Vec::new() } };
        let operands = match from_options {
            true => vec![id],
            false => vec![id, self.ints_32(&[rank as i32], &stated)],
        };
        // A constant of no elements can't be told from none: scalars go by the output's shape.
        let operands = if rank == 0 { vec![id] } else { operands };
        self.operator(builtin::RESHAPE, &operands, output, options);
        output
    }

    // Operators.

    /// Window steps along rows and columns that fit, and the output's rows and columns.
    fn window(&mut self, input: &[i32], may_dilate: bool) -> Window {
        let mut w = Window {
            padding: self.rng.pick(&[padding::SAME, padding::VALID]),
            ..Window::default()
        };
        for i in 0..2 {
            let size = input[i + 1];
            w.stride[i] = self.rng.pick(&[1, 1, 1, 2, 2, 3]);
            w.dilation[i] = if may_dilate { self.rng.pick(&[1, 1, 1, 1, 2, 3]) } else { 1 };
            let most = if self.rng.chance(5) { 12 } else { 5 };
            let most = match w.padding {
                padding::SAME => most,
                _ => ((size - 1) / w.dilation[i] + 1).min(most),
            };
            w.size[i] = self.rng.range(1, most.into()) as i32;
            if w.padding == padding::VALID && self.rng.chance(15) {
                // As large as the operand.
                w.dilation[i] = 1;
                w.size[i] = size;
            }
            let reach = (w.size[i] - 1) * w.dilation[i] + 1;
            w.output[i] = match w.padding {
                padding::SAME => (size + w.stride[i] - 1) / w.stride[i],
                _ => (size - reach) / w.stride[i] + 1,
            };
        }
        w
    }

    /// Weights with one scale or one for each of `channels`, which are `axis`.
    fn weights(&mut self, shape: &[i32], axis: usize, zero_point: i64) -> i32 {
        let channels = shape[axis] as usize;
        let mut data = self.codes(elements(shape) as usize);
        if self.rng.chance(self.dead_channels) {
            // Some channels without weights.
            let inner: i32 = shape[axis + 1..].iter().product();
            let pattern = self.rng.next();
            for (i, weight) in data.iter_mut().enumerate() {
                if pattern >> (i / inner as usize % channels % 64) & 1 == 1 {
                    *weight = zero_point as u8;
                }
            }
        }
        let q = Some((self.scale_of_weights(), zero_point));
        let id = self.constant(tensor_type::INT8, shape, q, data);
        if zero_point == 0 && self.rng.chance(60) {
            let spread = self.rng.pick(&[0.5, 2.0, 8.0]);
            let base = f64::from(self.quantization_of(id).0);
            let scales =
                (0..channels).map(|_| (base * self.rng.real(-spread, spread).exp2()) as f32);
            let scales: Vec<f32> = scales.collect();
            let tensor = &mut self.spec.tensors[id as usize];
            tensor.zero_points = vec![0; channels];
            tensor.scales = scales;
            tensor.quantized_dimension = axis as i32;
        }
        id
    }

    fn scale_of_weights(&mut self) -> f32 {
        self.rng.real(-11.0, -4.0).exp2() as f32
    }

    /// No bias, a small one, or one that fills 32 bits.
    fn bias(&mut self, channels: i32) -> i32 {
        let reach = match self.rng.below(10) {
            0..=2 => return -1,
            3 | 4 => i64::from(i32::MAX),
            5 => 1 << 28,
            _ => 1 << self.rng.range(4, 16),
        };
        let ints: Vec<i32> = (0..channels).map(|_| self.rng.range(-reach, reach) as i32).collect();
        self.ints_32(&[channels], &ints)
    }

    /// The result of sums of `terms` products of activations and weights, with its quantization.
    fn sums(&mut self, shape: &[i32], input: i32, weights: i32, terms: i32) -> i32 {
        let spread = self.spread(input) * self.spread(weights) * f64::from(terms).sqrt();
        let (mut scale, zero_point) = self.quantization_for(spread);
        if self.rng.chance(6) {
            // A factor of about one, which leaves sums of 32 bits as large as they are, or one
            // whose left shift takes even small sums out of 32 bits.
            let one = self.quantization_of(input).0 * self.quantization_of(weights).0;
            let off = if self.rng.chance(50) { (-2.0, 2.0) } else { (-14.0, -8.0) };
            scale = one * self.rng.real(off.0, off.1).exp2() as f32;
        }
        self.result(shape, (scale, zero_point))
    }

    fn conv_2d(&mut self) -> Option<()> {
        let input = self.activations(Some(4));
        self.conv_2d_of(input)
    }

    fn conv_2d_of(&mut self, input: i32) -> Option<()> {
        let shape = self.shape_of(input);
        let w = self.window(&shape, true);
        let channels = shape[3];
        let groups = match self.rng.chance(25) {
            true => self.rng.range(1, channels.into()) as i32,
            false => 1,
        };
        let groups = if channels % groups == 0 { groups } else { 1 };
        let filters = groups * self.rng.range(1, if groups > 1 { 3 } else { 10 }) as i32;
        let output = [shape[0], w.output[0], w.output[1], filters];
        fits(&output)?;
        let filter = [filters, w.size[0], w.size[1], channels / groups];
        let weights = self.weights(&filter, 0, 0);
        let bias = self.bias(filters);
        let output = self.sums(&output, input, weights, elements(&filter) / filters);
        let options = Conv2DOptions {
            padding: w.padding,
            stride_h: w.stride[0],
            stride_w: w.stride[1],
            dilation_h_factor: w.dilation[0],
            dilation_w_factor: w.dilation[1],
            fused_activation_function: self.rng.pick(&ACTIVATIONS),
            ..Conv2DOptions::default()
        };
        self.operator(builtin::CONV_2D, &[input, weights, bias], output, options);
        Some(())
    }

    fn depthwise_conv_2d(&mut self) -> Option<()> {
        let input = self.activations(Some(4));
        self.depthwise_conv_2d_of(input)
    }

    fn depthwise_conv_2d_of(&mut self, input: i32) -> Option<()> {
        let shape = self.shape_of(input);
        let w = self.window(&shape, true);
        let multiplier = self.rng.pick(&[1, 1, 1, 2, 3, 5]);
        let channels = shape[3] * multiplier;
        let output = [shape[0], w.output[0], w.output[1], channels];
        fits(&output)?;
        let filter = [1, w.size[0], w.size[1], channels];
        let weights = self.weights(&filter, 3, 0);
        let bias = self.bias(channels);
        let output = self.sums(&output, input, weights, w.size[0] * w.size[1]);
        let options = DepthwiseConv2DOptions {
            padding: w.padding,
            stride_h: w.stride[0],
            stride_w: w.stride[1],
            depth_multiplier: multiplier,
            dilation_h_factor: w.dilation[0],
            dilation_w_factor: w.dilation[1],
            fused_activation_function: self.rng.pick(&ACTIVATIONS),
        };
        self.operator(builtin::DEPTHWISE_CONV_2D, &[input, weights, bias], output, options);
        Some(())
    }

    fn fully_connected(&mut self) -> Option<()> {
        let input = self.activations(None);
        self.fully_connected_of(input)
    }

    fn fully_connected_of(&mut self, input: i32) -> Option<()> {
        let shape = self.shape_of(input);
        let all = elements(&shape);
        let innermost = *shape.last().unwrap_or(&1);
        let depth = if self.rng.chance(60) { innermost } else { all };
        let units = self.rng.range(1, 11) as i32;
        let keep_num_dims = shape.last() == Some(&depth) && self.rng.chance(40);
        let mut output = vec![all / depth, units];
        if keep_num_dims {
            output.clone_from(&shape);
            *output.last_mut()? = units;
        }
        fits(&output)?;
        let zero_point = if self.rng.chance(30) { self.zero_point() } else { 0 };
        let weights = self.weights(&[units, depth], 0, zero_point);
        let bias = self.bias(units);
        let output = self.sums(&output, input, weights, depth);
        let options = FullyConnectedOptions {
            fused_activation_function: self.rng.pick(&ACTIVATIONS),
            keep_num_dims,
            ..FullyConnectedOptions::default()
        };
        let operands = match bias {
            -1 if self.rng.chance(50) => vec![input, weights],
            _ => vec![input, weights, bias],
        };
        self.operator(builtin::FULLY_CONNECTED, &operands, output, options);
        Some(())
    }

    fn pool(&mut self) -> Option<()> {
        let input = match self.rng.chance(40) {
            true => self.many_channels()?,
            false => self.activations(Some(4)),
        };
        self.pool_of(input)
    }

    /// An input with more channels, or more pixels, than others have.
    fn many_channels(&mut self) -> Option<i32> {
        let [rows, columns] = [(); 2].map(|()| self.rng.range(1, 20) as i32);
        let shape = [1, rows, columns, self.rng.range(1, 40) as i32];
        fits(&shape)?;
        let q = self.quantization();
        Some(self.input(tensor_type::INT8, &shape, Some(q)))
    }

    fn pool_of(&mut self, input: i32) -> Option<()> {
        let shape = self.shape_of(input);
        let w = self.window(&shape, false);
        let output = [shape[0], w.output[0], w.output[1], shape[3]];
        fits(&output)?;
        let output = self.like(input, &output);
        let options = Pool2DOptions {
            padding: w.padding,
            stride_h: w.stride[0],
            stride_w: w.stride[1],
            filter_height: w.size[0],
            filter_width: w.size[1],
            fused_activation_function: self.rng.pick(&ACTIVATIONS),
        };
        let kind = self.rng.pick(&[builtin::AVERAGE_POOL_2D, builtin::MAX_POOL_2D]);
        self.operator(kind, &[input], output, options);
        Some(())
    }

    fn add_sub_mul(&mut self) -> Option<()> {
        let a = self.activations(None);
        let shape = self.shape_of(a);
        // Any dimension may repeat on one side or on the other, and outer ones may be missing.
        let mut other = shape.clone();
        let mut output = shape.clone();
        if self.rng.chance(50) {
            for (size, result) in other.iter_mut().zip(&mut output) {
                if *size == 1 && self.rng.chance(30) {
                    *size = self.rng.range(1, 4) as i32;
                    *result = *size;
                } else if self.rng.chance(40) {
                    *size = 1;
                }
            }
            let ones = other.iter().take_while(|&&size| size == 1).count();
            if ones > 0 && self.rng.chance(40) {
                other.drain(..self.rng.range(1, ones as i64) as usize);
            }
        }
        fits(&output)?;
        let b = match self.rng.below(10) {
            0 if other == shape => a,
            _ => self.partner(&other, None),
        };
        let kind = self.rng.pick(&[builtin::ADD, builtin::SUB, builtin::MUL]);
        self.binary(kind, a, b, &output);
        Some(())
    }

    /// ADD, SUB or MUL, of these operands in any order.
    fn binary(&mut self, kind: i32, a: i32, b: i32, shape: &[i32]) {
        let (sa, sb) = (self.spread(a), self.spread(b));
        let q = match kind {
            builtin::MUL => self.quantization_for(sa * sb),
            // TFLite wants the sum's multiplier to be under 1.
            _ => {
                let (scale, zero_point) = self.quantization_for(sa.hypot(sb));
                let least = sa.max(sb) / 74.0 / f64::from(1 << 18);
                (scale.max(least as f32), zero_point)
            }
        };
        let output = self.result(shape, q);
        let operands = if self.rng.chance(50) { [a, b] } else { [b, a] };
        let fused_activation_function = self.rng.pick(&ACTIVATIONS);
        match kind {
            builtin::ADD => {
                let options = AddOptions { fused_activation_function, ..AddOptions::default() };
                self.operator(kind, &operands, output, options);
            }
            builtin::SUB => {
                let options = SubOptions { fused_activation_function, ..SubOptions::default() };
                self.operator(kind, &operands, output, options);
            }
            _ => self.operator(kind, &operands, output, MulOptions { fused_activation_function }),
        }
    }

    fn reshape(&mut self) -> Option<()> {
        let id = self.anything(|_| true)?;
        let rank = match elements(&self.shape_of(id)) {
            1 => self.rng.range(0, 3),
            _ => self.rng.range(1, 5),
        };
        self.reshaped(id, rank as usize);
        Some(())
    }

    fn squeeze(&mut self) -> Option<()> {
        let id = self.anything(|t| t.shape.contains(&1))?;
        let shape = self.shape_of(id);
        let mut axes: Vec<i32> =
            (0..shape.len() as i32).filter(|&i| shape[i as usize] == 1).collect();
        let keep = self.rng.next();
        let some: Vec<i32> = axes.iter().copied().filter(|axis| keep >> axis & 1 == 0).collect();
        let mut squeeze_dims = Vec::new();
        if !some.is_empty() {
            axes = some;
            let negative = if self.rng.chance(30) { shape.len() as i32 } else { 0 };
            squeeze_dims = axes.iter().map(|axis| axis - negative).collect();
        }
        let kept = (0..shape.len() as i32).filter(|axis| !axes.contains(axis));
        let kept: Vec<i32> = kept.map(|axis| shape[axis as usize]).collect();
        let output = self.like(id, &kept);
        self.operator(builtin::SQUEEZE, &[id], output, SqueezeOptions { squeeze_dims });
        Some(())
    }

    fn expand_dims(&mut self) -> Option<()> {
        let id = self.anything(|t| t.shape.len() < 5)?;
        let mut shape = self.shape_of(id);
        let rank = shape.len() as i64;
        let axis = self.rng.range(0, rank);
        shape.insert(axis as usize, 1);
        let stated = if self.rng.chance(30) { axis - rank - 1 } else { axis };
        let stated_shape: &[i32] = if self.rng.chance(50) { &[] } else { &[1] };
        let axis = self.ints(stated_shape, &[stated as i32]);
        let output = self.like(id, &shape);
        self.operator(builtin::EXPAND_DIMS, &[id, axis], output, ExpandDimsOptions {});
        Some(())
    }

    fn softmax(&mut self) -> Option<()> {
        let rank = self.rng.range(1, 4) as usize;
        let input = match self.rng.chance(2) {
            true => {
                // So deep that its sum may leave 32 bits.
                let q = self.quantization();
                self.input(tensor_type::INT8, &[4200], Some(q))
            }
            false => self.activations(Some(rank)),
        };
        // TFLite can't do others.
        (self.quantization_of(input).0 > 1e-5).then_some(())?;
        let output = self.result(&self.shape_of(input), (1.0 / 256.0, -128));
        let beta = if self.rng.chance(70) { 1.0 } else { self.rng.real(0.1, 4.0) as f32 };
        self.operator(builtin::SOFTMAX, &[input], output, SoftmaxOptions { beta });
        Some(())
    }

    /// LOGISTIC or TANH.
    fn table(&mut self) -> Option<()> {
        let input = self.activations(None);
        self.table_of(input)
    }

    fn table_of(&mut self, input: i32) -> Option<()> {
        let (kind, q) = self
            .rng
            .pick(&[(builtin::LOGISTIC, (1.0 / 256.0, -128)), (builtin::TANH, (1.0 / 128.0, 0))]);
        let output = self.result(&self.shape_of(input), q);
        self.operator(kind, &[input], output, Options::None);
        Some(())
    }

    fn pad(&mut self) -> Option<()> {
        let id = self.anything(|t| !t.shape.is_empty())?;
        self.pad_of(id)
    }

    fn pad_of(&mut self, id: i32) -> Option<()> {
        let rank = self.shape_of(id).len();
        let padding = (0..rank).map(|_| [0, 1].map(|_| self.rng.pick(&[0, 0, 1, 2]))).collect();
        self.padded(id, padding).map(|_| ())
    }

    /// A convolution behind a PAD of rows and columns.
    fn padded_conv(&mut self) -> Option<()> {
        let input = self.activations(Some(4));
        let mut padding = vec![[0; 2]; 4];
        for sizes in &mut padding[1..3] {
            *sizes = [0, 1].map(|_| self.rng.range(0, 2) as i32);
        }
        if self.rng.chance(10) {
            padding[3] = [1, 0];
        }
        let padded = self.padded(input, padding)?;
        match self.rng.chance(50) {
            true => self.conv_2d_of(padded),
            false => self.depthwise_conv_2d_of(padded),
        }
    }

    /// PAD, or PADV2 with any value.
    fn padded(&mut self, id: i32, padding: Vec<[i32; 2]>) -> Option<i32> {
        let tensor = self.tensor(id).clone();
        let shape: Vec<i32> =
            tensor.shape.iter().zip(&padding).map(|(size, p)| size + p[0] + p[1]).collect();
        fits(&shape)?;
        let sizes = self.ints(&[shape.len() as i32, 2], &padding.concat());
        let output = self.like(id, &shape);
        if self.rng.chance(60) {
            self.operator(builtin::PAD, &[id, sizes], output, PadOptions {});
            return Some(output);
        }
        let q = tensor.scales.first().map(|&scale| (scale, tensor.zero_points[0]));
        let value = match tensor.dtype {
            tensor_type::INT8 if self.rng.chance(40) => {
                let zero_point = tensor.zero_points[0] as u8;
                self.constant(tensor_type::INT8, &[], q, vec![zero_point])
            }
            // Of more than 32 bits it is refused.
            tensor_type::INT64 => {
                self.constant(tensor_type::INT64, &[1], None, (-70_000i64).to_le_bytes().into())
            }
            dtype => self.noise(dtype, &[1], q),
        };
        self.operator(builtin::PADV2, &[id, sizes, value], output, PadV2Options {});
        Some(output)
    }

    fn mean(&mut self) -> Option<()> {
        let rank = self.rng.pick(&[1, 2, 3, 4, 4, 4, 5]);
        let input = match self.rng.chance(30) {
            true => self.many_channels()?,
            false => self.activations(Some(rank)),
        };
        self.mean_of(input)
    }

    fn mean_of(&mut self, input: i32) -> Option<()> {
        let shape = self.shape_of(input);
        let rank = shape.len();
        let mut axes: Vec<usize> = (0..rank).filter(|_| self.rng.chance(50)).collect();
        if axes.is_empty() {
            axes.push(self.rng.below(rank));
        }
        if rank == 4 && self.rng.chance(40) {
            axes = vec![1, 2];
        }
        let keep_dims = self.rng.chance(50);
        let sizes = (0..rank).filter(|axis| keep_dims || !axes.contains(axis));
        let output: Vec<i32> =
            sizes.map(|i| if axes.contains(&i) { 1 } else { shape[i] }).collect();
        let negative = if self.rng.chance(30) { rank as i32 } else { 0 };
        let stated: Vec<i32> = axes.iter().map(|&axis| axis as i32 - negative).collect();
        let stated = match stated[..] {
            [axis] if self.rng.chance(30) => self.ints_32(&[], &[axis]),
            _ => self.ints_32(&[stated.len() as i32], &stated),
        };
        let count: i32 = axes.iter().map(|&axis| shape[axis]).product();
        let spread = self.spread(input) / f64::from(count).sqrt();
        let q = match self.rng.chance(30) {
            true => self.quantization_of(input),
            false => self.quantization_for(spread),
        };
        let output = self.result(&output, q);
        self.operator(builtin::MEAN, &[input, stated], output, ReducerOptions { keep_dims });
        Some(())
    }

    /// The operand's quantization, or only its scale, or another one.
    fn perhaps_another(&mut self, id: i32) -> Quantization {
        match self.rng.below(10) {
            0..=3 => self.quantization_of(id),
            4 | 5 => (self.quantization_of(id).0, self.zero_point()),
            _ => self.quantization_for(self.spread(id)),
        }
    }

    fn relu(&mut self) -> Option<()> {
        let input = self.activations(None);
        self.relu_of(input)
    }

    fn relu_of(&mut self, input: i32) -> Option<()> {
        let q = self.perhaps_another(input);
        let output = self.result(&self.shape_of(input), q);
        let kind = self.rng.pick(&[builtin::RELU, builtin::RELU6, builtin::RELU_N1_TO_1]);
        self.operator(kind, &[input], output, Options::None);
        Some(())
    }

    fn leaky_relu(&mut self) -> Option<()> {
        let input = self.activations(None);
        self.leaky_relu_of(input)
    }

    fn leaky_relu_of(&mut self, input: i32) -> Option<()> {
        let q = self.perhaps_another(input);
        let output = self.result(&self.shape_of(input), q);
        let alpha = self.rng.pick(&[0.1, 0.2, 0.3, 0.01, 1.0, 1.5, -0.5, 0.0]);
        self.operator(builtin::LEAKY_RELU, &[input], output, LeakyReluOptions { alpha });
        Some(())
    }

    fn prelu(&mut self) -> Option<()> {
        let input = self.activations(None);
        self.prelu_of(input)
    }

    /// With the same slope for all channels.
    fn prelu_of(&mut self, input: i32) -> Option<()> {
        let (shape, q) = (self.shape_of(input), self.perhaps_another(input));
        let output = self.result(&shape, q);
        let slopes = [1, 1, *shape.last().unwrap_or(&1)];
        let slopes = if self.rng.chance(50) { &slopes[..] } else { &[1] };
        let slope = self.rng.range(-128, 127) as u8;
        let data = vec![slope; elements(slopes) as usize];
        let q = (self.rng.real(-9.0, -6.0).exp2() as f32, self.zero_point());
        let slopes = self.constant(tensor_type::INT8, slopes, Some(q), data);
        self.operator(builtin::PRELU, &[input, slopes], output, Options::None);
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        let input = self.activations(None);
        self.scalar_of(input)
    }

    /// ADD, SUB or MUL with one number for all elements.
    fn scalar_of(&mut self, input: i32) -> Option<()> {
        let shape = self.shape_of(input);
        let number = self.rng.range(-128, 127) as u8;
        let sizes = if self.rng.chance(50) { &shape[..] } else { &[] };
        let data = vec![number; elements(sizes) as usize];
        let q = (self.rng.real(-2.0, 2.0).exp2() as f32 / 64.0, self.zero_point());
        let number = self.constant(tensor_type::INT8, sizes, Some(q), data);
        let kind = self.rng.pick(&[builtin::ADD, builtin::SUB, builtin::MUL]);
        self.binary(kind, input, number, &shape);
        Some(())
    }

    fn hard_swish(&mut self) -> Option<()> {
        let input = self.activations(None);
        self.hard_swish_of(input)
    }

    fn hard_swish_of(&mut self, input: i32) -> Option<()> {
        let (scale, _) = self.quantization_of(input);
        // TFLite can't do others.
        (1e-5..100.0).contains(&scale).then_some(())?;
        let by = self.rng.real(-3.0, 3.0).exp2() as f32;
        let q = (scale * by, self.zero_point());
        let output = self.result(&self.shape_of(input), q);
        self.operator(builtin::HARD_SWISH, &[input], output, Options::None);
        Some(())
    }

    /// From codes to codes.
    fn quantize(&mut self) -> Option<()> {
        let input = match self.rng.chance(60) {
            true => self.activations(None),
            false => self.anything(|t| is_quantized(t.dtype))?,
        };
        let from = self.tensor(input).dtype;
        let to = match self.rng.chance(60) {
            true => tensor_type::INT8,
            false => self.rng.pick(&TYPES[..3]),
        };
        let (scale, zero_point) = self.perhaps_another(input);
        let ratio = match (from, to) {
            (tensor_type::INT16, tensor_type::INT16) => 1.0,
            (tensor_type::INT16, _) => 256.0,
            (_, tensor_type::INT16) => 1.0 / 256.0,
            _ => 1.0,
        };
        let zero_point = match to {
            tensor_type::INT8 => zero_point.clamp(-128, 127),
            tensor_type::UINT8 => (zero_point + 128).clamp(0, 255),
            _ if self.rng.chance(80) => 0,
            _ => self.rng.range(-300, 300),
        };
        let output = self.push(to, &self.shape_of(input), Some((scale * ratio, zero_point)));
        self.operator(builtin::QUANTIZE, &[input], output, QuantizeOptions {});
        Some(())
    }

    /// From real numbers to codes.
    fn quantize_reals(&mut self) -> Option<()> {
        let reals = self.candidates(|t| t.dtype == tensor_type::FLOAT32);
        let input = match reals.last() {
            Some(&last) if self.rng.chance(50) => last,
            _ => {
                let rank = self.rng.range(0, 4) as usize;
                let shape = self.sizes(rank);
                match self.rng.chance(10) {
                    true => self.noise(tensor_type::FLOAT32, &shape, None),
                    false => self.input(tensor_type::FLOAT32, &shape, None),
                }
            }
        };
        let to = self.rng.pick(&[
            tensor_type::INT8,
            tensor_type::INT8,
            tensor_type::UINT8,
            tensor_type::INT16,
        ]);
        let scale = self.scale();
        let zero_point = match to {
            tensor_type::INT8 => self.zero_point(),
            tensor_type::UINT8 => self.zero_point() + 128,
            _ => 0,
        };
        let output = self.push(to, &self.shape_of(input), Some((scale, zero_point)));
        self.operator(builtin::QUANTIZE, &[input], output, QuantizeOptions {});
        Some(())
    }

    fn dequantize(&mut self) -> Option<()> {
        let input = match self.rng.chance(70) {
            true => self.activations(None),
            false => self.anything(|t| is_quantized(t.dtype))?,
        };
        let output = self.push(tensor_type::FLOAT32, &self.shape_of(input), None);
        self.operator(builtin::DEQUANTIZE, &[input], output, DequantizeOptions {});
        Some(())
    }

    fn concatenation(&mut self) -> Option<()> {
        let rank = self.rng.range(1, 5) as usize;
        let first = self.activations(Some(rank));
        let (shape, q) = (self.shape_of(first), self.quantization_of(first));
        let axis = self.rng.below(rank);
        let count = if self.rng.chance(10) { 17 } else { self.rng.range(1, 4) };
        let (mut operands, mut output) = (vec![first], shape.clone());
        for _ in 1..count {
            let mut other = shape.clone();
            if self.rng.chance(60) {
                other[axis] = self.rng.range(1, 4) as i32;
            }
            output[axis] += other[axis];
            fits(&output)?;
            let at = self.rng.below(operands.len() + 1);
            operands.insert(at, self.partner(&other, Some(q)));
        }
        let output = self.result(&output, q);
        let stated = if self.rng.chance(30) { axis as i32 - rank as i32 } else { axis as i32 };
        let options = ConcatenationOptions { axis: stated, ..ConcatenationOptions::default() };
        self.operator(builtin::CONCATENATION, &operands, output, options);
        Some(())
    }

    fn transpose(&mut self) -> Option<()> {
        let id = self.anything(|t| !t.shape.is_empty())?;
        self.transpose_of(id)
    }

    fn transpose_of(&mut self, id: i32) -> Option<()> {
        let shape = self.shape_of(id);
        let rank = shape.len();
        let mut permutation: Vec<usize> = (0..rank).collect();
        for i in (1..rank).rev() {
            permutation.swap(i, self.rng.below(i + 1));
        }
        let output: Vec<i32> = permutation.iter().map(|&axis| shape[axis]).collect();
        let output = self.like(id, &output);
        let stated: Vec<i32> = permutation.iter().map(|&axis| axis as i32).collect();
        let stated = self.ints_32(&[rank as i32], &stated);
        self.operator(builtin::TRANSPOSE, &[id, stated], output, TransposeOptions {});
        Some(())
    }

    fn strided_slice(&mut self) -> Option<()> {
        let id = self.anything(|t| !t.shape.is_empty())?;
        self.strided_slice_of(id)
    }

    fn strided_slice_of(&mut self, id: i32) -> Option<()> {
        let shape = self.shape_of(id);
        let mut options = StridedSliceOptions::default();
        let (mut begins, mut ends, mut strides, mut output) = (vec![], vec![], vec![], vec![]);
        let mut axis = 0;
        while axis < shape.len() {
            let bit = 1 << begins.len();
            match self.rng.below(12) {
                0 if output.len() + shape.len() - axis < 7 => {
                    options.new_axis_mask |= bit;
                    output.push(1);
                    begins.push(0);
                    ends.push(0);
                    strides.push(1);
                    continue;
                }
                1 if options.ellipsis_mask == 0 => {
                    options.ellipsis_mask |= bit;
                    let skipped = self.rng.range(0, (shape.len() - axis) as i64) as usize;
                    // It takes whatever the other entries leave: here it must be this much.
                    output.extend(&shape[axis..axis + skipped]);
                    axis += skipped;
                    begins.push(0);
                    ends.push(0);
                    strides.push(1);
                    continue;
                }
                // The rest is taken whole, unsaid.
                2 if options.ellipsis_mask == 0 && axis > 0 => {
                    output.extend(&shape[axis..]);
                    break;
                }
                _ => {}
            }
            let size = shape[axis];
            let (first, last) =
                (self.rng.range(0, size as i64 - 1), self.rng.range(0, size as i64 - 1));
            let (first, last) = (first as i32, last as i32);
            let step = self.rng.range(1, 3) as i32;
            let stride = if first > last { -step } else { step };
            let length = (last - first).abs() / step + 1;
            let behind = last + stride.signum();
            let negative = |position: i32| position - size;
            if self.rng.chance(20) {
                options.shrink_axis_mask |= bit;
                begins.push(if self.rng.chance(30) { negative(first) } else { first });
                ends.push(first + 1);
                strides.push(1);
                axis += 1;
                continue;
            }
            output.push(length);
            begins.push(if self.rng.chance(30) { negative(first) } else { first });
            let from_outermost = if stride > 0 { first == 0 } else { first == size - 1 };
            if from_outermost && self.rng.chance(50) {
                options.begin_mask |= bit;
                *begins.last_mut()? = self.rng.range(-20, 20) as i32;
            }
            if behind < 0 || behind >= size && self.rng.chance(50) {
                options.end_mask |= bit;
                ends.push(self.rng.range(-20, 20) as i32);
            } else if behind >= size {
                ends.push(behind + self.rng.range(0, 9) as i32);
            } else {
                ends.push(if self.rng.chance(30) { negative(behind) } else { behind });
            }
            strides.push(stride);
            axis += 1;
        }
        let output = self.like(id, &output);
        let count = [begins.len() as i32];
        let [begins, ends, strides] =
            [begins, ends, strides].map(|list| self.ints_32(&count, &list));
        self.operator(builtin::STRIDED_SLICE, &[id, begins, ends, strides], output, options);
        Some(())
    }

    fn shape(&mut self) -> Option<()> {
        let id = self.anything(|t| !t.shape.is_empty())?;
        let rank = self.shape_of(id).len() as i32;
        let dtype = self.rng.pick(&[tensor_type::INT32, tensor_type::INT32, tensor_type::INT64]);
        let output = self.push(dtype, &[rank], None);
        self.operator(builtin::SHAPE, &[id], output, ShapeOptions { out_type: dtype });
        Some(())
    }

    /// SHAPE, STRIDED_SLICE, PACK and RESHAPE, as converters leave them behind.
    fn reshape_to_computed_shape(&mut self) -> Option<()> {
        let id = self.anything(|t| !t.shape.is_empty())?;
        let shape = self.shape_of(id);
        let sizes = self.push(tensor_type::INT32, &[shape.len() as i32], None);
        self.operator(builtin::SHAPE, &[id], sizes, ShapeOptions { out_type: tensor_type::INT32 });
        let axis = self.rng.below(shape.len()) as i32;
        let [begin, end, stride] = [axis, axis + 1, 1].map(|at| self.ints_32(&[1], &[at]));
        let size = self.push(tensor_type::INT32, &[], None);
        let options = StridedSliceOptions { shrink_axis_mask: 1, ..StridedSliceOptions::default() };
        self.operator(builtin::STRIDED_SLICE, &[sizes, begin, end, stride], size, options);
        let rest = elements(&shape) / shape[axis as usize];
        let stated = if self.rng.chance(50) { -1 } else { rest };
        let constant = self.ints_32(&[], &[stated]);
        let mut operands = vec![size, constant];
        let mut output = vec![shape[axis as usize], rest];
        if self.rng.chance(50) {
            operands.reverse();
            output.reverse();
        }
        let packed = self.push(tensor_type::INT32, &[2], None);
        let options = PackOptions { values_count: 2, axis: 0 };
        self.operator(builtin::PACK, &operands, packed, options);
        let output = self.like(id, &output);
        self.operator(builtin::RESHAPE, &[id, packed], output, ReshapeOptions::default());
        Some(())
    }

    fn pack(&mut self) -> Option<()> {
        let id = self.anything(|t| t.shape.len() < 5)?;
        let tensor = self.tensor(id).clone();
        let q = tensor.scales.first().map(|&scale| (scale, tensor.zero_points[0]));
        let count = self.rng.range(1, 4) as usize;
        let mut output = tensor.shape.clone();
        let axis = self.rng.below(output.len() + 1);
        output.insert(axis, count as i32);
        fits(&output)?;
        let mut operands = vec![id];
        while operands.len() < count {
            let same = self.candidates(|t| (t.dtype, &t.shape) == (tensor.dtype, &tensor.shape));
            let other = match self.rng.below(3) {
                0 => id,
                1 if !same.is_empty() => self.rng.pick(&same),
                _ => self.noise(tensor.dtype, &tensor.shape, q),
            };
            let at = self.rng.below(operands.len() + 1);
            operands.insert(at, other);
        }
        let stated =
            if self.rng.chance(30) { axis as i32 - output.len() as i32 } else { axis as i32 };
        let output = self.like(id, &output);
        let options = PackOptions { values_count: count as i32, axis: stated };
        self.operator(builtin::PACK, &operands, output, options);
        Some(())
    }

    fn resize_nearest_neighbor(&mut self) -> Option<()> {
        let input = self.activations(Some(4));
        self.resize_nearest_neighbor_of(input)
    }

    fn resize_nearest_neighbor_of(&mut self, input: i32) -> Option<()> {
        let shape = self.shape_of(input);
        let size = [0, 1].map(|_| self.rng.range(1, 9) as i32);
        let output = [shape[0], size[0], size[1], shape[3]];
        fits(&output)?;
        let stated = self.ints_32(&[2], &size);
        let output = self.like(input, &output);
        let (align_corners, half_pixel_centers) =
            self.rng.pick(&[(false, false), (true, false), (false, true)]);
        let options = ResizeNearestNeighborOptions { align_corners, half_pixel_centers };
        self.operator(builtin::RESIZE_NEAREST_NEIGHBOR, &[input, stated], output, options);
        Some(())
    }

    // Groups that passes look for.

    /// What was computed last.
    fn last(&self) -> i32 {
        let last = self.spec.operators.last().expect("there is an operator");
        last.outputs[0]
    }

    /// Something with an accumulator behind `input`.
    fn sums_of(&mut self, input: i32) -> Option<i32> {
        match (self.shape_of(input).len(), self.rng.below(3)) {
            (4, 0) => self.conv_2d_of(input)?,
            (4, 1) => self.depthwise_conv_2d_of(input)?,
            _ => self.fully_connected_of(input)?,
        }
        Some(self.last())
    }

    /// A sum behind a convolution or a fully connected layer, of that and of what is there already.
    fn residual(&mut self) -> Option<()> {
        let input = self.activations(Some(4));
        self.residual_of(input)
    }

    fn residual_of(&mut self, input: i32) -> Option<()> {
        let own = self.sums_of(input)?;
        let shape = self.shape_of(own);
        let other = match self.rng.below(3) {
            0 if self.shape_of(input) == shape => input,
            1 => self.sibling()?,
            _ => self.partner(&shape, None),
        };
        let kind = self.rng.pick(&[builtin::ADD, builtin::ADD, builtin::SUB]);
        self.binary(kind, own, other, &shape);
        if self.rng.chance(30) {
            let sum = self.last();
            self.relu_of(sum)?;
        }
        Some(())
    }

    /// The last layer once more, with other weights.
    fn sibling(&mut self) -> Option<i32> {
        let mut operator = self.spec.operators.last()?.clone();
        let has_weights = [builtin::CONV_2D, builtin::DEPTHWISE_CONV_2D, builtin::FULLY_CONNECTED];
        has_weights.contains(&operator.builtin).then_some(())?;
        let tensor = self.tensor(operator.inputs[1]).clone();
        let data = self.codes(elements(&tensor.shape) as usize);
        self.spec.tensors.push(TensorSpec { data: Some(data), ..tensor });
        operator.inputs[1] = self.spec.tensors.len() as i32 - 1;
        let tensor = self.tensor(operator.outputs[0]).clone();
        self.spec.tensors.push(tensor);
        operator.outputs = vec![self.spec.tensors.len() as i32 - 1];
        self.spec.operators.push(operator);
        Some(self.last())
    }

    /// An operator a second time, with another result: as converters leave layers with two
    /// consumers.
    fn again(&mut self) -> Option<()> {
        if self.spec.operators.is_empty() {
            return None;
        }
        let mut operator = self.rng.pick(&self.spec.operators);
        let tensor = self.tensor(operator.outputs[0]).clone();
        self.spec.tensors.push(tensor);
        operator.outputs = vec![self.spec.tensors.len() as i32 - 1];
        let activation = self.rng.pick(&ACTIVATIONS);
        match &mut operator.options {
            Options::Conv2DOptions(options) => options.fused_activation_function = activation,
            Options::FullyConnectedOptions(options) => {
                options.fused_activation_function = activation
            }
            Options::AddOptions(options) => options.fused_activation_function = activation,
            _ => {}
        }
        self.spec.operators.push(operator);
        let result = self.last();
        if self.tensor(result).dtype == tensor_type::INT8 && self.rng.chance(50) {
            self.relu_of(result)?;
        }
        Some(())
    }

    /// A chain that begins with channels of nothing and ends where they are read.
    fn dead_channels(&mut self) -> Option<()> {
        let input = self.activations(Some(4));
        self.dead_channels = 100;
        let first = self.conv_2d_of(input);
        self.dead_channels = 15;
        first?;
        for _ in 0..self.rng.below(4) {
            let last = self.last();
            let shape = self.shape_of(last);
            match self.rng.below(8) {
                0 | 1 => self.depthwise_conv_2d_of(last)?,
                2 => self.pool_of(last)?,
                3 => self.relu_of(last)?,
                4 => self.leaky_relu_of(last)?,
                5 => {
                    let padding = vec![[0, 0], [1, 0], [0, 2], [0, 0]];
                    self.padded(last, padding)?;
                }
                6 => {
                    let other = self.noise(tensor_type::INT8, &shape[3..], Some((0.5, 3)));
                    self.binary(builtin::MUL, last, other, &shape);
                }
                _ => {
                    let other = self.rng.pick(
                        &self.candidates(|t| t.shape == shape && t.dtype == tensor_type::INT8),
                    );
                    self.binary(builtin::ADD, last, other, &shape);
                }
            }
        }
        let last = self.last();
        match self.rng.chance(50) {
            true => self.conv_2d_of(last),
            false => self.fully_connected_of(last),
        }
    }

    /// An activation behind data that was moved after it was computed.
    fn moved_activation(&mut self) -> Option<()> {
        let input = self.activations(Some(4));
        let mut last = self.sums_of(input)?;
        for _ in 0..self.rng.range(1, 2) {
            match self.rng.below(5) {
                0 if !self.shape_of(last).is_empty() => self.transpose_of(last)?,
                1 if !self.shape_of(last).is_empty() => self.strided_slice_of(last)?,
                2 if !self.shape_of(last).is_empty() => self.pad_of(last)?,
                3 if !self.shape_of(last).is_empty() => {
                    let mut shape = self.shape_of(last);
                    let (axis, other) = (self.rng.below(shape.len()), self.sums_of(input)?);
                    if self.shape_of(other) == shape {
                        shape[axis] *= 2;
                        let output = self.like(last, &shape);
                        let q = self.tensor(last).clone();
                        let tensor = &mut self.spec.tensors[other as usize];
                        (tensor.scales, tensor.zero_points) = (q.scales, q.zero_points);
                        let options = ConcatenationOptions {
                            axis: axis as i32,
                            ..ConcatenationOptions::default()
                        };
                        self.operator(builtin::CONCATENATION, &[last, other], output, options);
                    }
                }
                _ => {
                    let rank = self.rng.range(1, 4) as usize;
                    self.reshaped(last, rank);
                }
            }
            last = self.last();
        }
        match self.rng.below(3) {
            0 => self.relu_of(last),
            1 => self.leaky_relu_of(last),
            _ => {
                let output = self.result(&self.shape_of(last), (1.0 / 256.0, -128));
                self.operator(builtin::LOGISTIC, &[last], output, Options::None);
                Some(())
            }
        }
    }

    // Chains.

    /// Something with an accumulator, by turns.
    fn producer(&mut self, turn: usize, input: i32) -> Option<()> {
        match turn % 8 {
            0 => self.conv_2d_of(input),
            1 => self.depthwise_conv_2d_of(input),
            2 => self.fully_connected_of(input),
            3 => self.pool_of(input),
            4 => self.mean_of(input),
            5 => self.residual_of(input),
            turn => {
                let shape = self.shape_of(input);
                let other = self.input(tensor_type::INT8, &shape, Some((0.05, 7)));
                let kind = if turn == 6 { builtin::ADD } else { builtin::MUL };
                self.binary(kind, input, other, &shape);
                Some(())
            }
        }
    }

    /// What stands behind something else, mostly behind what came last.
    fn link(&mut self) -> Option<()> {
        let results = self.spec.operators.iter().map(|operator| operator.outputs[0]);
        let results: Vec<i32> = results.collect();
        let last = if self.rng.chance(85) { self.last() } else { self.rng.pick(&results) };
        let shape = self.shape_of(last);
        match self.rng.below(20) {
            0..=4 => self.relu_of(last),
            5..=7 => {
                let q = self.perhaps_another(last);
                let output = self.result(&shape, q);
                self.operator(builtin::QUANTIZE, &[last], output, QuantizeOptions {});
                Some(())
            }
            8 => self.leaky_relu_of(last),
            9 => self.prelu_of(last),
            10 => self.hard_swish_of(last),
            11 => self.table_of(last),
            12 | 13 => self.scalar_of(last),
            14 if shape.len() == 4 => {
                self.pool_of(last)?;
                let pool = self.last();
                self.relu_of(pool)
            }
            15 => self.again(),
            16 if shape.len() == 4 => self.conv_2d_of(last),
            // TFLite can't do SOFTMAX of smaller scales.
            17 if shape.len() == 4 && self.quantization_of(last).0 > 1e-5 => {
                let output = self.result(&shape, (1.0 / 256.0, -128));
                self.operator(builtin::SOFTMAX, &[last], output, SoftmaxOptions { beta: 1.0 });
                let q = (1.0 / 256.0, self.zero_point());
                let shifted = self.result(&shape, q);
                self.operator(builtin::QUANTIZE, &[output], shifted, QuantizeOptions {});
                self.conv_2d_of(shifted)
            }
            _ => self.moved(last).and_then(|()| {
                let moved = self.last();
                self.relu_of(moved)
            }),
        }
    }

    /// The same data elsewhere.
    fn moved(&mut self, last: i32) -> Option<()> {
        match self.rng.below(6) {
            _ if self.shape_of(last).is_empty() => None,
            5 if self.shape_of(last).len() == 4 => self.resize_nearest_neighbor_of(last),
            0 => self.transpose_of(last),
            1 => self.strided_slice_of(last),
            2 => self.pad_of(last),
            3 => {
                let (mut shape, q) = (self.shape_of(last), self.quantization_of(last));
                let is_last = last == self.last();
                let sibling = if is_last { self.sibling() } else { None };
                let other = sibling.unwrap_or_else(|| self.partner(&shape, Some(q)));
                shape[0] *= 2;
                fits(&shape)?;
                let output = self.result(&shape, q);
                let options = ConcatenationOptions::default();
                self.operator(builtin::CONCATENATION, &[last, other], output, options);
                Some(())
            }
            _ => {
                let rank = self.rng.range(1, 4) as usize;
                self.reshaped(last, rank);
                Some(())
            }
        }
    }

    // The border.

    /// What nobody reads is an output, and some of the rest.
    fn choose_outputs(&mut self) {
        let results = self.candidates(|_| true);
        let read: Vec<i32> =
            self.spec.operators.iter().flat_map(|operator| operator.inputs.clone()).collect();
        let mut outputs: Vec<i32> = Vec::new();
        for &id in &results {
            let is_input = self.spec.inputs.contains(&id);
            let percent = match (is_input, read.contains(&id)) {
                (false, false) => 95,
                (false, true) => 8,
                (true, _) => 3,
            };
            if self.rng.chance(percent) {
                let at = self.rng.below(outputs.len() + 1);
                outputs.insert(at, id);
            }
        }
        if self.rng.chance(3) {
            let q = self.quantization();
            outputs.push(self.noise(tensor_type::INT8, &[3], Some(q)));
        }
        if outputs.is_empty() {
            outputs.push(results[results.len() - 1]);
        }
        if self.rng.chance(3) {
            outputs.push(outputs[0]);
        }
        self.spec.outputs = outputs;
    }
}

/// A window's steps, rows first.
#[derive(Default)]
struct Window {
    padding: i8,
    size: [i32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    output: [i32; 2],
}
