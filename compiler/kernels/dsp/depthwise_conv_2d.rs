//! Depthwise convolution: each channel on its own.
//!
//! A channel is copied out of the pixels into scratch memory as a plane of halfwords, padding
//! around it, so that taps lie side by side for SMLAD. Results may go where the operand was, since
//! the channel is read from its copy only.
//!
//! For 3x3 windows, four channels may be copied at once: words of their bytes become words of the
//! planes, which lie in turns. That takes four times the scratch memory.

use super::assembler::{at, behind, post, Assembler, Header, Slot};
use super::gather::Geometry;
use super::requantize::Codes;
use super::weights::{self, Ending, Filter, Requantization};
use super::{Argument, Kernel};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Address, Cond, Operand, Reg, Shift};

/// Windows up to so many columns are unrolled.
const COLUMNS: usize = 32;

/// Results further apart than this would be beyond what a load reaches.
const STRIDE: usize = 64;

/// Four channels are copied at once where that takes no more bytes of scratch memory than this.
const FOUR_PLANES: usize = 4096;

/// Weights of a 3x3 window, doubled: of each row the taps 0 and 1, then the taps 1 and 2.
const WEIGHTS: [[Reg; 2]; 3] = [[R4, R5], [R6, R7], [R8, R9]];

/// How a routine is written.
#[derive(Clone, Copy)]
struct Shape {
    /// Columns of the window, where it isn't 3x3.
    columns: Option<usize>,
    /// Columns from one result to the next.
    stride: usize,
    /// Rows from one result to the next.
    row_stride: usize,
    /// Whether results of two rows share what they load.
    two_rows: bool,
    /// Channels whose planes lie in turns, word by word.
    planes: usize,
}

impl Shape {
    /// Bytes of the plane from one to another of so many columns, an even number.
    fn apart(&self, columns: usize) -> i32 {
        (2 * columns * self.planes) as i32
    }
}

/// A channel's copy.
struct Plane {
    /// Bytes of the operand from a column to the next, and from a row to the next.
    step_x: Slot,
    step_y: Slot,
    rows: Slot,
    /// Blocks of eight columns, and columns behind them; or of four channels: blocks of four
    /// columns, whether the first has only two, and a column behind them.
    blocks: Slot,
    half: Slot,
    rest: Slot,
    /// Bytes of a row of the plane.
    pitch: Slot,
    /// Where in the plane the operand begins.
    origin: Slot,
    words: Slot,
}

/// The kernels for a layer whose channels are `geometry.channels`, each with `multiplier` filters.
/// Filters have their taps in one run: by row, then by column.
///
/// Arguments: input, output, scratch, head, weights.
pub fn kernels(
    geometry: &Geometry,
    multiplier: usize,
    filters: &[Filter],
    ending: &Ending,
) -> Vec<Kernel> {
    let kernel = |planes| kernel(geometry, multiplier, filters, ending, planes);
    [1, 4].into_iter().filter_map(kernel).collect()
}

