//! The stages behind an accumulator, inside the loop that stores it.

use crate::kernels::Lowering;
use crate::loop_ir::{call, load, Builder, Expr, Intrinsic, Place};
use crate::ops::{DType, Epilogue, Multiplier, Stage, TensorType, Value};

/// An [`Epilogue`] whose tables are parameters of the function under construction.
pub struct EpilogueCode(Vec<StageCode>);

enum StageCode {
    Requantize { offset: i32, by: Factor, zero_point: i32 },
    Clamp { min: i32, max: i32 },
    Table(Place),
}

enum Factor {
    /// The same for all channels: constants in the code.
    One(Multiplier),
    /// By channel, all of them rounding right shifts by 1 to 31.
    Down { multipliers: Place, shifts: Place },
    /// By channel.
    Any { multipliers: Place, shifts: Place },
}

/// Whether [`Intrinsic::RequantizeDown`] serves.
fn is_down(m: &Multiplier) -> bool {
    m.multiplier != 0 && m.shift < 0
}

/// `x` times a constant factor, rounded twice.
pub fn rescale(x: Expr, by: Multiplier) -> Expr {
    if is_down(&by) {
        call(Intrinsic::RequantizeDown, [x, by.multiplier.into(), (-by.shift).into()])
    } else {
        call(Intrinsic::Requantize, [x, by.multiplier.into(), by.shift.into()])
    }
}

impl EpilogueCode {
    /// Adds the parameters that `epilogue` needs.
    pub fn new(lowering: &mut Lowering, epilogue: &Epilogue) -> Self {
        let code = |stage: &Stage| match stage {
            Stage::Requantize { offset, multipliers, zero_point } => StageCode::Requantize {
                offset: *offset,
                by: Factor::new(lowering, multipliers),
                zero_point: *zero_point,
            },
            Stage::Clamp { min, max } => StageCode::Clamp { min: *min, max: *max },
            Stage::Table(table) => {
                let ty = TensorType::new(DType::I8, [256]);
                let value = Value::from_ints(ty, table.iter().map(|&x| x as i32));
                let doc = "results for the codes -128 to 127".to_string();
                StageCode::Table(lowering.constant("table", doc, value))
            }
        };
        EpilogueCode(epilogue.0.iter().map(code).collect())
    }

    /// The result for the accumulator `x` of channel `channel`.
    pub fn apply(&self, code: &mut Builder, x: impl Into<Expr>, channel: &Expr) -> Expr {
        self.0.iter().fold(x.into(), |x, stage| match stage {
            StageCode::Requantize { offset, by, zero_point } => {
                let scaled = by.apply(x - *offset, *zero_point, channel);
                code.name("scaled", scaled)
            }
            StageCode::Clamp { min, max } => x.max(*min).min(*max),
            StageCode::Table(table) => load(*table, (x + 128).to_index()),
        })
    }
}

impl Factor {
    fn new(lowering: &mut Lowering, multipliers: &[Multiplier]) -> Self {
        if multipliers.iter().all(|m| *m == multipliers[0]) {
            return Factor::One(multipliers[0]);
        }
        let words: Vec<i32> = multipliers.iter().map(|m| m.multiplier).collect();
        let down = multipliers.iter().all(is_down);
        let shifts = multipliers.iter().map(|m| if down { -m.shift } else { m.shift });
        let dtype = if down { DType::U8 } else { DType::I8 };
        let ty = TensorType::new(dtype, [multipliers.len()]);
        let shifts = Value::from_ints(ty, shifts);
        let multipliers = lowering.words("multipliers", "each channel's multiplier", &words);
        if down {
            let doc = "each channel's right shift".to_string();
            Factor::Down { multipliers, shifts: lowering.constant("shifts", doc, shifts) }
        } else {
            let doc = "each channel's shift, to the left if positive".to_string();
            Factor::Any { multipliers, shifts: lowering.constant("shifts", doc, shifts) }
        }
    }

    fn apply(&self, x: Expr, zero_point: i32, channel: &Expr) -> Expr {
        match self {
            Factor::One(m) if *m == Multiplier::ONE => x + zero_point,
            Factor::One(m) if is_down(m) => rescale(x, *m) + zero_point,
            // A left shift may wrap, and then so may the sum: as in the reference kernels.
            Factor::One(m) => rescale(x, *m).wrapping_add(zero_point),
            Factor::Down { multipliers, shifts } => {
                let args = [x, load(*multipliers, channel), load(*shifts, channel)];
                call(Intrinsic::RequantizeDown, args) + zero_point
            }
            Factor::Any { multipliers, shifts } => {
                let args = [x, load(*multipliers, channel), load(*shifts, channel)];
                call(Intrinsic::Requantize, args).wrapping_add(zero_point)
            }
        }
    }
}
