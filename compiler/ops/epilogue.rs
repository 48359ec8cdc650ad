//! What an operator's int32 results go through on their way to memory.
//!
//! An operator with an accumulator owns an [`Epilogue`]; an elementwise operator is nothing but
//! stages. Fusing the one into the other is appending its stages to the list.

use tflc_rt::requantize;

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
        }
    }
}

/// The stages that an accumulator goes through, first to last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epilogue(pub Vec<Stage>);

impl Epilogue {
    /// Requantization to `zero_point`, then a clamp to `(min, max)`: what every operator with an
    /// accumulator ends in.
    pub fn requantize(
        multipliers: Vec<Multiplier>,
        zero_point: i32,
        (min, max): (i32, i32),
    ) -> Self {
        Epilogue(vec![
            Stage::Requantize { offset: 0, multipliers, zero_point },
            Stage::Clamp { min, max },
        ])
    }

    /// A clamp alone: operators that keep their input's codes.
    pub fn clamp((min, max): (i32, i32)) -> Self {
        Epilogue(vec![Stage::Clamp { min, max }])
    }

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

    /// The result for the accumulator `x` in channel `channel`.
    pub fn apply(&self, x: i32, channel: usize) -> i32 {
        self.0.iter().fold(x, |x, stage| stage.apply(x, channel))
    }
}
