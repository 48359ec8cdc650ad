//! Routines in assembly, each on its own: every kernel that is offered for a random layer, not only
//! the one that a plan would choose, gives `ops::eval`'s bytes.
//!
//! `TFLC_ROUTINE_LAYERS` says how many layers, `TFLC_ROUTINE_SEED` with which seed they begin.

#[path = "support/model_builder.rs"]
mod model_builder;
#[path = "support/parallel.rs"]
mod parallel;
#[path = "support/random_model.rs"]
mod random_model;

use std::collections::BTreeMap;
use std::env;

use random_model::Rng;
use tflc::ir::{Graph, Node, Tensor, TensorId};
use tflc::kernels::dsp::{self, Argument, Kernel};
use tflc::kernels::Layer;
use tflc::loop_ir::assembly::machine::Prices;
use tflc::ops::{
    Addend, Concatenation, Conv2d, DType, DepthwiseConv2d, Epilogue, FullyConnected, Multiplier,
    Op, Pack, Pad, ResizeNearestNeighbor, Stage, StridedRange, StridedSlice, TensorType, Transpose,
    Value, Window,
};

/// How many layers are drawn.
const LAYERS: u64 = 5000;

#[test]
fn all_routines_are_exact() {
    let number =
        |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("TFLC_ROUTINE_SEED").unwrap_or(0);
    let count = number("TFLC_ROUTINE_LAYERS").unwrap_or(LAYERS);
    let seeds: Vec<u64> = (first..first + count).collect();
    let results = parallel::map(&seeds, |&seed| {
        let graph = layer(&mut Rng::new(seed));
        check(&graph, seed).map_err(|error| {
            let describe = graph.nodes[0].op.describe();
            format!("seed {seed}: {error}\n  {describe}\n{graph}")
        })
    });
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(kernels) => {
                kernels.into_iter().for_each(|name| *names.entry(name).or_default() += 1)
            }
            Err(failure) => failures.push(failure),
        }
    }
    println!("{names:?}");
    let shown = failures.iter().take(4).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {count} layers fail:\n{shown}", failures.len());
    if count >= 500 {
        for name in [
            "conv_2d",
            "conv_2d_narrow",
            "conv_2d_winograd_2x2",
            "conv_2d_winograd_4x4",
            "depthwise_conv_2d",
            "depthwise_conv_2d_by_four",
            "depthwise_conv_2d_small",
            "fully_connected",
            "move",
        ] {
            assert!(names.get(name).is_some_and(|&n| n >= 15), "too few of {name}: {names:?}");
        }
    }
}

/// Runs all kernels of a graph's only node.
fn check(graph: &Graph, seed: u64) -> Result<Vec<&'static str>, String> {
    let node = &graph.nodes[0];
    let layer = Layer { graph, node, in_place: None };
    let kernels = dsp::kernels(layer);
    if kernels.is_empty() {
        return Ok(vec!["none"]);
    }
    for case in 0..3 {
        let mut rng = Rng::new(seed << 8 | case);
        let value = |id: &TensorId| match graph.constant(*id) {
            Some(value) => value.clone(),
            None => {
                let ty = graph.tensors[*id].ty.clone();
                let code = |_| match case {
                    0 => -128,
                    1 => 127,
                    _ => rng.range(-128, 127) as i32,
                };
                let codes: Vec<i32> = (0..ty.elements()).map(code).collect();
                Value::from_ints(ty, codes)
            }
        };
        let operands: Vec<Value> = node.inputs.iter().map(value).collect();
        let expected = node.op.eval(&operands.iter().collect::<Vec<_>>());
        for kernel in &kernels {
            let found = run(kernel, &operands, &expected[0].ty)
                .map_err(|error| format!("{}: {error}", kernel.name))?;
            let (found, expected) = (found.ints(), expected[0].ints());
            if let Some(at) = (0..expected.len()).find(|&i| found[i] != expected[i]) {
                return Err(format!(
                    "{}, case {case}: element {at} is {} instead of {}",
                    kernel.name, found[at], expected[at]
                ));
            }
        }
    }
    Ok(kernels.iter().map(|kernel| kernel.name).collect())
}

