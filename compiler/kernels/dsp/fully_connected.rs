//! One row of activations times a matrix: four rows of the matrix at a time.
//!
//! A step is four activations with four rows: 16 products in 6 loads, 4 unpackings and 8 SMLAD, or
//! 8 unpackings where rows have words of their own. The activations are widened once, into scratch
//! memory; or, for few rows or little memory, anew for each four rows.

use super::assembler::{behind, post, Assembler, Header};
use super::gather::Run;
use super::requantize::{self, Codes};
use super::weights::{self, Ending, Filter, Form};
use super::{Argument, Kernel};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Cond, Reg};

/// Steps that the innermost loop is unrolled by.
const UNROLLED: usize = 16;

/// The sums P and Q of both pairs of rows, or those of the rows 1, 0, 3 and 2.
const SUMS: [Reg; 4] = [R4, R5, R6, R7];

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
    let packed = weights::stream(rows, ending.shift(), 2)?;
    let (words, steps) = (packed.steps, packed.steps / 2);
    let mut a = Assembler::default();
    a.doc(match widened {
        true => "The activations lie widened in the scratch memory.",
        false => "The activations are widened as they are used.",
    });
    a.doc(
        "Four rows of the matrix at a time. r12 points to the activations, lr to the weights. r4 to r7 are sums, r0 and r1 activations, r2, r3, \
         r8 and r9 weights, r10 is the activations' end.",
    );
    a.doc(match packed.form {
        Form::Paired => "Each word of weights is two of two rows.",
        Form::Single => "Each word of weights is four of a row.",
    });
    let mut header = Header::default();
    let run = widened.then(|| Run::new(&mut a, &mut header, depth, 1));
    let mut word = |value: i64| header.word(&mut a, value);
    let end_offset = word(if widened { 4 * words } else { depth } as i64);
    let entry = word(((UNROLLED - steps % UNROLLED) % UNROLLED) as i64);
    let tail = word(((rows.len() - 1) % weights::GROUP + 1) as i64);
    let stream_len = word(4 * packed.words.len() as i64);
    let codes = Codes::new(&mut a, &mut header, ending);
    let [stream, stream_end, activations, out] = std::array::from_fn(|_| a.slot());
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
    a.put(R3, stream);
    a.get(R12, stream_len);
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

    a.get(LR, stream);
    a.get(R10, activations);
    a.get(R11, end_offset);
    a.add(R10, R10, R11);
    a.comment("four rows");
    let group = a.here();
    a.get(R12, activations);
    a.get(R0, entry);
    a.ldm(LR, &SUMS);
    let entries: Vec<_> = (0..UNROLLED).map(|_| a.label()).collect();
    a.branch_by(R0, entries.clone());
    let steps = a.here();
    for entry in entries {
        a.bind(entry);
        if widened {
            a.ldr(R0, post(R12, 8));
            a.ldr(R1, behind(R12, -4));
        } else {
            a.ldr(R0, post(R12, 4));
        }
        a.ldr(R2, post(LR, 16));
        a.ldr(R3, behind(LR, -12));
        a.ldr(R8, behind(LR, -8));
        a.ldr(R9, behind(LR, -4));
        if !widened {
            a.sxtb16_ror8(R1, R0);
            a.sxtb16(R0, R0);
        }
        match packed.form {
            Form::Paired => {
                let [p0, q0, p1, q1] = SUMS;
                for (x, low, high) in [(R0, R2, R3), (R1, R8, R9)] {
                    a.smlad(p0, x, low, p0);
                    a.smlad(p1, x, high, p1);
                    a.sxtb16(low, low);
                    a.sxtb16(high, high);
                    a.smlad(q0, x, low, q0);
                    a.smlad(q1, x, high, q1);
                }
            }
            Form::Single => {
                for (sum, weights) in SUMS.into_iter().zip([R2, R3, R8, R9]) {
                    a.sxtb16(R11, weights);
                    a.sxtb16_ror8(weights, weights);
                    a.smlad(sum, R0, R11, sum);
                    a.smlad(sum, R1, weights, sum);
                }
            }
        }
    }
    a.cmp(R12, R10);
    a.branch(Cond::Ne, steps);

    a.comment("from sums to codes");
    requantize::double(&mut a, packed.form, SUMS);
    // The rows in their order.
    let results = weights::ORDER.map(|i| SUMS[i]);
    let sums = [&results[..1], &results[1..2], &results[2..3], &results[3..]];
    codes.group(&mut a, LR, sums);
    let (partial, end) = (a.label(), a.label());
    a.get(R0, out);
    a.get(R2, stream_end);
    a.cmp(LR, R2);
    a.branch(Cond::Eq, partial);
    for code in results {
        a.strb(code, post(R0, 1));
    }
    a.put(R0, out);
    a.branch(Cond::Al, group);
    a.comment("the last group may have fewer rows");
    a.bind(partial);
    a.get(R2, tail);
    for (i, code) in results.into_iter().enumerate() {
        if i > 0 {
            a.cmp(R2, i as i32);
            a.branch(Cond::Le, end);
        }
        a.strb(code, post(R0, 1));
    }
    a.bind(end);

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