fn kernel(
    geometry: &Geometry,
    multiplier: usize,
    filters: &[Filter],
    ending: &Ending,
    planes: usize,
) -> Option<Kernel> {
    if ending.residual.is_some() {
        return None;
    }
    let factors = factors(filters, ending)?;
    // Long rows cost least, and taps of rows may lie apart for nothing.
    let mut g = *geometry;
    let [rows, columns] = [0, 1].map(|axis| (g.dilation[axis] > 1, g.output[axis]));
    let swapped = (columns.0, rows.1) > (rows.0, columns.1);
    let mut steps = [g.input[1] * g.channels, g.channels];
    let mut out_steps = [g.output[1] * filters.len(), filters.len()];
    if swapped {
        g.swap();
        steps.swap(0, 1);
        out_steps.swap(0, 1);
    }
    // Columns that lie apart are taken with those between them, whose weights are zero.
    let apart = g.dilation[1];
    g.size[1] = (g.size[1] - 1) * apart + 1;
    g.dilation[1] = 1;
    let is_3x3 = g.size == [3, 3] && g.stride[1] <= 2 && g.dilation[0] == 1;
    if g.size[1] > COLUMNS || apart > 2 || g.stride[1] > STRIDE {
        return None;
    }
    let shape = Shape {
        columns: (!is_3x3).then_some(g.size[1]),
        stride: g.stride[1],
        row_stride: g.stride[0],
        two_rows: is_3x3 && g.stride[0] <= 2,
        planes,
    };

    // Windows of the last pair of results, and of a second row where there is none, read zeros or
    // whatever is there: their results are overwritten, or never stored.
    let reach = |axis: usize, results: usize| {
        let window = (g.size[axis] - 1) * g.dilation[axis] + 1;
        let windows = (results - 1) * g.stride[axis] + window;
        windows.max(g.before[axis] + g.input[axis])
    };
    let by_four = planes == 4;
    let results = if by_four { g.output[1].next_multiple_of(2) } else { g.output[1].max(2) };
    let width = reach(1, results).next_multiple_of(2) + 2;
    let height = reach(0, g.output[0]);
    let pitch = 2 * width * planes;
    let scratch = pitch * height;
    if by_four && !(is_3x3 && g.channels % 4 == 0 && scratch <= FOUR_PLANES) {
        return None;
    }
    // Whether the operand begins with the second one of two columns.
    let second = g.before[1] % 2;
    let pairs = (g.input[1] - second) / 2;

    let mut a = Assembler::default();
    a.doc(
        "A channel at a time: copied into the scratch memory as halfwords with padding around it, \
         where taps lie side by side.",
    );
    if by_four {
        a.doc("Four channels are copied at once; words of their planes lie in turns.");
    }
    if is_3x3 {
        a.doc(
            "r4 to r9 are the window's weights in pairs, r0 to r3 sums, r10 and r11 activations, \
             r12 points to them, lr is the length of a row.",
        );
    }
    let mut header = Header::default();
    let padding = (u32::from(g.padding as i16 as u16) * 0x1_0001) as i32;
    let mut word = |value: usize| header.word(&mut a, value as i64);
    let plane = Plane {
        step_x: word(steps[1]),
        step_y: word(steps[0]),
        rows: word(g.input[0]),
        blocks: word(if by_four { pairs.div_ceil(2) } else { g.input[1] / 8 }),
        half: if by_four { word(pairs % 2) } else { Slot::default() },
        rest: word(if by_four { (g.input[1] - second) % 2 } else { g.input[1] % 8 }),
        pitch: word(pitch),
        origin: word(if by_four {
            g.before[0] * pitch + g.before[1] / 2 * 16
        } else {
            2 * (g.before[0] * width + g.before[1])
        }),
        words: word(scratch / 4),
    };
    let padding = header.word(&mut a, padding.into());
    let mut word = |value: usize| header.word(&mut a, value as i64);
    let channels = word(g.channels);
    let multiplier_ = word(multiplier);
    let odd = word(usize::from(g.output[1] % 2 == 1 && g.output[1] > 1));
    // Bytes of the plane from the start of a row to where the pairs of results end.
    let pairs = word(4 * g.stride[1] * planes * (g.output[1] / 2));
    let row_step = word(pitch * g.stride[0]);
    let taps_step = word(pitch * g.dilation[0]);
    let rows = word(g.output[0]);
    let window_rows = word(g.size[0]);
    // A second column that isn't there is stored first, where the first will be.
    let out_x = word(if g.output[1] == 1 { 0 } else { out_steps[1] });
    let out_y = word(out_steps[0]);
    let codes = Codes::new(&mut a, &mut header, ending);
    let [stream, input, output, scratch_at, channels_left, filters_left] =
        std::array::from_fn(|_| a.slot());
    // The channel's plane, and how far apart the pair's results are.
    let [plane_at, apart_x] = match by_four {
        true => [a.slot(), a.slot()],
        false => [scratch_at, out_x],
    };
    let weights = a.further_argument();
    header.copy(&mut a, R3);
    a.get(R3, weights);
    let codes = codes.start(&mut a, R3);
    let state = State {
        p: a.slot(),
        out: a.slot(),
        end: a.slot(),
        row: a.slot(),
        row_out: a.slot(),
        rows_left: a.slot(),
        bias: a.slot(),
        multiplier: a.slot(),
        offset: a.slot(),
        shift: a.slot(),
        taps: a.slot(),
        pitch: taps_step,
        window_rows,
        pairs,
        odd,
        out_x,
        apart_x,
        out_y,
        row_step,
        codes,
    };
    a.put(R3, stream);
    a.put(R0, input);
    a.put(R1, output);
    a.put(R2, scratch_at);
    a.comment("padding everywhere; what is inside is overwritten");
    a.get(R0, padding);
    a.get(R1, plane.words);
    let fill = a.here();
    a.str(R0, post(R2, 4));
    a.subs(R1, R1, 1);
    a.branch(Cond::Ne, fill);
    a.get(R0, channels);
    a.comment("a channel");
    let channel = a.here();
    a.put(R0, channels_left);
    if by_four {
        let copied = a.label();
        a.and(R1, R0, 3);
        a.cmp(R1, 0);
        a.branch(Cond::Ne, copied);
        a.get(R0, scratch_at);
        a.put(R0, plane_at);
        copy_four(&mut a, &plane, second == 1, padding, input, scratch_at);
        a.bind(copied);
    } else {
        copy(&mut a, &plane, input, scratch_at);
    }
    a.get(R0, multiplier_);
    a.comment("one of its filters");
    let filter = a.here();
    a.put(R0, filters_left);
    a.get(LR, stream);
    match shape.columns {
        None => load_weights(&mut a),
        Some(_) => {
            a.put(LR, state.taps);
            a.get(R0, window_rows);
            let bytes = 4 * g.size[1].div_ceil(2) as i32;
            a.mov(R1, bytes);
            a.mla(LR, R0, R1, LR);
        }
    }
    for slot in [state.bias, state.multiplier, state.offset, state.shift] {
        a.ldr(R0, post(LR, 4));
        a.put(R0, slot);
    }
    a.put(LR, stream);
    a.get(R0, plane_at);
    a.get(R1, output);
    a.get(R2, rows);
    a.put(R0, state.row);
    a.put(R1, state.row_out);
    let (single, done) = (a.label(), a.label());
    if shape.two_rows {
        let two = a.here();
        a.cmp(R2, 2);
        a.branch(Cond::Lt, single);
        a.sub(R2, R2, 2);
        a.put(R2, state.rows_left);
        state.row(&mut a, shape, 2);
        a.get(R2, state.rows_left);
        a.branch(Cond::Al, two);
        a.bind(single);
        a.cmp(R2, 0);
        a.branch(Cond::Eq, done);
        state.row(&mut a, shape, 1);
    } else {
        let one = a.here();
        a.put(R2, state.rows_left);
        state.row(&mut a, shape, 1);
        a.get(R2, state.rows_left);
        a.subs(R2, R2, 1);
        a.branch(Cond::Ne, one);
        a.bind(single);
    }
    a.bind(done);
    a.get(R1, output);
    a.get(R0, filters_left);
    a.add(R1, R1, 1);
    a.put(R1, output);
    a.subs(R0, R0, 1);
    a.branch(Cond::Ne, filter);
    if by_four {
        a.get(R0, plane_at);
        a.add(R0, R0, 4);
        a.put(R0, plane_at);
    }
    a.get(R0, channels_left);
    a.subs(R0, R0, 1);
    a.branch(Cond::Ne, channel);

    let mut words = ending.table_words();
    let [rows, columns] = geometry.size;
    for (filter, by) in filters.iter().zip(factors) {
        let taps = weights::taps(&filter.weights, rows * columns);
        let tap = |y: usize, x: usize| {
            let (y, between, x) = (y, x % apart, x / apart);
            let (y, x) = if swapped { (x, y) } else { (y, x) };
            if between == 0 {
                taps[y * columns + x]
            } else {
                0
            }
        };
        for y in 0..g.size[0] {
            if is_3x3 {
                words.push(i32::from_le_bytes([
                    tap(y, 0) as u8,
                    tap(y, 1) as u8,
                    tap(y, 2) as u8,
                    0,
                ]));
                continue;
            }
            for x in (0..g.size[1]).step_by(2) {
                let high = if x + 1 < g.size[1] { 2 * tap(y, x + 1) } else { 0 };
                words.push((2 * tap(y, x)) & 0xffff | high << 16);
            }
        }
        words.extend([2 * filter.bias, by.multiplier, by.offset, by.shift]);
    }
    Some(Kernel {
        name: if by_four { "depthwise_conv_2d_by_four" } else { "depthwise_conv_2d" },
        routine: a.finish(),
        args: Argument::WEIGHTED.to_vec(),
        head: header.words(),
        weights: words,
        scratch,
    })
}

