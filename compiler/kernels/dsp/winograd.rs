//! 3x3 convolution with stride 1 by Winograd's F(2×2, 3×3), exact in integers: 16 products of
//! transformed activations and weights give 4 results, which take 36 products otherwise.
//!
//! With `Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A`, doubling `G` makes its entries whole numbers; the weights
//! are then four times as large, and so are the results, of which SMMLAR wants the double anyway.
//! Sums may wrap on the way, as long as the results don't.
//!
//! Two tiles and four filters at a time, for each of the 16 positions.
//!
//! Formula: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", section 4.1.

use super::assembler::{at, behind, post, Assembler, Header, Slot};
use super::gather::{Geometry, Window};
use super::requantize::Codes;
use super::weights::{self, Ending, Filter, Requantization};
use super::{Argument, Kernel};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Address, Cond, Operand, Reg, Shift};

/// Steps that the innermost loop is unrolled by.
const UNROLLED: usize = 8;

/// The kernel for a layer, if it is of that kind.
///
/// Arguments: input, output, scratch, head, weights.
pub fn kernel(geometry: &Geometry, filters: &[Filter], ending: &Ending) -> Option<Kernel> {
    let g = geometry;
    let (channels, count) = (g.channels, filters.len());
    let [height, width] = g.output;
    let whole = height % 2 == 0 && width % 2 == 0 && channels % 4 == 0 && count % 4 == 0;
    if g.size != [3, 3] || g.stride != [1, 1] || g.dilation != 1 || !whole {
        return None;
    }
    if ending.residual.is_some() {
        return None;
    }
    let fits = filters.iter().all(|filter| {
        let (lo, hi) = weights::range(filter);
        lo > -(1 << 29) && hi < 1 << 29
    });
    let factors: Vec<Requantization> = (filters.iter())
        .map(|f| Requantization::new(f.multiplier, ending.shift()).filter(|_| fits))
        .collect::<Option<_>>()?;

    let tiles = Geometry { output: [height / 2, width / 2], size: [4, 4], stride: [2, 2], ..*g };
    // In scratch memory: transformed activations of two tiles; then the tile as it is, in whose
    // place the sums come later; then a row of a tile that is partly outside.
    let position = 4 * channels;
    let (patch_at, sums) = (16 * position, 16 * 32);
    let line_at = patch_at + (32 * channels).max(sums);
    let steps = channels / 2;

    let mut a = Assembler::default();
    a.doc(
        "Winograd's F(2x2, 3x3), two tiles and four filters at a time. In the products, r12 points \
         to the transformed activations of both tiles in turns, lr to the weights; r4 to r7 are \
         tile A's sums, r8 to r11 tile B's.",
    );
    let mut header = Header::default();
    let mut window = Window::new(&mut a, &mut header, &tiles, line_at);
    let mut word = |value: usize| header.word(&mut a, value as i64);
    let tiles_count = word(tiles.output.iter().product());
    let tile_columns = word(tiles.output[1]);
    let patch_offset = word(patch_at);
    let position_len = word(position);
    let entry = word((UNROLLED - steps % UNROLLED) % UNROLLED);
    let groups = word(count / 4);
    let pixel = word(count);
    let row = word(width * count);
    let words_of_pixel = word(steps);
    let pixel_len = word(2 * channels);
    let codes = Codes::new(&mut a, &mut header, ending);
    let [stream, scratch, patch, out, out_a, out_b, target, left, column] =
        std::array::from_fn(|_| a.slot());
    let [groups_left, position_end, sums_at, filters_left] = std::array::from_fn(|_| a.slot());
    let transform = Transform {
        patch,
        target,
        words: words_of_pixel,
        pixel_len,
        from: a.slot(),
        to: a.slot(),
        left: a.slot(),
    };
    let weights = a.further_argument();

    header.copy(&mut a, R3);
    a.get(R3, weights);
    let codes = codes.start(&mut a, R3);
    a.put(R3, stream);
    a.put(R2, scratch);
    a.get(R12, patch_offset);
    a.add(R12, R12, R2);
    a.put(R12, patch);
    a.put(R1, out);
    window.start(&mut a, R0, R2, R12);
    a.get(R11, tile_columns);
    a.put(R11, column);
    a.get(R11, tiles_count);

    a.comment("two tiles; r11: tiles left");
    let pair = a.here();
    a.get(R0, scratch);
    let gather = a.here();
    a.put(R0, target);
    a.put(R11, left);
    a.get(R5, patch);
    window.gather(&mut a, 4);
    transform.write(&mut a);
    a.get(R11, left);
    a.get(R0, target);
    a.get(R1, scratch);
    a.get(R4, out);
    let (second, last, same_row, gathered) = (a.label(), a.label(), a.label(), a.label());
    a.cmp(R0, R1);
    a.branch(Cond::Ne, second);
    a.comment("tile A is there; without another one, tile B is the same");
    a.put(R4, out_a);
    a.bind(second);
    a.put(R4, out_b);
    // Which of the two it is; the next tile's place follows.
    a.sub(R6, R0, R1);
    a.subs(R11, R11, 1);
    a.branch(Cond::Eq, last);
    window.advance(&mut a);
    a.get(R5, pixel);
    a.get(R7, column);
    a.add(R4, R4, Operand::Shifted(R5, Shift::Lsl, 1));
    a.subs(R7, R7, 1);
    a.branch(Cond::Ne, same_row);
    a.get(R5, row);
    a.get(R7, tile_columns);
    a.add(R4, R4, R5);
    a.bind(same_row);
    a.put(R7, column);
    a.put(R4, out);
    a.bind(last);
    a.cmp(R6, 0);
    a.branch(Cond::Ne, gathered);
    let another = a.label();
    a.cmp(R11, 0);
    a.branch(Cond::Ne, another);
    // Once more the same: counted again.
    a.mov(R11, 1);
    a.bind(another);
    a.get(R0, scratch);
    a.add(R0, R0, 4);
    a.branch(Cond::Al, gather);
    a.bind(gathered);
    a.put(R11, left);

    a.get(LR, stream);
    a.get(R0, groups);
    a.comment("four filters");
    let group = a.here();
    a.put(R0, groups_left);
    a.get(R12, scratch);
    a.get(R0, patch);
    a.put(R0, sums_at);
    let position = a.here();
    a.get(R0, position_len);
    a.get(R1, entry);
    a.add(R0, R0, R12);
    a.put(R0, position_end);
    for sum in [R4, R5, R6, R7, R8, R9, R10, R11] {
        a.mov(sum, 0);
    }
    let entries: Vec<_> = (0..UNROLLED).map(|_| a.label()).collect();
    a.branch_by(R1, entries.clone());
    let steps_loop = a.here();
    for entry in entries {
        a.bind(entry);
        a.ldr(R0, post(R12, 8));
        a.ldr(R1, behind(R12, -4));
        a.ldr(R2, post(LR, 16));
        a.ldr(R3, behind(LR, -12));
        for (weights, [sum_a, sum_b]) in [(R2, [R4, R8]), (R3, [R5, R9])] {
            a.smlad(sum_a, R0, weights, sum_a);
            a.smlad(sum_b, R1, weights, sum_b);
        }
        a.ldr(R2, behind(LR, -8));
        a.ldr(R3, behind(LR, -4));
        for (weights, [sum_a, sum_b]) in [(R2, [R6, R10]), (R3, [R7, R11])] {
            a.smlad(sum_a, R0, weights, sum_a);
            a.smlad(sum_b, R1, weights, sum_b);
        }
    }
    a.get(R0, position_end);
    a.cmp(R12, R0);
    a.branch(Cond::Ne, steps_loop);
    a.get(R0, sums_at);
    a.get(R1, patch);
    a.stm(R0, &[R4, R5, R6, R7, R8, R9, R10, R11]);
    a.put(R0, sums_at);
    a.cmp(R12, R1);
    a.branch(Cond::Ne, position);

    a.comment("from the sums of the 16 positions to two rows of two codes, filter by filter");
    a.mov(R0, 4);
    let filter = a.here();
    a.put(R0, filters_left);
    a.ldm(LR, &[R8, R9, R10, R11]);
    for (tile, out) in [out_a, out_b].into_iter().enumerate() {
        results(&mut a, 16 * tile as i32);
        let results = [R4, R5, R6, R7];
        for code in results {
            a.asr(code, code, 1);
            codes.requantize(&mut a, code, (R8, R9, R10), R0);
        }
        codes.finish(&mut a, &results, (R1, R2));
        a.get(R0, out);
        a.get(R1, pixel);
        a.get(R2, row);
        a.add(R2, R2, R0);
        a.strb(R4, at(R0));
        a.strb(R6, Address::Index(R0, R1, 0));
        a.strb(R5, at(R2));
        a.strb(R7, Address::Index(R2, R1, 0));
        a.add(R0, R0, 1);
        a.put(R0, out);
    }
    a.add(R12, R12, 4);
    a.get(R0, filters_left);
    a.subs(R0, R0, 1);
    a.branch(Cond::Ne, filter);
    a.get(R0, groups_left);
    a.subs(R0, R0, 1);
    a.branch(Cond::Ne, group);
    a.get(R11, left);
    a.cmp(R11, 0);
    a.branch(Cond::Ne, pair);

    let mut words = ending.table_words();
    let transformed: Vec<Vec<[[i32; 2]; 16]>> =
        filters.iter().map(|filter| transformed(filter, steps)).collect();
    for (filters, transformed) in filters
        .chunks(4)
        .zip(transformed.chunks(4))
        .zip(factors.chunks(4))
        .map(|((f, t), by)| (f.iter().zip(by), t))
    {
        for position in 0..16 {
            for step in 0..steps {
                let word = |u: &Vec<[[i32; 2]; 16]>| {
                    let [low, high] = u[step][position];
                    low & 0xffff | high << 16
                };
                words.extend(transformed.iter().map(word));
            }
        }
        for (filter, by) in filters {
            words.extend([by.multiplier, by.offset, by.shift, 4 * filter.bias]);
        }
    }
    let scratch = line_at + tiles.line();
    Some(Kernel {
        name: "conv_2d_winograd",
        routine: a.finish(),
        args: Argument::WEIGHTED.to_vec(),
        head: header.words(),
        weights: words,
        scratch,
    })
}

