//! Convolution over all channels: two pixels and four filters at a time.
//!
//! The windows of two pixels are widened side by side into scratch memory, pixel A's and pixel B's
//! words in turns; then each group of four filters runs over them. A step is two activations of
//! both pixels with four filters: 16 products in 4 loads, 2 unpackings and 8 SMLAD; or in 6 loads
//! and 4 unpackings where filters have words of their own.

use super::assembler::{behind, post, Assembler, Header, Slot};
use super::gather::{Geometry, Window};
use super::requantize::{self, Codes, Factors};
use super::residual::Adding;
use super::weights::{self, Ending, Filter, Form, Layout};
use super::{Argument, Kernel};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Cond, Reg};

/// Steps that the innermost loop is unrolled by.
const UNROLLED: usize = 16;

/// The registers of the innermost loop: sums P and Q of both pairs of filters, or those of the
/// filters 1, 0, 3 and 2; for pixel A, then pixel B.
const SUMS: [[Reg; 4]; 2] = [[R4, R5, R6, R7], [R8, R9, R10, R11]];

/// The kernel for a layer, if it holds its weights.
///
/// Arguments: input, output, scratch, head, weights, and where one is added, the residual.
pub fn kernel(geometry: &Geometry, filters: &[Filter], ending: &Ending) -> Option<Kernel> {
    let layout = Layout::fours(1, filters.len());
    let packed = weights::stream(filters, ending.shift(), &layout)?;
    let columns = 8 * packed.steps;
    // Steps that share words are one in the innermost loop.
    let (steps, unrolled) = match packed.form {
        Form::Paired | Form::Apart => (packed.steps, UNROLLED),
        Form::Single | Form::Wide => (packed.steps / 2, UNROLLED / 2),
    };
    let mut a = Assembler::default();
    a.doc(
        "Two pixels and four filters at a time. The pixels' windows lie widened in the scratch \
         memory, in turns: r12 points to them, lr to the weights. r4 to r11 are sums, r0 and r1 \
         two activations of each pixel, r2 and r3 weights.",
    );
    a.doc(match packed.form {
        Form::Paired | Form::Apart => "Each word of weights is two of two filters.",
        Form::Single | Form::Wide => {
            "Each word of weights is two pairs of one filter, for two steps."
        }
    });
    let mut header = Header::default();
    let mut window = Window::new(&mut a, &mut header, geometry, columns);
    let mut word = |value: usize| header.word(&mut a, value as i64);
    let pixels = word(geometry.output.iter().product());
    let channels = word(filters.len());
    let end_offset = word(columns);
    // Where the loop is entered behind the first step: at its end, if that is all.
    let entry = word(match steps - 1 {
        0 => unrolled,
        rest => (unrolled - rest % unrolled) % unrolled,
    });
    let tail = word((filters.len() - 1) % weights::GROUP + 1);
    let stream_len = word(4 * packed.words.len());
    let factors = Factors::new(&mut a, &mut header, packed.by, LR);
    let codes = Codes::new(&mut a, &mut header, ending);
    let residual = ending.residual.map(|residual| Adding::new(&mut a, &mut header, residual));

    let [stream, stream_end, scratch, scratch_end, out, out_a, out_b, target, left] =
        std::array::from_fn(|_| a.slot());
    let weights = a.further_argument();
    let residual = residual.map(|adding| adding.start(&mut a));
    header.copy(&mut a, R3);
    a.get(R3, weights);
    let codes = codes.start(&mut a, R3);
    if let Some(adding) = &residual {
        adding.first(&mut a, R1);
    }
    a.put(R3, stream);
    a.get(R12, stream_len);
    a.add(R12, R12, R3);
    a.put(R12, stream_end);
    a.put(R2, scratch);
    a.get(R12, end_offset);
    a.add(R12, R12, R2);
    a.put(R12, scratch_end);
    a.put(R1, out);
    window.start(&mut a, R0, R2, R12);
    a.get(R11, pixels);

    a.comment("two pixels; r11: pixels left");
    let pair = a.here();
    let pixels = Pixels { scratch, channels, out, out_a, out_b, left };
    match window.is_row() {
        true => pixels.in_row(&mut a, &window),
        false => pixels.anywhere(&mut a, &window, target),
    }

    a.get(LR, stream);
    a.comment("four filters");
    let group = a.here();
    a.ldm(LR, &SUMS[0]);
    a.get(R12, scratch);
    let step = |a: &mut Assembler, first: bool| match packed.form {
        Form::Paired | Form::Apart => paired_step(a, first),
        Form::Single | Form::Wide => single_steps(a, first),
    };
    step(&mut a, true);
    a.get(R0, entry);
    let entries: Vec<_> = (0..=unrolled).map(|_| a.label()).collect();
    a.branch_by(R0, entries.clone());
    let steps = a.here();
    for &entry in &entries[..unrolled] {
        a.bind(entry);
        step(&mut a, false);
    }
    a.bind(entries[unrolled]);
    a.get(R0, scratch_end);
    a.cmp(R12, R0);
    a.branch(Cond::Ne, steps);

    a.comment("from sums to codes");
    if packed.form == Form::Apart {
        requantize::load_apart(&mut a, LR, 2);
    }
    for sums in SUMS {
        requantize::double(&mut a, packed.form, &sums);
    }
    // The filters in their order.
    let results = weights::ORDER.map(|i| [SUMS[0][i], SUMS[1][i]]);
    let sums = results.each_ref().map(|sums| &sums[..]);
    codes.group(&mut a, factors, &sums);
    if let Some(adding) = &residual {
        let partial = filters.len() % weights::GROUP > 0;
        adding.add(&mut a, [out_a, out_b], partial.then_some((stream_end, tail)));
    }
    let (partial, next) = (a.label(), a.label());
    a.get(R0, out_a);
    a.get(R1, out_b);
    a.get(R2, stream_end);
    a.cmp(LR, R2);
    a.branch(Cond::Eq, partial);
    for (pointer, pixel) in [(R0, 0), (R1, 1)] {
        for code in results {
            a.strb(code[pixel], post(pointer, 1));
        }
    }
    a.put(R0, out_a);
    a.put(R1, out_b);
    a.branch(Cond::Al, group);
    a.comment("the last group may have fewer filters");
    a.bind(partial);
    a.get(R2, tail);
    for (i, code) in results.iter().enumerate() {
        if i > 0 {
            a.cmp(R2, i as i32);
            a.branch(Cond::Le, next);
        }
        a.strb(code[0], post(R0, 1));
        a.strb(code[1], post(R1, 1));
    }
    a.bind(next);
    a.get(R11, left);
    a.cmp(R11, 0);
    a.branch(Cond::Ne, pair);

    let mut weights = ending.table_words();
    weights.extend(packed.words);
    let scratch = columns + geometry.lines();
    let mut args = Argument::WEIGHTED.to_vec();
    args.extend(ending.residual.map(|residual| Argument::Operand(residual.operand)));
    Some(Kernel {
        name: "conv_2d",
        routine: a.finish(),
        args,
        head: header.words(),
        weights,
        scratch,
    })
}

