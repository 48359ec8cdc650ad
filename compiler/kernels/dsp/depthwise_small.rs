//! Depthwise convolution of small planes: four channels at a time, every product written out.
//!
//! A word is a pixel's bytes of four channels. Each becomes two words of halfwords in scratch
//! memory: of the even channels, then of the odd ones, less the padding, so that taps outside are
//! left out. Two channels share all loads, and few results don't pay for what goes before and after
//! loops. Results may go where the operand was, since channels are read from their copies only.

use super::assembler::{at, behind, post, Assembler, Header};
use super::depthwise_conv_2d::factors;
use super::gather::Geometry;
use super::requantize::Codes;
use super::weights::{self, Ending, Filter};
use super::{Argument, Kernel};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Address, Cond, Operand, Reg, Shift};

/// So many products of a channel are written out at most.
const PRODUCTS: usize = 128;
/// So many pixels of the operand are copied without a loop.
const PIXELS: usize = 32;
/// Results of a channel that are computed side by side.
const RESULTS: usize = 4;
/// Taps of a row whose weights are held side by side.
const TAPS: usize = 3;

/// By result of a block: the sums of the two channels.
const SUMS: [[Reg; 2]; RESULTS] = [[R4, R5], [R6, R7], [R8, R9], [R10, R11]];
/// Weights of both channels.
const WEIGHTS: [Reg; TAPS] = [R0, R1, R2];

/// A product: which result of its block, which of the weights held, which pixel of the operand.
struct Product {
    result: usize,
    weight: usize,
    pixel: usize,
}