/// What requantizes the filters' doubled sums, if it fits registers.
pub fn factors(filters: &[Filter], ending: &Ending) -> Option<Vec<Requantization>> {
    let factors = |f: &Filter| {
        let (lo, hi) = weights::range(f);
        let fits = lo >= -(1 << 30) && hi < 1 << 30;
        Requantization::new(f.multiplier, ending.shift()).filter(|_| fits)
    };
    filters.iter().map(factors).collect()
}

/// Copies the channel at `input`, which moves on to the next, into the plane.
fn copy(a: &mut Assembler, plane: &Plane, input: Slot, scratch: Slot) {
    a.comment("its copy: r4 points to the operand, r5 to the plane");
    a.get(LR, input);
    a.get(R5, scratch);
    a.get(R0, plane.origin);
    a.get(R6, plane.step_x);
    a.get(R11, plane.rows);
    a.add(R12, R5, R0);
    a.add(R0, LR, 1);
    a.put(R0, input);
    a.lsl(R7, R6, 1);
    a.add(R8, R6, R7);
    a.lsl(R9, R6, 2);
    let row = a.here();
    let (rest, end) = (a.label(), a.label());
    a.mov(R4, LR);
    a.mov(R5, R12);
    a.get(R10, plane.blocks);
    a.cmp(R10, 0);
    a.branch(Cond::Eq, rest);
    let block = a.here();
    for _ in 0..2 {
        a.ldrsb(R0, at(R4));
        a.ldrsb(R1, Address::Index(R4, R6, 0));
        a.ldrsb(R2, Address::Index(R4, R7, 0));
        a.ldrsb(R3, Address::Index(R4, R8, 0));
        a.add(R4, R4, R9);
        a.pack(R0, R0, R1);
        a.pack(R2, R2, R3);
        a.str(R0, post(R5, 4));
        a.str(R2, post(R5, 4));
    }
    a.subs(R10, R10, 1);
    a.branch(Cond::Ne, block);
    a.bind(rest);
    a.get(R10, plane.rest);
    a.cmp(R10, 0);
    a.branch(Cond::Eq, end);
    let (single, two) = (a.label(), a.label());
    a.subs(R10, R10, 2);
    a.branch(Cond::Lt, single);
    a.bind(two);
    a.ldrsb(R0, at(R4));
    a.ldrsb(R1, Address::Index(R4, R6, 0));
    a.add(R4, R4, R7);
    a.pack(R0, R0, R1);
    a.str(R0, post(R5, 4));
    a.subs(R10, R10, 2);
    a.branch(Cond::Ge, two);
    a.bind(single);
    a.cmp(R10, -2);
    a.branch(Cond::Eq, end);
    a.ldrsb(R0, at(R4));
    a.strh(R0, at(R5));
    a.bind(end);
    a.get(R0, plane.step_y);
    a.get(R1, plane.pitch);
    a.add(LR, LR, R0);
    a.add(R12, R12, R1);
    a.subs(R11, R11, 1);
    a.branch(Cond::Ne, row);
}