/// What a routine makes of operands.
fn run(kernel: &Kernel, operands: &[Value], ty: &TensorType) -> Result<Value, String> {
    let memory = |&arg: &Argument| match arg {
        Argument::Operand(i) => operands[i].ints().iter().map(|&x| x as u8).collect(),
        Argument::Result => vec![0x55; ty.elements()],
        Argument::Scratch => vec![0x99; kernel.scratch],
        Argument::Head | Argument::Weights => Vec::new(),
    };
    let mut memories: Vec<Vec<u8>> = kernel.args.iter().map(memory).collect();
    kernel.execute(&mut memories, &Prices::default())?;
    let result = kernel.args.iter().position(|&arg| arg == Argument::Result).expect("it has one");
    Ok(Value::from_ints(ty.clone(), memories[result].iter().map(|&x| i32::from(x as i8))))
}

/// A random layer: a graph of one node.
fn layer(rng: &mut Rng) -> Graph {
    let kind = rng.below(12);
    if kind >= 10 {
        return moved(rng);
    }
    let large = rng.chance(15);
    let most = if large { 20 } else { 7 };
    let mut size = |most: i64| rng.range(1, most) as usize;
    let (mut rows, mut columns, channels) =
        (size(most), size(most), size(if large { 34 } else { 9 }));
    let mut filters = size(if large { 18 } else { 9 });
    if kind == 9 {
        // Some are so deep that sums leave 24 bits.
        let deeper = if rng.chance(10) { 16 } else { 1 };
        return dense(rng, rows, channels * columns * deeper, filters);
    }
    let depthwise = kind >= 6;
    let mut taps = match rng.below(4) {
        0 => [1, 1],
        1 | 2 => [3, 3],
        _ => [rng.range(1, 5) as usize, rng.range(1, 5) as usize],
    };
    let mut step = || if rng.chance(60) { 1 } else { rng.range(1, 3) as usize };
    let (mut stride, mut dilation) = ([step(), step()], [step(), step()]);
    if rng.chance(60) {
        stride = [1, 1];
    }
    if rng.chance(70) {
        dilation = [1, 1];
    }
    match rng.below(8) {
        0 => (rows, taps[0]) = (1, 1),
        1 => (columns, taps[1]) = (1, 1),
        _ => {}
    }
    let reach = [0, 1].map(|i| (taps[i] - 1) * dilation[i] + 1);
    let input = [rows.max(if rng.chance(50) { reach[0] } else { 1 }), columns];
    let window = if rng.chance(60) || (0..2).any(|i| reach[i] > input[i]) {
        Window::same(input, taps, stride, dilation)
    } else {
        Window::valid(taps, stride, dilation)
    };
    let images = if rng.chance(12) { 2 } else { 1 };
    let x = [images, input[0], input[1], channels];
    let divisors: Vec<usize> = (1..=channels).filter(|groups| channels % groups == 0).collect();
    let groups = if rng.chance(10) { rng.pick(&divisors) } else { 1 };
    let shape = if depthwise {
        filters = channels * if rng.chance(20) { 2 } else { 1 };
        vec![1, taps[0], taps[1], filters]
    } else {
        filters = filters.next_multiple_of(groups);
        vec![filters, taps[0], taps[1], channels / groups]
    };
    let zero_point = rng.range(-128, 127) as i32;
    let [oh, ow] = window.output(input).expect("it fits");
    let result = [images, oh, ow, filters];
    let products = if depthwise { 1 } else { channels / groups } * taps[0] * taps[1];
    build(rng, &x, &shape, filters, products, &result, |epilogue| match depthwise {
        true => DepthwiseConv2d {
            window,
            input_zero_point: zero_point,
            padding_value: zero_point,
            epilogue,
        }
        .into(),
        false => {
            Conv2d { window, input_zero_point: zero_point, padding_value: zero_point, epilogue }
                .into()
        }
    })
}

