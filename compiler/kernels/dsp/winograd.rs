//! 3x3 convolution with stride 1 by Winograd's F(m×m, 3×3), exact in integers: of a tile of
//! (m + 2)² activations and as many transformed weights, one product each and channel gives m²
//! results. That is 4 products for a result with m = 2 and 2.25 with m = 4, instead of 9.
//!
//! `Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A`, where `G`'s rows are multiplied by what makes them whole
//! numbers, and `A`'s columns by what makes up for that; the results are then so many times too
//! large, an odd factor times a power of two. Sums may wrap on the way, as long as the results,
//! behind a multiplication by the odd factor's inverse modulo 2^32, don't.
//!
//! Activations are taken without a sign, as `x + 128`, which the biases make up for. Then two of
//! them in a word may be treated as the number `2^16 · high + low`, of which sums and multiples
//! take one instruction, up to the end, where borrows from the low one must go.
//!
//! Two tiles and four filters at a time, for each of the (m + 2)² positions.
//!
//! Formula: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", sections 4.1 and
//! 4.3.

use super::assembler::{at, behind, post, Assembler, Header, Slot};
use super::gather::Geometry;
use super::requantize::Codes;
use super::residual::Adding;
use super::weights::{self, Ending, Filter, Requantization};
use super::{Argument, Kernel};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Address, Cond, Operand, Reg, Shift};

/// Steps that the innermost loop is unrolled by.
const UNROLLED: usize = 8;

/// F(4×4) isn't offered where weights would take more flash than this: not many cores have as much
/// to give for one layer.
const FLASH: usize = 128 << 10;

/// The activations of a row or a column of a tile.
const ACTIVATIONS: [Reg; 6] = [R0, R1, R2, R3, R4, R5];

/// Tiles of so many results.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tile {
    /// 2×2.
    Two,
    /// 4×4.
    Four,
}

impl Tile {
    /// Results in a row.
    fn results(self) -> usize {
        match self {
            Tile::Two => 2,
            Tile::Four => 4,
        }
    }

    /// Activations in a row.
    fn size(self) -> usize {
        self.results() + 2
    }

    fn positions(self) -> usize {
        self.size() * self.size()
    }

    /// The rows of `G`, made whole numbers.
    fn weights(self) -> &'static [[i32; 3]] {
        match self {
            Tile::Two => &[[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]],
            Tile::Four => &[[6, 0, 0], [-1, -1, -1], [-1, 1, -1], [1, 2, 4], [1, -2, 4], [0, 0, 6]],
        }
    }

    /// How many times larger a bias is in the position (1, 1), from where it gets to all results.
    fn bias(self) -> i32 {
        match self {
            Tile::Two => 2 * 2,
            Tile::Four => 6 * 6,
        }
    }

    /// The bits that results need beside their own.
    fn room(self) -> u32 {
        match self {
            Tile::Two => 2,
            Tile::Four => 6,
        }
    }

    /// `Bᵀ d` of the activations in `r0` to `r5`, in pairs, and the registers of what it yields;
    /// `r6` and `r7` are lost. `last` says that values are to be multiplied then.
    fn transform(self, a: &mut Assembler, last: bool) -> &'static [Reg] {
        match self {
            Tile::Two => {
                a.ssub16(R0, R0, R2);
                a.ssub16(R3, R1, R3);
                a.sadd16(R4, R1, R2);
                a.ssub16(R2, R2, R1);
                &[R0, R4, R2, R3]
            }
            Tile::Four => {
                let times = |reg: Reg, shift: u32| Operand::Shifted(reg, Shift::Lsl, shift);
                a.sub(R0, R0, R2);
                a.sub(R6, R4, R2);
                a.sub(R4, R4, times(R2, 2));
                a.sub(R5, R5, R3);
                a.sub(R7, R3, R1);
                a.sub(R3, R3, times(R1, 2));
                if last {
                    // No low value borrows, and each has the wrong sign.
                    [R4, R5, R6].into_iter().for_each(|reg| a.add(reg, reg, 0x8000));
                }
                a.add(R0, R6, times(R0, 2));
                a.add(R1, R4, R3);
                a.sub(R2, R4, R3);
                a.add(R3, R6, times(R7, 1));
                a.sub(R4, R6, times(R7, 1));
                a.sub(R5, R5, times(R7, 2));
                if last {
                    ACTIVATIONS.into_iter().for_each(|reg| a.eor(reg, reg, 0x8000));
                }
                &ACTIVATIONS
            }
        }
    }

    /// Where `inverse` takes sums, and where it leaves what becomes of them.
    fn sums(self) -> (&'static [Reg], &'static [Reg]) {
        match self {
            Tile::Two => (&[R4, R0, R1, R5], &[R4, R5]),
            Tile::Four => (&[R4, R0, R1, R2, R3, R7], &[R4, R5, R6, R7]),
        }
    }

    /// `Aᵀ m`; of 4×4, the results are 24, 12, 6 and 6 times too large.
    fn inverse(self, a: &mut Assembler) {
        match self {
            Tile::Two => {
                a.add(R4, R4, R0);
                a.add(R4, R4, R1);
                a.sub(R0, R0, R1);
                a.sub(R5, R0, R5);
            }
            Tile::Four => {
                let times = |reg: Reg, shift: u32| Operand::Shifted(reg, Shift::Lsl, shift);
                a.add(R5, R0, R1);
                a.sub(R0, R0, R1);
                a.add(R1, R2, R3);
                a.sub(R2, R2, R3);
                a.add(R4, R4, times(R5, 2));
                a.add(R4, R4, R1);
                a.add(R6, R5, R1);
                a.add(R5, R2, times(R0, 1));
                a.add(R7, R7, R0);
                a.add(R7, R7, times(R2, 1));
            }
        }
    }

    /// How many powers of two the results of `inverse` are too large.
    fn shifts(self) -> &'static [i32] {
        match self {
            Tile::Two => &[1, 1],
            Tile::Four => &[3, 2, 1, 1],
        }
    }
}