/// The kernel for a layer of as many filters as channels, if its planes are small. Filters have
/// their taps in one run: by row, then by column.
///
/// Arguments: input, output, scratch, head, weights.
pub fn kernel(g: &Geometry, filters: &[Filter], ending: &Ending) -> Option<Kernel> {
    let pixels = g.input[0] * g.input[1];
    let results = g.output[0] * g.output[1];
    let [rows, columns] = g.size;
    // The pixel under a tap of a result's window.
    let pixel = |result: usize, row: usize, column: usize| {
        let place = [result / g.output[1], result % g.output[1]];
        let inside = |axis: usize, tap: usize| {
            let at = place[axis] * g.stride[axis] + tap * g.dilation[axis];
            at.checked_sub(g.before[axis]).filter(|&at| at < g.input[axis])
        };
        Some(inside(0, row)? * g.input[1] + inside(1, column)?)
    };
    let whole = filters.len() == g.channels && g.channels % 4 == 0;
    if ending.residual.is_some() || !whole || pixels > PIXELS || results > PRODUCTS {
        return None;
    }
    let taps = || (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let inside =
        (0..results).flat_map(|i| taps().filter_map(move |(row, column)| pixel(i, row, column)));
    // A row of the window, of weights and of the plane is within what an instruction reaches.
    if rows * columns > PRODUCTS || inside.count() > PRODUCTS {
        return None;
    }
    let factors = factors(filters, ending)?;

    let mut a = Assembler::default();
    a.doc(
        "Two channels at a time. r12 points to their pixels, lr to their weights. r4 to r11 are \
         sums, r0 to r2 weights, r3 and what is left of the sums' registers activations.",
    );
    let mut header = Header::default();
    let padding = u32::from(g.padding.wrapping_neg() as u16);
    let padding = header.word(&mut a, i64::from((padding * 0x1_0001) as i32));
    let channels = header.word(&mut a, g.channels as i64);
    let stream_len = header.word(&mut a, 4 * (2 + rows * columns + 6) as i64);
    let codes = Codes::new(&mut a, &mut header, ending);
    let [input, group_out, out, copy, end, left] = std::array::from_fn(|_| a.slot());
    let weights = a.further_argument();
    header.copy(&mut a, R3);
    a.get(LR, weights);
    let codes = codes.start(&mut a, LR);
    a.put(R0, input);
    a.put(R1, group_out);
    a.put(R2, copy);
    a.add(R2, R2, 8 * pixels as i32);
    a.put(R2, end);
    a.get(R0, channels);

    a.comment("four channels: r5 and r10 point to the copies of the even and the odd ones");
    let group = a.here();
    a.put(R0, left);
    a.get(R4, input);
    a.get(R5, copy);
    a.get(R6, channels);
    a.get(R11, padding);
    a.add(R0, R4, 4);
    a.put(R0, input);
    a.mov(R12, R5);
    a.add(R10, R5, 4 * pixels as i32);
    a.lsl(R7, R6, 1);
    a.add(R8, R6, R7);
    let words = [R0, R1, R2, R3];
    for first in (0..pixels).step_by(words.len()) {
        let words = &words[..words.len().min(pixels - first)];
        for (&word, step) in words.iter().zip([None, Some(R6), Some(R7), Some(R8)]) {
            a.ldr(word, step.map_or(at(R4), |step| Address::Index(R4, step, 0)));
        }
        if first + words.len() < pixels {
            a.add(R4, R4, Operand::Shifted(R6, Shift::Lsl, 2));
        }
        for &word in words {
            a.sxtab16(R9, R11, word, 0);
            a.sxtab16(word, R11, word, 8);
            a.str(R9, post(R5, 4));
            a.str(word, post(R10, 4));
        }
    }
    a.comment("two of them");
    let half = a.here();
    a.get(R0, group_out);
    a.put(R0, out);
    let blocks = results.div_ceil(RESULTS);
    for block in 0..blocks {
        let block: Vec<usize> =
            (block * results / blocks..(block + 1) * results / blocks).collect();
        let sums = &SUMS[..block.len()];
        for sums in sums {
            a.ldr(sums[0], at(LR));
            a.ldr(sums[1], behind(LR, 4));
        }
        for row in 0..rows {
            for first in (0..columns).step_by(TAPS) {
                let held = TAPS.min(columns - first);
                let mut products: Vec<Product> = Vec::new();
                for (result, &at) in block.iter().enumerate() {
                    for weight in 0..held {
                        if let Some(pixel) = pixel(at, row, first + weight) {
                            products.push(Product { result, weight, pixel });
                        }
                    }
                }
                multiply(&mut a, block.len(), row * columns + first, products);
            }
        }
        let factors = 8 + 4 * (rows * columns) as i32;
        for channel in 0..2 {
            for (i, reg) in [R0, R1, R2].into_iter().enumerate() {
                a.ldr(reg, behind(LR, factors + 4 * (3 * channel + i) as i32));
            }
            sums.iter().for_each(|s| codes.requantize(&mut a, s[channel], (R0, R1, R2), R3));
        }
        codes.finish(&mut a, &sums.concat(), (R0, R3));
        a.get(R0, out);
        a.get(R1, channels);
        for sums in sums {
            a.strb(sums[1], behind(R0, 2));
            a.strb(sums[0], at(R0));
            a.add(R0, R0, R1);
        }
        a.put(R0, out);
    }
    a.get(R0, group_out);
    a.get(R1, stream_len);
    a.get(R2, end);
    a.add(R0, R0, 1);
    a.put(R0, group_out);
    a.add(LR, LR, R1);
    a.add(R12, R12, 4 * pixels as i32);
    a.cmp(R12, R2);
    a.branch(Cond::Ne, half);
    a.add(R0, R0, 2);
    a.put(R0, group_out);
    a.get(R0, left);
    a.subs(R0, R0, 4);
    a.branch(Cond::Ne, group);

    let mut words = ending.table_words();
    let filters: Vec<(i32, Vec<i32>)> = filters
        .iter()
        .map(|filter| {
            let taps = weights::taps(&filter.weights, rows * columns);
            let sum: i32 = taps.iter().sum();
            // Activations are less the padding.
            let bias = filter.bias.wrapping_add(g.padding.wrapping_mul(sum));
            (bias.wrapping_mul(2), taps)
        })
        .collect();
    for first in (0..g.channels).flat_map(|i| (i % 4 < 2).then_some(i / 4 * 4 + i % 4)) {
        let pair = [first, first + 2];
        words.extend(pair.map(|i| filters[i].0));
        for tap in 0..rows * columns {
            let [low, high] = pair.map(|i| 2 * filters[i].1[tap]);
            words.push(low & 0xffff | high << 16);
        }
        words.extend(
            pair.iter().flat_map(|&i| [factors[i].multiplier, factors[i].offset, factors[i].shift]),
        );
    }
    Some(Kernel {
        name: "depthwise_conv_2d_small",
        routine: a.finish(),
        args: Argument::WEIGHTED.to_vec(),
        head: header.words(),
        weights: words,
        scratch: 8 * pixels,
    })
}

/// The products of a block of so many results with up to three weights, of which `tap` is the
/// first.
fn multiply(a: &mut Assembler, results: usize, tap: usize, mut products: Vec<Product>) {
    // Loads are cheapest side by side.
    let free = SUMS[results..].concat();
    let pixels: Vec<Reg> = std::iter::once(R3).chain(free).collect();
    for (weight, reg) in WEIGHTS.into_iter().enumerate() {
        if products.iter().any(|product| product.weight == weight) {
            a.ldr(reg, behind(LR, 8 + 4 * (tap + weight) as i32));
        }
    }
    products.sort_by_key(|product| product.pixel);
    let same: Vec<&[Product]> = products.chunk_by(|x, y| x.pixel == y.pixel).collect();
    for side_by_side in same.chunks(pixels.len()) {
        for (products, &reg) in side_by_side.iter().zip(&pixels) {
            a.ldr(reg, behind(R12, 4 * products[0].pixel as i32));
        }
        for (products, &reg) in side_by_side.iter().zip(&pixels) {
            for &Product { result, weight, .. } in *products {
                let [even, odd] = SUMS[result];
                a.smlabb(even, reg, WEIGHTS[weight], even);
                a.smlatt(odd, reg, WEIGHTS[weight], odd);
            }
        }
    }
}
