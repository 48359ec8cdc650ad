//! One row of activations times a matrix: eight rows of the matrix at a time, then four, then two.
//!
//! A step is four activations with all rows at work. With eight rows, it is 32 products in 10 loads,
//! 8 unpackings and 16 SMLAD; with four, 16 products in 6 loads, 4 unpackings and 8 SMLAD. Where rows
//! have words of their own, there are no eight: four take 8 unpackings; or none, but 10 loads, where
//! weights are int16. The activations are widened once, into scratch memory; or, for few rows or
//! little memory, anew for each group.
//!
//! Long sums are taken in parts: what the high rows' come to is put aside behind each.

use super::assembler::{behind, post, Assembler, Header, Slot};
use super::gather::Run;
use super::requantize::{self, Codes, Factors, APART};
use super::weights::{self, Ending, Filter, Form, Layout};
use super::{Argument, Kernel};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Cond, Label, Operand, Reg, Shift};

/// Steps that the innermost loop is unrolled by.
const UNROLLED: usize = 16;

/// The sums P and Q of each pair of rows, or those of the rows 1, 0, 3 and 2.
const SUMS: [Reg; 8] = [R4, R5, R6, R7, R8, R9, R10, R11];

/// The kernels for `depth` activations, if they hold the weights.
///
/// Arguments: input, output, scratch if there is some, head, weights.
pub fn kernels(depth: usize, rows: &[Filter], ending: &Ending) -> Option<Vec<Kernel>> {
    if ending.residual.is_some() {
        return None;
    }
    let widened = kernel(depth, rows, ending, true)?;
    let direct = if depth % 4 == 0 { kernel(depth, rows, ending, false) } else { None };
    Some(std::iter::once(widened).chain(direct).collect())
}

fn kernel(depth: usize, rows: &[Filter], ending: &Ending, widened: bool) -> Option<Kernel> {
    let steps = rows[0].weights.len().div_ceil(2);
    // As few parts as do, each of whole rounds of the unrolled loop.
    let rounds = steps.div_ceil(UNROLLED);
    let span = (1..=rounds)
        .map(|parts| rounds.div_ceil(parts) * 2 * UNROLLED)
        .find(|&span| weights::fits_parts(rows, 2, span))?;
    let stream = |eights: usize| {
        let rest = rows.len() - 8 * eights;
        let (fours, pairs) = ((rest + 1) / 4, rest % 4 % 3 > 0);
        let mut groups = vec![4; eights];
        groups.resize(eights + fours, 2);
        groups.extend(pairs.then_some(1));
        let layout = Layout { multiple: 2, span, wide: true, groups };
        weights::stream(rows, ending.shift(), &layout).map(|stream| (stream, eights, fours))
    };
    let (packed, eights, fours) = match stream(rows.len() / 8)? {
        (packed, ..) if matches!(packed.form, Form::Single | Form::Wide) => stream(0)?,
        found => found,
    };
    let tail = rows.len() % weights::GROUP;
    let words = packed.steps;
    let mut a = Assembler::default();
    a.doc(match widened {
        true => "The activations lie widened in the scratch memory.",
        false => "The activations are widened as they are used.",
    });
    a.doc(
        "r12 points to the activations, lr to the weights. r4 to r11 are sums of eight rows of the \
         matrix, r4 to r7 those of four, r4 and r5 those of two. With eight, r0 to r3 are \
         activations and weights; else r0 and r1 are activations, r2, r3, r8 and r9 weights.",
    );
    a.doc(match packed.form {
        Form::Paired | Form::Apart => "Each word of weights is two of two rows.",
        Form::Single => "Each word of weights is four of a row.",
        Form::Wide => "Each word of weights is two of a row.",
    });
    let mut header = Header::default();
    let run = widened.then(|| Run::new(&mut a, &mut header, depth, 1));
    let mut word = |value: usize| header.word(&mut a, value as i64);
    let bytes = if widened { 4 } else { 2 };
    let end_offset = word(bytes * words);
    let entry = word((UNROLLED - steps % UNROLLED) % UNROLLED);
    let [eights_end, fours_end] = [eights, eights + fours].map(|groups| {
        let words = if groups > 0 { packed.ends[groups - 1] } else { 0 };
        word(4 * words)
    });
    let parts = (packed.form == Form::Apart).then(|| {
        let first = words - (words - 1) / span * span;
        (word(bytes * first), word(bytes * span))
    });
    let factors = Factors::new(&mut a, &mut header, packed.by, LR);
    let codes = Codes::new(&mut a, &mut header, ending);
    let [activations, activations_end, out] = std::array::from_fn(|_| a.slot());
    let parts = parts.map(|(first, each)| Parts {
        first,
        each,
        end: a.slot(),
        aside: std::array::from_fn(|_| a.slot()),
    });
    let mut args = Argument::WEIGHTED.to_vec();
    if widened {
        let weights = a.further_argument();
        header.copy(&mut a, R3);
        a.get(R3, weights);
    } else {
        args.retain(|&arg| arg != Argument::Scratch);
        header.copy(&mut a, R2);
    }
    let codes = codes.start(&mut a, R3);
    a.mov(LR, R3);
    for end in [eights_end, fours_end] {
        a.get(R12, end);
        a.add(R12, R12, R3);
        a.put(R12, end);
    }
    a.put(R1, out);
    a.put(R0, activations);
    if let Some(run) = run {
        a.put(R2, activations);
        a.mov(R4, R0);
        a.mov(R5, R2);
        run.load(&mut a);
        run.widen(&mut a, 4);
    }
    a.get(R10, activations);
    a.get(R11, end_offset);
    a.add(R10, R10, R11);
    a.put(R10, activations_end);

    let form = packed.form;
    let group = Group { form, widened, activations, activations_end, parts, entry, factors, codes };
    if eights > 0 {
        a.comment("eight rows");
        let eight = a.here();
        let results = group.codes(&mut a, 4);
        store(&mut a, out, &results);
        a.get(R1, eights_end);
        a.cmp(LR, R1);
        a.branch(Cond::Ne, eight);
    }
    if fours > 0 {
        a.comment("four rows");
        let (four, end) = (a.here(), a.label());
        let results = group.codes(&mut a, 2);
        let (three, last) = results.split_at(3);
        store(&mut a, out, three);
        a.get(R1, fours_end);
        if tail == 3 {
            a.comment("the last group has three");
            a.cmp(LR, R1);
            a.branch(Cond::Eq, end);
        }
        store(&mut a, out, last);
        a.cmp(LR, R1);
        a.branch(Cond::Ne, four);
        a.bind(end);
    }
    if tail == 1 || tail == 2 {
        a.comment("the rows behind them");
        let results = group.codes(&mut a, 1);
        store(&mut a, out, &results[..tail]);
    }

    let mut weights = ending.table_words();
    weights.extend(packed.words);
    Some(Kernel {
        name: "fully_connected",
        routine: a.finish(),
        args,
        head: header.words(),
        weights,
        scratch: if widened { 4 * words } else { 0 },
    })
}