/// The inverse of 9 modulo 2^32.
const NINTH: i32 = 0x38e3_8e39;

/// The kernels for a layer, if it is of that kind.
///
/// Arguments: input, output, scratch, head, weights, and where one is added, the residual.
pub fn kernels(geometry: &Geometry, filters: &[Filter], ending: &Ending) -> Vec<Kernel> {
    let g = geometry;
    if g.size != [3, 3] || g.stride != [1, 1] || g.dilation != [1, 1] {
        return Vec::new();
    }
    let kernels = [Tile::Four, Tile::Two].map(|tile| {
        let fits = g.output.iter().all(|&results| results >= tile.results());
        let factors: Option<Vec<Requantization>> = (filters.iter())
            .map(|f| {
                let (lo, hi) = weights::range(f);
                let limit = 1 << (30 - tile.room());
                let fits = fits && lo > -limit && hi < limit;
                Requantization::new(f.multiplier, ending.shift()).filter(|_| fits)
            })
            .collect();
        factors.and_then(|factors| kernel(g, tile, filters, &factors, ending))
    });
    kernels.into_iter().flatten().collect()
}

fn kernel(
    g: &Geometry,
    tile: Tile,
    filters: &[Filter],
    factors: &[Requantization],
    ending: &Ending,
) -> Option<Kernel> {
    let (size, results, positions) = (tile.size(), tile.results(), tile.positions());
    let (channels, count) = (g.channels, filters.len());
    let [height, width] = g.output;
    let words = channels.div_ceil(4);
    let steps = 2 * words;
    let groups = count.div_ceil(weights::GROUP);
    if tile == Tile::Four && groups * weights::GROUP * positions * steps * 4 > FLASH {
        return None;
    }
    // In scratch memory: transformed activations of both tiles, step by step; then room for a tile
    // that is partly outside and for one that is half transformed, in whose place the sums come
    // later.
    let step = 8 * positions;
    let patch = positions * 4 * words;
    let work_at = steps * step;
    let scratch = work_at + (patch + 8 * positions).max(32 * positions);

    let mut a = Assembler::default();
    a.doc(&format!(
        "Winograd's F({results}x{results}, 3x3), two tiles and four filters at a time. In the \
         products, r12 points to the transformed activations of both tiles in turns, lr to the \
         weights; r4 to r7 are tile A's sums, r8 to r11 tile B's.",
    ));
    let mut header = Header::default();
    let mut word = |value: usize| header.word(&mut a, value as i64);
    let rest = steps - 1;
    let entry = (UNROLLED - rest % UNROLLED) % UNROLLED;
    let pairs = word((height.div_ceil(results) * width.div_ceil(results)).div_ceil(2));
    let last_y = word(height - results);
    let last_x = word(width - results);
    let columns = word(width);
    let pixel = word(count);
    let row = word(width * count);
    let work_offset = word(work_at);
    let entry_ = word(entry);
    let span = word(steps * step);
    let groups = word(groups);
    let tail = word((count - 1) % weights::GROUP + 1);
    let source = Source {
        before_y: word(g.before[0]),
        before_x: word(g.before[1]),
        width: word(g.input[1]),
        height: word(g.input[0]),
        channels: word(channels),
        words: word(words),
        patch_offset: word(8 * positions),
        patch_pixel: word(4 * words),
        patch_row: word(4 * words * size),
        inside_y: word((g.input[0] + 1).saturating_sub(size)),
        // The last channels of a pixel are read with some of the next ones.
        inside_x: word((g.input[1] + 1).saturating_sub(size + (4 * words).div_ceil(channels) - 1)),
        ..Source::default()
    };
    let padding = header.word(&mut a, i32::from_le_bytes([g.padding as u8; 4]).into());
    let first = header.word(&mut a, step as i64 * (1 - entry as i64));
    let ninth = header.word(&mut a, NINTH.into());
    let codes = Codes::new(&mut a, &mut header, ending);
    let residual = ending.residual.map(|residual| Adding::new(&mut a, &mut header, residual));
    let [stream, scratch_at, output, out_a, out_b, target, pairs_left] =
        std::array::from_fn(|_| a.slot());
    let [x, y, groups_left, next, end, sums_at, sums_end] = std::array::from_fn(|_| a.slot());
    let [filters_left, tiles_left, rows_left] = std::array::from_fn(|_| a.slot());
    let [stream_at, row_at, multiplier, offset, shift, bias] = std::array::from_fn(|_| a.slot());
    let source = Source { padding, ..source }.start(&mut a);
    let weights_at = a.further_argument();
    let residual = residual.map(|adding| adding.start(&mut a));

    header.copy(&mut a, R3);
    a.get(R3, weights_at);
    let codes = codes.start(&mut a, R3);
    if let Some(adding) = &residual {
        adding.first(&mut a, R1);
    }
    a.put(R3, stream);
    a.put(R0, source.input);
    a.put(R1, output);
    a.put(R2, scratch_at);
    a.get(R3, work_offset);
    a.add(R3, R3, R2);
    a.put(R3, source.work);
    a.mov(R4, 32 * positions as i32);
    a.add(R3, R3, R4);
    a.put(R3, sums_end);
    a.mov(R0, 0);
    a.put(R0, x);
    a.put(R0, y);
    a.get(R0, pairs);
    a.comment("two tiles");
    let pair = a.here();
    a.put(R0, pairs_left);
    a.get(R0, scratch_at);
    a.mov(R1, 2);
    a.comment("where the tile is: at the last row and the last column at most");
    let one = a.here();
    let (row_fits, column_fits, same_row) = (a.label(), a.label(), a.label());
    a.put(R0, target);
    a.put(R1, tiles_left);
    a.get(R4, y);
    a.get(R5, x);
    a.get(R2, last_y);
    a.get(R3, last_x);
    a.add(R6, R5, results as i32);
    a.cmp(R5, R3);
    a.branch(Cond::Le, column_fits);
    a.mov(R5, R3);
    a.bind(column_fits);
    a.get(R3, columns);
    a.cmp(R6, R3);
    a.branch(Cond::Lo, same_row);
    a.add(R7, R4, results as i32);
    a.put(R7, y);
    a.mov(R6, 0);
    a.bind(same_row);
    a.put(R6, x);
    a.cmp(R4, R2);
    a.branch(Cond::Le, row_fits);
    a.mov(R4, R2);
    a.bind(row_fits);
    a.get(R0, pixel);
    a.get(R1, output);
    a.mla(R3, R4, R3, R5);
    a.mla(R3, R3, R0, R1);
    a.get(R0, out_b);
    a.put(R0, out_a);
    a.put(R3, out_b);
    let by_words = channels % 4 == 0;
    source.find(&mut a, size, g.padded() || !by_words, by_words);
    source.transform(&mut a, tile, target);
    a.comment("once more for tile B");
    a.get(R1, tiles_left);
    a.get(R0, scratch_at);
    a.add(R0, R0, 4);
    a.subs(R1, R1, 1);
    a.branch(Cond::Ne, one);

    a.get(LR, stream);
    a.get(R0, groups);
    a.comment("four filters");
    let group = a.here();
    a.put(R0, groups_left);
    a.get(R12, scratch_at);
    a.get(R0, source.work);
    a.put(R0, sums_at);
    a.comment("the sums of a position");
    let position = a.here();
    a.get(R0, span);
    a.add(R1, R12, 8);
    a.add(R0, R0, R12);
    a.put(R1, next);
    a.put(R0, end);
    let products = |a: &mut Assembler, at: i32, first: bool| {
        let start = |sum: Reg| if first { R11 } else { sum };
        a.ldr(R0, behind(R12, at));
        a.ldr(R1, behind(R12, at + 4));
        a.ldr(R2, post(LR, 16));
        a.ldr(R3, behind(LR, -12));
        for (weights, [sum_a, sum_b]) in [(R2, [R4, R8]), (R3, [R5, R9])] {
            a.smlad(sum_a, R0, weights, start(sum_a));
            a.smlad(sum_b, R1, weights, start(sum_b));
        }
        a.ldr(R2, behind(LR, -8));
        a.ldr(R3, behind(LR, -4));
        for (weights, [sum_a, sum_b]) in [(R2, [R6, R10]), (R3, [R7, R11])] {
            a.smlad(sum_a, R0, weights, start(sum_a));
            a.smlad(sum_b, R1, weights, start(sum_b));
        }
    };
    a.mov(R11, 0);
    products(&mut a, 0, true);
    let entries: Vec<_> = (0..UNROLLED).map(|_| a.label()).collect();
    if steps % UNROLLED == 0 {
        // The first step was that of a whole block.
        a.branch(Cond::Al, entries[1]);
    } else {
        a.get(R0, entry_);
        a.get(R1, first);
        a.add(R12, R12, R1);
        a.branch_by(R0, entries.clone());
    }
    let steps_loop = a.here();
    for (i, entry) in entries.into_iter().enumerate() {
        a.bind(entry);
        products(&mut a, (i * step) as i32, false);
    }
    a.get(R0, end);
    a.add(R12, R12, (UNROLLED * step) as i32);
    a.cmp(R12, R0);
    a.branch(Cond::Ne, steps_loop);
    a.get(R0, sums_at);
    a.get(R1, sums_end);
    a.get(R12, next);
    a.stm(R0, &[R4, R5, R6, R7, R8, R9, R10, R11]);
    a.put(R0, sums_at);
    a.cmp(R0, R1);
    a.branch(Cond::Ne, position);

    a.comment("from the sums of the positions to codes, filter by filter");
    let whole = a.label();
    a.get(R12, source.work);
    a.get(R1, groups_left);
    a.mov(R0, weights::GROUP as i32);
    a.cmp(R1, 1);
    a.branch(Cond::Ne, whole);
    a.get(R0, tail);
    a.bind(whole);
    let one_filter = a.here();
    a.put(R0, filters_left);
    a.ldm(LR, &[R8, R9, R10, R11]);
    a.put(R11, bias);
    a.put(LR, stream_at);
    for (reg, slot) in [(R8, multiplier), (R9, offset), (R10, shift)] {
        a.put(reg, slot);
    }
    a.mov(R0, 2);
    a.comment("one of the two tiles, columns first");
    let one_tile = a.here();
    a.put(R0, tiles_left);
    a.get(R11, bias);
    let ((sums, values), shifts) = (tile.sums(), tile.shifts());
    // With a residual, a row takes many instructions: one loop for all of them.
    let looped = residual.is_some();
    let place = |row: usize, column: usize| behind(R12, 32 * (row * size + column) as i32);
    for column in 0..size {
        for (row, &sum) in sums.iter().enumerate() {
            a.ldr(sum, place(row, column));
        }
        if column == 1 {
            // From here, it gets to all results.
            a.add(sums[1], sums[1], R11);
        }
        tile.inverse(&mut a);
        for (row, &value) in values.iter().enumerate() {
            if looped && shifts[row] < shifts[0] {
                // All rows are then too large by as much.
                a.lsl(value, value, shifts[0] - shifts[row]);
            }
            a.str(value, place(row, column));
        }
    }
    a.comment("then its rows of results");
    if tile == Tile::Four {
        a.get(R11, ninth);
    }
    a.get(LR, out_a);
    // Where codes of a row are, from `base` on, `pitch` bytes from one to the next.
    let column = |a: &mut Assembler, i: usize, base: Reg, pitch: Reg| -> Address {
        if i == 2 {
            a.add(base, base, Operand::Shifted(pitch, Shift::Lsl, 1));
        }
        match i % 2 {
            0 => at(base),
            _ => Address::Index(base, pitch, 0),
        }
    };
    let row_of_codes = |a: &mut Assembler, row: usize, shift: i32| {
        for (column, &sum) in sums.iter().enumerate() {
            a.ldr(sum, place(row, column));
        }
        tile.inverse(a);
        for (&code, own) in values.iter().zip(shifts) {
            if tile == Tile::Four {
                a.mul(code, code, R11);
            }
            // Requantization takes the double.
            a.asr(code, code, own + shift - 1);
            codes.requantize(a, code, (R8, R9, R10), R0);
        }
        codes.finish(a, values, (R1, R2));
    };
    let store = |a: &mut Assembler| {
        a.get(R3, pixel);
        a.get(R1, row);
        a.mov(R2, LR);
        for (i, &code) in values.iter().enumerate() {
            let at = column(a, i, R2, R3);
            a.strb(code, at);
        }
        a.add(LR, LR, R1);
    };
    if let Some(adding) = &residual {
        a.mov(R0, results as i32);
        let one_row = a.here();
        a.put(R0, rows_left);
        for (reg, slot) in [(R8, multiplier), (R9, offset), (R10, shift)] {
            a.get(reg, slot);
        }
        row_of_codes(&mut a, 0, shifts[0]);
        a.put(R12, row_at);
        a.get(R10, pixel);
        a.mov(R8, LR);
        adding.codes(&mut a, R8, values, |a, i| {
            let at = column(a, i, R8, R10);
            a.ldrsb(R9, at);
        });
        store(&mut a);
        a.get(R12, row_at);
        a.get(R0, rows_left);
        a.add(R12, R12, 32 * size as i32);
        a.subs(R0, R0, 1);
        a.branch(Cond::Ne, one_row);
        a.sub(R12, R12, (32 * size * results) as i32);
    } else {
        for (row, &shift) in shifts.iter().enumerate() {
            row_of_codes(&mut a, row, shift);
            store(&mut a);
        }
    }
    a.comment("the tiles take turns");
    a.get(R0, out_a);
    a.get(R1, out_b);
    a.get(R2, tiles_left);
    a.add(R0, R0, 1);
    a.put(R1, out_a);
    a.put(R0, out_b);
    a.add(R12, R12, 16);
    a.subs(R0, R2, 1);
    a.branch(Cond::Ne, one_tile);
    a.get(R0, filters_left);
    a.get(LR, stream_at);
    a.sub(R12, R12, 32 - 4);
    a.subs(R0, R0, 1);
    a.branch(Cond::Ne, one_filter);
    a.get(R0, groups_left);
    a.subs(R0, R0, 1);
    a.branch(Cond::Ne, group);
    a.get(R0, pairs_left);
    a.subs(R0, R0, 1);
    a.branch(Cond::Ne, pair);

    let mut stream = ending.table_words();
    let transformed: Vec<Vec<[i32; 36]>> =
        filters.iter().map(|filter| transformed(filter, tile, channels)).collect();
    for (i, group) in transformed.chunks(weights::GROUP).enumerate() {
        for position in 0..positions {
            for step in 0..steps {
                // A step's first and second activation: those of a word's bytes 0 and 2, or 1 and 3.
                let channel = 4 * (step / 2) + step % 2;
                for filter in 0..weights::GROUP {
                    let weight = |channel: usize| {
                        group.get(filter).and_then(|f| f.get(channel)).map_or(0, |u| u[position])
                    };
                    stream.push(weight(channel) & 0xffff | weight(channel + 2) << 16);
                }
            }
        }
        let first = i * weights::GROUP;
        for (filter, by) in filters[first..].iter().zip(&factors[first..]).take(group.len()) {
            let sum: i32 = filter.weights.iter().flatten().sum();
            let bias = tile.bias().wrapping_mul(filter.bias.wrapping_sub(128 * sum));
            stream.extend([by.multiplier, by.offset, by.shift, bias]);
        }
    }
    let mut args = Argument::WEIGHTED.to_vec();
    args.extend(ending.residual.map(|residual| Argument::Operand(residual.operand)));
    Some(Kernel {
        name: match tile {
            Tile::Two => "conv_2d_winograd_2x2",
            Tile::Four => "conv_2d_winograd_4x4",
        },
        routine: a.finish(),
        args,
        head: header.words(),
        weights: stream,
        scratch,
    })
}