/// A layer that only moves elements.
fn moved(rng: &mut Rng) -> Graph {
    let rank = rng.range(1, 5) as usize;
    let mut left = 6000;
    let mut size = |most: i64| {
        let size = rng.range(1, most.min(left));
        left /= size;
        size as usize
    };
    let shape: Vec<usize> = (0..rank).map(|i| size([12, 90, 40, 9, 300][i])).collect();
    let kind = rng.below(if rank == 4 { 6 } else { 5 });
    let axis = rng.below(rank);
    let operands = if matches!(kind, 0 | 1) { rng.range(1, 5) as usize } else { 1 };
    let mut shapes = vec![shape.clone(); operands];
    let op: Op = match kind {
        0 => {
            shapes.iter_mut().for_each(|shape| shape[axis] = rng.range(1, 20) as usize);
            Concatenation { axis }.into()
        }
        1 => Pack { axis }.into(),
        2 => {
            let mut side = || if rng.chance(50) { 0 } else { rng.range(0, 3) as usize };
            let padding = (0..rank).map(|_| [side(), side()]).collect();
            Pad { padding, value: rng.range(-128, 127) as i32 }.into()
        }
        3 => {
            let mut axes: Vec<usize> = (0..rank).collect();
            let permutation = (0..rank).map(|_| axes.remove(rng.below(axes.len()))).collect();
            Transpose { permutation }.into()
        }
        4 => {
            let range = |&size: &usize| {
                if rng.chance(40) {
                    return StridedRange { begin: 0, stride: 1, length: size };
                }
                let length = rng.range(1, size as i64) as usize;
                let stride = rng.range(1, ((size - 1) / length).max(1) as i64) as usize;
                let begin = rng.below(size - (length - 1) * stride);
                match rng.chance(30) {
                    true => StridedRange {
                        begin: begin + (length - 1) * stride,
                        stride: -(stride as isize),
                        length,
                    },
                    false => StridedRange { begin, stride: stride as isize, length },
                }
            };
            let ranges: Vec<StridedRange> = shape.iter().map(range).collect();
            let shape = ranges.iter().map(|range| range.length).collect();
            StridedSlice { ranges, shape }.into()
        }
        _ => {
            let mut places = |size: usize| {
                let by = rng.range(1, 3) as usize;
                (0..size * by).map(|to| to / by).collect()
            };
            let (rows, columns) = (places(shape[1]), places(shape[2]));
            ResizeNearestNeighbor { rows, columns }.into()
        }
    };
    let types: Vec<TensorType> =
        shapes.into_iter().map(|shape| TensorType::new(DType::I8, shape)).collect();
    let result = op.infer(&types.iter().collect::<Vec<_>>()).expect("they fit").remove(0);
    let mut graph = Graph::default();
    let mut tensor = |ty: TensorType| {
        let name = ty.to_string();
        graph.tensors.push(Tensor { name, ty, quantization: None, constant: None, origin: None })
    };
    let inputs: Vec<TensorId> = types.into_iter().map(&mut tensor).collect();
    let outputs = vec![tensor(result)];
    (graph.inputs, graph.outputs) = (inputs.clone(), outputs.clone());
    graph.nodes.push(Node { op, inputs, outputs, origin: Vec::new() });
    graph
}

fn dense(rng: &mut Rng, batches: usize, depth: usize, units: usize) -> Graph {
    let batches = if rng.chance(50) { 1 } else { batches };
    let input_zero_point = rng.range(-128, 127) as i32;
    let weights_zero_point = if rng.chance(15) { rng.range(-128, 127) as i32 } else { 0 };
    let shape = [units, depth];
    build(rng, &[batches, depth], &shape, units, depth, &[batches, units], |epilogue| {
        FullyConnected { input_zero_point, weights_zero_point, keep_dims: false, epilogue }.into()
    })
}

