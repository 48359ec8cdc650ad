//! What kernels with weights share: biases for the way in which they subtract zero points, and the
//! choice between plain and wrapping sums.

use crate::kernels::{Layer, Lowering};
use crate::loop_ir::{load, Builder, Expr, Place, Update, Var};
use crate::ops::{shift_zero_point, Value};

/// A sum of products `(x − offset) · (w − weight_offset)` on top of a bias, as a kernel computes it.
pub struct Products {
    /// Subtracted from each activation inside the loop; 0 where it went into the bias.
    pub offset: i32,
    /// What each channel's accumulator starts from, if not from 0.
    pub bias: Option<Place>,
    /// How a product is added.
    pub update: Update,
}

impl Products {
    /// Accumulators for `width` channels from `first` on.
    pub fn start(&self, code: &mut Builder, first: &Expr, width: usize) -> Vec<Var> {
        let start = |j: usize| self.bias.map_or(0.into(), |bias| load(bias, first + j));
        (0..width).map(|j| code.accumulator(&format!("acc{j}"), start(j))).collect()
    }
}

/// Which activations an offset is to be taken from.
pub struct Offsets {
    /// The operator's zero point of its activations.
    pub zero_point: i32,
    /// What taps in padding read, if there are any; the kernel leaves them out.
    pub padding_value: Option<i32>,
    /// Subtracted from each weight.
    pub weight_offset: i32,
}

impl Products {
    /// For a layer whose operands are activations, weights and perhaps a bias, with `taps` products
    /// a channel; `channel_of` tells the channel of the weight at an index.
    ///
    /// With constant weights the offset that costs least is chosen: none where every tap is
    /// inside; else the padding's value, which makes padded taps contribute nothing.
    /// `Σ (x − z)·w = Σ (x − o)·w + (o − z)·Σ w`.
    pub fn new(
        lowering: &mut Lowering,
        channels: usize,
        taps: usize,
        offsets: Offsets,
        channel_of: impl Fn(usize) -> usize,
    ) -> Self {
        let layer = lowering.layer;
        let Offsets { zero_point, padding_value, weight_offset } = offsets;
        let foldable = layer
            .constant(1)
            .filter(|_| layer.node.inputs.len() < 3 || layer.constant(2).is_some());
        let offset = match foldable {
            Some(_) => padding_value.unwrap_or(0),
            None => zero_point,
        };
        let bias = layer.constant(2);
        let bias = match foldable {
            Some(weights) => {
                let shift = offset - zero_point;
                shift_zero_point(bias, channels, shift, weights, weight_offset, channel_of)
            }
            None => bias.map_or_else(|| vec![0; channels], Value::ints),
        };
        let update = update(layer, taps, offset, weight_offset, &bias);
        let place = if layer.node.inputs.len() > 2 && layer.constant(2).is_none() {
            Some(lowering.operand(2, "bias"))
        } else if bias.iter().any(|&b| b != 0) {
            Some(lowering.words("bias", &bias_doc(layer), &bias))
        } else {
            None
        };
        Products { offset, bias: place, update }
    }
}

fn bias_doc(layer: Layer) -> String {
    let tensor = &layer.graph.tensors[layer.node.outputs[0]].name;
    format!("bias of '{tensor}', zero points folded in")
}

/// [`Update::Add`] if no sum can leave 32 bits whatever the operands hold, else the sum modulo
/// 2^32, which is the reference kernels' as long as the whole sum fits.
fn update(layer: Layer, taps: usize, offset: i32, weight_offset: i32, bias: &[i32]) -> Update {
    let reach = |(lo, hi): (i32, i32), by: i32| {
        (lo as i64 - by as i64).abs().max((hi as i64 - by as i64).abs())
    };
    let bias = if layer.node.inputs.len() > 2 && layer.constant(2).is_none() {
        1 << 31
    } else {
        bias.iter().map(|b| (*b as i64).abs()).max().unwrap_or(0)
    };
    let product = reach(layer.range(0), offset) * reach(layer.range(1), weight_offset);
    match bias + product * taps as i64 {
        sum if sum < 1 << 31 => Update::Add,
        _ => Update::WrappingAdd,
    }
}
