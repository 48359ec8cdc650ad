//! ADD, SUB and MUL: four elements at a time.
//!
//! Sums are linear functions that give the same codes as the reference kernel, where there are any.
//!
//! Operands are walked through in runs, so that one may be repeated: by pixel, or by image.

use super::assembler::{post, Assembler, Header, Slot};
use super::linear::{Sum, Wanted};
use super::requantize::Codes;
use super::weights::{Ending, Requantization};
use super::{Argument, Kernel};
use crate::kernels::Layer;
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Cond, Label, Operand, Reg, Shift};
use crate::ops::{Add, Addend, Epilogue, Mul, Multiplier};

/// How a routine makes results of two codes.
#[derive(Clone, Copy)]
enum Function {
    Sum(Sum),
    Rounded(Rounded),
    /// Of the codes above their zero points, requantized.
    Product([i32; 2], Requantization),
}

/// A sum that is rounded as often as the reference kernel's, for scales with ties that its roundings
/// decide. One of the factors is one half, which is a shift.
#[derive(Clone, Copy)]
struct Rounded {
    /// The operand with another factor.
    scaled: usize,
    /// That factor.
    factor: Requantization,
    /// The operands' zero points, and whether they are subtracted.
    operands: [(i32, bool); 2],
    /// From the sum to a code.
    by: Requantization,
}

impl Rounded {
    fn new(operands: &[Addend; 2], by: Requantization) -> Option<Rounded> {
        let positive = |addend: &Addend| {
            let Multiplier { multiplier, shift } = addend.multiplier;
            Multiplier { multiplier: multiplier.saturating_abs(), shift }
        };
        let half = Multiplier { multiplier: 1 << 30, shift: 0 };
        let scaled = 1 - operands.iter().position(|operand| positive(operand) == half)?;
        // Rounds as a requantization to codes without a zero point.
        let factor = match positive(&operands[scaled]) {
            by if by == half => Requantization { multiplier: 1 << 30, offset: 0, shift: 0 },
            by => Requantization::new(by, 0)?,
        };
        let operands =
            operands.map(|operand| (operand.zero_point, operand.multiplier.multiplier < 0));
        Some(Rounded { scaled, factor, operands, by })
    }
}

/// The bytes 1 and 3 of a word.
const ODD_BYTES: i64 = 0xff00_ff00_u32 as i32 as i64;

/// Four results in the order of their elements.
const RESULTS: [Reg; 4] = [R12, R11, R10, R8];

/// The kernel for a sum or a difference.
pub fn add(layer: Layer, op: &Add) -> Option<Kernel> {
    let (ending, code) = ending(layer, &op.epilogue)?;
    let [a, b] = op.operands;
    let sum = |x: i32, y: i32| code(a.apply(x) + b.apply(y));
    let by = ending.multipliers[0];
    let function = match wanted(layer, &ending, &sum).sum(&op.operands, by) {
        Some(sum) => Function::Sum(sum),
        None => {
            let by = Requantization::new(by, ending.shift())?;
            Function::Rounded(Rounded::new(&op.operands, by)?)
        }
    };
    kernel(layer, "add", function, &ending)
}

/// The kernel for a product.
pub fn mul(layer: Layer, op: &Mul) -> Option<Kernel> {
    let (ending, _) = ending(layer, &op.epilogue)?;
    let by = Requantization::new(ending.multipliers[0], ending.shift())?;
    kernel(layer, "mul", Function::Product(op.zero_points, by), &ending)
}

/// What becomes of results, and the code that is looked up for one, or stored.
fn ending<'a>(layer: Layer, epilogue: &'a Epilogue) -> Option<(Ending, impl Fn(i32) -> i32 + 'a)> {
    let [chain] = &epilogue.0[..] else { return None };
    let ending = Ending::new(chain, layer.node.inputs.len() - 1)?;
    let stages = &chain.0[..2];
    let code = |x: i32| stages.iter().fold(x, |x, stage| stage.apply(x, 0));
    (ending.residual.is_none() && ending.multipliers.len() == 1).then_some((ending, code))
}

