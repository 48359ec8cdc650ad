//! From sums to codes, in registers.

use super::assembler::{post, Assembler, Slot};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Operand, Reg, Shift};

/// What is done to sums: decided when a routine is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Whether codes below the zero point survive, so that negative sums must be rounded right.
    pub negative: bool,
    /// Whether codes have a lower bound above −128.
    pub low: bool,
    /// Whether codes have an upper bound below 127.
    pub high: bool,
}

impl Form {
    /// The cheapest form that serves.
    pub fn new((low, high): (i32, i32), zero_point: i32) -> Form {
        Form { negative: low < zero_point, low: low > -128, high: high < 127 }
    }
}

/// Where the bounds are kept.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// The lower one.
    pub low: Slot,
    /// The upper one.
    pub high: Slot,
}

/// Requantizes a doubled sum: `offset` and `shift` as in a stream; `temp` is lost.
pub fn requantize(code: &mut Assembler, form: Form, sum: Reg, by: (Reg, Reg, Reg), temp: Reg) {
    let (multiplier, offset, shift) = by;
    if form.negative {
        code.add(temp, offset, Operand::Shifted(sum, Shift::Asr, 31));
        code.smmlar(sum, sum, multiplier, temp);
    } else {
        code.smmlar(sum, sum, multiplier, offset);
    }
    code.asr(sum, sum, shift);
    code.ssat8(sum, sum);
}

/// Two filters' sums `P` and `Q`: doubled, the high filter's where `P` was.
pub fn unpair(code: &mut Assembler, p: Reg, q: Reg) {
    code.sub(p, p, q);
    code.asr(p, p, 7);
    code.lsl(q, q, 1);
}

/// Requantizes a group's sums: for each of the four filters, the registers with its doubled sums.
/// `stream` points to the group's factors and moves behind them; `r0` to `r3` are lost.
pub fn group(code: &mut Assembler, form: Form, bounds: Bounds, stream: Reg, sums: [&[Reg]; 4]) {
    for (filter, sums) in sums.iter().enumerate() {
        if filter == 0 {
            code.ldm(stream, &[R0, R1, R2]);
        } else {
            code.lsr(R2, R2, 8);
            code.ldr(R0, post(stream, 4));
            code.ldr(R1, post(stream, 4));
        }
        for &sum in *sums {
            requantize(code, form, sum, (R0, R1, R2), R3);
        }
    }
    bound(code, form, bounds, &sums.concat(), (R0, R3));
}

/// Holds codes within their bounds, where those are narrower than an int8; both temporaries are
/// lost.
pub fn bound(code: &mut Assembler, form: Form, bounds: Bounds, codes: &[Reg], temps: (Reg, Reg)) {
    let (limit, temp) = temps;
    if form.low {
        code.get(limit, bounds.low);
        codes.iter().for_each(|&reg| code.max8(reg, limit, temp));
    }
    if form.high {
        code.get(limit, bounds.high);
        codes.iter().for_each(|&reg| code.min8(reg, limit, temp));
    }
}
