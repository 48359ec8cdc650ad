//! A residual added to the codes of two pixels and four filters, in registers: ADD at the end of a
//! convolution.
//!
//! A code's share of the sum is `(code − zero point) · 2^20` times a factor of at most one half. One
//! of the two factors is one half: that share is a shift, and as easily doubled, which is what
//! requantization takes.

use super::assembler::{post, Assembler, Header, Slot};
use super::requantize::Codes;
use super::weights::{Requantization, Residual, Share};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Cond, Operand, Reg, Shift};

/// What is added, as a routine keeps it.
pub struct Adding {
    own: Words,
    other: Words,
    by: [Slot; 3],
    codes: Codes,
    variables: Option<Variables>,
}

/// A share: its zero point in the scale of the sum, and its factor.
struct Words {
    zero_point: Slot,
    by: Option<[Slot; 3]>,
}

struct Variables {
    /// Bytes from the output to the residual.
    distance: Slot,
    residual: Slot,
    /// The codes of the pixel that isn't at work.
    codes: [[Slot; 4]; 2],
}

/// Codes are shifted by so many bits where the factor is one half, for a doubled share.
const HALF: u32 = 20;
/// Else, doubled for SMMLAR.
const DOUBLED: u32 = 21;

impl Adding {
    /// Describes the sum in the header.
    pub fn new(a: &mut Assembler, header: &mut Header, residual: Residual) -> Adding {
        let codes = Codes::bounded(a, header, residual.clamp, residual.zero_point);
        Adding {
            own: Words::new(a, header, residual.own),
            other: Words::new(a, header, residual.other),
            by: factor(a, header, residual.by),
            codes,
            variables: None,
        }
    }

    /// Makes room for what changes.
    pub fn start(self, a: &mut Assembler) -> Adding {
        let variables = Variables {
            distance: a.slot(),
            residual: a.further_argument(),
            codes: [(); 2].map(|()| std::array::from_fn(|_| a.slot())),
        };
        Adding { variables: Some(variables), ..self }
    }

    fn variables(&self) -> &Variables {
        self.variables.as_ref().expect("started")
    }

    /// Notes how far the residual is from `output`.
    pub fn first(&self, a: &mut Assembler, output: Reg) {
        a.get(R12, self.variables().residual);
        a.sub(R12, R12, output);
        a.put(R12, self.variables().distance);
    }

    /// Adds the residual to the codes in `r4` to `r11`, in the order in which a convolution leaves
    /// them; `outputs` say where they will go. If the last group has fewer filters, `partial` says
    /// where the stream ends then, and how many there are. Others but `lr` are lost.
    pub fn add(&self, a: &mut Assembler, outputs: [Slot; 2], partial: Option<(Slot, Slot)>) {
        a.comment("the residual is added, pixel by pixel");
        let [codes_a, codes_b] = self.variables().codes;
        let (low, high) = ([R4, R5, R6, R7], [R8, R9, R10, R11]);
        for (reg, slot) in high.into_iter().zip(codes_b) {
            a.put(reg, slot);
        }
        self.pixel(a, outputs[0], partial);
        for (reg, slot) in low.into_iter().zip(codes_a) {
            a.put(reg, slot);
        }
        for (reg, slot) in low.into_iter().zip(codes_b) {
            a.get(reg, slot);
        }
        self.pixel(a, outputs[1], partial);
        for (done, reg) in low.into_iter().zip(high) {
            a.mov(reg, done);
        }
        for (reg, slot) in low.into_iter().zip(codes_a) {
            a.get(reg, slot);
        }
    }

    /// The four codes of a pixel, in `r4` to `r7`: those of the filters 1, 0, 3 and 2.
    fn pixel(&self, a: &mut Assembler, output: Slot, partial: Option<(Slot, Slot)>) {
        if let Some((end, tail)) = partial {
            let whole = a.label();
            a.get(R0, end);
            a.mov(R10, 4);
            a.cmp(LR, R0);
            a.branch(Cond::Ne, whole);
            a.get(R10, tail);
            a.bind(whole);
        }
        a.get(R8, output);
        self.codes(a, R8, &[R5, R4, R7, R6], |a, i| {
            let none = a.label();
            if i > 0 && partial.is_some() {
                a.cmp(R10, i as i32);
                a.branch(Cond::Le, none);
            }
            a.ldrsb(R9, post(R8, 1));
            a.bind(none);
        });
    }

    /// Adds the residual to codes in registers above `r3`. `output` says where the first one will
    /// go and becomes the place of its residual; `load` puts the residual of a code into `r9`. `r0`
    /// to `r3` and `r12` are lost.
    pub fn codes(
        &self,
        a: &mut Assembler,
        output: Reg,
        codes: &[Reg],
        load: impl Fn(&mut Assembler, usize),
    ) {
        self.own.load(a);
        for &code in codes {
            self.own.share(a, code);
        }
        self.other.load(a);
        a.get(R9, self.variables().distance);
        a.add(output, output, R9);
        for (i, &code) in codes.iter().enumerate() {
            load(a, i);
            self.other.share(a, R9);
            let doubled = |reg: Reg| Operand::Shifted(reg, Shift::Lsl, 1);
            match (self.own.is_half(), self.other.is_half()) {
                (true, true) => a.add(code, code, R9),
                (true, false) => a.add(code, code, doubled(R9)),
                (false, true) => a.add(code, R9, doubled(code)),
                (false, false) => {
                    a.add(code, code, R9);
                    a.lsl(code, code, 1);
                }
            }
        }
        for (reg, slot) in [R1, R2, R3].into_iter().zip(self.by) {
            a.get(reg, slot);
        }
        for &code in codes {
            self.codes.requantize(a, code, (R1, R2, R3), R12);
        }
        self.codes.finish(a, codes, (R1, R2));
    }
}

/// A factor's words.
fn factor(a: &mut Assembler, header: &mut Header, by: Requantization) -> [Slot; 3] {
    [by.multiplier, by.offset, by.shift].map(|value| header.word(a, value.into()))
}

impl Words {
    fn new(a: &mut Assembler, header: &mut Header, share: Share) -> Words {
        let shift = if share.by.is_some() { DOUBLED } else { HALF };
        Words {
            zero_point: header.word(a, i64::from(share.zero_point) << shift),
            by: share.by.map(|by| factor(a, header, by)),
        }
    }

    fn is_half(&self) -> bool {
        self.by.is_none()
    }

    /// The constants into `r0` to `r3`.
    fn load(&self, a: &mut Assembler) {
        a.get(R0, self.zero_point);
        for (reg, slot) in [R1, R2, R3].into_iter().zip(self.by.iter().flatten()) {
            a.get(reg, *slot);
        }
    }

    /// A code becomes its share of the sum, or twice that if the factor is one half; `r12` is lost.
    fn share(&self, a: &mut Assembler, code: Reg) {
        let shift = if self.is_half() { HALF } else { DOUBLED };
        a.rsb(code, R0, Operand::Shifted(code, Shift::Lsl, shift));
        if !self.is_half() {
            a.add(R12, R2, Operand::Shifted(code, Shift::Asr, 31));
            a.smmlar(code, code, R1, R12);
            a.asr(code, code, R3);
        }
    }
}
