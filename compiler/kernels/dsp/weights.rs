//! Weights, packed at compile time in the order in which kernels eat them.
//!
//! Two filters share a word: `H = 256 · high + low` for two weights at once is a halfword, so one
//! SMLAD sums up `P = 256 · Σ x·high + Σ x·low` over two activations. SXTB16 of the same word is
//! the low filter's weights, which a second SMLAD sums up to `Q = Σ x·low`; and `Σ x·high =
//! (P − Q) >> 8`, exact as long as it fits 24 bits. Thus a word unpacked once serves four products,
//! and int8 weights take no more flash than they do anyway.
//!
//! Where what a high filter's sum starts with is too large for that, it is added behind the
//! weights; and a kernel may split long sums, so that only their parts need fit. Where weights of
//! −128 leave a halfword, each filter has words of its own, of two steps' weights.

use crate::kernels::Layer;
use crate::ops::{Addend, Chain, Multiplier, Stage, Value};

/// Filters that kernels compute side by side.
pub const GROUP: usize = 4;

/// One filter: what it multiplies, and what becomes of the sum.
#[derive(Clone, Debug)]
pub struct Filter {
    /// By step: the weights of two activations.
    pub weights: Vec<[i32; 2]>,
    /// What the sum starts with, zero points folded in.
    pub bias: i32,
    /// From the sum to a code.
    pub multiplier: Multiplier,
}

/// How the taps of a run of activations pair up: SXTB16 widens the bytes 0 and 2 of a word, and
/// the bytes 1 and 3. What is left of a last word is taken as it comes.
pub fn pairs(run: usize) -> Vec<(usize, Option<usize>)> {
    let words = (0..run / 4).flat_map(|i| [(4 * i, Some(4 * i + 2)), (4 * i + 1, Some(4 * i + 3))]);
    let rest = run / 4 * 4;
    let rest: &[_] = match run % 4 {
        0 => &[],
        1 => &[(rest, None)],
        2 => &[(rest, Some(rest + 1))],
        _ => &[(rest, Some(rest + 1)), (rest + 2, None)],
    };
    words.chain(rest.iter().copied()).collect()
}

/// A layer's filters: `weight(filter, row, tap)` for `rows` runs of `run` taps.
pub fn filters(
    layer: Layer,
    count: usize,
    (rows, run): (usize, usize),
    input_zero_point: i32,
    ending: &Ending,
    weight: impl Fn(usize, usize, usize) -> i32,
) -> Vec<Filter> {
    let bias = layer.constant(2).map_or_else(|| vec![0; count], Value::ints);
    let filter = |i: usize| {
        let mut weights = Vec::new();
        for row in 0..rows {
            for (a, b) in pairs(run) {
                weights.push([weight(i, row, a), b.map_or(0, |b| weight(i, row, b))]);
            }
        }
        let sum: i32 = weights.iter().flatten().sum();
        let bias = bias[i].wrapping_sub(input_zero_point.wrapping_mul(sum));
        let multipliers = &ending.multipliers;
        let multiplier = multipliers[if multipliers.len() == 1 { 0 } else { i }];
        let filter = Filter { bias, weights, multiplier };
        let (lo, hi) = range(&filter);
        match (i32::try_from(lo), i32::try_from(hi)) {
            // A left shift may wrap: then there may be others in between.
            (Ok(lo), Ok(hi))
                if multiplier.shift <= 0
                    && ending.code(lo, multiplier) == ending.code(hi, multiplier) =>
            {
                constant(filter.weights.len(), ending.code(lo, multiplier) - ending.zero_point)
            }
            _ => filter,
        }
    };
    (0..count).map(filter).collect()
}

/// The weights of a run in the order of its taps.
pub fn taps(weights: &[[i32; 2]], run: usize) -> Vec<i32> {
    let mut taps = vec![0; run];
    for ((a, b), weights) in pairs(run).into_iter().zip(weights) {
        taps[a] = weights[0];
        if let Some(b) = b {
            taps[b] = weights[1];
        }
    }
    taps
}

/// A filter whose code is the same for all activations, so far above the zero point. What training
/// leaves of such filters may have sums of any size.
fn constant(steps: usize, code: i32) -> Filter {
    let quarter = Multiplier { multiplier: 1 << 30, shift: -1 };
    Filter { weights: vec![[0, 0]; steps], bias: 4 * code, multiplier: quarter }
}