/// `2G g (2G)ᵀ` of a filter, for the two activations of each step.
fn transformed(filter: &Filter, steps: usize) -> Vec<[[i32; 2]; 16]> {
    const G: [[i32; 3]; 4] = [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]];
    let entry = |step: usize, position: usize, k: usize| -> i32 {
        let (i, j) = (position / 4, position % 4);
        let taps = (0..3).flat_map(|y| (0..3).map(move |x| (y, x)));
        taps.map(|(y, x)| G[i][y] * G[j][x] * filter.weights[(3 * y + x) * steps + step][k]).sum()
    };
    (0..steps).map(|s| std::array::from_fn(|p| [entry(s, p, 0), entry(s, p, 1)])).collect()
}

/// `Aᵀ M A` of one filter and tile, plus the bias in `r11`: the sums lie at `r12` and so many bytes
/// behind it. The results go to `r4` and `r6`, and below them `r5` and `r7`.
fn results(a: &mut Assembler, offset: i32) {
    // The column's first and second result.
    let column = |a: &mut Assembler, j: i32, [first, second]: [Reg; 2]| {
        for (i, sum) in [R0, R1, R2, R3].into_iter().enumerate() {
            a.ldr(sum, behind(R12, offset + 32 * (4 * i as i32 + j)));
        }
        if j == 1 {
            // In this position, it reaches all four results once.
            a.add(R1, R1, R11);
        }
        a.add(first, R0, R1);
        a.add(first, first, R2);
        a.sub(second, R1, R2);
        a.sub(second, second, R3);
    };
    column(a, 0, [R4, R5]);
    column(a, 1, [R6, R7]);
    a.add(R4, R4, R6);
    a.add(R5, R5, R7);
    column(a, 2, [R0, R1]);
    a.add(R4, R4, R0);
    a.add(R5, R5, R1);
    a.sub(R6, R6, R0);
    a.sub(R7, R7, R1);
    column(a, 3, [R0, R1]);
    a.sub(R6, R6, R0);
    a.sub(R7, R7, R1);
}

