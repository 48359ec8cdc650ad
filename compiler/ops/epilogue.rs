//! What an operator's int32 results go through on their way to memory.
//!
//! An operator with an accumulator owns an [`Epilogue`]; an elementwise operator is nothing but
//! stages. Fusing the one into the other is appending its stages to the list.

use tflc_rt::requantize;

use super::{TensorType, Value};

/// A positive real factor as `multiplier · 2^(shift − 31)`: 31 significant bits and a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multiplier {
    /// The significand, in [2^30, 2^31), or 0. MEAN's, which holds a division too, goes down to
    /// 2^29. That of SUB's second operand and of LEAKY_RELU's negative slopes is negative.
    pub multiplier: i32,
    /// Left shift before the multiplication when positive, rounding right shift after it when
    /// negative; −31 to 30.
    pub shift: i32,
}

impl Multiplier {
    /// The factor one: requantizing by it changes nothing.
    pub const ONE: Multiplier = Multiplier { multiplier: 1 << 30, shift: 1 };

    /// The multiplier nearest to `factor` (TFLite's `QuantizeMultiplier`): 31 bits rounded half
    /// away from zero; factors under 2^−32 become 0.
    ///
    /// # Errors
    /// The factor is not finite, or too large for a left shift by 30.
    pub fn from_real(factor: f64) -> Result<Multiplier, String> {
        if !factor.is_finite() {
            return Err(format!("a rescaling factor is {factor}"));
        }
        if factor.abs() < (-40f64).exp2() {
            return Ok(Multiplier { multiplier: 0, shift: 0 });
        }
        // frexp: factor = fraction · 2^shift with the fraction in [0.5, 1).
        let mut shift = factor.abs().log2().floor() as i32 + 1;
        let mut fraction = factor / (shift as f64).exp2();
        if fraction.abs() >= 1.0 {
            fraction /= 2.0;
            shift += 1;
        } else if fraction.abs() < 0.5 {
            fraction *= 2.0;
            shift -= 1;
        }
        let mut multiplier = (fraction * (1u64 << 31) as f64).round() as i64;
        if multiplier.abs() == 1 << 31 {
            multiplier /= 2;
            shift += 1;
        }
        if shift < -31 {
            return Ok(Multiplier { multiplier: 0, shift: 0 });
        }
        if shift > 30 {
            return Err(format!("a rescaling factor of {factor:e} is too large"));
        }
        Ok(Multiplier { multiplier: multiplier as i32, shift })
    }

    /// `x` times the factor, rounded twice as TFLite's reference kernels do.
    pub fn apply(self, x: i32) -> i32 {
        requantize(x, self.multiplier, self.shift)
    }

    /// The factor as a real number, for people to read.
    pub fn real(self) -> f64 {
        self.multiplier as f64 * ((self.shift - 31) as f64).exp2()
    }
}

/// A 256-entry table: entry `i` is the result for the code `i − 128`.
pub type Table = Box<[i8; 256]>;

/// One step of an [`Epilogue`], from an int32 to an int32.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// `x` becomes `zero_point + multiplier · (x − offset)`, rounded twice.
    Requantize {
        /// Subtracted first: the zero point of what comes in; 0 behind an accumulator.
        offset: i32,
        /// One for all channels, or one for each.
        multipliers: Vec<Multiplier>,
        /// Added last: the zero point of what comes out.
        zero_point: i32,
    },
    /// `x` held within `min..=max`.
    Clamp {
        /// The lowest result.
        min: i32,
        /// The highest result.
        max: i32,
    },
    /// Any function of an int8 code.
    Table(Table),
    /// A code and the residual's code at the same place become a sum, as in ADD.
    AddResidual {
        /// How the code is brought to the scale of the sum.
        own: Addend,
        /// How the residual's is.
        other: Addend,
    },
}

impl Stage {
    /// The table of a function of an int8 code.
    pub fn table(function: impl Fn(i32) -> i32) -> Stage {
        Stage::Table(Box::new(std::array::from_fn(|i| {
            i8::try_from(function(i as i32 - 128)).expect("an int8 code")
        })))
    }

    /// From codes of one quantization to codes of another, unless that changes nothing.
    pub fn rescale(offset: i32, multiplier: Multiplier, zero_point: i32) -> Option<Stage> {
        let identity = multiplier == Multiplier::ONE && offset == zero_point;
        (!identity).then(|| Stage::Requantize { offset, multipliers: vec![multiplier], zero_point })
    }