/// The products of two activations of both pixels with weights in `r2` and `r3`, for two of the
/// sums. What they start with is there for pixel A only.
fn products(a: &mut Assembler, sums: [usize; 2], first: bool) {
    for (filter, weights) in sums.into_iter().zip([R2, R3]) {
        let [sum_a, sum_b] = SUMS.map(|sums| sums[filter]);
        a.smlad(sum_b, R1, weights, if first { sum_a } else { sum_b });
        a.smlad(sum_a, R0, weights, sum_a);
    }
}

/// A step of filters that share words.
fn paired_step(a: &mut Assembler, first: bool) {
    a.ldr(R0, post(R12, 8));
    a.ldr(R1, behind(R12, -4));
    a.ldr(R2, post(LR, 8));
    a.ldr(R3, behind(LR, -4));
    products(a, [0, 2], first);
    a.sxtb16(R2, R2);
    a.sxtb16(R3, R3);
    products(a, [1, 3], first);
}

/// Two steps of filters with words of their own.
fn single_steps(a: &mut Assembler, first: bool) {
    for odd in [false, true] {
        let widen = |a: &mut Assembler, reg: Reg| match odd {
            false => a.sxtb16(reg, reg),
            true => a.sxtb16_ror8(reg, reg),
        };
        a.ldr(R0, post(R12, 8));
        a.ldr(R1, behind(R12, -4));
        for pair in [0, 2] {
            a.ldr(R2, behind(LR, 4 * pair as i32));
            a.ldr(R3, behind(LR, 4 * pair as i32 + 4));
            widen(a, R2);
            widen(a, R3);
            products(a, [pair, pair + 1], first && !odd);
        }
    }
    a.add(LR, LR, 16);
}

/// What the two pixels at work need.
struct Pixels {
    scratch: Slot,
    /// Bytes of a pixel's results.
    channels: Slot,
    /// Where the next pixel's results go, and those of the two.
    out: Slot,
    out_a: Slot,
    out_b: Slot,
    /// Pixels left.
    left: Slot,
}

impl Pixels {
    /// Widens the windows of two pixels of a row, of which `r11` are left; of the last one twice.
    fn in_row(&self, a: &mut Assembler, window: &Window) {
        let last = a.label();
        a.get(R5, self.scratch);
        window.gather(a, 8);
        a.get(R5, self.scratch);
        a.get(R4, self.out);
        a.get(R6, self.channels);
        a.put(R4, self.out_a);
        a.subs(R11, R11, 1);
        a.branch(Cond::Eq, last);
        a.add(R4, R4, R6);
        a.sub(R11, R11, 1);
        window.advance_in_row(a);
        a.bind(last);
        a.put(R4, self.out_b);
        a.add(R4, R4, R6);
        a.put(R4, self.out);
        a.put(R11, self.left);
        a.add(R5, R5, 4);
        a.comment("pixel B");
        window.gather(a, 8);
        window.advance_in_row(a);
    }

    /// The same of pixels of several rows, in one loop; `target` is where the window goes.
    fn anywhere(&self, a: &mut Assembler, window: &Window, target: Slot) {
        let (second, last, gathered) = (a.label(), a.label(), a.label());
        a.get(R5, self.scratch);
        let gather = a.here();
        a.put(R5, target);
        window.gather(a, 8);
        a.get(R0, target);
        a.get(R1, self.scratch);
        a.get(R4, self.out);
        a.get(R5, self.channels);
        a.cmp(R0, R1);
        a.branch(Cond::Ne, second);
        a.comment("pixel A is there; without another one, pixel B is the same");
        a.put(R4, self.out_a);
        a.subs(R11, R11, 1);
        a.branch(Cond::Eq, last);
        a.add(R4, R4, R5);
        window.advance(a);
        a.bind(last);
        a.put(R4, self.out);
        a.put(R4, self.out_b);
        a.get(R5, self.scratch);
        a.add(R5, R5, 4);
        a.branch(Cond::Al, gather);
        a.bind(second);
        a.add(R4, R4, R5);
        a.put(R4, self.out);
        a.cmp(R11, 0);
        a.branch(Cond::Eq, gathered);
        a.sub(R11, R11, 1);
        window.advance(a);
        a.bind(gathered);
        a.put(R11, self.left);
    }
}
