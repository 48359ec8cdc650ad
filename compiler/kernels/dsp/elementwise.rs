//! Operators that map each code on its own: a look-up in a table of 256 bytes, or four codes at a
//! time held within bounds.

use super::assembler::{behind, post, Assembler};
use super::requantize::in_each_byte;
use super::{Argument, Kernel};
use crate::kernels::Layer;
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Address, Cond, Reg};
use crate::ops::Stage;

/// From so many elements on, a table of 256 bytes is worth its flash.
const TABLE_FROM: usize = 64;

/// Elements that the loop over a table takes at a time.
const TABLE_BLOCK: [Reg; 8] = [R4, R5, R6, R7, R8, R9, R10, R11];

/// Words that the loop between bounds takes at a time.
const CLAMP_BLOCK: [Reg; 4] = [R4, R5, R6, R7];

/// The kernel for stages that make codes of codes, if it is worth it.
pub fn kernel(layer: Layer, stages: &[Stage]) -> Option<Kernel> {
    let elements = layer.output().elements();
    let code = |code: i32| stages.iter().fold(code, |code, stage| stage.apply(code, 0));
    let codes: Vec<i32> = (-128..128).map(code).collect();
    let bounds = (codes[0], codes[255]);
    let is_clamp = bounds.0 <= bounds.1
        && (-128..).zip(&codes).all(|(x, &y)| y == x.clamp(bounds.0, bounds.1));
    match is_clamp {
        true => Some(clamp(elements, bounds)),
        false => (elements >= TABLE_FROM).then(|| look_up(elements, &codes)),
    }
}

/// Arguments: input, output, head, table. The table is in the order of bytes without a sign.
fn look_up(elements: usize, codes: &[i32]) -> Kernel {
    let mut a = Assembler::default();
    a.doc("Eight elements at a time: r4 to r11 are codes, then what the table at r3 has for them.");
    blocks(&mut a, TABLE_BLOCK.len(), |a, count| {
        let codes = &TABLE_BLOCK[..count];
        codes.iter().for_each(|&code| a.ldrb(code, post(R0, 1)));
        codes.iter().for_each(|&code| a.ldrb(code, Address::Index(R3, code, 0)));
        codes.iter().for_each(|&code| a.strb(code, post(R1, 1)));
    });
    let at = |byte: usize| codes[byte ^ 128] as u8;
    let word = |i: usize| i32::from_le_bytes([0, 1, 2, 3].map(|byte| at(4 * i + byte)));
    Kernel {
        name: "look_up",
        routine: a.finish(),
        args: vec![Argument::Operand(0), Argument::Result, Argument::Head, Argument::Weights],
        head: counts(elements, TABLE_BLOCK.len()),
        weights: (0..64).map(word).collect(),
        scratch: 0,
    }
}

/// Arguments: input, output, head.
fn clamp(elements: usize, (low, high): (i32, i32)) -> Kernel {
    let mut a = Assembler::default();
    a.doc("Sixteen elements at a time. r8 and r9 are the bounds, in each byte.");
    a.ldr(R8, behind(R2, 8));
    a.ldr(R9, behind(R2, 12));
    blocks(&mut a, 4 * CLAMP_BLOCK.len(), |a, count| {
        let words = &CLAMP_BLOCK[..count.div_ceil(4)];
        match count {
            1 => a.ldrb(R4, post(R0, 1)),
            _ => words.iter().for_each(|&word| a.ldr(word, post(R0, 4))),
        }
        for &word in words {
            if low > -128 {
                a.max8(word, R8, R10);
            }
            if high < 127 {
                a.min8(word, R9, R10);
            }
        }
        match count {
            1 => a.strb(R4, post(R1, 1)),
            _ => words.iter().for_each(|&word| a.str(word, post(R1, 4))),
        }
    });
    let mut head = counts(elements, 4 * CLAMP_BLOCK.len());
    head.extend([low, high].map(|bound| in_each_byte(bound) as i32));
    Kernel {
        name: "clamp",
        routine: a.finish(),
        args: vec![Argument::Operand(0), Argument::Result, Argument::Head],
        head,
        weights: Vec::new(),
        scratch: 0,
    }
}

/// How many blocks there are, and how many elements behind them.
fn counts(elements: usize, block: usize) -> Vec<i32> {
    vec![(elements / block) as i32, (elements % block) as i32]
}

/// Emits `body` for blocks, then for single elements, as many as the words that `r2` points to
/// say; `body` is told how many elements it is for. `r12` counts.
fn blocks(a: &mut Assembler, block: usize, body: impl Fn(&mut Assembler, usize)) {
    for (word, count) in [(0, block), (4, 1)] {
        let done = a.label();
        a.ldr(R12, behind(R2, word));
        a.cmp(R12, 0);
        a.branch(Cond::Eq, done);
        let next = a.here();
        body(a, count);
        a.subs(R12, R12, 1);
        a.branch(Cond::Ne, next);
        a.bind(done);
    }
}