fn wanted<'a>(layer: Layer, ending: &Ending, code: &'a dyn Fn(i32, i32) -> i32) -> Wanted<'a> {
    Wanted { ranges: [layer.range(0), layer.range(1)], bounds: ending.clamp, code }
}

/// How the operands are walked through.
struct Runs {
    /// How many there are.
    count: usize,
    /// Elements of one.
    len: usize,
    /// Elements from the end of a run to the start of the next one, by operand.
    steps: [i64; 2],
}

impl Runs {
    /// Those of two operands that are stretched to a result's shape, if both are dense within.
    fn new(layer: Layer) -> Option<Runs> {
        let shape = &layer.output().shape;
        let strides = [0, 1].map(|i| {
            let operand = &layer.input(i).shape;
            let own = crate::ops::strides(operand);
            let steps =
                operand.iter().zip(own).map(|(&size, step)| if size == 1 { 0 } else { step });
            let mut strides = vec![0; shape.len() - operand.len()];
            strides.extend(steps);
            strides
        });
        // Size and strides by dimension, innermost first; those without a gap are one.
        let mut dims: Vec<(usize, [usize; 2])> = Vec::new();
        for (axis, &size) in shape.iter().enumerate().rev().filter(|(_, &size)| size != 1) {
            let steps = [0, 1].map(|i| strides[i][axis]);
            match dims.last_mut() {
                Some((inner, by)) if steps == by.map(|by| by * *inner) => *inner *= size,
                _ => dims.push((size, steps)),
            }
        }
        let (len, count, steps) = match dims[..] {
            [] => (1, 1, [1, 1]),
            [(len, [1, 1])] => (len, 1, [len, len]),
            [(len, [1, 1]), (count, steps)] => (len, count, steps),
            _ => return None,
        };
        Some(Runs { count, len, steps: steps.map(|step| step as i64 - len as i64) })
    }
}

/// Arguments: the operands, output, head; the table, if there is one. A constant operand lies
/// behind the table.
fn kernel(layer: Layer, name: &'static str, function: Function, ending: &Ending) -> Option<Kernel> {
    let runs = Runs::new(layer)?;
    let constants = [0, 1].map(|i| layer.constant(i));
    let mut a = Assembler::default();
    a.doc(
        "Four elements at a time. r0 and r1 point to the operands, r2 to the results, r3 to r7 are \
         factors and offsets. Where sums are rounded once, tflc has tried all pairs of codes to see \
         that the results are those of the reference kernel, which rounds more often.",
    );
    let mut header = Header::default();
    let mut word = |value: i64| header.word(&mut a, value);
    let [count, blocks, rest] = [runs.count, runs.len / 4, runs.len % 4].map(|n| word(n as i64));
    let steps = runs.steps.map(&mut word);
    let factors: Vec<Slot> = function.words(ending).into_iter().map(&mut word).collect();
    let codes = Codes::new(&mut a, &mut header, ending);
    let end = a.slot();

    header.copy(&mut a, R3);
    let table = ending.table.is_some();
    let constant = constants.iter().position(Option::is_some);
    let weights = match constant {
        None if table => {
            let weights = a.further_argument();
            a.get(R4, weights);
            R4
        }
        None => R4,
        Some(operand) => [R0, R1][operand],
    };
    let codes = codes.start(&mut a, weights);
    load(&mut a, &factors);
    a.comment("a run");
    let (run, single, done) = (a.here(), a.label(), a.label());
    a.get(LR, blocks);
    a.cmp(LR, 0);
    a.branch(Cond::Eq, single);
    a.add(LR, R0, Operand::Shifted(LR, Shift::Lsl, 2));
    a.put(LR, end);
    let block = a.here();
    function.block(&mut a, &factors);
    RESULTS.iter().for_each(|&result| function.code(&mut a, &codes, result));
    codes.finish(&mut a, &RESULTS, (R9, LR));
    RESULTS.iter().for_each(|&code| a.strb(code, post(R2, 1)));
    a.get(R9, end);
    a.cmp(R0, R9);
    a.branch(Cond::Ne, block);
    a.comment("what is left of it");
    a.bind(single);
    a.get(LR, rest);
    a.cmp(LR, 0);
    a.branch(Cond::Eq, done);
    let next = a.here();
    function.single(&mut a, &factors);
    function.code(&mut a, &codes, R12);
    codes.finish(&mut a, &[R12], (R9, R10));
    a.strb(R12, post(R2, 1));
    a.subs(LR, LR, 1);
    a.branch(Cond::Ne, next);
    a.bind(done);
    next_run(&mut a, steps, count, run);

    let mut words = ending.table_words();
    if let Some(value) = constant.and_then(|operand| constants[operand]) {
        let bytes: Vec<u8> = value.ints().iter().map(|&code| code as u8).collect();
        let word = |bytes: &[u8]| std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0));
        words.extend(bytes.chunks(4).map(|bytes| i32::from_le_bytes(word(bytes))));
    }
    let operand = |i: usize| match constants[i] {
        Some(_) => Argument::Weights,
        None => Argument::Operand(i),
    };
    let mut args = vec![operand(0), operand(1), Argument::Result, Argument::Head];
    if table && constant.is_none() {
        args.push(Argument::Weights);
    }
    Some(Kernel {
        name,
        routine: a.finish(),
        args,
        head: header.words(),
        weights: words,
        scratch: 0,
    })
}

