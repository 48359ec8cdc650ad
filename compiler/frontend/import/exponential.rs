//! The exponential function: in fixed point as gemmlowp has it, and in floating point with nothing
//! but basic arithmetic, so that tables are the same on every machine.

use tflc_rt::{doubling_high_mul, rounding_shift_right};

/// `exp(x)` with 31 fractional bits, for an `x` with 26 fractional bits that is not positive
/// (`exp_on_negative_values`).
pub fn exp_fixed_point(x: i32) -> i32 {
    if x == 0 {
        return i32::MAX;
    }
    const QUARTER: i32 = 1 << 24;
    // x is −(a multiple of 1/4) plus a rest in [−1/4, 0).
    let rest = (x & (QUARTER - 1)) - QUARTER;
    let quarters = rest.wrapping_sub(x);
    // exp(−2^i) for i from −2 to 4.
    let powers = [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    let mut result = exp_of_rest(rest << 5);
    for (i, power) in powers.into_iter().enumerate() {
        if quarters & (QUARTER << i) != 0 {
            result = doubling_high_mul(result, power);
        }
    }
    result
}

/// `exp(x)` for x in [−1/4, 0), both with 31 fractional bits: Taylor's series around −1/8.
fn exp_of_rest(x: i32) -> i32 {
    const EXP_OF_MINUS_ONE_EIGHTH: i32 = 1_895_147_668;
    const ONE_THIRD: i32 = 715_827_883;
    let x = x + (1 << 28);
    let x2 = doubling_high_mul(x, x);
    let x3 = doubling_high_mul(x2, x);
    let x4 = doubling_high_mul(x2, x2);
    let cubic = doubling_high_mul(rounding_shift_right(x4, 2) + x3, ONE_THIRD);
    let series = x + rounding_shift_right(cubic + x2, 1);
    EXP_OF_MINUS_ONE_EIGHTH + doubling_high_mul(EXP_OF_MINUS_ONE_EIGHTH, series)
}

/// `e^x`, right to almost all bits.
pub fn exp(x: f64) -> f64 {
    let x = x.clamp(-800.0, 800.0);
    // e^x = 2^n · e^r with |r| at most ln 2 / 2; ln 2 in two parts, so that r is exact.
    let n = (x * std::f64::consts::LOG2_E).round();
    let r = (x - n * 6.931_471_803_691_238e-1) - n * 1.908_214_929_270_587_7e-10;
    let (mut term, mut sum) = (1.0, 1.0);
    for i in 1..=20 {
        term *= r / f64::from(i);
        sum += term;
    }
    // In two steps: 2^n alone may be out of range.
    let half = (n / 2.0).floor() as i32;
    sum * power_of_two(half) * power_of_two(n as i32 - half)
}

/// `2^n` for n from −1022 to 1023.
fn power_of_two(n: i32) -> f64 {
    f64::from_bits(((1023 + n) as u64) << 52)
}

/// The hyperbolic tangent.
pub fn tanh(x: f64) -> f64 {
    let e = exp(-2.0 * x.abs());
    ((1.0 - e) / (1.0 + e)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_functions_are_right() {
        for i in -3000..3000 {
            let x = f64::from(i) * 0.013;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-14, "exp({x})");
            assert!((tanh(x) - x.tanh()).abs() < 1e-15, "tanh({x})");
        }
        assert_eq!([exp(-1e300), exp(0.0), exp(1e300)], [0.0, 1.0, f64::INFINITY]);
    }

    #[test]
    fn fixed_point_exponentials_are_near() {
        for i in 0..31 * 64 {
            let x = -i << 20;
            let real = (f64::from(x) / f64::from(1 << 26)).exp();
            let fixed = f64::from(exp_fixed_point(x)) / 2f64.powi(31);
            assert!((fixed - real).abs() < 5e-7, "{x}: {fixed} for {real}");
        }
    }
}