/// Copies the four channels at `input`, which moves on to the next, into their planes; `second` says
/// whether the first pixel is the second one of a pair.
fn copy_four(
    a: &mut Assembler,
    plane: &Plane,
    second: bool,
    padding: Slot,
    input: Slot,
    scratch: Slot,
) {
    a.comment("copies of four channels: r4 points to the operand, r5 to the planes, r8 is padding");
    a.get(LR, input);
    a.get(R5, scratch);
    a.get(R0, plane.origin);
    a.get(R6, plane.step_x);
    a.get(R11, plane.rows);
    a.get(R8, padding);
    a.add(R12, R5, R0);
    a.add(R0, LR, 4);
    a.put(R0, input);
    a.lsl(R7, R6, 1);
    let row = a.here();
    let (half, rest, end) = (a.label(), a.label(), a.label());
    a.mov(R4, LR);
    a.mov(R5, R12);
    let widen = |a: &mut Assembler, even: Reg, word: Reg| {
        a.sxtb16(even, word);
        a.sxtb16_ror8(word, word);
    };
    // The even and the odd channels of both pixels.
    let pair = |a: &mut Assembler, [even, odd]: [Reg; 2], [next_even, next_odd]: [Reg; 2]| {
        a.pack(R9, even, next_even);
        a.str(R9, post(R5, 16));
        a.pack(R9, odd, next_odd);
        a.str(R9, behind(R5, -12));
        a.pack_highs(R9, even, next_even);
        a.str(R9, behind(R5, -8));
        a.pack_highs(R9, odd, next_odd);
        a.str(R9, behind(R5, -4));
    };
    if second {
        a.ldr(R1, at(R4));
        a.add(R4, R4, R6);
        widen(a, R3, R1);
        pair(a, [R8, R8], [R3, R1]);
    }
    a.get(R10, plane.blocks);
    a.get(R0, plane.half);
    a.cmp(R10, 0);
    a.branch(Cond::Eq, rest);
    a.cmp(R0, 0);
    a.branch(Cond::Ne, half);
    let block = a.here();
    for i in 0..2 {
        if i == 1 {
            a.bind(half);
        }
        a.ldr(R0, at(R4));
        a.ldr(R1, Address::Index(R4, R6, 0));
        a.add(R4, R4, R7);
        widen(a, R2, R0);
        widen(a, R3, R1);
        pair(a, [R2, R0], [R3, R1]);
    }
    a.subs(R10, R10, 1);
    a.branch(Cond::Ne, block);
    a.bind(rest);
    a.get(R10, plane.rest);
    a.cmp(R10, 0);
    a.branch(Cond::Eq, end);
    a.ldr(R0, at(R4));
    widen(a, R2, R0);
    pair(a, [R2, R0], [R8, R8]);
    a.bind(end);
    a.get(R0, plane.step_y);
    a.get(R1, plane.pitch);
    a.add(LR, LR, R0);
    a.add(R12, R12, R1);
    a.subs(R11, R11, 1);
    a.branch(Cond::Ne, row);
}

