//! Channels that are the same code everywhere are not computed: how much of a network goes, and that
//! what is left is exact.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[path = "support/model_builder.rs"]
mod model_builder;

use model_builder::*;
use tflc::frontend::schema::{activation, builtin, padding, tensor_type};
use tflc::ir::{self, Graph};
use tflc::ops::{Op, Value};
use tflc::target::Target;
use tflc::{frontend, passes};

/// Every fourth channel is alive.
const LIVE: usize = 4;

#[test]
fn visual_wake_words_loses_what_it_must() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/models/vww_96_int8.tflite");
    // That it stays exact is seen with all the other models' golden outputs.
    match std::fs::read(path) {
        Ok(bytes) => drop(lose(&frontend::import(&bytes).expect("is supported"), 49, 80)),
        Err(_) => extent::left_out("vww_96_int8.tflite, which is not there"),
    }
}

#[test]
fn a_network_of_mostly_dead_channels_loses_them() {
    let imported = frontend::import(&network().build()).expect("is supported");
    let graph = lose(&imported, 75, 75);
    for case in 0..20 {
        let ty = &imported.tensors[imported.inputs[0]].ty;
        let code = |i: usize| ((i * 37 + case * 101) * (i + case) % 256) as i32 - 128;
        let input = [Value::from_ints(ty.clone(), (0..ty.elements()).map(code))];
        let [expected, found] = [&imported, &graph].map(|graph| ir::eval(graph, &input));
        assert_eq!(found, expected, "case {case}\n{graph}");
    }
    // Nothing that reads or passes on channels needs the dead ones.
    for node in &graph.nodes {
        for &id in node.outputs.iter().filter(|id| !graph.outputs.contains(id)) {
            let channels = graph.tensors[id].ty.from_innermost(0);
            assert!([16, 32].map(|all| all / LIVE).contains(&channels), "{graph}");
        }
    }
}

/// The graph behind the passes, which must have lost so many percent of its multiplications and of
/// its weights' bytes.
#[track_caller]
fn lose(imported: &Graph, macs: u64, weights: u64) -> Graph {
    let graph = passes::run(imported.clone(), &Target::default(), false);
    let gone = |before: u64, after: u64| 100 * (before - after) / before;
    let found =
        (gone(imported.macs(), graph.macs()), gone(weights_bytes(imported), weights_bytes(&graph)));
    assert!(found.0 >= macs && found.1 >= weights, "{found:?} percent gone");
    graph
}

fn weights_bytes(graph: &Graph) -> u64 {
    let layers = graph.nodes.iter().filter(|node| {
        matches!(node.op, Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected(_))
    });
    layers.map(|node| graph.tensors[node.inputs[1]].ty.bytes() as u64).sum()
}

/// Convolutions with dead filters, and all that such channels can pass through on their way to where
/// they are read.
fn network() -> ModelSpec {
    let mut spec = ModelSpec::default();
    let input = tensor(&mut spec, &[1, 8, 8, 1], 0.05, 0, None);
    spec.inputs = vec![input];
    let first = conv(&mut spec, input, [16, 3, 3, 1]);
    // In the dead channels, the tap in the middle: the only one that is never in padding.
    let (weights, bias) = weights(&mut spec, &[1, 3, 3, 16], |i| i % 16, |i| i / 16 == 4);
    let middle = tensor(&mut spec, &[1, 8, 8, 16], 0.1, -128, None);
    let options = DepthwiseConv2DOptions {
        padding: padding::SAME,
        stride_h: 1,
        stride_w: 1,
        depth_multiplier: 1,
        fused_activation_function: activation::RELU,
        ..DepthwiseConv2DOptions::default()
    };
    push(&mut spec, builtin::DEPTHWISE_CONV_2D, &[first, weights, bias], middle, options);
    let last = conv(&mut spec, middle, [16, 1, 1, 16]);
    let sum = tensor(&mut spec, &[1, 8, 8, 16], 0.2, -128, None);
    push(&mut spec, builtin::ADD, &[first, last], sum, AddOptions::default());
    let product = tensor(&mut spec, &[1, 8, 8, 16], 0.2, -128, None);
    let factors = (0..16).map(|i| 5 * i as u8).collect();
    let factors = tensor(&mut spec, &[16], 0.02, 0, Some(factors));
    push(&mut spec, builtin::MUL, &[sum, factors], product, MulOptions::default());
    let pools = [builtin::MAX_POOL_2D, builtin::AVERAGE_POOL_2D].map(|kind| {
        let pool = tensor(&mut spec, &[1, 4, 4, 16], 0.2, -128, None);
        let options = Pool2DOptions {
            padding: padding::VALID,
            stride_h: 2,
            stride_w: 2,
            filter_height: 2,
            filter_width: 2,
            ..Pool2DOptions::default()
        };
        push(&mut spec, kind, &[product], pool, options);
        pool
    });
    let both = tensor(&mut spec, &[1, 4, 4, 32], 0.2, -128, None);
    let options = ConcatenationOptions { axis: 3, ..ConcatenationOptions::default() };
    push(&mut spec, builtin::CONCATENATION, &pools, both, options);
    let (weights, bias) = weights_of_units(&mut spec);
    let scores = tensor(&mut spec, &[1, 3], 0.5, 3, None);
    let options = FullyConnectedOptions::default();
    push(&mut spec, builtin::FULLY_CONNECTED, &[both, weights, bias], scores, options);
    spec.outputs = vec![scores];
    spec
}

