//! AVERAGE_POOL_2D, MAX_POOL_2D and MEAN: words of four channels under a window at a time.
//!
//! Maxima are taken of four bytes at once. Sums lie side by side as halfwords while they fit; a mean
//! is a sum times a reciprocal that is a little too large, so that ties go away from zero on both
//! sides.

use super::assembler::{behind, post, Assembler, Header, Slot};
use super::requantize::Codes;
use super::weights::{Ending, Requantization};
use super::{Argument, Kernel};
use crate::kernels::Layer;
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Address, Cond, Operand, Reg, Shift};
use crate::ops::{AveragePool2d, Epilogue, MaxPool2d, Mean, Stage, Window};

/// Windows of so many columns and rows are unrolled.
const UNROLLED: [usize; 2] = [3, 4];

/// The most codes whose sum is certain to fit a halfword.
const HALFWORDS: usize = 256;

/// The most codes that are divided by with a reciprocal: see [`reciprocal`].
const DIVIDED: usize = 2047;

/// From so many codes on, a mean is worth a routine.
const MEAN_FROM: usize = 256;

/// Reciprocals that a layer with clipped windows may have a table of.
const TABLE: usize = 64;

/// Fractional bits of a mean that was multiplied by halves.
const FRACTION: u32 = 14;

/// What becomes of the codes under a window.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Summary {
    Maximum,
    Average,
    /// A requantized sum.
    Mean,
}

/// Where a window's summary is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// So many words of four channels, sums as halfwords.
    Words(usize),
    /// One word of four channels, sums in a register each.
    Wide,
}

/// Rows or columns.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    size: usize,
    stride: usize,
    before: usize,
}

/// What a layer is like.
struct Geometry {
    rows: Axis,
    columns: Axis,
    channels: usize,
}

/// How the results end.
enum End {
    Bounds(i32, i32),
    /// The ending, the factor, and what is added to a doubled sum.
    Requantize(Box<Ending>, Requantization, i32),
}

/// The kernels for a max pooling.
pub fn max(layer: Layer, op: &MaxPool2d) -> Option<Vec<Kernel>> {
    let (geometry, end) = pooling(layer, &op.window, &op.epilogue)?;
    let blocks = [4, 2, 1].map(Block::Words);
    Some(kernels("max_pool_2d", Summary::Maximum, &geometry, &end, &blocks))
}

/// The kernels for an average pooling.
pub fn average(layer: Layer, op: &AveragePool2d) -> Option<Vec<Kernel>> {
    let (geometry, end) = pooling(layer, &op.window, &op.epilogue)?;
    let counts = geometry.counts();
    let (least, most) = (*counts.iter().min()?, *counts.iter().max()?);
    if most > DIVIDED || most - least >= TABLE {
        return None;
    }
    Some(kernels("average_pool_2d", Summary::Average, &geometry, &end, sums(most)))
}

/// The kernels for a mean over dimensions that lie next to each other.
pub fn mean(layer: Layer, op: &Mean) -> Option<Vec<Kernel>> {
    let shape = &layer.input(0).shape;
    let (&first, &last) = (op.axes.first()?, op.axes.last()?);
    if op.axes.len() != last + 1 - first || layer.input(0).elements() < MEAN_FROM {
        return None;
    }
    let size = |sizes: &[usize]| sizes.iter().product::<usize>();
    let count = size(&shape[first..=last]);
    let axis = |input, output, size| Axis { input, output, size, stride: 1, before: 0 };
    let outer = size(&shape[..first]);
    let geometry = Geometry {
        rows: axis(outer, outer, 1),
        columns: axis(count, 1, count),
        channels: size(&shape[last + 1..]),
    };
    let [chain] = &op.epilogue.0[..] else { return None };
    let ending = Ending::new(chain, layer.node.inputs.len() - 1)?;
    let &[by] = &ending.multipliers[..] else { return None };
    if ending.residual.is_some() || count >= 1 << 21 {
        return None;
    }
    let by = Requantization::new(by, ending.shift())?;
    let start = -2 * op.input_zero_point * count as i32;
    let end = End::Requantize(Box::new(ending), by, start);
    Some(kernels("mean", Summary::Mean, &geometry, &end, sums(count)))
}

/// Blocks for sums of so many codes.
fn sums(count: usize) -> &'static [Block] {
    match count {
        0..=HALFWORDS => &[Block::Words(2), Block::Words(1)],
        _ => &[Block::Wide],
    }
}