/// What requantizes sums in registers: SMMLAR doubles, multiplies and adds the zero point and the
/// rounding, and a shift and a saturation remain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantization {
    /// The factor.
    pub multiplier: i32,
    /// The zero point and one half, in the scale before the shift.
    pub offset: i32,
    /// To the right.
    pub shift: i32,
}

impl Requantization {
    /// For a factor and a zero point, where one SMMLAR serves: a right shift of at least 1.
    ///
    /// With `y` the doubled high product, TFLite's `RoundingDivideByPOT` is
    /// `(y + (y >> 31) + 2^(s−1)) >> s`, and the sign of `y` is that of the sum wherever it counts.
    pub fn new(by: Multiplier, zero_point: i32) -> Option<Self> {
        let shift = -by.shift;
        let fits = by.multiplier > 0 && (1..=22).contains(&shift);
        let offset = i64::from(2 * zero_point + 1) << (shift - 1).clamp(0, 31);
        // As large as the sums may be, so that the two together fit 32 bits.
        let offset = i32::try_from(offset).ok().filter(|offset| fits && offset.abs() <= 1 << 30)?;
        Some(Requantization { multiplier: by.multiplier, offset, shift })
    }
}

/// The lowest and the highest sum of a filter over activations of int8.
pub fn range(filter: &Filter) -> (i64, i64) {
    let (lo, hi) = reach(&filter.weights);
    (lo + i64::from(filter.bias), hi + i64::from(filter.bias))
}

/// The lowest and the highest sum of activations of int8 times weights.
fn reach(weights: &[[i32; 2]]) -> (i64, i64) {
    weights.iter().flatten().fold((0, 0), |(lo, hi), &w| {
        let (a, b) = (i64::from(w) * -128, i64::from(w) * 127);
        (lo + a.min(b), hi + a.max(b))
    })
}

/// How filters share words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Two filters of a step share one.
    Paired,
    /// The same, and what the high one's sum starts with comes behind the weights.
    Apart,
    /// Two steps of a filter share one.
    Single,
    /// A step of a filter has one: weights are int16.
    Wide,
}

/// Whether sums and their doubles fit 32 bits.
fn fits_sums(filters: &[Filter]) -> bool {
    filters.iter().map(range).all(|(lo, hi)| lo >= -(1 << 30) && hi < 1 << 30)
}

/// Whether all weights are of a type.
fn are<T: TryFrom<i32>>(filters: &[Filter]) -> bool {
    let mut weights = filters.iter().flat_map(|filter| filter.weights.iter().flatten());
    weights.all(|&weight| T::try_from(weight).is_ok())
}

/// Whether words hold the weights of two filters.
fn fits_words(filters: &[Filter]) -> bool {
    filters.chunks(2).all(|pair| {
        let Some((low, rest)) = pair.split_first() else { return true };
        let low = low.weights.iter().flatten();
        let high = rest.iter().flat_map(|high| high.weights.iter().flatten());
        let mut both = low.zip(high.chain(std::iter::repeat(&0)));
        both.all(|(&low, &high)| {
            i8::try_from(low).is_ok() && i16::try_from(256 * high + low).is_ok()
        })
    })
}

/// Whether a high filter's sum fits.
fn fits_high((lo, hi): (i64, i64)) -> bool {
    lo >= -(1 << 23) && hi < 1 << 23
}

/// Whether high filters' sums of each part fit.
pub fn fits_parts(filters: &[Filter], multiple: usize, span: usize) -> bool {
    filters.iter().skip(1).step_by(2).all(|filter| {
        let first = filter.weights.len().next_multiple_of(multiple) % span;
        let (first, rest) = filter.weights.split_at(first.min(filter.weights.len()));
        fits_high(reach(first)) && rest.chunks(span).all(|part| fits_high(reach(part)))
    })
}

/// The form that holds these filters.
fn form(filters: &[Filter], layout: &Layout) -> Option<Form> {
    if !fits_sums(filters) {
        return None;
    }
    if !are::<i8>(filters) {
        return (layout.wide && are::<i16>(filters)).then_some(Form::Wide);
    }
    let mut high = filters.iter().skip(1).step_by(2);
    Some(match fits_words(filters) {
        false => Form::Single,
        true if high.all(|filter| fits_high(range(filter))) => Form::Paired,
        true if fits_parts(filters, layout.multiple, layout.span) => Form::Apart,
        true => Form::Single,
    })
}

