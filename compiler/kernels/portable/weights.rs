//! What kernels with weights share: biases for the way in which they subtract zero points, and the
//! choice between plain and wrapping sums.

use super::blocks::{Block, Blocks};
use crate::kernels::{Layer, Lowering};
use crate::loop_ir::{load, Builder, Expr, Place, Update, Var};
use crate::ops::{shift_zero_point, DType, TensorType, Value};

/// Sums of products `(x − offset) · (w − weight_offset)` on top of biases, as a kernel computes
/// them: one for each filter, or row of a matrix.
pub struct Products {
    /// Subtracted from each activation inside the loop; 0 where it went into the bias.
    offset: i32,
    /// Subtracted from each weight inside the loop.
    weight_offset: i32,
    /// By how much weights are too high otherwise: the sum of the activations, times this, is taken
    /// off the biases.
    lift: i32,
    /// What each channel's accumulator starts from, if not from 0.
    bias: Option<Place>,
    /// How a product is added.
    update: Update,
    /// How far from 0 the biases reach.
    reach: i64,
}

impl Products {
    /// An activation as it goes into a product.
    pub fn activation(&self, x: Place, at: impl Into<Expr>) -> Expr {
        load(x, at) - self.offset
    }

    /// Adds products of activations and weights.
    pub fn add(&self, code: &mut Builder, to: Var, xs: &[Expr], weights: &[Expr]) {
        let products = xs.iter().zip(weights).map(|(x, w)| x.clone() * (w - self.weight_offset));
        let sum = products.reduce(|sum, product| sum + product).expect("at least one");
        code.update(to, self.update, sum);
    }

    /// What comes off the biases, if anything does; `add` adds the activations up.
    pub fn lifted(&self, code: &mut Builder, add: impl FnOnce(&mut Builder, Var)) -> Option<Expr> {
        if self.lift == 0 {
            return None;
        }
        let sum = code.accumulator("sum", 0);
        add(code, sum);
        Some(code.name("lifted", Expr::from(sum) * self.lift))
    }

