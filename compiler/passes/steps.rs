//! Step functions: what decides whether two ways from accumulators to codes are the same.
//!
//! A chain of stages that never falls while its accumulator rises has at most 255 steps. Where they
//! lie is found by bisection, so chains are compared over millions of accumulators exactly.

use super::ranges::{image, Range};
use crate::ir::Difference;
use crate::ops::{DType, Multiplier, Stage};

/// A rising function from accumulators to int8 codes, over a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    range: Range,
    /// For each code but the lowest, the first accumulator whose result is at least that; one
    /// behind the last where none is.
    first: Vec<i64>,
}

/// The codes that have a first accumulator.
const CODES: std::ops::RangeInclusive<i32> = -127..=127;

impl Steps {
    /// The steps of stages without a residual over `range`, in channel `channel`; `None` if the
    /// results fall somewhere, or aren't codes.
    pub fn new(stages: &[Stage], range: Range, channel: usize) -> Option<Steps> {
        let image = image(stages, range, channel);
        let (min, max) = DType::I8.range();
        if !image.rises || image.range.0 < min || image.range.1 > max {
            return None;
        }
        let result = |x: i64| stages.iter().fold(x as i32, |x, stage| stage.apply(x, channel));
        let end = i64::from(range.1) + 1;
        let mut from = i64::from(range.0);
        let first = CODES.map(|code| {
            if from < end && result(from) < code {
                from = match code > image.range.1 {
                    true => end,
                    false => bisect(from, end, |x| result(x) >= code),
                };
            }
            from
        });
        Some(Steps { range, first: first.collect() })
    }

    /// Which multiplier fits best in the form `zero_point + multiplier · (x − offset)`, where
    /// results are held within `limits`: one that has the same steps, if there is one, otherwise
    /// one that misses them by as few accumulators as possible. `None` if there is no step to go by.
    pub fn fit(&self, offset: i32, zero_point: i32, limits: Range) -> Option<Multiplier> {
        let Some(nearest) = self.median_slope(offset, zero_point) else {
            return self.vanishing(offset, zero_point);
        };
        // The same factor may have to be sought on the other side of a power of two.
        [0, 1, -1]
            .into_iter()
            .find_map(|by| {
                let shift = nearest.shift + by;
                let wanted = match by {
                    0 => nearest.multiplier,
                    1 => 1 << 30,
                    _ => i32::MAX,
                };
                self.fit_exactly(
                    Multiplier { multiplier: wanted, shift },
                    offset,
                    zero_point,
                    limits,
                )
            })
            .or(Some(nearest))
    }

    /// If every result is the zero point, a multiplier that leaves nothing of any accumulator.
    fn vanishing(&self, offset: i32, zero_point: i32) -> Option<Multiplier> {
        let ends = [self.range.0, self.range.1];
        let is_zero = |x: i32| self.code(x.into()) as i32 - 128 == zero_point;
        let reach = ends.map(|x| x.abs_diff(offset)).into_iter().max().expect("two");
        // 2^(−bits − 1) times less than 2^bits is less than one half.
        let bits = (u32::BITS - reach.leading_zeros()).clamp(1, 31);
        let multiplier = Multiplier { multiplier: 1 << 30, shift: -(bits as i32) };
        ends.into_iter().all(is_zero).then_some(multiplier)
    }

    /// The multiplier next to `wanted`, of the same shift, that has the same steps.
    ///
    /// Whether the result for an accumulator reaches a code is monotone in the multiplier, so each
    /// step allows an interval of multipliers.
    fn fit_exactly(
        &self,
        wanted: Multiplier,
        offset: i32,
        zero_point: i32,
        limits: Range,
    ) -> Option<Multiplier> {
        let shift = wanted.shift;
        let (mut lo, mut hi) = (1i64 << 30, i64::from(i32::MAX));
        if !(-31..=30).contains(&shift) {
            return None;
        }
        for (code, &first) in CODES.zip(&self.first) {
            if code <= limits.0 || code > limits.1 {
                continue;
            }
            let reaches = |x: i64, multiplier: i64| {
                let multiplier = Multiplier { multiplier: multiplier as i32, shift };
                multiplier.apply((x as i32).wrapping_sub(offset)).wrapping_add(zero_point) >= code
            };
            // The last accumulator that mustn't reach the code, and the first that must.
            for (x, must) in [(first - 1, false), (first, true)] {
                if x < i64::from(self.range.0) || x > i64::from(self.range.1) {
                    continue;
                }
                // Larger multipliers reach more above the offset, and less below it.
                match (x >= i64::from(offset)) == must {
                    true => lo = bisect(lo, hi + 1, |m| reaches(x, m) == must),
                    false => hi = bisect(lo, hi + 1, |m| reaches(x, m) != must) - 1,
                }
                if lo > hi {
                    return None;
                }
            }
        }
        let multiplier = i64::from(wanted.multiplier).clamp(lo, hi) as i32;
        Some(Multiplier { multiplier, shift })
    }