fn pooling(layer: Layer, window: &Window, epilogue: &Epilogue) -> Option<(Geometry, End)> {
    let &[1, height, width, channels] = &layer.input(0).shape[..] else { return None };
    let [chain] = &epilogue.0[..] else { return None };
    let &[Stage::Clamp { min, max }] = &chain.0[..] else { return None };
    let output = &layer.output().shape;
    let padding = [window.padding.top, window.padding.left];
    let [rows, columns] = [0, 1].map(|i| Axis {
        input: [height, width][i],
        output: output[i + 1],
        size: window.size[i],
        stride: window.stride[i],
        before: padding[i],
    });
    let geometry = Geometry { rows, columns, channels };
    (window.dilation == [1, 1] && geometry.counts().iter().all(|&count| count > 0))
        .then_some((geometry, End::Bounds(min.max(-128), max.min(127))))
}

fn kernels(
    name: &'static str,
    summary: Summary,
    geometry: &Geometry,
    end: &End,
    blocks: &[Block],
) -> Vec<Kernel> {
    let fits = |block: &Block| block.channels() <= geometry.channels;
    let fitting = blocks.iter().copied().filter(fits);
    fitting.map(|block| kernel(name, summary, block, geometry, end)).collect()
}

/// A little more than one over `count`, with 30 fractional bits: `(x · r + 2^29) >> 30` for a sum
/// `x` of so many codes is their mean, ties away from zero. The error of `x · r`, `count` ·
/// 2^−23 at most, is less than half of what a quotient may be short of a tie, 1 / `count`.
fn reciprocal(count: usize) -> i32 {
    ((1 << 30) / count + 1) as i32
}

impl Axis {
    /// How many taps are inside, for each result.
    fn counts(self) -> Vec<usize> {
        let count = |at: usize| {
            let start = at * self.stride;
            let end = (start + self.size).min(self.before + self.input);
            end.saturating_sub(start.max(self.before))
        };
        (0..self.output).map(count).collect()
    }

    /// Whether all taps of all results are inside.
    fn is_inside(self) -> bool {
        self.counts().iter().all(|&count| count == self.size)
    }
}

impl Geometry {
    /// How many codes each result is made of.
    fn counts(&self) -> Vec<usize> {
        let columns = self.columns.counts();
        self.rows.counts().iter().flat_map(|row| columns.iter().map(move |c| row * c)).collect()
    }
}

impl Block {
    fn channels(self) -> usize {
        match self {
            Block::Words(words) => 4 * words,
            Block::Wide => 4,
        }
    }
}

/// An axis as a routine knows it: where the window starts, its size, its step, and how far it would
/// reach beyond the end if it started at 0.
struct Steps {
    start: Slot,
    size: Slot,
    stride: Slot,
    beyond: Slot,
    results: Slot,
}

impl Steps {
    fn new(a: &mut Assembler, header: &mut Header, axis: Axis) -> Steps {
        let mut word = |value: i64| header.word(a, value);
        Steps {
            start: word(-(axis.before as i64)),
            size: word(axis.size as i64),
            stride: word(axis.stride as i64),
            beyond: word(axis.size as i64 - axis.input as i64),
            results: word(axis.output as i64),
        }
    }

    /// The first tap that is inside into `r5`, how many there are into `r6`. `r4` and `r7` are lost.
    fn clip(&self, a: &mut Assembler, start: Slot) {
        a.get(R4, start);
        a.get(R7, self.beyond);
        a.get(R6, self.size);
        a.rsb(R5, R4, 0);
        a.usat(R5, 16, R5);
        a.add(R7, R7, R4);
        a.usat(R7, 16, R7);
        a.sub(R6, R6, R5);
        a.sub(R6, R6, R7);
        a.add(R5, R5, R4);
    }

    /// One step further.
    fn step(&self, a: &mut Assembler, start: Slot) {
        a.get(R4, start);
        a.get(R5, self.stride);
        a.add(R4, R4, R5);
        a.put(R4, start);
    }
}

/// Counts down; whether it comes to nothing is compared. `r12` holds what is left.
fn count_down(a: &mut Assembler, left: Slot) {
    a.get(R12, left);
    a.subs(R12, R12, 1);
    a.put(R12, left);
}