/// The transformation of a tile of activations.
struct Transform {
    patch: Slot,
    target: Slot,
    /// Words of a pixel.
    words: Slot,
    /// Bytes of a widened pixel.
    pixel_len: Slot,
    from: Slot,
    to: Slot,
    left: Slot,
}

impl Transform {
    /// `Bᵀ d B` of the widened tile, two activations of each pixel at a time: its rows, then its
    /// columns, of which two at a time fit the registers. The 16 positions go to the target, every
    /// other word of which is for the other tile.
    fn write(&self, a: &mut Assembler) {
        a.comment("the tile is transformed, two activations of each pixel at a time");
        a.get(R0, self.words);
        a.get(R12, self.patch);
        a.get(LR, self.target);
        let word = a.here();
        a.put(R0, self.left);
        a.put(R12, self.from);
        a.put(LR, self.to);
        a.get(R3, self.pixel_len);
        let columns = [[R4, R5, R6, R7], [R8, R9, R10, R11]];
        for half in 0..2 {
            if half == 1 {
                a.get(R12, self.from);
                a.get(LR, self.to);
                a.add(R12, R12, R3);
                a.add(LR, LR, Operand::Shifted(R3, Shift::Lsl, 2));
            }
            for row in 0..4 {
                a.ldr(R0, at(R12));
                a.ldr(R1, Address::Index(R12, R3, 0));
                a.ldr(R2, Address::Index(R12, R3, 1));
                if row < 3 {
                    a.add(R12, R12, Operand::Shifted(R3, Shift::Lsl, 2));
                }
                let [first, second] = columns.map(|column| column[row]);
                if half == 0 {
                    a.ssub16(first, R0, R2);
                    a.sadd16(second, R1, R2);
                } else {
                    a.ssub16(first, R1, R0);
                    a.ssub16(second, R0, R2);
                }
            }
            a.mov(R1, LR);
            a.add(R2, LR, Operand::Shifted(R3, Shift::Lsl, 1));
            for ([t0, t1, t2, t3], to) in columns.into_iter().zip([R1, R2]) {
                a.ssub16(t0, t0, t2);
                a.sadd16(R0, t1, t2);
                a.ssub16(t2, t2, t1);
                a.ssub16(t3, t1, t3);
                for (i, value) in [t0, R0, t2, t3].into_iter().enumerate() {
                    a.str(value, at(to));
                    if i < 3 {
                        a.add(to, to, Operand::Shifted(R3, Shift::Lsl, 3));
                    }
                }
            }
        }
        a.get(R12, self.from);
        a.get(LR, self.to);
        a.get(R0, self.left);
        a.add(R12, R12, 4);
        a.add(LR, LR, 8);
        a.subs(R0, R0, 1);
        a.branch(Cond::Ne, word);
    }
}
