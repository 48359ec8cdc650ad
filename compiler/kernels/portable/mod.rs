//! A loop nest for every operator, on any core: safe code that compilers do well with.

mod binary;
mod blocks;
mod conv_2d;
mod copy;
mod depthwise_conv_2d;
mod elementwise;
mod epilogue;
mod fully_connected;
mod mean;
mod nest;
mod pool_2d;
mod pooled_sums;
mod softmax;
mod weights;
mod window;

use super::{moves, Layer, Lowering};
use crate::ops::{Op, Operator};
use crate::target::{Loops, Target};

/// What loop nests are like on a core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form {
    /// How much they compute at a time.
    pub loops: Loops,
    /// Whether long products are made of halves.
    pub by_halves: bool,
}

impl From<&Target> for Form {
    fn from(target: &Target) -> Form {
        Form { loops: target.loops, by_halves: !target.features.long_multiply }
    }
}

/// The layer as a loop nest of that form.
pub fn lower(layer: Layer, form: Form) -> Lowering {
    let mut lowering = Lowering::new(layer);
    lowering.form = form;
    let l = &mut lowering;
    if let Some(moves) = moves::moves(layer) {
        copy::lower(l, moves);
        return lowering;
    }
    match &layer.node.op {
        Op::Add(op) => binary::lower_add(l, op),
        Op::AveragePool2d(op) => pool_2d::lower_average(l, op),
        Op::Conv2d(op) => conv_2d::lower(l, op),
        Op::DepthwiseConv2d(op) => depthwise_conv_2d::lower(l, op),
        Op::Dequantize(op) => elementwise::lower_dequantize(l, op),
        Op::FullyConnected(op) => fully_connected::lower(l, op),
        Op::MaxPool2d(op) => pool_2d::lower_max(l, op),
        Op::Mean(op) => mean::lower(l, op),
        Op::Mul(op) => binary::lower_mul(l, op),
        Op::PooledSums(op) => pooled_sums::lower(l, op),
        Op::Quantize(op) if op.stages().is_none() => elementwise::lower_quantize(l, op),
        Op::ResizeNearestNeighbor(op) => copy::lower_resize_nearest_neighbor(l, op),
        Op::Shape(_) => unreachable!("shapes are constants"),
        Op::Softmax(op) => softmax::lower(l, op),
        Op::SumPixels(_) => pooled_sums::lower_sums(l),
        op => elementwise::lower_stages(l, op.stages().expect("the others map codes")),
    }
    lowering
}
