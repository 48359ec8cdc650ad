//! CONV_2D: for each pixel, or a few, several filters at a time over runs of activations that lie
//! side by side in memory: a row of the filter, or a tap where it is dilated or grouped.

use super::epilogue::EpilogueCode;
use super::weights::{Filters, Offsets, Products};
use super::window::Axis;
use crate::kernels::Lowering;
use crate::loop_ir::{Builder, Expr, Place, Update};
use crate::ops::{Conv2d, Epilogue, Window};
use crate::target::Loops;

/// Lowers a convolution.
pub fn lower(lowering: &mut Lowering, op: &Conv2d) {
    let [_, height, width, depth] = lowering.layer.input(1).shape[..] else { unreachable!() };
    let taps = height * width * depth;
    let zero_points = [op.input_zero_point, op.padding_value];
    let at = |filter, tap| filter * taps + tap;
    lower_groups(lowering, (&op.window, &op.epilogue), zero_points, depth, at);
}

/// Lowers a convolution of filters that read `depth` channels each; `at` tells where a filter's
/// weight for a tap is.
pub fn lower_groups(
    lowering: &mut Lowering,
    (window, epilogue): (&Window, &Epilogue),
    [zero_point, padding_value]: [i32; 2],
    depth: usize,
    at: impl Fn(usize, usize) -> usize,
) {
    let layer = lowering.layer;
    let (input, output) = (&layer.input(0).shape, &layer.output().shape);
    let (channels, filters) = (input[3], output[3]);
    let groups = channels / depth;
    let taps = window.size[0] * window.size[1] * depth;
    let [rows, columns] = Axis::both(window, input, output);
    let padded = !(rows.is_inside() && columns.is_inside());

    let padding_value = padded.then_some(padding_value);
    let offsets = Offsets { zero_point, padding_value, weight_offset: 0 };
    let loops = lowering.form.loops;
    let x = lowering.operand(0, "input");
    let mut filter_of = vec![0; filters * taps];
    for filter in 0..filters {
        (0..taps).for_each(|tap| filter_of[at(filter, tap)] = filter);
    }
    let mut products = Products::new(lowering, filters, taps, offsets, |i| filter_of[i]);
    let group = (filters / groups, taps);
    let filters = Filters::new(lowering, group, loops.filters, &mut products, at);
    let epilogue = EpilogueCode::new(lowering, epilogue);
    let again = layer.in_place.is_none();
    let row_at_once = columns.dilation == 1 && groups == 1;
    let mut nest =
        Nest { rows, columns, channels, depth, row_at_once, x, filters, products, epilogue, loops };
    // One tap, no padding, no steps: pixels are one long list.
    let mut images = input[0];
    if taps == depth && !padded && window.stride == [1, 1] {
        let pixels = images * output[1] * output[2];
        images = 1;
        nest.rows = Axis { input: 1, output: 1, ..rows };
        nest.columns = Axis { input: pixels, output: pixels, ..columns };
    }

    lowering.code.repeat("image", 0usize, images, |code, image| {
        code.repeat("y", 0usize, nest.rows.output, |code, y| {
            let (from, to) = nest.rows.clip(code, "ky", &y);
            let line = Line { image: &image, y: &y, ky: (&from, &to) };
            nest.columns.each(code, true, (loops.pixels, again), |code, x, inside| {
                nest.pixels(code, &line, x, inside)
            });
        });
    });
}

struct Nest {
    rows: Axis,
    columns: Axis,
    channels: usize,
    /// Channels that a filter reads.
    depth: usize,
    /// Whether a row of the filter is one run of memory: its taps lie side by side.
    row_at_once: bool,
    x: Place,
    filters: Filters,
    products: Products,
    epilogue: EpilogueCode,
    loops: Loops,
}

/// A row of results, and which rows of taps are inside.
struct Line<'a> {
    image: &'a Expr,
    y: &'a Expr,
    ky: (&'a Expr, &'a Expr),
}

impl Nest {
    /// All filters at as many pixels as are `inside`, from `x` on; at a pixel of the border, with
    /// as many taps a row as are.
    fn pixels(&self, code: &mut Builder, line: &Line, x: &Expr, inside: Option<usize>) {
        let Nest { columns, filters, products, .. } = self;
        let count = inside.unwrap_or(1);
        let kx = match inside {
            None => columns.clip(code, "kx", x),
            Some(_) => (0usize.into(), columns.size.into()),
        };
        let run = match self.row_at_once {
            true => code.name("taps", &kx.1 - &kx.0) * self.depth,
            false => self.depth.into(),
        };
        let run = code.name("run", run);
        let groups = self.channels / self.depth;
        let results = groups * filters.group;
        let pixel = (line.image * self.rows.output + line.y) * columns.output + x;
        let pixel = code.name("pixel", pixel * results);
        // From one pixel's activations to the next one's.
        let distance = columns.stride * self.channels;
        code.repeat("group", 0usize, groups, |code, group| {
            let lifted: Vec<_> = (0..count)
                .map(|i| {
                    products.lifted(code, |code, sum| {
                        self.runs(code, line, (x, &kx), &group, |code, at, _| {
                            let xs = code.view("xs", self.x, at + i * distance, &run);
                            code.repeat("k", 0usize, &run, |code, k| {
                                code.update(sum, Update::Add, products.activation(xs, k));
                            });
                        });
                    })
                })
                .collect();
            filters.blocks.each(code, |code, block| {
                let first = code.name("filter", &group * filters.group + &block.first);
                let start = |lifted| products.start(code, &first, block.width, lifted);
                let accumulators: Vec<_> = lifted.iter().map(start).collect();
                self.runs(code, line, (x, &kx), &group, |code, at, tap| {
                    let xs = code.view("xs", self.x, at, &run + (count - 1) * distance);
                    let ws = filters.view(code, &group, &block, &tap, &run);
                    let xs = (xs, distance);
                    Filters::add(code, products, &accumulators, xs, ws, &run, self.loops.taps);
                });
                for (i, accumulators) in accumulators.into_iter().enumerate() {
                    for (j, acc) in accumulators.into_iter().enumerate() {
                        let at = &pixel + &first + (i * results + j);
                        self.epilogue.store(code, at, acc, &(&first + j));
                    }
                }
            });
        });
    }

    /// Emits `body` for each run of taps that are inside at pixel `x`; it gets the first of the
    /// activations, and the first tap.
    fn runs(
        &self,
        code: &mut Builder,
        line: &Line,
        (x, kx): (&Expr, &(Expr, Expr)),
        group: &Expr,
        mut body: impl FnMut(&mut Builder, Expr, Expr),
    ) {
        let Nest { columns, .. } = self;
        code.repeat("ky", line.ky.0, line.ky.1, |code, ky| {
            let row = line.image * self.rows.input + self.rows.position(line.y, &ky);
            let row = code.name("row", row * columns.input);
            let mut from = |code: &mut Builder, kx: Expr| {
                let column = columns.position(x, &kx);
                let at = (&row + column) * self.channels + group * self.depth;
                let tap = code.name("tap", (&ky * columns.size + kx) * self.depth);
                body(code, at, tap);
            };
            match self.row_at_once {
                true => from(code, kx.0.clone()),
                false => code.repeat("kx", &kx.0, &kx.1, from),
            }
        });
    }
}
