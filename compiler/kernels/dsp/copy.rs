//! Moves of elements: runs of bytes by words, small patterns unrolled, and transposed bytes in tiles
//! of four times four.
//!
//! A move is a loop nest around what is moved at a time; the innermost loop's counter and steps are
//! in registers.

use super::assembler::{at, behind, post, Assembler, Slot};
use super::requantize::in_each_byte;
use super::{Argument, Kernel};
use crate::kernels::moves::{Dim, Move, Source};
use crate::kernels::Layer;
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Address, Cond, Operand, Reg, Shift, Width};
use crate::ops::DType;

/// Registers with arguments.
const ARGUMENTS: [Reg; 4] = [R0, R1, R2, R3];

/// From so many elements on, moving them is worth a routine.
const FROM: usize = 64;

/// More operands would take more stack and code than they are worth.
const OPERANDS: usize = 8;

/// Bytes that the loop over a long run takes at a time.
const BLOCK: usize = 64;

/// Pieces that are moved at a time at most: positions of a long dimension, and short ones as a whole.
const PIECES: [usize; 2] = [16, 24];

/// Where pieces are moved through.
const WORDS: [Reg; 8] = [R4, R5, R6, R7, R8, R9, R10, R11];

/// Rows and columns of a tile.
const TILE: usize = 4;

/// From a tile's row to the next, and three times as much: in what is read, in what is written.
const FROM_STEPS: [Reg; 2] = [R8, R10];
const TO_STEPS: [Reg; 2] = [R9, R11];

/// What is written everywhere.
const VALUE: Reg = R11;

/// Bytes moved by one load and one store: from where, to where.
#[derive(Clone, Copy)]
struct Piece {
    width: Width,
    from: i32,
    to: i32,
}

/// What is moved at a time.
enum Unit {
    /// So many blocks of a run, then pieces behind them.
    Pieces(usize, Vec<Piece>),
    /// A tile: from a row to the next in what is read and in what is written.
    Tile([isize; 2]),
}

/// A move, or a part of one: a unit in loops.
struct Part {
    source: Source,
    unit: Unit,
    dims: Vec<Dim>,
    from: usize,
    to: usize,
}

impl Move {
    /// With what is moved at a time; the dimensions are the loops around it.
    fn part(self, unit: Unit) -> Part {
        let Move { source, mut dims, from, to } = self;
        dims.retain(|dim| dim.size > 1);
        Part { source, unit, dims, from, to }
    }
}

/// Cuts a dimension to a multiple of `by`; yields what is behind that.
fn cut(whole: &mut Move, dimension: usize, by: usize) -> Option<Move> {
    let mut rest = Move { dims: whole.dims.clone(), ..*whole };
    let dim = &mut whole.dims[dimension];
    let over = dim.size % by;
    dim.size -= over;
    rest.dims[dimension].size = over;
    let behind = |base: usize, step: isize| base.checked_add_signed(step * dim.size as isize);
    rest.from = behind(rest.from, dim.from)?;
    rest.to = behind(rest.to, dim.to)?;
    (over > 0).then_some(rest)
}

/// Takes `by` positions of a dimension at a time.
fn coarsen(dim: &mut Dim, by: usize) {
    dim.size /= by;
    dim.from *= by as isize;
    dim.to *= by as isize;
}

/// A move as loops around units.
fn parts(whole: &Move) -> Vec<Part> {
    let mut whole = Move { dims: whole.joined(), ..*whole };
    let filled = matches!(whole.source, Source::Value(_));
    let is_run = |dim: &&Dim| dim.to == 1 && (dim.from == 1 || filled);
    let run = whole.dims.last().filter(is_run).map(|dim| dim.size);
    if run.is_some() {
        whole.dims.pop();
    }
    // Any order does; the longest loop is the innermost one.
    whole.dims.sort_by_key(|dim| dim.size);
    let mut parts = Vec::new();
    let unit = match tile(&whole.dims).filter(|_| run.is_none() && !filled) {
        Some(sides) => {
            for side in sides {
                parts.extend(cut(&mut whole, side, TILE).iter().flat_map(self::parts));
            }
            let steps = [whole.dims[sides[1]].from, whole.dims[sides[0]].to];
            sides.iter().for_each(|&side| coarsen(&mut whole.dims[side], TILE));
            Unit::Tile(steps)
        }
        None => {
            let run = run.unwrap_or(1);
            let mut pieces = pieces(run);
            if run < BLOCK {
                parts.extend(unroll(&mut whole, &mut pieces));
            }
            Unit::Pieces(run / BLOCK, pieces)
        }
    };
    parts.push(whole.part(unit));
    parts
}

