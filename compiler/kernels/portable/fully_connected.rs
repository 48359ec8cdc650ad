//! FULLY_CONNECTED: for each row of activations, several rows of the matrix at a time.

use super::epilogue::EpilogueCode;
use super::weights::{Filters, Offsets, Products};
use crate::kernels::Lowering;
use crate::loop_ir::{Expr, Update};
use crate::ops::FullyConnected;
use crate::target::Loops;

/// Lowers a fully connected layer.
pub fn lower(lowering: &mut Lowering, op: &FullyConnected) {
    let layer = lowering.layer;
    let [units, depth] = layer.input(1).shape[..].try_into().expect("a matrix");
    let batches = layer.output().elements() / units;
    let offsets = Offsets {
        zero_point: op.input_zero_point,
        padding_value: None,
        weight_offset: op.weights_zero_point,
    };
    let x = lowering.operand(0, "input");
    let Loops { rows, taps, .. } = lowering.form.loops;
    let mut products = Products::new(lowering, units, depth, offsets, |i| i / depth);
    let matrix =
        Filters::new(lowering, (units, depth), rows, &mut products, |row, k| row * depth + k);
    let epilogue = EpilogueCode::new(lowering, &op.epilogue);

    let zero = Expr::from(0usize);
    lowering.code.repeat("batch", 0usize, batches, |code, batch| {
        let xs = code.view("xs", x, &batch * depth, depth);
        let lifted = products.lifted(code, |code, sum| {
            code.repeat("k", 0usize, depth, |code, k| {
                code.update(sum, Update::Add, products.activation(xs, k));
            });
        });
        matrix.blocks.each(code, |code, block| {
            let accumulators = [products.start(code, &block.first, block.width, &lifted)];
            let ws = matrix.view(code, &zero, &block, &zero, &depth.into());
            Filters::add(code, &products, &accumulators, (xs, 0), ws, &depth.into(), taps);
            let [accumulators] = accumulators;
            for (j, acc) in accumulators.into_iter().enumerate() {
                let channel = &block.first + j;
                epilogue.store(code, &batch * units + &channel, acc, &channel);
            }
        });
    });
}