/// Weights of a 3x3 window into their registers: rows of three int8, as pairs of doubled
/// halfwords.
fn load_weights(a: &mut Assembler) {
    for [first, second] in WEIGHTS {
        a.ldr(R0, post(LR, 4));
        a.sxtb16(R1, R0);
        a.sxtb16_ror8(R0, R0);
        a.sadd16(R1, R1, R1);
        a.sadd16(R0, R0, R0);
        a.pack(first, R1, R0);
        a.pack_tops(second, R1, R0);
    }
}

/// Where a routine keeps what it needs for its rows of results.
struct State {
    /// The next pair's activations and results, and where the row ends.
    p: Slot,
    out: Slot,
    end: Slot,
    /// The row's.
    row: Slot,
    row_out: Slot,
    rows_left: Slot,
    /// The filter's: doubled bias, factor, and its weights where they stay in memory.
    bias: Slot,
    multiplier: Slot,
    offset: Slot,
    shift: Slot,
    taps: Slot,
    pitch: Slot,
    window_rows: Slot,
    pairs: Slot,
    odd: Slot,
    out_x: Slot,
    /// From the pair's first result to its second.
    apart_x: Slot,
    out_y: Slot,
    row_step: Slot,
    codes: Codes,
}

impl State {
    /// A row of results, or two; the state moves behind it.
    fn row(&self, a: &mut Assembler, shape: Shape, rows: usize) {
        a.get(R12, self.row);
        a.get(R0, self.pairs);
        a.get(R10, self.row_out);
        a.add(R0, R0, R12);
        a.put(R0, self.end);
        a.put(R10, self.out);
        if self.apart_x != self.out_x {
            a.get(R11, self.out_x);
            a.put(R11, self.apart_x);
        }
        if shape.columns.is_none() {
            a.get(LR, self.pitch);
        }
        let pair = a.here();
        a.put(R12, self.p);
        let sums = match shape.columns {
            None => self.sums_3x3(a, shape, rows),
            Some(columns) => self.sums(a, shape.stride, columns),
        };
        a.comment("from sums to codes");
        a.get(R10, self.multiplier);
        a.get(R11, self.offset);
        a.get(LR, self.shift);
        for &sum in sums {
            self.codes.requantize(a, sum, (R10, R11, LR), R12);
        }
        self.codes.finish(a, sums, (R10, R11));
        a.get(R10, self.out);
        a.get(R11, self.apart_x);
        a.get(LR, self.out_y);
        a.get(R12, self.p);
        if let &[first, second, lower, lower_second] = sums {
            a.add(LR, LR, R10);
            a.strb(lower_second, Address::Index(LR, R11, 0));
            a.strb(lower, at(LR));
            a.strb(second, Address::Index(R10, R11, 0));
            a.strb(first, at(R10));
        } else {
            a.strb(sums[1], Address::Index(R10, R11, 0));
            a.strb(sums[0], at(R10));
        }
        a.add(R10, R10, Operand::Shifted(R11, Shift::Lsl, 1));
        a.put(R10, self.out);
        a.get(R0, self.end);
        if shape.columns.is_none() {
            a.get(LR, self.pitch);
        }
        a.add(R12, R12, shape.apart(2 * shape.stride));
        a.cmp(R12, R0);
        a.branch(Cond::Lo, pair);
        let end = a.label();
        a.branch(Cond::Ne, end);
        a.get(R0, self.odd);
        a.cmp(R0, 0);
        a.branch(Cond::Eq, end);
        if self.apart_x != self.out_x {
            a.comment(
                "an odd last one: what would be the second is stored in its place, before it",
            );
            a.mov(R11, 0);
            a.put(R11, self.apart_x);
        } else {
            a.comment("an odd last one: once more with the one before it");
            a.sub(R12, R12, 2 * shape.stride as i32);
            a.sub(R10, R10, R11);
            a.put(R10, self.out);
        }
        a.branch(Cond::Al, pair);
        a.bind(end);
        a.get(R0, self.row);
        a.get(R1, self.row_step);
        a.get(R2, self.row_out);
        a.get(R3, self.out_y);
        let times = |a: &mut Assembler, d: Reg, by: Reg| match rows {
            2 => a.add(d, d, Operand::Shifted(by, Shift::Lsl, 1)),
            _ => a.add(d, d, by),
        };
        times(a, R0, R1);
        times(a, R2, R3);
        a.put(R0, self.row);
        a.put(R2, self.row_out);
    }