/// Takes more pieces at a time: all of short dimensions, and several positions of a long one; what
/// is left of that is a part of its own.
fn unroll(whole: &mut Move, pieces: &mut Vec<Piece>) -> Option<Part> {
    whole.dims.retain(|dim| match unrolled(pieces, dim, dim.size) {
        Some(all) => {
            *pieces = all;
            false
        }
        None => true,
    });
    for i in (0..whole.dims.len()).rev() {
        let dim = whole.dims[i];
        let most = (PIECES[0] / pieces.len()).min(dim.size);
        // Nothing is left, if half as many or more divide it.
        let even = (most / 2 + 1..=most).rev().find(|&by| dim.size % by == 0);
        let by = even.unwrap_or(most);
        let Some(all) = unrolled(pieces, &dim, by).filter(|_| by > 1) else { continue };
        let rest = cut(whole, i, by).map(|mut rest| {
            let over = rest.dims.remove(i).size;
            let pieces = unrolled(pieces, &dim, over).expect("fewer fit as well");
            rest.part(Unit::Pieces(0, pieces))
        });
        coarsen(&mut whole.dims[i], by);
        *pieces = all;
        return rest;
    }
    None
}

/// The dimensions along which bytes lie one behind another in what is read and in what is written,
/// if tiles are worth it.
fn tile(dims: &[Dim]) -> Option<[usize; 2]> {
    let from = dims.iter().position(|dim| dim.from == 1)?;
    let to = dims.iter().position(|dim| dim.to == 1)?;
    let sizes = [from, to].map(|side| dims[side].size);
    let worth = |size: usize| size % TILE == 0 || size >= 4 * TILE;
    sizes.into_iter().all(worth).then_some([from, to])
}

/// What is behind the blocks of a run.
fn pieces(run: usize) -> Vec<Piece> {
    let piece = |width: Width, at: i32| Piece { width, from: at, to: at };
    let rest = (run % BLOCK) as i32;
    let mut pieces: Vec<Piece> = (0..rest / 4).map(|i| piece(Width::Word, 4 * i)).collect();
    match rest % 4 {
        0 => {}
        // The last word begins in the one before.
        _ if run >= 4 => pieces.push(piece(Width::Word, rest - 4)),
        odd => {
            pieces.extend((odd >= 2).then(|| piece(Width::Half, 0)));
            pieces.extend((odd != 2).then(|| piece(Width::Byte, odd - 1)));
        }
    }
    pieces
}

/// The pieces at so many positions of a dimension, if they aren't too many nor too far away.
fn unrolled(pieces: &[Piece], dim: &Dim, count: usize) -> Option<Vec<Piece>> {
    let at = |i: usize, &Piece { width, from, to }: &Piece| {
        let behind = |start: i32, step: isize| {
            let place = start as isize + step * i as isize;
            // What an instruction can hold.
            (-255..4096).contains(&place).then_some(place as i32)
        };
        Some(Piece { width, from: behind(from, dim.from)?, to: behind(to, dim.to)? })
    };
    if pieces.len() * count > PIECES[1] {
        return None;
    }
    (0..count).flat_map(|i| pieces.iter().map(move |piece| at(i, piece))).collect()
}