    /// The weighted median of the slopes that the single steps ask for: the slope that misses the
    /// steps by the fewest accumulators in all.
    fn median_slope(&self, offset: i32, zero_point: i32) -> Option<Multiplier> {
        let inside = i64::from(self.range.0) + 1..=i64::from(self.range.1);
        let mut slopes: Vec<(Multiplier, u64)> = (CODES.zip(&self.first))
            .filter(|(_, first)| inside.contains(first))
            .filter_map(|(code, &first)| {
                // The step lies half a code below the code, between two accumulators.
                let height = 2 * i64::from(code - zero_point) - 1;
                let width = 2 * (first - i64::from(offset)) - 1;
                Some((quotient(height, width)?, height.unsigned_abs()))
            })
            .collect();
        slopes.sort_by_key(|(slope, _)| (slope.shift, slope.multiplier));
        let half = slopes.iter().map(|(_, weight)| weight).sum::<u64>() / 2;
        let mut below = 0;
        slopes.into_iter().find_map(|(slope, weight)| {
            below += weight;
            (below > half).then_some(slope)
        })
    }

    /// In how many accumulators two functions over the same range differ, and how far at most.
    pub fn difference(&self, other: &Steps) -> Difference {
        let (low, high) = self.range;
        let mut edges: Vec<i64> = self.first.iter().chain(&other.first).copied().collect();
        edges.extend([low.into(), i64::from(high) + 1]);
        edges.sort_unstable();
        edges.dedup();
        let mut difference = Difference::default();
        for edge in edges.windows(2) {
            let [a, b] = [self, other].map(|steps| steps.code(edge[0]));
            difference.total += (edge[1] - edge[0]) as u64;
            if a != b {
                difference.count += (edge[1] - edge[0]) as u64;
                difference.most = difference.most.max(a.abs_diff(b));
            }
        }
        difference
    }

    /// The result for an accumulator within the range, counted from the lowest code.
    fn code(&self, x: i64) -> u32 {
        self.first.partition_point(|&first| first <= x) as u32
    }
}

/// The first of `from..to` for which `holds`, which then holds for all behind it; `to` if none.
fn bisect(mut from: i64, mut to: i64, holds: impl Fn(i64) -> bool) -> i64 {
    while from < to {
        let middle = from + (to - from) / 2;
        match holds(middle) {
            true => to = middle,
            false => from = middle + 1,
        }
    }
    from
}

/// A positive quotient as a multiplier, if it is one.
fn quotient(height: i64, width: i64) -> Option<Multiplier> {
    if height.signum() != width.signum() {
        return None;
    }
    let (height, width) = (i128::from(height.abs()), i128::from(width.abs()));
    // height / width · 2^(31 − shift) is to lie in [2^30, 2^31).
    let scaled = |shift: i32| (height << (31 - shift)) / width;
    let shift = (-31..=9).find(|&shift| scaled(shift) < 1 << 31)?;
    let multiplier = i32::try_from(scaled(shift)).expect("asked");
    (multiplier >= 1 << 30).then_some(Multiplier { multiplier, shift })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Range = (-128, 127);
    const RANGE: Range = (-9000, 14000);

    fn stages(multiplier: Multiplier, zero_point: i32) -> Vec<Stage> {
        let (min, max) = LIMITS;
        let multipliers = vec![multiplier];
        vec![Stage::Requantize { offset: 5, multipliers, zero_point }, Stage::Clamp { min, max }]
    }

    /// Multipliers of every size, next to powers of two and elsewhere.
    fn multipliers() -> impl Iterator<Item = Multiplier> {
        let significands = [1 << 30, (1 << 30) + 1, 1_234_567_890, 1_999_999_999, i32::MAX];
        (-12..=2)
            .flat_map(move |shift| significands.map(|multiplier| Multiplier { multiplier, shift }))
    }

    #[test]
    fn a_multiplier_that_there_is_is_found() {
        for multiplier in multipliers() {
            for zero_point in [-128, -3, 0, 100] {
                let steps = Steps::new(&stages(multiplier, zero_point), RANGE, 0).expect("rises");
                let found = steps.fit(5, zero_point, LIMITS).expect("has steps");
                let again = Steps::new(&stages(found, zero_point), RANGE, 0);
                assert_eq!(again, Some(steps), "{multiplier:?} {zero_point}: {found:?}");
            }
        }
    }

    #[test]
    fn differences_are_counted_right() {
        let all: Vec<Multiplier> = multipliers().filter(|m| m.shift > -8).collect();
        for pair in all.windows(3) {
            let [a, b] = [(pair[0], 3), (pair[2], 4)].map(|(m, zero)| stages(m, zero));
            let [steps, others] =
                [&a, &b].map(|stages| Steps::new(stages, RANGE, 0).expect("rises"));
            let result = |stages: &[Stage], x| stages.iter().fold(x, |x, stage| stage.apply(x, 0));
            let mut expected = Difference::default();
            for x in RANGE.0..=RANGE.1 {
                let most = result(&a, x).abs_diff(result(&b, x));
                expected += Difference { total: 1, count: u64::from(most > 0), most };
            }
            assert_eq!(steps.difference(&others), expected);
        }
    }

    #[test]
    fn what_falls_or_wraps_has_no_steps() {
        let falling = [Stage::table(|code| (-code).min(127))];
        assert_eq!(Steps::new(&falling, LIMITS, 0), None);
        assert!(Steps::new(&falling, (3, 3), 0).is_some());
        let wrapping = stages(Multiplier { multiplier: 1 << 30, shift: 20 }, 0);
        assert_eq!(Steps::new(&wrapping, RANGE, 0), None);
    }
}
