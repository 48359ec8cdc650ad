//! Convolution with few filters, whose windows are runs of bytes: four pixels and one filter at a
//! time.
//!
//! Pixels are read in place. A step is four activations of each with one filter: 16 products in 6
//! loads, 8 unpackings and 8 SMLAD; nothing is widened before, and nothing fills up groups of
//! filters.

use super::assembler::{behind, post, Assembler, Header};
use super::depthwise_conv_2d::factors;
use super::gather::Geometry;
use super::requantize::Codes;
use super::weights::{Ending, Filter};
use super::{Argument, Kernel};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Cond, Reg};

/// Filters side by side are faster from so many on.
const FILTERS: usize = 4;
/// Pixels that are computed side by side.
const PIXELS: usize = 4;
/// Steps that the innermost loop is unrolled by at most.
const UNROLLED: usize = 8;
/// Bytes that a load reaches behind its pointer.
const REACH: usize = 4095;

/// Activations of the pixels, and their sums.
const ACTIVATIONS: [Reg; PIXELS] = [R0, R1, R2, R3];
const SUMS: [Reg; PIXELS] = [R4, R5, R6, R7];

/// The kernel for a layer of few filters over one row.
///
/// Arguments: input, output, head, weights.
pub fn kernel(g: &Geometry, filters: &[Filter], ending: &Ending) -> Option<Kernel> {
    let (pixels, step) = (g.output[1], g.stride[1] * g.channels);
    let is_row = g.size[0] == 1 && g.output[0] == 1 && !g.padded() && g.channels % 4 == 0;
    let few = filters.len() < FILTERS && pixels >= PIXELS && (PIXELS - 1) * step <= REACH;
    if ending.residual.is_some() || !is_row || !few {
        return None;
    }
    let factors = factors(filters, ending)?;
    let steps = g.run() / 4;
    let unrolled = (1..=UNROLLED).rev().find(|n| steps % n == 0)?;

    let mut a = Assembler::default();
    a.doc(
        "Four pixels and a filter at a time. r12 points to the first pixel, r11 behind its window, \
         lr to the weights. r4 to r7 are sums, r0 to r3 activations, r8 and r9 weights.",
    );
    let mut header = Header::default();
    let mut word = |value: usize| header.word(&mut a, value as i64);
    let run = word(g.run());
    let count = word(filters.len());
    let groups = word(pixels.div_ceil(PIXELS));
    let next_input = word(PIXELS * step);
    let next_output = word((PIXELS - 1) * filters.len());
    // The last four pixels may begin among those before.
    let again = pixels.next_multiple_of(PIXELS) - pixels;
    let back_input = word(again * step);
    let back_output = word(again * filters.len());
    let codes = Codes::new(&mut a, &mut header, ending);
    let [stream, out, filters_left, left] = std::array::from_fn(|_| a.slot());
    header.copy(&mut a, R2);
    let codes = codes.start(&mut a, R3);
    a.put(R3, stream);
    a.put(R1, out);
    a.mov(R12, R0);
    a.get(R0, groups);
    a.comment("four pixels");
    let group = a.here();
    a.put(R0, left);
    a.get(R11, run);
    a.get(LR, stream);
    a.get(R0, count);
    a.add(R11, R11, R12);
    a.comment("a filter");
    let filter = a.here();
    a.put(R0, filters_left);
    a.ldr(SUMS[0], post(LR, 4));
    SUMS[1..].iter().for_each(|&sum| a.mov(sum, SUMS[0]));
    let block = a.here();
    for _ in 0..unrolled {
        a.ldr(ACTIVATIONS[0], post(R12, 4));
        for (i, &reg) in ACTIVATIONS.iter().enumerate().skip(1) {
            a.ldr(reg, behind(R12, (i * step) as i32 - 4));
        }
        a.ldr(R8, post(LR, 8));
        a.ldr(R9, behind(LR, -4));
        for (sum, x) in SUMS.into_iter().zip(ACTIVATIONS) {
            a.sxtb16(R10, x);
            a.sxtb16_ror8(x, x);
            a.smlad(sum, R10, R8, sum);
            a.smlad(sum, x, R9, sum);
        }
    }
    a.cmp(R12, R11);
    a.branch(Cond::Ne, block);
    a.comment("from sums to codes");
    a.ldm(LR, &[R0, R1, R2]);
    SUMS.into_iter().for_each(|sum| codes.requantize(&mut a, sum, (R0, R1, R2), R3));
    codes.finish(&mut a, &SUMS, (R0, R3));
    a.get(R0, out);
    a.get(R1, run);
    for (i, &code) in SUMS.iter().enumerate().skip(1) {
        a.strb(code, behind(R0, (i * filters.len()) as i32));
    }
    a.strb(SUMS[0], post(R0, 1));
    a.put(R0, out);
    a.sub(R12, R12, R1);
    a.get(R0, filters_left);
    a.subs(R0, R0, 1);
    a.branch(Cond::Ne, filter);
    let end = a.label();
    a.get(R0, left);
    a.get(R1, out);
    a.get(R2, next_input);
    a.get(R3, next_output);
    a.add(R12, R12, R2);
    a.add(R1, R1, R3);
    a.put(R1, out);
    a.subs(R0, R0, 1);
    a.branch(Cond::Eq, end);
    a.cmp(R0, 1);
    a.branch(Cond::Ne, group);
    a.get(R2, back_input);
    a.get(R3, back_output);
    a.sub(R12, R12, R2);
    a.sub(R1, R1, R3);
    a.put(R1, out);
    a.branch(Cond::Al, group);
    a.bind(end);

    let mut words = ending.table_words();
    for (filter, by) in filters.iter().zip(factors) {
        words.push(filter.bias.wrapping_mul(2));
        words.extend(filter.weights.iter().map(|[low, high]| (2 * low) & 0xffff | high << 17));
        words.extend([by.multiplier, by.offset, by.shift]);
    }
    let mut args = Argument::WEIGHTED.to_vec();
    args.retain(|&arg| arg != Argument::Scratch);
    Some(Kernel {
        name: "conv_2d_narrow",
        routine: a.finish(),
        args,
        head: header.words(),
        weights: words,
        scratch: 0,
    })
}