/// `G g Gᵀ` of a filter with whole numbers, by channel, then by position.
fn transformed(filter: &Filter, tile: Tile, channels: usize) -> Vec<[i32; 36]> {
    let rows = filter.weights.chunks(filter.weights.len() / 3);
    let rows: Vec<Vec<i32>> = rows.map(|row| weights::taps(row, 3 * channels)).collect();
    let (g, size) = (tile.weights(), tile.size());
    let entry = |channel: usize, position: usize| -> i32 {
        let (i, j) = (position / size, position % size);
        let taps = (0..3).flat_map(|y| (0..3).map(move |x| (y, x)));
        taps.map(|(y, x)| g[i][y] * g[j][x] * rows[y][x * channels + channel]).sum()
    };
    let channel = |channel: usize| {
        std::array::from_fn(|position| match position < tile.positions() {
            true => entry(channel, position),
            false => 0,
        })
    };
    (0..channels).map(channel).collect()
}

/// The activations of a tile, on their way to being transformed.
#[derive(Default)]
struct Source {
    /// Rows above and columns to the left of the operand at which the first tile begins.
    before_y: Slot,
    before_x: Slot,
    /// Of the operand: columns, rows, and bytes and words of a pixel.
    width: Slot,
    height: Slot,
    channels: Slot,
    words: Slot,
    /// Where a tile that is partly outside is put together, bytes of its pixels and of its rows.
    patch_offset: Slot,
    patch_pixel: Slot,
    patch_row: Slot,
    /// Rows and columns in which a tile that is all inside may begin.
    inside_y: Slot,
    inside_x: Slot,
    padding: Slot,
    /// The operand, and room for a tile that is half transformed.
    input: Slot,
    work: Slot,
    /// The tile's first activations, and bytes from a row and from a pixel to the next.
    from: Slot,
    row: Slot,
    pixel: Slot,
    left: Slot,
}

