//! Biases for another zero point: where the zero point of activations is subtracted, in the loop
//! or in the bias, is a choice.

use super::Value;

/// The biases with which `Σ (x − (z + shift))·w` is what `Σ (x − z)·w` was, modulo 2^32:
/// `b + shift · Σ w`, by channel. No bias is a bias of 0.
///
/// `weights_zero_point` is subtracted from each weight; `channel_of` tells the channel of the
/// weight at an index.
pub fn shift_zero_point(
    bias: Option<&Value>,
    channels: usize,
    shift: i32,
    weights: &Value,
    weights_zero_point: i32,
    channel_of: impl Fn(usize) -> usize,
) -> Vec<i32> {
    let mut biases = bias.map_or_else(|| vec![0; channels], Value::ints);
    for (i, w) in weights.ints().into_iter().enumerate() {
        let bias = &mut biases[channel_of(i)];
        *bias = bias.wrapping_add(shift.wrapping_mul(w - weights_zero_point));
    }
    biases
}