    /// The result for `x` in channel `channel`.
    pub fn apply(&self, x: i32, channel: usize) -> i32 {
        match self {
            Stage::Requantize { offset, multipliers, zero_point } => {
                let multiplier = multipliers[if multipliers.len() == 1 { 0 } else { channel }];
                multiplier.apply(x.wrapping_sub(*offset)).wrapping_add(*zero_point)
            }
            Stage::Clamp { min, max } => x.max(*min).min(*max),
            Stage::Table(table) => table[(x + 128) as usize] as i32,
            Stage::AddResidual { .. } => unreachable!("asked without a residual"),
        }
    }
}

/// How one operand of a sum is brought to the scale of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Addend {
    /// Subtracted from every code.
    pub zero_point: i32,
    /// At most one half, so that sums fit: applied behind the left shift.
    pub multiplier: Multiplier,
}

impl Addend {
    /// The bits by which codes are shifted to the left, so that rounding costs little.
    pub const LEFT_SHIFT: u32 = 20;

    /// The share of `code` in the sum.
    pub fn apply(&self, code: i32) -> i32 {
        self.multiplier.apply((code - self.zero_point) << Self::LEFT_SHIFT)
    }
}

/// The stages from an accumulator to a result, first to last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chain(pub Vec<Stage>);

impl Chain {
    /// Adds stages behind the last; clamps that follow each other become one.
    pub fn append(&mut self, stages: Vec<Stage>) {
        for stage in stages {
            match (self.0.last_mut(), &stage) {
                (Some(Stage::Clamp { min, max }), Stage::Clamp { .. }) => {
                    *min = stage.apply(*min, 0);
                    *max = stage.apply(*max, 0);
                }
                _ => self.0.push(stage),
            }
        }
    }

    /// The result for the accumulator `x` in channel `channel`, if no residual is added.
    pub fn apply(&self, x: i32, channel: usize) -> i32 {
        self.0.iter().fold(x, |x, stage| stage.apply(x, channel))
    }

    /// The result for the accumulator `x` in channel `channel`, where the residual is `residual`.
    fn apply_with(&self, x: i32, channel: usize, residual: i32) -> i32 {
        self.0.iter().fold(x, |x, stage| match stage {
            Stage::AddResidual { own, other } => own.apply(x) + other.apply(residual),
            stage => stage.apply(x, channel),
        })
    }
}

/// What becomes of an operator's accumulators: a chain for each of its results. The residual, where
/// one is added, is the operator's last operand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epilogue(pub Vec<Chain>);

impl Epilogue {
    /// Requantization to `zero_point`, then a clamp to `(min, max)`: what every operator with an
    /// accumulator ends in.
    pub fn requantize(
        multipliers: Vec<Multiplier>,
        zero_point: i32,
        (min, max): (i32, i32),
    ) -> Self {
        Epilogue(vec![Chain(vec![
            Stage::Requantize { offset: 0, multipliers, zero_point },
            Stage::Clamp { min, max },
        ])])
    }

    /// A clamp alone: operators that keep their input's codes.
    pub fn clamp((min, max): (i32, i32)) -> Self {
        Epilogue(vec![Chain(vec![Stage::Clamp { min, max }])])
    }

    /// Whether a residual is added on the way.
    pub fn has_residual(&self) -> bool {
        let mut stages = self.0.iter().flat_map(|chain| &chain.0);
        stages.any(|stage| matches!(stage, Stage::AddResidual { .. }))
    }

    /// The results' types, for accumulators of the shape of `ty`.
    pub fn types(&self, ty: TensorType) -> Vec<TensorType> {
        vec![ty; self.0.len()]
    }

    /// The results for accumulators in the order of `ty`'s elements, and the operator's last
    /// operand.
    pub fn results(&self, ty: &TensorType, accumulators: &[i32], last: &Value) -> Vec<Value> {
        let channels = ty.from_innermost(0);
        let residual = self.has_residual().then(|| last.ints());
        let result = |chain: &Chain| {
            let codes = accumulators.iter().enumerate().map(|(i, &x)| {
                let residual = residual.as_ref().map_or(0, |codes| codes[i]);
                chain.apply_with(x, i % channels, residual)
            });
            Value::from_ints(ty.clone(), codes)
        };
        self.0.iter().map(result).collect()
    }
}