/// How a kernel reads a stream.
pub struct Layout {
    /// Steps are filled up with zeros to a multiple of so many.
    pub multiple: usize,
    /// High filters' sums of so many steps must fit 24 bits: the kernel takes longer ones in parts,
    /// the first of which is what is left.
    pub span: usize,
    /// Whether the kernel has a form for int16 weights.
    pub wide: bool,
    /// How many pairs of filters each group has.
    pub groups: Vec<usize>,
}

impl Layout {
    /// Groups of two pairs.
    pub fn fours(multiple: usize, filters: usize) -> Layout {
        let groups = vec![2; filters.div_ceil(GROUP)];
        Layout { multiple, span: usize::MAX, wide: false, groups }
    }
}

/// Filters as a stream of words.
pub struct Stream {
    /// How filters share them.
    pub form: Form,
    /// Steps, filled up with zeros.
    pub steps: usize,
    /// Group by group: sums to start with, weights step by step, requantization.
    pub words: Vec<i32>,
    /// Where each group ends.
    pub ends: Vec<usize>,
    /// The requantization of all filters, where it is the same: then it is not among the words.
    pub by: Option<Requantization>,
}

/// The order in which kernels hold the sums of a group's filters.
pub const ORDER: [usize; GROUP] = [1, 0, 3, 2];

/// The filters as a stream, if some form holds them.
///
/// Where they are paired, the even ones of a group's filters are low, the odd ones high.
pub fn stream(filters: &[Filter], zero_point: i32, layout: &Layout) -> Option<Stream> {
    let form = form(filters, layout)?;
    let requantized = |f: &Filter| Requantization::new(f.multiplier, zero_point);
    let by: Vec<Requantization> = filters.iter().map(requantized).collect::<Option<_>>()?;
    let same = by.iter().all(|other| *other == by[0]).then_some(by[0]);
    let multiple = match form {
        Form::Paired | Form::Apart | Form::Wide => layout.multiple,
        Form::Single => layout.multiple.next_multiple_of(2),
    };
    let steps = filters[0].weights.len().next_multiple_of(multiple);
    let none = Filter { weights: Vec::new(), bias: 0, multiplier: filters[0].multiplier };
    let (mut words, mut ends, mut start) = (Vec::new(), Vec::new(), 0);
    for &pairs in &layout.groups {
        let count = 2 * pairs;
        let filter = |i: usize| filters.get(start + i).unwrap_or(&none);
        let weights =
            |i: usize, step: usize| filter(i).weights.get(step).copied().unwrap_or([0, 0]);
        let low = || (0..count).step_by(2);
        let order = || low().flat_map(|pair| [pair + 1, pair]);
        let halfwords = |[a, b]: [i32; 2]| a & 0xffff | b << 16;
        match form {
            Form::Paired | Form::Apart => {
                for pair in low() {
                    let low = filter(pair).bias;
                    let high = if form == Form::Paired { filter(pair + 1).bias } else { 0 };
                    words.push(high.wrapping_shl(8).wrapping_add(low));
                    words.push(low);
                }
                for step in 0..steps {
                    for pair in low() {
                        let (low, high) = (weights(pair, step), weights(pair + 1, step));
                        words.push(halfwords([0, 1].map(|k| 256 * high[k] + low[k])));
                    }
                }
                if form == Form::Apart {
                    words.extend(low().map(|pair| filter(pair + 1).bias));
                }
            }
            Form::Single => {
                words.extend(order().map(|i| filter(i).bias));
                for step in (0..steps).step_by(2) {
                    for i in order() {
                        let ([a, c], [b, d]) = (weights(i, step), weights(i, step + 1));
                        words.push(i32::from_le_bytes([a, b, c, d].map(|weight| weight as u8)));
                    }
                }
            }
            Form::Wide => {
                words.extend(order().map(|i| filter(i).bias));
                for step in 0..steps {
                    words.extend(order().map(|i| halfwords(weights(i, step))));
                }
            }
        }
        if same.is_none() {
            let by = |i: usize| by.get(start + i).unwrap_or(&by[start]);
            for first in (0..count).step_by(GROUP) {
                let shifts = u32::from_le_bytes(std::array::from_fn(|i| by(first + i).shift as u8));
                words.extend([by(first).multiplier, by(first).offset, shifts as i32]);
                for i in first + 1..count.min(first + GROUP) {
                    words.extend([by(i).multiplier, by(i).offset]);
                }
            }
        }
        ends.push(words.len());
        start += count;
    }
    Some(Stream { form, steps, words, ends, by: same })
}