/// What a routine is made for, besides the numbers in its header.
#[derive(Clone, Copy)]
struct Form {
    summary: Summary,
    block: Block,
    /// The window's columns, if they are unrolled; all are inside then.
    columns: Option<usize>,
    /// The same of its rows.
    rows: Option<usize>,
}

/// Arguments: input, output, head; reciprocals, if they differ.
fn kernel(name: &'static str, summary: Summary, block: Block, g: &Geometry, end: &End) -> Kernel {
    let width = block.channels();
    let blocks = g.channels.div_ceil(width);
    let back = blocks * width - g.channels;
    let several = blocks > 1;
    let unrolled = |axis: Axis, most: usize| {
        let sums = summary == Summary::Maximum || matches!(block, Block::Words(_));
        let fits = sums && summary != Summary::Mean && axis.is_inside() && axis.size <= most;
        fits.then_some(axis.size)
    };
    let columns = unrolled(g.columns, UNROLLED[1]);
    let rows = columns.and_then(|_| unrolled(g.rows, UNROLLED[0]));
    let form = Form { summary, block, columns, rows };
    let counts = g.counts();
    let least = counts.iter().copied().min().unwrap_or(1);
    let most = counts.iter().copied().max().unwrap_or(1);
    let varying = summary == Summary::Average && least < most;
    let pitch = g.columns.input * g.channels;

    let mut a = Assembler::default();
    a.doc(
        "Pixel by pixel, some channels at a time. r0 points to the activations under the window, r1 \
         is the step from a column to the next, r2 from the last one to the next row; r3 and lr \
         count rows and columns. r4 to r7 are what the window comes to, or more for wide blocks.",
    );
    let mut header = Header::default();
    let [rows_, columns_] = [g.rows, g.columns].map(|axis| Steps::new(&mut a, &mut header, axis));
    let mut word = |value: i64| header.word(&mut a, value);
    let pitch_ = word(pitch as i64);
    let channels = word(g.channels as i64);
    // From an unrolled window's last column to the next row, and from a window to the next.
    let row_step = word((pitch + g.channels) as i64 - (g.channels * g.columns.size) as i64);
    let pixel_step = word((g.channels * g.columns.stride) as i64);
    let blocks_ = word(blocks as i64);
    let back_ = word(back as i64);
    let reciprocal_ = word(reciprocal(most).into());
    let first_reciprocal = word(-4 * least as i64);
    let mut factors = None;
    let codes = match end {
        End::Bounds(low, high) => Codes::in_words(&mut a, &mut header, (*low, *high)),
        End::Requantize(ending, by, start) => {
            let words = [by.multiplier, by.offset, by.shift, *start];
            factors = Some(words.map(|value| header.word(&mut a, value.into())));
            Codes::new(&mut a, &mut header, ending)
        }
    };
    let [input, out, row, column, columns_left, pixel, at, left, count, taps, step] =
        std::array::from_fn(|_| a.slot());
    let has_table = matches!(end, End::Requantize(ending, ..) if ending.table.is_some());
    let weights = (varying || has_table).then_some(R3);

    a.put(R0, input);
    a.put(R1, out);
    if let Some(weights) = weights {
        // The header takes r4 to r9.
        a.mov(R10, weights);
    }
    header.copy(&mut a, R2);
    let codes = codes.start(&mut a, R10);
    if varying {
        a.get(R4, first_reciprocal);
        a.add(R4, R4, R10);
        a.put(R4, first_reciprocal);
    }
    a.get(R1, channels);
    a.get(R2, row_step);
    a.comment("a row of results");
    let next_row = a.here();
    rows_.clip(&mut a, rows_.start);
    a.put(R6, count);
    a.get(R4, pitch_);
    a.get(R6, input);
    a.mla(R4, R4, R5, R6);
    a.put(R4, row);
    a.put(R4, pixel);
    a.get(R4, columns_.start);
    a.put(R4, column);
    a.get(R4, columns_.results);
    a.put(R4, columns_left);
    a.comment("a pixel");
    let next_pixel = a.here();
    if columns.is_some() {
        a.get(R4, pixel);
        a.get(R5, pixel_step);
        a.put(R4, at);
        a.add(R4, R4, R5);
        a.put(R4, pixel);
    } else {
        columns_.clip(&mut a, column);
        a.get(R4, row);
        a.put(R6, taps);
        a.mla(R4, R5, R1, R4);
        a.put(R4, at);
        a.get(R4, pitch_);
        a.mul(R5, R6, R1);
        a.sub(R4, R4, R5);
        a.put(R4, step);
    }
    if varying {
        match columns {
            Some(_) => a.get(R6, columns_.size),
            None => a.get(R6, taps),
        }
        a.get(R4, count);
        a.get(R5, first_reciprocal);
        a.mul(R4, R4, R6);
        a.ldr(R4, Address::Index(R5, R4, 2));
        a.put(R4, reciprocal_);
    }
    if several {
        a.get(R4, blocks_);
        a.put(R4, left);
    }
    a.comment("some of its channels");
    let next_block = a.here();
    a.get(R0, at);
    if rows.is_none() {
        a.get(R3, count);
    }
    if columns.is_none() {
        a.get(R2, step);
    }
    if several {
        a.add(R12, R0, width as i32);
        a.put(R12, at);
    }
    form.window(&mut a, taps);
    a.get(R0, out);
    form.finish(&mut a, &codes, reciprocal_, factors);
    a.put(R0, out);
    if several {
        count_down(&mut a, left);
    }
    if back > 0 {
        let done = a.label();
        a.branch(Cond::Eq, done);
        a.cmp(R12, 1);
        a.branch(Cond::Ne, next_block);
        a.comment("the last ones begin among those before");
        a.get(R4, back_);
        for slot in [at, out] {
            a.get(R5, slot);
            a.sub(R5, R5, R4);
            a.put(R5, slot);
        }
        a.branch(Cond::Al, next_block);
        a.bind(done);
    } else if several {
        a.branch(Cond::Ne, next_block);
    }
    if columns.is_none() {
        columns_.step(&mut a, column);
    }
    count_down(&mut a, columns_left);
    a.branch(Cond::Ne, next_pixel);
    rows_.step(&mut a, rows_.start);
    count_down(&mut a, rows_.results);
    a.branch(Cond::Ne, next_row);

    let mut args = vec![Argument::Operand(0), Argument::Result, Argument::Head];
    args.extend(weights.map(|_| Argument::Weights));
    let weights = match end {
        End::Requantize(ending, ..) => ending.table_words(),
        End::Bounds(..) if varying => (least..=most).map(reciprocal).collect(),
        End::Bounds(..) => Vec::new(),
    };
    Kernel { name, routine: a.finish(), args, head: header.words(), weights, scratch: 0 }
}