fn tensor(
    spec: &mut ModelSpec,
    shape: &[i32],
    scale: f32,
    zero_point: i64,
    data: Option<Vec<u8>>,
) -> i32 {
    spec.tensors.push(TensorSpec {
        name: format!("t{}", spec.tensors.len()),
        shape: shape.into(),
        dtype: tensor_type::INT8,
        scales: vec![scale],
        zero_points: vec![zero_point],
        data,
        ..TensorSpec::default()
    });
    spec.tensors.len() as i32 - 1
}

fn push(spec: &mut ModelSpec, kind: i32, inputs: &[i32], output: i32, options: impl Into<Options>) {
    spec.operators.push(OperatorSpec::new(kind, inputs, [output], options));
}

/// Weights, which in dead channels are 0 but for some, and a bias.
fn weights(
    spec: &mut ModelSpec,
    shape: &[i32],
    channel_of: impl Fn(usize) -> usize,
    is_kept: impl Fn(usize) -> bool,
) -> (i32, i32) {
    let count = shape.iter().product::<i32>() as usize;
    let channels = (0..count).map(&channel_of).max().expect("some") + 1;
    let is_live = |i: usize| channel_of(i) % LIVE == 0 || is_kept(i);
    let code = |i: usize| if is_live(i) { (i * 29 % 200) as u8 } else { 0 };
    let data = (0..count).map(code).collect();
    let id = tensor(spec, shape, 0.02, 0, Some(data));
    // What is dead needn't be zero.
    let bias = |channel: usize| if channel % LIVE == 0 { 100i32 } else { 2000 };
    spec.tensors.push(TensorSpec {
        name: "bias".into(),
        shape: vec![channels as i32],
        dtype: tensor_type::INT32,
        data: Some((0..channels).flat_map(|channel| bias(channel).to_le_bytes()).collect()),
        ..TensorSpec::default()
    });
    (id, id + 1)
}

fn weights_of_units(spec: &mut ModelSpec) -> (i32, i32) {
    weights(spec, &[3, 4 * 4 * 32], |i| i / (4 * 4 * 32), |_| true)
}

/// A convolution that leaves its input's size, with dead filters behind a RELU.
fn conv(spec: &mut ModelSpec, input: i32, filters: [i32; 4]) -> i32 {
    let taps = filters[1..].iter().product::<i32>() as usize;
    let (weights, bias) = weights(spec, &filters, |i| i / taps, |_| false);
    let output = tensor(spec, &[1, 8, 8, filters[0]], 0.1, -128, None);
    let options = Conv2DOptions {
        padding: padding::SAME,
        stride_h: 1,
        stride_w: 1,
        fused_activation_function: activation::RELU,
        ..Conv2DOptions::default()
    };
    push(spec, builtin::CONV_2D, &[input, weights, bias], output, options);
    output
}