/// What kernels do to sums on their way to memory.
#[derive(Clone, Debug)]
pub struct Ending {
    /// By filter, or one for all.
    pub multipliers: Vec<Multiplier>,
    /// Of the codes.
    pub zero_point: i32,
    /// The lowest and the highest code.
    pub clamp: (i32, i32),
    /// What becomes of the code then, by code + 128.
    pub table: Option<Box<[i8; 256]>>,
    /// The residual that is added to the code.
    pub residual: Option<Residual>,
}

/// A code and a residual's code become a sum, as in ADD.
#[derive(Clone, Copy, Debug)]
pub struct Residual {
    /// Which operand of the node it is.
    pub operand: usize,
    /// What is done to the code.
    pub own: Share,
    /// What is done to the residual's.
    pub other: Share,
    /// From the sum to a code.
    pub by: Requantization,
    /// That code's zero point.
    pub zero_point: i32,
    /// The lowest and the highest code.
    pub clamp: (i32, i32),
}

/// How a code is brought to the scale of a sum.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Of the code.
    pub zero_point: i32,
    /// The factor behind the left shift; `None` is one half, which is a shift.
    pub by: Option<Requantization>,
}

impl Share {
    fn new(addend: &Addend) -> Option<Share> {
        let half = Multiplier { multiplier: 1 << 30, shift: 0 };
        let by = match addend.multiplier == half {
            true => None,
            // Rounds as a requantization to codes without a zero point.
            false => Some(Requantization::new(addend.multiplier, 0)?),
        };
        Some(Share { zero_point: addend.zero_point, by })
    }
}

impl Ending {
    /// The chain's, if it is of that form; a residual is operand `last`.
    pub fn new(chain: &Chain, last: usize) -> Option<Ending> {
        let [Stage::Requantize { offset: 0, multipliers, zero_point }, Stage::Clamp { min, max }, rest @ ..] =
            &chain.0[..]
        else {
            return None;
        };
        let codes = |min: i32, max: i32| (min >= -128 && max <= 127).then_some((min, max));
        let sum = rest.iter().position(|stage| matches!(stage, Stage::AddResidual { .. }));
        let (mapping, rest) = rest.split_at(sum.unwrap_or(rest.len()));
        let residual = match rest {
            [] => None,
            [Stage::AddResidual { own, other }, Stage::Requantize { offset: 0, multipliers, zero_point }, Stage::Clamp { min, max }] =>
            {
                let &[by] = &multipliers[..] else { return None };
                Some(Residual {
                    operand: last,
                    own: Share::new(own)?,
                    other: Share::new(other)?,
                    by: Requantization::new(by, *zero_point)?,
                    zero_point: *zero_point,
                    clamp: codes(*min, *max)?,
                })
            }
            _ => return None,
        };
        let clamp = codes(*min, *max)?;
        let table = (!mapping.is_empty()).then(|| {
            let code = |code: i32| {
                mapping.iter().fold(code.clamp(*min, *max), |code, stage| stage.apply(code, 0))
            };
            Box::new(std::array::from_fn(|i| code(i as i32 - 128) as i8))
        });
        let (multipliers, zero_point) = (multipliers.clone(), *zero_point);
        Some(Ending { multipliers, zero_point, clamp, table, residual })
    }

    /// What is added to a sum behind its factor: the zero point, or what makes the code an index of
    /// the table.
    pub fn shift(&self) -> i32 {
        self.zero_point + if self.table.is_some() { 128 } else { 0 }
    }

    /// The table as words.
    pub fn table_words(&self) -> Vec<i32> {
        let bytes: Vec<u8> = self.table.iter().flat_map(|t| t.iter().map(|&x| x as u8)).collect();
        bytes.chunks(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    /// The code for a filter's sum, before what follows.
    fn code(&self, sum: i32, by: Multiplier) -> i32 {
        let (min, max) = self.clamp;
        by.apply(sum).saturating_add(self.zero_point).clamp(min, max)
    }
}