impl Source {
    /// Makes room for what changes.
    fn start(self, a: &mut Assembler) -> Source {
        Source {
            input: a.slot(),
            work: a.slot(),
            from: a.slot(),
            row: a.slot(),
            pixel: a.slot(),
            left: a.slot(),
            ..self
        }
    }

    /// Notes where the tile is whose first result is in row `r4` and column `r5`, or where it was
    /// copied to. `border` says whether there are tiles that must be, `by_words` how.
    fn find(&self, a: &mut Assembler, size: usize, border: bool, by_words: bool) {
        a.get(R0, self.before_y);
        a.get(R1, self.before_x);
        a.get(R2, self.width);
        a.get(R3, self.channels);
        a.get(R6, self.input);
        a.sub(R4, R4, R0);
        a.sub(R5, R5, R1);
        a.mla(R12, R4, R2, R5);
        a.mul(R11, R2, R3);
        a.mla(R12, R12, R3, R6);
        if border {
            let (outside, inside) = (a.label(), a.label());
            a.get(R0, self.inside_y);
            a.get(R1, self.inside_x);
            a.cmp(R4, R0);
            a.branch(Cond::Hs, outside);
            a.cmp(R5, R1);
            a.branch(Cond::Lo, inside);
            a.bind(outside);
            self.copy(a, size, by_words);
            a.get(R12, self.work);
            a.get(R0, self.patch_offset);
            a.get(R11, self.patch_row);
            a.get(R3, self.patch_pixel);
            a.add(R12, R12, R0);
            a.bind(inside);
        }
        a.put(R12, self.from);
        a.put(R11, self.row);
        a.put(R3, self.pixel);
    }

