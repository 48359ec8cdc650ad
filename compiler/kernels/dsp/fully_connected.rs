//! One row of activations times a matrix: four rows of the matrix at a time, or the last two.
//!
//! A step is four activations with four rows: 16 products in 6 loads, 4 unpackings and 8 SMLAD, or
//! 8 unpackings where rows have words of their own. The activations are widened once, into scratch
//! memory; or, for few rows or little memory, anew for each four rows.
//!
//! Where sums are long, what the high rows' have come to is put aside every `UNROLLED` steps.

use super::assembler::{behind, post, Assembler, Header, Slot};
use super::gather::Run;
use super::requantize::{self, Codes, Factors};
use super::weights::{self, Ending, Filter, Form, Layout};
use super::{Argument, Kernel};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Cond, Label, Operand, Reg, Shift};

/// Steps that the innermost loop is unrolled by.
const UNROLLED: usize = 16;

/// The sums P and Q of both pairs of rows, or those of the rows 1, 0, 3 and 2.
const SUMS: [Reg; 4] = [R4, R5, R6, R7];

/// Where sums are long: what has been put aside of both high rows' sums.
const ASIDE: [Reg; 2] = [R10, R11];

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
    let layout = Layout { multiple: 2, span: 2 * UNROLLED, pairs: true };
    let packed = weights::stream(rows, ending.shift(), layout)?;
    let (words, steps) = (packed.steps, packed.steps / 2);
    // Rows behind the groups of four.
    let tail = rows.len() % weights::GROUP;
    let mut a = Assembler::default();
    a.doc(match widened {
        true => "The activations lie widened in the scratch memory.",
        false => "The activations are widened as they are used.",
    });
    a.doc(
        "r12 points to the activations, lr to the weights. r4 to r7 are sums of four rows of the \
         matrix, r4 and r5 those of the last two; r0 and r1 activations, r2, r3, r8 and r9 \
         weights.",
    );
    a.doc(match packed.form {
        Form::Paired => "Each word of weights is two of two rows. r10 is the activations' end.",
        Form::Apart => "Each word of weights is two of two rows. r10 and r11 are earlier sums.",
        Form::Single => "Each word of weights is four of a row. r10 is the activations' end.",
    });
    let mut header = Header::default();
    let run = widened.then(|| Run::new(&mut a, &mut header, depth, 1));
    let mut word = |value: usize| header.word(&mut a, value as i64);
    let end_offset = word(if widened { 4 * words } else { depth });
    let entry = word((UNROLLED - steps % UNROLLED) % UNROLLED);
    let whole = word(4 * packed.whole);
    let factors = Factors::new(&mut a, &mut header, packed.by, LR);
    let codes = Codes::new(&mut a, &mut header, ending);
    let [stream_end, activations, activations_end, out] = std::array::from_fn(|_| a.slot());
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
    a.get(R12, whole);
    a.add(R12, R12, R3);
    a.put(R12, stream_end);
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
    let group = Group { form, widened, activations, activations_end, entry, factors, codes, out };
    if packed.whole > 0 {
        a.comment("four rows");
        let four = a.here();
        let results = group.codes(&mut a, 2);
        let (last, end) = (results[3], a.label());
        for &code in &results[..3] {
            a.strb(code, post(R0, 1));
        }
        a.get(R1, stream_end);
        if tail == 3 {
            a.comment("the last group has three");
            a.cmp(LR, R1);
            a.branch(Cond::Eq, end);
            a.strb(last, post(R0, 1));
            a.put(R0, out);
            a.branch(Cond::Al, four);
        } else {
            a.strb(last, post(R0, 1));
            a.put(R0, out);
            a.cmp(LR, R1);
            a.branch(Cond::Ne, four);
        }
        a.bind(end);
    }
    if (1..=2).contains(&tail) {
        a.comment("the rows behind them");
        for code in group.codes(&mut a, 1).into_iter().take(tail) {
            a.strb(code, post(R0, 1));
        }
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

/// Rows at a time.
struct Group {
    form: Form,
    widened: bool,
    activations: Slot,
    activations_end: Slot,
    /// Where the unrolled loop is entered.
    entry: Slot,
    factors: Factors,
    codes: Codes,
    out: Slot,
}

impl Group {
    /// The codes of one pair of rows or two, in registers in the order of the rows; `r0` is where
    /// they go.
    fn codes(&self, a: &mut Assembler, pairs: usize) -> Vec<Reg> {
        let sums = &SUMS[..2 * pairs];
        let aside = &ASIDE[..pairs];
        a.get(R12, self.activations);
        a.get(R0, self.entry);
        a.ldm(LR, sums);
        if self.form == Form::Apart {
            for &reg in aside {
                a.mov(reg, 0);
            }
        }
        let entries: Vec<Label> = (0..UNROLLED).map(|_| a.label()).collect();
        a.branch_by(R0, entries.clone());
        let steps = a.here();
        for entry in entries {
            a.bind(entry);
            self.step(a, sums);
        }
        if self.form == Form::Apart {
            let end = a.label();
            a.get(R0, self.activations_end);
            a.cmp(R12, R0);
            a.branch(Cond::Eq, end);
            for (pair, &aside) in sums.chunks(2).zip(aside) {
                a.sub(pair[0], pair[0], pair[1]);
                a.add(aside, aside, Operand::Shifted(pair[0], Shift::Asr, 8));
                a.mov(pair[0], pair[1]);
            }
            a.branch(Cond::Al, steps);
            a.bind(end);
            requantize::load_apart(a, LR, pairs);
            for (reg, &aside) in [R0, R1].into_iter().zip(aside) {
                a.add(reg, reg, aside);
            }
        } else {
            a.cmp(R12, R10);
            a.branch(Cond::Ne, steps);
        }

        a.comment("from sums to codes");
        requantize::double(a, self.form, sums);
        let results: Vec<Reg> = weights::ORDER.iter().take(2 * pairs).map(|&i| SUMS[i]).collect();
        let by_row: Vec<&[Reg]> = results.chunks(1).collect();
        self.codes.group(a, self.factors, &by_row);
        a.get(R0, self.out);
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
        let bytes = 4 * weights.len() as i32;
        for (i, &reg) in weights.iter().enumerate() {
            a.ldr(reg, if i == 0 { post(LR, bytes) } else { behind(LR, 4 * i as i32 - bytes) });
        }
        if !self.widened {
            a.sxtb16_ror8(R1, R0);
            a.sxtb16(R0, R0);
        }
        if self.form == Form::Single {
            for (&sum, &weights) in sums.iter().zip(weights) {
                a.sxtb16(R11, weights);
                a.sxtb16_ror8(weights, weights);
                a.smlad(sum, R0, R11, sum);
                a.smlad(sum, R1, weights, sum);
            }
            return;
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
