//! Codes of two operands' codes by a linear function, proved for every pair of codes.
//!
//! TFLite's kernels round several times on the way from two codes to one. What comes out is, but
//! for those roundings, a linear function of the two codes; and there are only 65536 pairs. So factors
//! are looked for with which a single rounding down gives the very same code for every pair: the
//! offset has a lowest and a highest value that do.

use crate::ops::{Addend, Multiplier};

/// `(offset + first · a + second · b) >> shift`, held within the bounds.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The factors, for codes shifted to the left by 8 and products to the right by 16.
    pub factors: [i32; 2],
    /// What the sum starts with, zero points in it.
    pub start: i32,
    /// What is added to it behind the sign's correction, if there is one.
    pub signed: Option<i32>,
    /// To the right.
    pub shift: u32,
}

/// What a function of two codes must give.
pub struct Wanted<'a> {
    /// The codes that occur of each operand: the lowest and the highest.
    pub ranges: [(i32, i32); 2],
    /// The bounds of the results: at them, anything beyond does as well.
    pub bounds: (i32, i32),
    /// By pair of codes.
    pub code: &'a dyn Fn(i32, i32) -> i32,
}

/// A pair of codes and its result.
struct Case {
    codes: [i64; 2],
    result: i64,
}

impl Wanted<'_> {
    fn cases(&self) -> Vec<Case> {
        let [a, b] = self.ranges.map(|(low, high)| low..=high);
        let pairs = a.flat_map(|a| b.clone().map(move |b| (a, b)));
        let case = |(a, b): (i32, i32)| Case {
            codes: [a.into(), b.into()],
            result: (self.code)(a, b).into(),
        };
        pairs.map(case).collect()
    }

    /// What must be added to each case's value so that a shift to the right gives its result.
    fn offset(&self, cases: &[Case], shift: u32, value: impl Fn(&Case) -> i64) -> Option<i32> {
        let (min, max) = (i64::from(self.bounds.0), i64::from(self.bounds.1));
        // What fits 32 bits, with room for 256 codes more.
        let room = (1 << 31) - 1 - (256 << shift);
        let (mut low, mut high) = (-room, room);
        for case in cases {
            let value = value(case);
            let above = if case.result > min { case.result << shift } else { -room };
            let under = if case.result < max { ((case.result + 1) << shift) - 1 } else { room };
            low = low.max(above - value);
            high = high.min(under - value);
            if low > high {
                return None;
            }
        }
        i32::try_from(low + (high - low) / 2).ok()
    }

    /// The sum of two addends times `by`, as a linear function.
    pub fn sum(&self, operands: &[Addend; 2], by: Multiplier) -> Option<Sum> {
        let cases = self.cases();
        let zero_points = operands.map(|operand| i64::from(operand.zero_point));
        // Coarse results leave room for fine factors, others don't.
        [20u32, 12].into_iter().find_map(|shift| {
            let bits = (Addend::LEFT_SHIFT + 8 + shift) as i32;
            let nearest = operands.map(|operand| scaled(operand.multiplier, by, bits));
            let [Some(first), Some(second)] = nearest else { return None };
            around().into_iter().find_map(|steps| {
                let factors = [first + steps[0], second + steps[1]];
                let share = |i: usize, code: i64| (code * factors[i]) >> 8;
                let value = |codes: [i64; 2]| share(0, codes[0]) + share(1, codes[1]);
                let found = |start, signed| Sum {
                    factors: factors.map(|factor| factor as i32),
                    start,
                    signed,
                    shift,
                };
                if let Some(offset) = self.offset(&cases, shift, |case| value(case.codes)) {
                    return Some(found(offset, None));
                }
                let start = -value(zero_points);
                let offset = self.offset(&cases, shift, |case| {
                    let value = start + value(case.codes);
                    value - i64::from(value < 0)
                })?;
                Some(found(i32::try_from(start).ok()?, Some(offset)))
            })
        })
    }
}

/// The product of two multipliers times a power of two, rounded, if it is small enough to step from.
fn scaled(a: Multiplier, b: Multiplier, bits: i32) -> Option<i64> {
    let product = i64::from(a.multiplier) * i64::from(b.multiplier);
    // Each multiplier has 31 fractional bits.
    let right = 62 - (a.shift + b.shift + bits);
    let rounded = match right {
        ..=0 => return None,
        1..=62 => (product + (1 << (right - 1))) >> right,
        _ => 0,
    };
    (rounded.abs() <= 1 << 30).then_some(rounded)
}

/// Steps of two factors, from nothing outwards.
fn around() -> Vec<[i64; 2]> {
    let steps = [0, 4, -4, 8, -8];
    let mut pairs: Vec<[i64; 2]> =
        steps.iter().flat_map(|&a| steps.iter().map(move |&b| [a, b])).collect();
    pairs.sort_by_key(|[a, b]| a * a + b * b);
    pairs
}