/// The graph: weights, a bias and an epilogue are drawn.
fn build(
    rng: &mut Rng,
    x: &[usize],
    weights: &[usize],
    filters: usize,
    products: usize,
    result: &[usize],
    op: impl FnOnce(Epilogue) -> Op,
) -> Graph {
    let mut graph = Graph::default();
    let i8s = |shape: &[usize]| TensorType::new(DType::I8, shape);
    let tensor = |graph: &mut Graph, name: &str, ty: TensorType| {
        graph.tensors.push(Tensor {
            name: name.into(),
            ty,
            quantization: None,
            constant: None,
            origin: None,
        })
    };
    let input = tensor(&mut graph, "input", i8s(x));
    let lowest = if rng.chance(20) { -128 } else { -127 };
    let extreme = rng.chance(15);
    let weight = |_| match extreme {
        true => rng.pick(&[lowest, 127]) as i32,
        false => rng.range(lowest, 127) as i32,
    };
    let count = weights.iter().product::<usize>();
    let values: Vec<i32> = (0..count).map(weight).collect();
    let w = graph.add_constant("weights".into(), Value::from_ints(i8s(weights), values));
    let span = match rng.below(10) {
        0 => 1 << 29,
        1 => 1 << 24,
        _ => 20_000,
    };
    let bias: Vec<i32> = (0..filters).map(|_| rng.range(-span, span) as i32).collect();
    let ty = TensorType::new(DType::I32, [filters]);
    let bias = graph.add_constant("bias".into(), Value::from_ints(ty, bias));
    let mut inputs = vec![input, w, bias];
    let wild = rng.chance(12);
    let multiplier = |rng: &mut Rng| {
        let usual = 1.0 / (60.0 * (products as f64).sqrt() * rng.real(0.5, 8.0));
        let factor = if wild { rng.real(-18.0, 3.0).exp2() } else { usual };
        Multiplier::from_real(factor).expect("small")
    };
    let per_channel = rng.chance(70);
    let multipliers = (0..if per_channel { filters } else { 1 }).map(|_| multiplier(rng)).collect();
    let zero_point = if rng.chance(50) { -128 } else { rng.range(-128, 127) as i32 };
    let clamp = match rng.below(3) {
        0 => (zero_point, 127),
        1 => (zero_point, zero_point + rng.range(0, i64::from(127 - zero_point)) as i32),
        _ => (-128, 127),
    };
    let mut epilogue = Epilogue::requantize(multipliers, zero_point, clamp);
    if rng.chance(12) {
        let by = rng.range(1, 9) as i32;
        epilogue.0[0].0.push(Stage::table(|code| (code * 7 / by).clamp(-128, 127)));
    } else if rng.chance(25) {
        let half = Multiplier { multiplier: 1 << 30, shift: 0 };
        let addend =
            |rng: &mut Rng, by| Addend { zero_point: rng.range(-128, 127) as i32, multiplier: by };
        let less = Multiplier::from_real(rng.real(0.05, 0.5)).expect("small");
        let (own, other) = if rng.chance(50) { (half, less) } else { (less, half) };
        let stages = &mut epilogue.0[0].0;
        stages.push(Stage::AddResidual { own: addend(rng, own), other: addend(rng, other) });
        let by = Multiplier::from_real(rng.real(0.5, 1.9) / f64::from(1 << 19)).expect("small");
        let zero_point = rng.range(-128, 127) as i32;
        stages.push(Stage::Requantize { offset: 0, multipliers: vec![by], zero_point });
        stages.push(Stage::Clamp { min: rng.pick(&[-128, zero_point]), max: 127 });
        inputs.push(tensor(&mut graph, "residual", i8s(result)));
    }
    let y = tensor(&mut graph, "output", i8s(result));
    graph.inputs = vec![input];
    graph.inputs.extend(inputs.get(3));
    graph.outputs = vec![y];
    graph.nodes.push(Node { op: op(epilogue), inputs, outputs: vec![y], origin: Vec::new() });
    graph
}