/// Words of the frame into `r3` and those behind it.
fn load(a: &mut Assembler, words: &[Slot]) {
    [R3, R4, R5, R6, R7].into_iter().zip(words).for_each(|(reg, &slot)| a.get(reg, slot));
}

/// Goes on to the next run, if there is one.
fn next_run(a: &mut Assembler, steps: [Slot; 2], count: Slot, run: Label) {
    for (pointer, step) in [R0, R1].into_iter().zip(steps) {
        a.get(R8, step);
        a.add(pointer, pointer, R8);
    }
    a.get(R8, count);
    a.subs(R8, R8, 1);
    a.put(R8, count);
    a.branch(Cond::Ne, run);
}

impl Function {
    /// What `r3` to `r7` hold; of what is rounded, the first four and later the others.
    fn words(self, ending: &Ending) -> Vec<i64> {
        let index = i64::from(ending.shift() - ending.zero_point);
        match self {
            Function::Sum(Sum { factors: [first, second], start, signed, shift }) => {
                let index = index << shift;
                let (start, offset) = match signed {
                    None => (i64::from(start) + index, 0),
                    Some(offset) => (start.into(), i64::from(offset) + index),
                };
                vec![first.into(), second.into(), start, ODD_BYTES, offset]
            }
            Function::Rounded(Rounded { scaled, factor, operands, by }) => {
                let zero_point =
                    |operand: usize, shift: u32| i64::from(operands[operand].0) << shift;
                let words =
                    |by: Requantization| [by.multiplier, by.offset, by.shift].map(i64::from);
                let mut all = words(factor).to_vec();
                all.push(zero_point(scaled, DOUBLED));
                all.extend(words(by));
                all.push(zero_point(1 - scaled, HALF));
                all
            }
            Function::Product(zero_points, by) => {
                let mut words = [by.multiplier, by.offset, by.shift].map(i64::from).to_vec();
                words.extend(zero_points.map(|zero_point| {
                    let half = u32::from(-zero_point as i16 as u16);
                    i64::from((half << 16 | half) as i32)
                }));
                words
            }
        }
    }

