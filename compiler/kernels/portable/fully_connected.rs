//! FULLY_CONNECTED: for each row of activations, up to four rows of the matrix at a time.

use super::epilogue::EpilogueCode;
use super::weights::{Offsets, Products};
use crate::kernels::{blocks, Lowering};
use crate::loop_ir::load;
use crate::ops::FullyConnected;

/// Rows of the matrix computed side by side.
const ROWS: usize = 4;

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
    let w = lowering.operand(1, "weights");
    let products = Products::new(lowering, units, depth, offsets, |i| i / depth);
    let epilogue = EpilogueCode::new(lowering, &op.epilogue);

    let again = layer.in_place.is_none();
    lowering.code.repeat("batch", 0usize, batches, |code, batch| {
        let xs = code.view("xs", x, &batch * depth, depth);
        blocks(code, units, ROWS, again, |code, first, width| {
            let accumulators = products.start(code, &first, width);
            let ws: Vec<_> = (0..width)
                .map(|j| code.view(&format!("w{j}"), w, (&first + j) * depth, depth))
                .collect();
            code.repeat("k", 0usize, depth, |code, k| {
                let x = code.name("x_k", load(xs, &k) - products.offset);
                for (acc, w) in accumulators.iter().zip(&ws) {
                    let w = load(*w, &k) - op.weights_zero_point;
                    code.update(*acc, products.update, x.clone() * w);
                }
            });
            for (j, acc) in accumulators.into_iter().enumerate() {
                let channel = &first + j;
                epilogue.store(code, &batch * units + &channel, acc, &channel);
            }
        });
    });
}