/// Where sums of even and of odd bytes are, by word.
const SUMS: [[Reg; 2]; 2] = [[R4, R5], [R6, R7]];
/// Where maxima are, and sums of their own.
const SINGLE: [Reg; 4] = [R4, R5, R6, R7];
/// Where activations are loaded to.
const LOADED: [Reg; 4] = [R8, R9, R10, R11];

impl Form {
    /// The window at `r0`.
    fn window(self, a: &mut Assembler, taps: Slot) {
        let Some(columns) = self.columns else {
            self.start(a);
            let row = a.here();
            a.get(LR, taps);
            let tap = a.here();
            self.tap(a, false);
            a.add(R0, R0, R1);
            a.subs(LR, LR, 1);
            a.branch(Cond::Ne, tap);
            a.add(R0, R0, R2);
            a.subs(R3, R3, 1);
            a.branch(Cond::Ne, row);
            return;
        };
        let row = |a: &mut Assembler, first: bool| {
            for column in 0..columns {
                if column > 0 {
                    a.add(R0, R0, R1);
                }
                self.tap(a, first && column == 0);
            }
        };
        row(a, true);
        if let Some(rows) = self.rows {
            for _ in 1..rows {
                a.add(R0, R0, R2);
                row(a, false);
            }
            return;
        }
        let done = a.label();
        a.subs(R3, R3, 1);
        a.branch(Cond::Eq, done);
        let next = a.here();
        a.add(R0, R0, R2);
        row(a, false);
        a.subs(R3, R3, 1);
        a.branch(Cond::Ne, next);
        a.bind(done);
    }

    /// What a window without taps comes to.
    fn start(self, a: &mut Assembler) {
        let lowest = i32::from_le_bytes([0x80; 4]);
        let value = if self.summary == Summary::Maximum { lowest } else { 0 };
        let registers = match (self.summary, self.block) {
            (Summary::Maximum, Block::Words(words)) => words,
            (_, Block::Words(words)) => 2 * words,
            (_, Block::Wide) => 4,
        };
        SINGLE[..registers].iter().for_each(|&reg| a.mov(reg, value));
    }