    /// Copies a tile, with padding around the operand: `r12` is where it begins, in row `r4` and
    /// column `r5`; `r11` and `r3` are bytes of a row and of a pixel.
    fn copy(&self, a: &mut Assembler, size: usize, by_words: bool) {
        a.comment("a tile that is partly outside is put together at r7");
        a.get(R7, self.work);
        a.get(R0, self.patch_offset);
        a.mov(R1, size as i32);
        a.add(R7, R7, R0);
        a.get(R0, self.patch_pixel);
        let row = a.here();
        a.put(R1, self.left);
        a.get(R10, self.patch_row);
        a.add(R10, R10, R7);
        a.mov(R6, R5);
        a.mov(R8, R12);
        let pixel = a.here();
        let (fill, next) = (a.label(), a.label());
        a.get(R1, self.height);
        a.get(R2, self.width);
        a.get(R9, self.padding);
        a.add(LR, R7, R0);
        a.cmp(R4, R1);
        a.branch(Cond::Hs, fill);
        a.cmp(R6, R2);
        a.branch(Cond::Hs, fill);
        a.mov(R1, R8);
        if by_words {
            let copy = a.here();
            a.ldr(R9, post(R1, 4));
            a.str(R9, post(R7, 4));
            a.cmp(R7, LR);
            a.branch(Cond::Ne, copy);
        } else {
            // What is behind them up to a word is multiplied by zero.
            a.add(R2, R7, R3);
            let copy = a.here();
            a.ldrsb(R9, post(R1, 1));
            a.strb(R9, post(R7, 1));
            a.cmp(R7, R2);
            a.branch(Cond::Ne, copy);
            a.mov(R7, LR);
        }
        a.branch(Cond::Al, next);
        a.bind(fill);
        a.str(R9, post(R7, 4));
        a.cmp(R7, LR);
        a.branch(Cond::Ne, fill);
        a.bind(next);
        a.add(R6, R6, 1);
        a.add(R8, R8, R3);
        a.cmp(R7, R10);
        a.branch(Cond::Ne, pixel);
        a.get(R1, self.left);
        a.add(R12, R12, R11);
        a.add(R4, R4, 1);
        a.subs(R1, R1, 1);
        a.branch(Cond::Ne, row);
    }