/// Stores codes and moves `out` behind them; `r0` is lost.
fn store(a: &mut Assembler, out: Slot, codes: &[Reg]) {
    a.get(R0, out);
    for &code in codes {
        a.strb(code, post(R0, 1));
    }
    a.put(R0, out);
}

/// Parts of long sums.
struct Parts {
    /// Bytes of activations in the first one, and in each of the others.
    first: Slot,
    each: Slot,
    /// Where the activations of the one at work end.
    end: Slot,
    /// What the high rows' sums have come to.
    aside: [Slot; 4],
}

impl Parts {
    /// Before the first one; `r12` points to the activations, `r1` is lost.
    fn start(&self, a: &mut Assembler, pairs: usize) {
        a.mov(R1, 0);
        self.aside[..pairs].iter().for_each(|&slot| a.put(R1, slot));
        a.get(R1, self.first);
        a.add(R1, R1, R12);
        a.put(R1, self.end);
    }

    /// Behind one: goes on at `steps` if it wasn't the last, the one that ends at `last`. Else
    /// `APART` gets what is to be added.
    fn next(&self, a: &mut Assembler, sums: &[Reg], last: Slot, steps: Label) {
        let end = a.label();
        a.get(R0, last);
        a.cmp(R12, R0);
        a.branch(Cond::Eq, end);
        for (pair, &aside) in sums.chunks(2).zip(&self.aside) {
            a.get(R1, aside);
            a.sub(pair[0], pair[0], pair[1]);
            a.add(R1, R1, Operand::Shifted(pair[0], Shift::Asr, 8));
            a.put(R1, aside);
            a.mov(pair[0], pair[1]);
        }
        a.get(R1, self.each);
        a.add(R1, R1, R12);
        a.put(R1, self.end);
        a.branch(Cond::Al, steps);
        a.bind(end);
        requantize::load_apart(a, LR, sums.len() / 2);
        for (&reg, &aside) in APART.iter().zip(&self.aside[..sums.len() / 2]) {
            a.get(R12, aside);
            a.add(reg, reg, R12);
        }
    }
}

/// Rows at a time.
struct Group {
    form: Form,
    widened: bool,
    activations: Slot,
    activations_end: Slot,
    parts: Option<Parts>,
    /// Where the unrolled loop is entered.
    entry: Slot,
    factors: Factors,
    codes: Codes,
}