    /// Loads four elements of each operand, and leaves what [`Function::code`] makes codes of.
    fn block(self, a: &mut Assembler, words: &[Slot]) {
        match self {
            Function::Rounded(sum) => sum.elements(a, &RESULTS, words),
            Function::Sum(_) => {
                a.ldr(R8, post(R0, 4));
                a.ldr(R9, post(R1, 4));
                for (even, odd) in [(R10, R8), (R11, R9)] {
                    a.and(even, R6, Operand::Shifted(odd, Shift::Lsl, 8));
                    a.and(odd, R6, odd);
                }
                a.smlawb(R12, R3, R10, R5);
                a.smlawt(R10, R3, R10, R5);
                a.smlawb(R12, R4, R11, R12);
                a.smlawt(R10, R4, R11, R10);
                a.smlawb(R11, R3, R8, R5);
                a.smlawt(R8, R3, R8, R5);
                a.smlawb(R11, R4, R9, R11);
                a.smlawt(R8, R4, R9, R8);
            }
            Function::Product(..) => {
                a.ldr(R8, post(R0, 4));
                a.ldr(R9, post(R1, 4));
                for (even, odd, zero_point) in [(R10, R8, R6), (R11, R9, R7)] {
                    a.sxtab16(even, zero_point, odd, 0);
                    a.sxtab16(odd, zero_point, odd, 8);
                }
                a.sadd16(R10, R10, R10);
                a.sadd16(R8, R8, R8);
                a.smulbb(R12, R10, R11);
                a.smultt(R10, R10, R11);
                a.smulbb(R11, R8, R9);
                a.smultt(R8, R8, R9);
            }
        }
    }

    /// The same for one element, in `r12`.
    fn single(self, a: &mut Assembler, words: &[Slot]) {
        match self {
            Function::Rounded(sum) => sum.elements(a, &[R12], words),
            Function::Sum(_) => {
                a.ldrsb(R8, post(R0, 1));
                a.ldrsb(R9, post(R1, 1));
                a.lsl(R8, R8, 8);
                a.lsl(R9, R9, 8);
                a.smlawb(R12, R3, R8, R5);
                a.smlawb(R12, R4, R9, R12);
            }
            Function::Product(..) => {
                a.ldrsb(R8, post(R0, 1));
                a.ldrsb(R9, post(R1, 1));
                a.sxtab16(R8, R6, R8, 0);
                a.sadd16(R8, R8, R8);
                a.sxtab16(R9, R7, R9, 0);
                a.smulbb(R12, R8, R9);
            }
        }
    }

    /// From there to a code, or a table's index; `r9` is lost.
    fn code(self, a: &mut Assembler, codes: &Codes, x: Reg) {
        let Function::Sum(Sum { signed, shift, .. }) = self else {
            return codes.requantize(a, x, (R3, R4, R5), R9);
        };
        if signed.is_some() {
            a.add(x, x, Operand::Shifted(x, Shift::Asr, 31));
            a.add(x, x, R7);
        }
        codes.saturate(a, x, shift);
    }
}

/// Codes are shifted to the left by so many bits, where the factor is one half of a doubled sum.
const HALF: u32 = 20;
/// Else, doubled for SMMLAR.
const DOUBLED: u32 = 21;

impl Rounded {
    /// Loads elements and leaves their doubled sums; `r3` to `r5` are then what requantizes them.
    /// `r6`, `r7`, `r9` and others but `lr` are lost.
    fn elements(self, a: &mut Assembler, sums: &[Reg], words: &[Slot]) {
        let pointer = |operand: usize| post([R0, R1][operand], 1);
        // The code above its zero point, or under it.
        let shifted = |a: &mut Assembler, operand: usize, x: Reg, by: u32| {
            let code = Operand::Shifted(x, Shift::Lsl, by);
            match self.operands[operand].1 {
                false => a.rsb(x, R6, code),
                true => a.sub(x, R6, code),
            }
        };
        load(a, &words[..4]);
        sums.iter().for_each(|&sum| a.ldrsb(sum, pointer(self.scaled)));
        for &sum in sums {
            shifted(a, self.scaled, sum, DOUBLED);
            if self.factor.shift > 0 {
                a.add(R9, R4, Operand::Shifted(sum, Shift::Asr, 31));
                a.smmlar(sum, sum, R3, R9);
                a.asr(sum, sum, R5);
            } else {
                a.asr(sum, sum, 2);
            }
        }
        load(a, &words[4..]);
        for pair in sums.chunks(2) {
            let codes = &[R7, R9][..pair.len()];
            codes.iter().for_each(|&code| a.ldrsb(code, pointer(1 - self.scaled)));
            for (&sum, &code) in pair.iter().zip(codes) {
                shifted(a, 1 - self.scaled, code, HALF);
                a.add(sum, code, Operand::Shifted(sum, Shift::Lsl, 1));
            }
        }
    }
}