    /// `Bᵀ d B` of the tile, four channels at a time: their even and their odd ones by columns into
    /// the room for it, then all by rows to where `target` points, every other word of which is for
    /// the other tile.
    fn transform(&self, a: &mut Assembler, tile: Tile, target: Slot) {
        let size = tile.size() as i32;
        a.comment("the tile is transformed, four channels at a time");
        a.get(R0, self.words);
        a.get(R12, self.from);
        a.get(LR, target);
        let word = a.here();
        a.put(R0, self.left);
        a.put(LR, target);
        for odd in [false, true] {
            a.comment(match odd {
                false => "two of them by columns: bytes 0 and 2",
                true => "and bytes 1 and 3",
            });
            a.get(R9, self.pixel);
            a.get(R11, self.row);
            if odd {
                a.get(R12, self.from);
                a.add(R8, R8, 4 * size * (size - 1));
            } else {
                a.get(R8, self.work);
            }
            a.add(R10, R12, R11);
            a.add(R10, R10, Operand::Shifted(R11, Shift::Lsl, 1));
            a.mov(LR, size);
            let column = a.here();
            for (row, &activation) in ACTIVATIONS[..tile.size()].iter().enumerate() {
                let base = if row < 3 { R12 } else { R10 };
                a.ldr(
                    activation,
                    match row % 3 {
                        0 => at(base),
                        1 => Address::Index(base, R11, 0),
                        _ => Address::Index(base, R11, 1),
                    },
                );
            }
            for &activation in &ACTIVATIONS[..tile.size()] {
                a.eor(activation, activation, 0x8080_8080_u32 as i32);
                match odd {
                    false => a.uxtb16(activation, activation),
                    true => a.uxtb16_ror8(activation, activation),
                }
            }
            for (row, &value) in (0..).zip(tile.transform(a, false)) {
                a.str(value, behind(R8, 4 * size * row));
            }
            a.add(R12, R12, R9);
            a.add(R10, R10, R9);
            a.add(R8, R8, 4);
            a.subs(LR, LR, 1);
            a.branch(Cond::Ne, column);
        }
        a.comment("all four by rows");
        a.get(R8, self.work);
        a.get(LR, target);
        a.mov(R9, 2 * size);
        let row = a.here();
        a.ldm(R8, &ACTIVATIONS[..tile.size()]);
        for (column, &value) in (0..).zip(tile.transform(a, true)) {
            a.str(value, behind(LR, 8 * column));
        }
        a.add(LR, LR, 8 * size);
        a.subs(R9, R9, 1);
        a.branch(Cond::Ne, row);
        a.get(R12, self.from);
        a.get(R0, self.left);
        a.add(R12, R12, 4);
        a.put(R12, self.from);
        a.subs(R0, R0, 1);
        a.branch(Cond::Ne, word);
    }
}