/// The kernel for a list of moves of bytes.
pub fn kernel(layer: Layer, moves: &[Move]) -> Option<Kernel> {
    let output = layer.output();
    if output.dtype != DType::I8 || output.elements() < FROM {
        return None;
    }
    let operands = moves.iter().filter_map(|piece| match piece.source {
        Source::Operand(i) => Some(i),
        Source::Value(_) => None,
    });
    let operands: Vec<usize> = operands.collect();
    if operands.len() > OPERANDS || operands.iter().any(|&i| layer.constant(i).is_some()) {
        return None;
    }
    let mut args = vec![Argument::Result, Argument::Head];
    args.extend(operands.iter().map(|&i| Argument::Operand(i)));

    let mut a = Assembler::default();
    a.doc(
        "Moves, one after another. r0 points to what is read, r1 to what is written; r2 counts the \
         innermost loop around what is moved at a time, r3 and r12 are its steps.",
    );
    let slots: Vec<Slot> = (0..args.len())
        .map(|i| if i < ARGUMENTS.len() { a.slot() } else { a.further_argument() })
        .collect();
    slots.iter().zip(ARGUMENTS).for_each(|(&slot, reg)| a.put(reg, slot));
    let (out, head) = (slots[0], slots[1]);
    let mut nest = Nest { a, out, head, words: Vec::new(), counters: Vec::new() };
    for part in moves.iter().flat_map(parts) {
        let operand = match part.source {
            Source::Operand(i) => operands.iter().position(|&operand| operand == i),
            Source::Value(_) => None,
        };
        nest.emit(&part, operand.map(|i| slots[2 + i]));
    }
    let Nest { a, words: head, .. } = nest;
    Some(Kernel { name: "move", routine: a.finish(), args, head, weights: Vec::new(), scratch: 0 })
}

/// The routine with the words that tell what a layer is like.
struct Nest {
    a: Assembler,
    /// Where the pointers to the result and to the words are.
    out: Slot,
    head: Slot,
    words: Vec<i32>,
    /// What the loops around the innermost one have left to do, outermost first.
    counters: Vec<Slot>,
}

impl Nest {
    /// Adds a word, and loads it; `base` points to the words.
    fn word(&mut self, t: Reg, base: Reg, value: isize) {
        self.a.ldr(t, behind(base, 4 * self.words.len() as i32));
        self.words.push(i32::try_from(value).expect("a small layer"));
    }

    /// A part, from where that pointer is.
    fn emit(&mut self, part: &Part, from: Option<Slot>) {
        self.a.comment("a move");
        self.a.get(R2, self.head);
        self.a.get(R1, self.out);
        self.word(R5, R2, part.to as isize);
        self.a.add(R1, R1, R5);
        if let Some(from) = from {
            self.a.get(R0, from);
            self.word(R4, R2, part.from as isize);
            self.a.add(R0, R0, R4);
        }
        if let Source::Value(value) = part.source {
            self.word(VALUE, R2, in_each_byte(value) as isize);
        }
        if let Unit::Tile([from, to]) = part.unit {
            for (step, [one, three]) in [(from, FROM_STEPS), (to, TO_STEPS)] {
                self.word(one, R2, step);
                self.a.add(three, one, Operand::Shifted(one, Shift::Lsl, 1));
            }
            self.word(R4, R2, EVEN_BYTES);
            self.a.mov(R5, 0);
            self.a.compare8(R5, R5, R4);
        }
        self.loops(part);
    }

