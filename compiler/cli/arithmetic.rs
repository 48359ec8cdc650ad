//! Which arithmetic golden outputs show when it isn't that of the reference kernels.
//!
//! Other builds of TensorFlow Lite requantize accumulators in other ways; that is why outputs taken
//! from Python's interpreter with its default settings differ by a little from every
//! microcontroller's. The graph is evaluated once in each of these ways.

use tflc::ir::{Graph, Node, TensorId};
use tflc::ops::{Chain, Multiplier, Stage, Value};

/// A way to requantize, as some runtime has it.
pub struct Arithmetic {
    /// Whose it is and how it rounds.
    pub name: &'static str,
    /// The kinds of operators that it holds for.
    operators: &'static [&'static str],
    rescale: fn(i32, Multiplier) -> i32,
}

/// The known ones, told apart by real outputs of each runtime.
pub const KNOWN: [Arithmetic; 3] = [
    Arithmetic {
        name: "XNNPACK (the default of LiteRT's and TensorFlow's interpreters), which rounds once where \
               the reference kernels round twice",
        operators: &["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MEAN"],
        rescale: round_once,
    },
    Arithmetic {
        name: "TensorFlow Lite's optimized kernels (the default of tflite-runtime), which round ties up \
               where the reference kernels round them away from zero",
        operators: &["CONV_2D", "FULLY_CONNECTED"],
        rescale: ties_up,
    },
    Arithmetic {
        name: "LiteRT's reference kernels since 1.3, which round once in FULLY_CONNECTED",
        operators: &["FULLY_CONNECTED"],
        rescale: round_once,
    },
];

/// `x · multiplier`, rounded to nearest, ties up.
fn round_once(x: i32, by: Multiplier) -> i32 {
    let shift = 31 - by.shift;
    let product = i64::from(x) * i64::from(by.multiplier);
    ((product + (1 << (shift - 1))) >> shift) as i32
}

/// `x · multiplier`, rounded as the reference kernels do to 31 fractional bits, and then to
/// nearest, ties up.
fn ties_up(x: i32, by: Multiplier) -> i32 {
    match by.shift {
        0.. => by.apply(x),
        shift => {
            let high = Multiplier { shift: 0, ..by }.apply(x);
            ((i64::from(high) + (1 << (-shift - 1))) >> -shift) as i32
        }
    }
}

impl Arithmetic {
    /// The model's outputs in this arithmetic.
    pub fn eval(&self, graph: &Graph, inputs: &[Value]) -> Vec<Value> {
        let mut values: Vec<Option<Value>> =
            graph.tensors.iter().map(|(_, tensor)| tensor.constant.clone()).collect();
        for (&id, value) in graph.inputs.iter().zip(inputs) {
            values[id.index()] = Some(value.clone());
        }
        for node in &graph.nodes {
            let operand = |id: &TensorId| values[id.index()].as_ref().expect("operands come first");
            let operands: Vec<&Value> = node.inputs.iter().map(operand).collect();
            let results = match node.op.epilogue() {
                Some(epilogue) if self.operators.contains(&node.op.kind()) => {
                    self.requantize(node, &operands, &epilogue.0[0])
                }
                _ => node.op.eval(&operands),
            };
            for (&id, result) in node.outputs.iter().zip(results) {
                values[id.index()] = Some(result);
            }
        }
        let value = |id: &TensorId| values[id.index()].clone().expect("outputs are computed");
        graph.outputs.iter().map(value).collect()
    }

    fn requantize(&self, node: &Node, operands: &[&Value], chain: &Chain) -> Vec<Value> {
        let types: Vec<_> = operands.iter().map(|value| &value.ty).collect();
        let ty = node.op.infer(&types).expect("valid").swap_remove(0);
        let accumulators = node.op.accumulators(operands, &ty);
        let channels = ty.from_innermost(0);
        let codes = accumulators.into_iter().enumerate().map(|(i, sum)| {
            chain.0.iter().fold(sum, |x, stage| match stage {
                Stage::Requantize { offset, multipliers, zero_point } => {
                    let channel = if multipliers.len() == 1 { 0 } else { i % channels };
                    (self.rescale)(x - offset, multipliers[channel]) + zero_point
                }
                stage => stage.apply(x, i % channels),
            })
        });
        vec![Value::from_ints(ty.clone(), codes)]
    }
}
