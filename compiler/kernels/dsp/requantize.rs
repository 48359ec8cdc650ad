//! From sums to codes, in registers.

use super::assembler::{post, Assembler, Header, Slot};
use super::weights::{self, Ending, Requantization};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Address, Operand, Reg, Shift};

/// What is done to sums: decided when a routine is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    /// Whether codes below the zero point survive, so that negative sums must be rounded right.
    negative: bool,
    /// Whether codes have a lower bound above −128.
    low: bool,
    /// Whether codes have an upper bound below 127.
    high: bool,
    /// Whether codes go through a table, which has the bounds in it.
    table: bool,
}

/// How a routine makes codes of sums.
#[derive(Clone, Copy)]
pub struct Codes {
    form: Form,
    low: Slot,
    high: Slot,
    table: Slot,
}

impl Codes {
    /// As a layer's sums end.
    pub fn new(a: &mut Assembler, header: &mut Header, ending: &Ending) -> Codes {
        let mut codes = Codes::bounded(a, header, ending.clamp, ending.zero_point);
        if let Some(table) = &ending.table {
            let at = |code: i32| table[(code + 128) as usize];
            let zero = ending.zero_point;
            let negative = (-128..zero).any(|code| at(code) != at(zero.clamp(-128, 127)));
            codes.form = Form { negative, low: false, high: false, table: true };
        }
        codes
    }

    /// Codes between two bounds.
    pub fn bounded(
        a: &mut Assembler,
        header: &mut Header,
        (low, high): (i32, i32),
        zero_point: i32,
    ) -> Codes {
        let (negative, table) = (low < zero_point, false);
        Codes {
            form: Form { negative, low: low > -128, high: high < 127, table },
            low: header.word(a, low.into()),
            high: header.word(a, high.into()),
            table: Slot::default(),
        }
    }

    /// Codes between two bounds, four in a word.
    pub fn in_words(a: &mut Assembler, header: &mut Header, (low, high): (i32, i32)) -> Codes {
        Codes {
            form: Form { negative: false, low: low > -128, high: high < 127, table: false },
            low: header.word(a, in_each_byte(low)),
            high: header.word(a, in_each_byte(high)),
            table: Slot::default(),
        }
    }

    /// Notes where the table is: at `stream`, which moves behind it.
    pub fn start(mut self, a: &mut Assembler, stream: Reg) -> Codes {
        if self.form.table {
            self.table = a.slot();
            a.put(stream, self.table);
            a.add(stream, stream, 256);
        }
        self
    }

    /// Requantizes a doubled sum by multiplier, offset and shift as in a stream; `temp` is lost.
    pub fn requantize(&self, a: &mut Assembler, sum: Reg, by: (Reg, Reg, Reg), temp: Reg) {
        let (multiplier, offset, shift) = by;
        if self.form.negative {
            a.add(temp, offset, Operand::Shifted(sum, Shift::Asr, 31));
            a.smmlar(sum, sum, multiplier, temp);
        } else {
            a.smmlar(sum, sum, multiplier, offset);
        }
        a.asr(sum, sum, shift);
        match self.form.table {
            // The offset makes it the table's index.
            true => a.usat8(sum, sum),
            false => a.ssat8(sum, sum),
        }
    }

    /// Holds a result, shifted to the right, within codes, or within indices of the table.
    pub fn saturate(&self, a: &mut Assembler, x: Reg, shift: u32) {
        if self.form.table {
            if shift > 0 {
                a.asr(x, x, shift as i32);
            }
            a.usat8(x, x);
        } else {
            a.ssat8_asr(x, x, shift);
        }
    }

    /// Requantizes a group's sums: for each of the filters, the registers with its doubled sums.
    /// Where factors are in the stream, it points to the group's and moves behind them; `r0` to
    /// `r3` are lost.
    pub fn group(&self, a: &mut Assembler, factors: Factors, sums: &[&[Reg]]) {
        for (filter, sums) in sums.iter().enumerate() {
            match factors {
                Factors::Stream(stream) if filter == 0 => a.ldm(stream, &[R0, R1, R2]),
                Factors::Stream(stream) => {
                    a.lsr(R2, R2, 8);
                    a.ldr(R0, post(stream, 4));
                    a.ldr(R1, post(stream, 4));
                }
                Factors::Same(slots) if filter == 0 => {
                    for (reg, slot) in [R0, R1, R2].into_iter().zip(slots) {
                        a.get(reg, slot);
                    }
                }
                Factors::Same(_) => {}
            }
            for &sum in *sums {
                self.requantize(a, sum, (R0, R1, R2), R3);
            }
        }
        self.finish(a, &sums.concat(), (R0, R3));
    }

    /// Holds codes within their bounds, or looks them up; both temporaries are lost.
    pub fn finish(&self, a: &mut Assembler, codes: &[Reg], temps: (Reg, Reg)) {
        let (limit, temp) = temps;
        if self.form.low {
            a.get(limit, self.low);
            codes.iter().for_each(|&reg| a.max8(reg, limit, temp));
        }
        if self.form.high {
            a.get(limit, self.high);
            codes.iter().for_each(|&reg| a.min8(reg, limit, temp));
        }
        if self.form.table {
            a.get(limit, self.table);
            codes.iter().for_each(|&reg| a.ldrsb(reg, Address::Index(limit, reg, 0)));
        }
    }
}

/// Where a group's multipliers, offsets and shifts are.
#[derive(Clone, Copy)]
pub enum Factors {
    /// Behind the group's weights, where that register points to.
    Stream(Reg),
    /// All filters have the same, in the frame.
    Same([Slot; 3]),
}

impl Factors {
    /// Those of a layer: the same for all its filters, or in the stream at that register.
    pub fn new(
        a: &mut Assembler,
        header: &mut Header,
        same: Option<Requantization>,
        stream: Reg,
    ) -> Factors {
        match same {
            Some(by) => Factors::Same(
                [by.multiplier, by.offset, by.shift].map(|value| header.word(a, value.into())),
            ),
            None => Factors::Stream(stream),
        }
    }
}

/// A code in all bytes of a word.
pub fn in_each_byte(code: i32) -> i64 {
    i32::from_le_bytes([code as u8; 4]).into()
}

/// Where what is to be added to the sums of a group's high filters is.
pub const APART: [Reg; 4] = [R0, R1, R2, R3];

/// What the sums of a group's high filters start with, where it comes behind the weights; `stream`
/// moves behind it.
pub fn load_apart(a: &mut Assembler, stream: Reg, pairs: usize) {
    for &reg in &APART[..pairs] {
        a.ldr(reg, post(stream, 4));
    }
}

/// The sums of a group's filters, in the order in which kernels hold them: doubled. What is to be
/// added to those of high filters is in `APART`.
pub fn double(a: &mut Assembler, form: weights::Form, sums: &[Reg]) {
    for (pair, apart) in sums.chunks(2).zip(APART) {
        let (first, second) = (pair[0], pair[1]);
        match form {
            // `P` and `Q`: the high filter's goes where `P` was.
            weights::Form::Paired => {
                a.sub(first, first, second);
                a.asr(first, first, 7);
            }
            weights::Form::Apart => {
                a.sub(first, first, second);
                a.add(first, apart, Operand::Shifted(first, Shift::Asr, 8));
                a.lsl(first, first, 1);
            }
            weights::Form::Single | weights::Form::Wide => a.lsl(first, first, 1),
        }
        a.lsl(second, second, 1);
    }
}