impl Group {
    /// The codes of so many pairs of rows, in registers in the order of the rows.
    fn codes(&self, a: &mut Assembler, pairs: usize) -> Vec<Reg> {
        let sums = &SUMS[..2 * pairs];
        a.get(R12, self.activations);
        a.get(R0, self.entry);
        if let Some(parts) = &self.parts {
            parts.start(a, pairs);
        }
        a.ldm(LR, sums);
        let entries: Vec<Label> = (0..UNROLLED).map(|_| a.label()).collect();
        a.branch_by(R0, entries.clone());
        let steps = a.here();
        for entry in entries {
            a.bind(entry);
            match (sums.len(), self.widened) {
                (8, true) => eight_widened(a),
                (8, false) => eight_direct(a),
                _ => self.step(a, sums),
            }
        }
        a.get(R0, self.parts.as_ref().map_or(self.activations_end, |parts| parts.end));
        a.cmp(R12, R0);
        a.branch(Cond::Ne, steps);
        if let Some(parts) = &self.parts {
            parts.next(a, sums, self.activations_end, steps);
        }

        a.comment("from sums to codes");
        requantize::double(a, self.form, sums);
        let results: Vec<Reg> = sums.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
        for four in results.chunks(weights::GROUP) {
            let by_row: Vec<&[Reg]> = four.chunks(1).collect();
            self.codes.group(a, self.factors, &by_row);
        }
        results
    }

    /// Four activations with all rows at work.
    fn step(&self, a: &mut Assembler, sums: &[Reg]) {
        if self.widened {
            a.ldr(R0, post(R12, 8));
            a.ldr(R1, behind(R12, -4));
        } else {
            a.ldr(R0, post(R12, 4));
        }
        let weights = &[R2, R3, R8, R9][..sums.len()];
        load(a, weights);
        if !self.widened {
            a.sxtb16_ror8(R1, R0);
            a.sxtb16(R0, R0);
        }
        match self.form {
            Form::Single => {
                for (&sum, &weights) in sums.iter().zip(weights) {
                    a.sxtb16(R11, weights);
                    a.sxtb16_ror8(weights, weights);
                    a.smlad(sum, R0, R11, sum);
                    a.smlad(sum, R1, weights, sum);
                }
                return;
            }
            Form::Wide => {
                for x in [R0, R1] {
                    if x == R1 {
                        load(a, weights);
                    }
                    for (&sum, &weights) in sums.iter().zip(weights) {
                        a.smlad(sum, x, weights, sum);
                    }
                }
                return;
            }
            Form::Paired | Form::Apart => {}
        }
        for (x, weights) in [R0, R1].into_iter().zip(weights.chunks(sums.len() / 2)) {
            for (pair, &reg) in sums.chunks(2).zip(weights) {
                a.smlad(pair[0], x, reg, pair[0]);
            }
            for (pair, &reg) in sums.chunks(2).zip(weights) {
                a.sxtb16(reg, reg);
                a.smlad(pair[1], x, reg, pair[1]);
            }
        }
    }
}

/// The products of two activations with weights of pairs of rows.
fn products(a: &mut Assembler, x: Reg, weights: &[(usize, Reg)]) {
    for &(pair, reg) in weights {
        a.smlad(SUMS[2 * pair], x, reg, SUMS[2 * pair]);
        a.sxtb16(reg, reg);
        a.smlad(SUMS[2 * pair + 1], x, reg, SUMS[2 * pair + 1]);
    }
}

/// Loads words of weights behind each other.
fn load(a: &mut Assembler, regs: &[Reg]) {
    let bytes = 4 * regs.len() as i32;
    a.ldr(regs[0], post(LR, bytes));
    for (i, &reg) in regs.iter().enumerate().skip(1) {
        a.ldr(reg, behind(LR, 4 * i as i32 - bytes));
    }
}

/// Four widened activations with eight rows. Loads stand together, where they are cheap.
fn eight_widened(a: &mut Assembler) {
    a.ldr(R0, post(R12, 8));
    load(a, &[R1, R2, R3]);
    products(a, R0, &[(0, R1), (1, R2), (2, R3)]);
    load(a, &[R1]);
    a.ldr(R2, behind(R12, -4));
    load(a, &[R3]);
    products(a, R0, &[(3, R1)]);
    products(a, R2, &[(0, R3)]);
    load(a, &[R0, R1, R3]);
    products(a, R2, &[(1, R0), (2, R1), (3, R3)]);
}

/// Four activations as they are with eight rows.
fn eight_direct(a: &mut Assembler) {
    a.ldr(R0, post(R12, 4));
    load(a, &[R2, R3]);
    a.sxtb16_ror8(R1, R0);
    a.sxtb16(R0, R0);
    products(a, R0, &[(0, R2), (1, R3)]);
    load(a, &[R2, R3]);
    products(a, R0, &[(2, R2), (3, R3)]);
    load(a, &[R2, R3]);
    products(a, R1, &[(0, R2), (1, R3)]);
    load(a, &[R2, R3]);
    products(a, R1, &[(2, R2), (3, R3)]);
}
