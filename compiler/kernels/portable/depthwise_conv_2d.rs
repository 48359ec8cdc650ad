//! DEPTHWISE_CONV_2D: for each pixel, up to four channels at a time; where channels have several
//! results, a convolution with a group for each channel. Where all taps of a row are
//! inside, they are written out; borders loop over the taps that are.

use super::blocks::{Block, Blocks};
use super::conv_2d;
use super::epilogue::EpilogueCode;
use super::weights::{Offsets, Products};
use super::window::Axis;
use crate::kernels::Lowering;
use crate::loop_ir::{load, Builder, Expr, Place, Var};
use crate::ops::DepthwiseConv2d;

/// Channels computed side by side.
const CHANNELS: usize = 4;
/// A row of more taps than this is a loop.
const UNROLLED_TAPS: usize = 8;

/// Lowers a depthwise convolution.
pub fn lower(lowering: &mut Lowering, op: &DepthwiseConv2d) {
    let layer = lowering.layer;
    let (input, filter, output) =
        (&layer.input(0).shape, &layer.input(1).shape, &layer.output().shape);
    let (channels, results) = (input[3], output[3]);
    if results > channels {
        let zero_points = [op.input_zero_point, op.padding_value];
        let at = |result, tap| tap * results + result;
        return conv_2d::lower_groups(lowering, (&op.window, &op.epilogue), zero_points, 1, at);
    }
    let [rows, columns] = Axis::both(&op.window, input, output);
    let padded = !(rows.is_inside() && columns.is_inside());
    let offsets = Offsets {
        zero_point: op.input_zero_point,
        padding_value: padded.then_some(op.padding_value),
        weight_offset: 0,
    };
    let x = lowering.operand(0, "input");
    let w = lowering.operand(1, "weights");
    let taps = filter[1] * filter[2];
    let products = Products::new(lowering, channels, taps, offsets, |i| i % channels);
    let epilogue = EpilogueCode::new(lowering, &op.epilogue);
    let nest =
        Nest { rows, columns, channels, x, w, products, epilogue, again: layer.in_place.is_none() };

    lowering.code.repeat("image", 0usize, input[0], |code, image| {
        code.repeat("y", 0usize, rows.output, |code, y| {
            let (ky_from, ky_to) = rows.clip(code, "ky", &y);
            let line = Line { image: &image, y: &y, ky: (&ky_from, &ky_to) };
            let unroll = filter[2] <= UNROLLED_TAPS;
            columns.each(code, unroll, (1, nest.again), |code, x, inside| {
                nest.pixel(code, &line, x, inside.is_none())
            });
        });
    });
}

struct Nest {
    rows: Axis,
    columns: Axis,
    channels: usize,
    x: Place,
    w: Place,
    products: Products,
    epilogue: EpilogueCode,
    /// Whether a result may be computed twice.
    again: bool,
}

/// A row of results, and which rows of taps are inside.
struct Line<'a> {
    image: &'a Expr,
    y: &'a Expr,
    ky: (&'a Expr, &'a Expr),
}

impl Nest {
    /// All channels of one pixel; at a `border`, with as many taps a row as are inside.
    fn pixel(&self, code: &mut Builder, line: &Line, x: &Expr, border: bool) {
        let pixel = (line.image * self.rows.output + line.y) * self.columns.output + x;
        let pixel = code.name("pixel", pixel * self.channels);
        let columns = match border {
            true => Some(self.columns.clip(code, "kx", x)),
            false => None,
        };
        let blocks = Blocks::new(self.channels, CHANNELS, self.again);
        blocks.each(code, |code, Block { first, width, .. }| {
            self.block(code, line, x, &columns, &first, width, &pixel);
        });
    }

    /// `width` channels from `channel` on.
    #[allow(clippy::too_many_arguments)]
    fn block(
        &self,
        code: &mut Builder,
        line: &Line,
        x: &Expr,
        columns: &Option<(Expr, Expr)>,
        channel: &Expr,
        width: usize,
        pixel: &Expr,
    ) {
        let Nest { rows, channels, .. } = *self;
        let accumulators = self.products.start(code, channel, width, &None);
        code.repeat("ky", line.ky.0, line.ky.1, |code, ky| {
            let row = (line.image * rows.input + rows.position(line.y, &ky)) * self.columns.input;
            let row = code.name("row", row);
            let taps = code.name("taps", ky * self.columns.size);
            match columns {
                Some((from, to)) => code.repeat("kx", from, to, |code, kx| {
                    let at = (&row + self.columns.position(x, &kx)) * channels + channel;
                    let xs = code.view("xs", self.x, at, width);
                    let ws = code.view("ws", self.w, (&taps + kx) * channels + channel, width);
                    self.tap(code, &accumulators, xs, 0, ws, 0);
                }),
                None => {
                    let last = self.columns.size - 1;
                    let step = self.columns.dilation * channels;
                    let at = (&row + self.columns.position(x, &0usize.into())) * channels + channel;
                    let xs = code.view("xs", self.x, at, last * step + width);
                    let ws = code.view(
                        "ws",
                        self.w,
                        &taps * channels + channel,
                        last * channels + width,
                    );
                    for kx in 0..self.columns.size {
                        self.tap(code, &accumulators, xs, kx * step, ws, kx * channels);
                    }
                }
            }
        });
        for (j, acc) in accumulators.into_iter().enumerate() {
            let channel = channel + j;
            self.epilogue.store(code, pixel + &channel, acc, &channel);
        }
    }

    /// One tap of each accumulator.
    fn tap(
        &self,
        code: &mut Builder,
        accumulators: &[Var],
        xs: Place,
        x: usize,
        ws: Place,
        w: usize,
    ) {
        for (j, acc) in accumulators.iter().enumerate() {
            let x = self.products.activation(xs, x + j);
            self.products.add(code, *acc, &[x], &[load(ws, w + j)]);
        }
    }
}