    /// Accumulators for `width` channels from `first` on.
    pub fn start(
        &self,
        code: &mut Builder,
        first: &Expr,
        width: usize,
        lifted: &Option<Expr>,
    ) -> Vec<Var> {
        let start = |j: usize| {
            let bias = self.bias.map_or(0.into(), |bias| load(bias, first + j));
            match lifted {
                Some(lifted) => bias - lifted,
                None => bias,
            }
        };
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

/// Filters that lie one behind the other, each with as many weights.
pub struct Filters {
    /// How many take the same activations.
    pub group: usize,
    /// Weights of each.
    pub taps: usize,
    /// Those that are computed side by side: one at a time where weights aren't constant.
    pub blocks: Blocks,
    /// Their weights: block by block, tap by tap.
    weights: Place,
}

impl Filters {
    /// The weights of a layer's operand 1: filters of `taps` weights each, which take the same
    /// activations by `group`s, up to `most` of them at a time. `at` tells where a filter's weight
    /// for a tap is; filters that aren't constant lie one behind the other.
    pub fn new(
        lowering: &mut Lowering,
        (group, taps): (usize, usize),
        most: usize,
        products: &mut Products,
        at: impl Fn(usize, usize) -> usize,
    ) -> Self {
        let layer = lowering.layer;
        let again = layer.in_place.is_none();
        let Some(value) = layer.constant(1) else {
            let weights = lowering.operand(1, "weights");
            return Filters { group, taps, blocks: Blocks::new(group, 1, again), weights };
        };
        let blocks = Blocks::new(group, most, again);
        let unsigned = lowering.form.loops.unsigned_weights && products.lift(layer, group, taps);
        let ints = value.ints();
        let mut packed = Vec::with_capacity(ints.len());
        for group in (0..ints.len() / taps).step_by(group) {
            for (first, width) in blocks.list() {
                let filters = group + first..group + first + width;
                for tap in 0..taps {
                    packed.extend(filters.clone().map(|filter| ints[at(filter, tap)]));
                }
            }
        }
        if packed == ints && !unsigned {
            return Filters { group, taps, blocks, weights: lowering.operand(1, "weights") };
        }
        let dtype = if unsigned { DType::U8 } else { value.ty.dtype };
        let lift = if unsigned { LIFT } else { 0 };
        let ty = TensorType::new(dtype, [packed.len()]);
        let value = Value::from_ints(ty, packed.into_iter().map(|w| w + lift));
        let tensor = &layer.graph.tensors[layer.node.inputs[1]].name;
        let lifted = if unsigned { ", 128 added" } else { "" };
        let doc = format!("weights '{tensor}', {} filters side by side{lifted}", blocks.width());
        Filters { group, taps, blocks, weights: lowering.constant("weights", doc, value) }
    }

    /// Adds the products of `run` taps to the accumulators of a block at each of some pixels. The
    /// activations of a pixel lie `distance` elements of `xs` behind those of the one before it.
    pub fn add(
        code: &mut Builder,
        products: &Products,
        accumulators: &[Vec<Var>],
        (xs, distance): (Place, usize),
        ws: Place,
        run: &Expr,
        taps: usize,
    ) {
        let width = accumulators[0].len();
        let taps = if run.as_index().is_some() { taps } else { 1 };
        let rounds = match run.as_index() {
            Some(run) => (run / taps).into(),
            None => run.clone(),
        };
        let round = |code: &mut Builder, first: Expr, taps: usize| {
            let xs: Vec<Vec<Expr>> = (0..accumulators.len())
                .map(|pixel| {
                    let at = first.clone() + pixel * distance;
                    let (xs, at) = match at {
                        Expr::Index(_) | Expr::Var(_) if taps == 1 => (xs, at),
                        at => (code.view("x", xs, at, taps), 0usize.into()),
                    };
                    let x = |tap| products.activation(xs, at.clone() + tap);
                    (0..taps).map(x).map(|x| code.name("x_k", x)).collect()
                })
                .collect();
            let ws = code.view("w", ws, first * width, taps * width);
            for filter in 0..width {
                let mut weights: Vec<_> =
                    (0..taps).map(|tap| load(ws, tap * width + filter)).collect();
                if xs.len() > 1 {
                    weights = weights.into_iter().map(|w| code.name("w_k", w)).collect();
                }
                for (accumulators, xs) in accumulators.iter().zip(&xs) {
                    products.add(code, accumulators[filter], xs, &weights);
                }
            }
        };
        code.repeat("k", 0usize, rounds, |code, k| round(code, k * taps, taps));
        if let Some(rest) = run.as_index().map(|run| run % taps).filter(|&rest| rest > 0) {
            let run = run.as_index().expect("just seen");
            round(code, (run - rest).into(), rest);
        }
    }

    /// A view of the weights of a block of group `group` for `run` taps from `tap` on.
    pub fn view(
        &self,
        code: &mut Builder,
        group: &Expr,
        block: &Block,
        tap: &Expr,
        run: &Expr,
    ) -> Place {
        let in_group: usize = self.blocks.list().iter().map(|(_, width)| width).sum();
        let at = (group * in_group + &block.before) * self.taps + tap * block.width;
        code.view("ws", self.weights, at, run * block.width)
    }
}

/// What makes the lowest weight 0.
const LIFT: i32 = 128;

/// From so many filters of the same activations on, it pays to add those up.
const LIFT_FROM: usize = 8;

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
        let reach = match layer.node.inputs.len() > 2 && layer.constant(2).is_none() {
            true => 1 << 31,
            false => bias.iter().map(|b| (*b as i64).abs()).max().unwrap_or(0),
        };
        let update = update(layer, taps, offset, weight_offset, reach);
        let place = if layer.node.inputs.len() > 2 && layer.constant(2).is_none() {
            Some(lowering.operand(2, "bias"))
        } else if bias.iter().any(|&b| b != 0) {
            Some(lowering.words("bias", &bias_doc(layer), &bias))
        } else {
            None
        };
        Products { offset, weight_offset, lift: 0, bias: place, update, reach }
    }

    /// Makes weights that are [`LIFT`] too high right, if that pays and all sums stay within 32
    /// bits; says whether it does.
    fn lift(&mut self, layer: Layer, group: usize, taps: usize) -> bool {
        let lift = LIFT + self.weight_offset;
        let product = reach(layer.range(0), self.offset) * (255 + lift.abs() as i64);
        let fits = self.reach + product * (taps as i64) < 1 << 31;
        let fits = fits && group >= LIFT_FROM && self.update == Update::Add;
        if fits {
            (self.lift, self.weight_offset) = (lift, 0);
        }
        fits
    }
}

fn bias_doc(layer: Layer) -> String {
    let tensor = &layer.graph.tensors[layer.node.outputs[0]].name;
    format!("bias of '{tensor}', zero points folded in")
}

/// [`Update::Add`] if no sum can leave 32 bits whatever the operands hold, else the sum modulo
/// 2^32, which is the reference kernels' as long as the whole sum fits.
fn update(layer: Layer, taps: usize, offset: i32, weight_offset: i32, bias: i64) -> Update {
    let product = reach(layer.range(0), offset) * reach(layer.range(1), weight_offset);
    match bias + product * taps as i64 {
        sum if sum < 1 << 31 => Update::Add,
        _ => Update::WrappingAdd,
    }
}

/// How far from 0 numbers of a range are, less `by`.
fn reach((lo, hi): (i32, i32), by: i32) -> i64 {
    (lo as i64 - by as i64).abs().max((hi as i64 - by as i64).abs())
}