    /// The activations at `r0`, whether they are the first ones or go to others.
    fn tap(self, a: &mut Assembler, first: bool) {
        match (self.summary, self.block) {
            (Summary::Maximum, Block::Words(words)) => {
                let to = if first { SINGLE } else { LOADED };
                for (i, &reg) in to[..words].iter().enumerate() {
                    a.ldr(reg, behind(R0, 4 * i as i32));
                }
                if !first {
                    (0..words).for_each(|i| a.max8(SINGLE[i], LOADED[i], R12));
                }
            }
            (_, Block::Words(words)) => {
                for (i, &reg) in LOADED[..words].iter().enumerate() {
                    a.ldr(reg, behind(R0, 4 * i as i32));
                }
                for ([even, odd], &word) in SUMS.iter().zip(&LOADED[..words]) {
                    if first {
                        a.sxtb16(*even, word);
                        a.sxtb16_ror8(*odd, word);
                    } else {
                        a.sxtab16(*even, *even, word, 0);
                        a.sxtab16(*odd, *odd, word, 8);
                    }
                }
            }
            (_, Block::Wide) => {
                a.ldr(R8, behind(R0, 0));
                (0..4).for_each(|i| a.sxtab(SINGLE[i], SINGLE[i], R8, i as u32));
            }
        }
    }

    /// Makes codes and stores them at `r0`, which moves behind them. `r2` and `r3` are lost unless
    /// the window is unrolled.
    fn finish(
        self,
        a: &mut Assembler,
        codes: &Codes,
        reciprocal: Slot,
        factors: Option<[Slot; 4]>,
    ) {
        if let (Summary::Maximum, Block::Words(words)) = (self.summary, self.block) {
            codes.finish(a, &SINGLE[..words], (LR, R12));
            return SINGLE[..words].iter().for_each(|&word| a.str(word, post(R0, 4)));
        }
        match self.summary {
            Summary::Maximum => {}
            Summary::Average => {
                let halves = matches!(self.block, Block::Words(_));
                a.get(R8, reciprocal);
                a.mov(R9, if halves { 1 << (FRACTION - 1) } else { 0 });
            }
            Summary::Mean => {
                let slots = factors.into_iter().flatten();
                [R8, R9, R2, R3].into_iter().zip(slots).for_each(|(reg, slot)| a.get(reg, slot));
            }
        }
        let words = if let Block::Words(words) = self.block { words } else { 1 };
        for [even, odd] in SUMS.into_iter().take(words) {
            let results = match self.block {
                Block::Words(_) => [R10, R11, even, odd],
                Block::Wide => SINGLE,
            };
            match (self.summary, self.block) {
                (Summary::Maximum, _) => {}
                (Summary::Average, Block::Words(_)) => {
                    a.smlawb(R10, R8, even, R9);
                    a.smlawb(R11, R8, odd, R9);
                    a.smlawt(even, R8, even, R9);
                    a.smlawt(odd, R8, odd, R9);
                    results.iter().for_each(|&mean| a.asr(mean, mean, FRACTION as i32));
                }
                (Summary::Average, _) => {
                    for &sum in &results {
                        a.lsl(sum, sum, 2);
                        a.smmlar(sum, sum, R8, R9);
                    }
                }
                (Summary::Mean, block) => {
                    if let Block::Words(_) = block {
                        a.sxth(R10, even);
                        a.sxth(R11, odd);
                        a.asr(even, even, 16);
                        a.asr(odd, odd, 16);
                    }
                    for &sum in &results {
                        a.add(sum, R3, Operand::Shifted(sum, Shift::Lsl, 1));
                        codes.requantize(a, sum, (R8, R9, R2), R12);
                    }
                }
            }
            codes.finish(a, &results, (LR, R12));
            results.iter().for_each(|&code| a.strb(code, post(R0, 1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reciprocals_divide() {
        for count in (1..=300).chain([511, 1024, 1025, 1999, 2000, DIVIDED]) {
            let by = i64::from(reciprocal(count));
            let most = 128 * count as i32;
            for sum in (-most..=most).step_by(if count > 300 { 7 } else { 1 }) {
                let mean = (i64::from(sum) * by + (1 << 29)) >> 30;
                let expected = tflc_rt::divide_rounded(sum, count as i32);
                assert_eq!(mean, i64::from(expected), "{sum} / {count}");
            }
        }
    }
}