    /// Doubled sums of a pair of results in a row, or in two, of a 3x3 window; `lr` is the length
    /// of a row of the plane.
    fn sums_3x3(&self, a: &mut Assembler, shape: Shape, rows: usize) -> &'static [Reg] {
        // Of each row of results: the first and the second.
        let sums = [[R0, R1], [R2, R3]];
        // What a row's first products are added to: until its own, the last sum holds the bias.
        let bias = sums[rows - 1][1];
        a.get(bias, self.bias);
        let loaded = (rows - 1) * shape.row_stride + 3;
        for y in 0..loaded {
            a.ldr(R10, at(R12));
            a.ldr(R11, behind(R12, shape.apart(2)));
            // The results that take this row, and as which row of the window.
            let taken = |result: usize| {
                let row = y.checked_sub(result * shape.row_stride).filter(|&row| row < 3)?;
                Some((sums[result], row))
            };
            let taken = || (0..rows).rev().filter_map(taken);
            for ([first, second], row) in taken() {
                let [w01, w12] = WEIGHTS[row];
                let start = if row == 0 { [bias, bias] } else { [first, second] };
                a.smlad(first, R10, w01, start[0]);
                if shape.stride == 1 {
                    a.smlatb(second, R10, w01, start[1]);
                    a.smlabt(first, R11, w12, first);
                    a.smlad(second, R11, w12, second);
                } else {
                    a.smlad(second, R11, w01, start[1]);
                    a.smlabt(first, R11, w12, first);
                }
            }
            if shape.stride == 2 {
                a.ldr(R10, behind(R12, shape.apart(4)));
            }
            if y + 1 < loaded {
                a.add(R12, R12, LR);
            }
            if shape.stride == 2 {
                for ([_, second], row) in taken() {
                    a.smlabt(second, R10, WEIGHTS[row][1], second);
                }
            }
        }
        match rows {
            1 => &[R0, R1],
            _ => &[R0, R1, R2, R3],
        }
    }

    /// Doubled sums of a pair of results in a row, of a window of any rows and so many columns.
    fn sums(&self, a: &mut Assembler, stride: usize, columns: usize) -> &'static [Reg] {
        a.get(R0, self.bias);
        a.get(R4, self.taps);
        a.get(R5, self.window_rows);
        a.get(LR, self.pitch);
        a.mov(R1, R0);
        let row = a.here();
        for x in (0..columns).step_by(2) {
            a.ldr(R6, post(R4, 4));
            a.ldr(R7, behind(R12, 2 * x as i32));
            a.ldr(R8, behind(R12, 2 * (x + stride) as i32));
            a.smlad(R0, R7, R6, R0);
            a.smlad(R1, R8, R6, R1);
        }
        a.add(R12, R12, LR);
        a.subs(R5, R5, 1);
        a.branch(Cond::Ne, row);
        &[R0, R1]
    }
}