    /// The loops around what is moved at a time. `r2` points to the words.
    fn loops(&mut self, part: &Part) {
        let dims = &part.dims;
        let Some((inner, outer)) = dims.split_last() else {
            return self.unit(part);
        };
        // Blocks move the pointers themselves.
        let moved = match part.unit {
            Unit::Pieces(blocks, _) => (blocks * BLOCK) as isize,
            Unit::Tile(_) => 0,
        };
        self.word(R3, R2, inner.from - moved);
        self.word(R12, R2, inner.to - moved);
        let mut starts = Vec::new();
        for (i, dim) in outer.iter().enumerate() {
            if i == self.counters.len() {
                self.counters.push(self.a.slot());
            }
            if i > 0 {
                self.a.get(R2, self.head);
            }
            self.word(R4, R2, dim.size as isize);
            self.a.put(R4, self.counters[i]);
            starts.push(self.a.here());
        }
        if !outer.is_empty() {
            self.a.get(R2, self.head);
        }
        self.word(R2, R2, inner.size as isize);
        let start = self.a.here();
        self.unit(part);
        self.a.add(R0, R0, R3);
        self.a.add(R1, R1, R12);
        self.a.subs(R2, R2, 1);
        self.a.branch(Cond::Ne, start);
        for (i, start) in starts.into_iter().enumerate().rev() {
            let (dim, inner) = (dims[i], dims[i + 1]);
            let rest = |step: isize, inner_step: isize| step - inner.size as isize * inner_step;
            self.a.get(R4, self.head);
            self.word(R5, R4, rest(dim.from, inner.from));
            self.word(R6, R4, rest(dim.to, inner.to));
            self.a.get(R7, self.counters[i]);
            self.a.add(R0, R0, R5);
            self.a.add(R1, R1, R6);
            self.a.subs(R7, R7, 1);
            self.a.put(R7, self.counters[i]);
            self.a.branch(Cond::Ne, start);
        }
    }

    /// What is moved at a time, once.
    fn unit(&mut self, part: &Part) {
        let (blocks, pieces) = match &part.unit {
            Unit::Pieces(blocks, pieces) => (*blocks, pieces),
            Unit::Tile(_) => return transpose(&mut self.a),
        };
        if blocks > 1 {
            self.a.get(LR, self.head);
            self.word(LR, LR, blocks as isize);
        }
        let a = &mut self.a;
        if blocks > 0 {
            let next = a.here();
            let words = [(Width::Word, [R0, R1].map(|r| post(r, 4))); BLOCK / 4];
            transfer(a, part.source, &words);
            if blocks > 1 {
                a.subs(LR, LR, 1);
                a.branch(Cond::Ne, next);
            }
        }
        let place = |piece: &Piece| (piece.width, [behind(R0, piece.from), behind(R1, piece.to)]);
        transfer(a, part.source, &pieces.iter().map(place).collect::<Vec<_>>());
    }
}

/// Moves pieces, each from its place to its place.
fn transfer(a: &mut Assembler, source: Source, pieces: &[(Width, [Address; 2])]) {
    for pieces in pieces.chunks(WORDS.len()) {
        for (&(width, [from, _]), reg) in pieces.iter().zip(WORDS) {
            if let Source::Operand(_) = source {
                a.load(width, reg, from);
            }
        }
        for (&(width, [_, to]), reg) in pieces.iter().zip(WORDS) {
            let reg = if let Source::Operand(_) = source { reg } else { VALUE };
            a.store(width, reg, to);
        }
    }
}

/// Zero in the bytes that [`transpose`] takes of the first register, one in the others.
const EVEN_BYTES: isize = 0x0100_0100;

/// Transposes a tile: halfwords change places, then bytes.
fn transpose(a: &mut Assembler) {
    let rows = |r: Reg, [one, three]: [Reg; 2]| {
        let index = |by: Reg, shift: u32| Address::Index(r, by, shift);
        [at(r), index(one, 0), index(one, 1), index(three, 0)]
    };
    for (row, from) in [R4, R5, R6, R7].into_iter().zip(rows(R0, FROM_STEPS)) {
        a.ldr(row, from);
    }
    a.pack(LR, R4, R6);
    a.pack_highs(R6, R4, R6);
    a.pack(R4, R5, R7);
    a.pack_highs(R7, R5, R7);
    a.lsl(R5, R4, 8);
    a.sel(R5, LR, R5);
    a.lsr(LR, LR, 8);
    a.sel(LR, LR, R4);
    a.lsl(R4, R7, 8);
    a.sel(R4, R6, R4);
    a.lsr(R6, R6, 8);
    a.sel(R6, R6, R7);
    for (row, to) in [R5, LR, R4, R6].into_iter().zip(rows(R1, TO_STEPS)) {
        a.str(row, to);
    }
}
