//! The stages behind an accumulator, inside the loop that stores its results.

use super::Form;
use crate::kernels::Lowering;
use crate::loop_ir::{call, load, Builder, Expr, Intrinsic, Place};
use crate::ops::{Addend, Chain, DType, Epilogue, Multiplier, Stage, TensorType, Value};

/// An [`Epilogue`] whose tables, residual and results are parameters of the function under
/// construction.
pub struct EpilogueCode {
    residual: Option<Place>,
    results: Vec<ChainCode>,
    form: Form,
}

struct ChainCode {
    /// An earlier chain, and how many stages it has in common with this one: computed once.
    shared: Option<(usize, usize)>,
    /// The stages behind those.
    stages: Vec<StageCode>,
    result: Place,
}

enum StageCode {
    Requantize { offset: i32, by: Factor, zero_point: i32 },
    Clamp { min: i32, max: i32 },
    Table(Place),
    AddResidual { own: Addend, other: Addend },
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

/// The function for which [`is_down`] asks.
fn requantize_down(form: Form) -> Intrinsic {
    match form.by_halves {
        true => Intrinsic::RequantizeDownByHalves,
        false => Intrinsic::RequantizeDown,
    }
}

/// `x` times a constant factor, rounded twice.
fn rescale(x: Expr, by: Multiplier, form: Form) -> Expr {
    if is_down(&by) {
        call(requantize_down(form), [x, by.multiplier.into(), (-by.shift).into()])
    } else {
        call(Intrinsic::Requantize, [x, by.multiplier.into(), by.shift.into()])
    }
}

/// The share of a code in a sum.
pub fn addend(code: Expr, of: &Addend, form: Form) -> Expr {
    rescale((code - of.zero_point).shift_left(Addend::LEFT_SHIFT as i32), of.multiplier, form)
}

impl EpilogueCode {
    /// Adds the parameters that `epilogue` needs, the results last.
    pub fn new(lowering: &mut Lowering, epilogue: &Epilogue) -> Self {
        let residual = epilogue.has_residual().then(|| {
            let last = lowering.layer.node.inputs.len() - 1;
            lowering.operand(last, "residual")
        });
        let chains = &epilogue.0;
        let mut results = Vec::new();
        for (i, chain) in chains.iter().enumerate() {
            let common = |other: &Chain| {
                let pairs = chain.0.iter().zip(&other.0);
                pairs.take_while(|(a, b)| a == b).count()
            };
            let shared = (0..i).map(|j| (j, common(&chains[j]))).max_by_key(|&(_, depth)| depth);
            let shared = shared.filter(|&(_, depth)| depth > 0);
            let own = &chain.0[shared.map_or(0, |(_, depth)| depth)..];
            let stages = own.iter().map(|stage| StageCode::new(lowering, stage)).collect();
            results.push(ChainCode { shared, stages, result: lowering.result(i) });
        }
        EpilogueCode { residual, results, form: lowering.form }
    }

    /// Stores the results for the accumulator `x` of channel `channel` as elements `at`.
    pub fn store(
        &self,
        code: &mut Builder,
        at: impl Into<Expr>,
        x: impl Into<Expr>,
        channel: &Expr,
    ) {
        let (at, x) = (at.into(), x.into());
        // What each chain has come to behind each of its stages.
        let mut values: Vec<Vec<Expr>> = Vec::new();
        for chain in &self.results {
            let mut steps = match chain.shared {
                Some((other, depth)) => values[other][..=depth].to_vec(),
                None => vec![x.clone()],
            };
            for stage in &chain.stages {
                let mut value = steps.last().expect("the accumulator").clone();
                value = match stage {
                    StageCode::Requantize { offset, by, zero_point } => {
                        let scaled = by.apply(value - *offset, *zero_point, channel, self.form);
                        code.name("scaled", scaled)
                    }
                    StageCode::Clamp { min, max } => value.max(*min).min(*max),
                    StageCode::Table(table) => load(*table, (value + 128).to_index()),
                    StageCode::AddResidual { own, other } => {
                        let residual = load(self.residual.expect("bound"), &at);
                        let sum =
                            addend(value, own, self.form) + addend(residual, other, self.form);
                        code.name("sum", sum)
                    }
                };
                if self.results.len() > 1 {
                    value = code.name("code", value);
                }
                steps.push(value);
            }
            values.push(steps);
        }
        for (chain, steps) in self.results.iter().zip(values) {
            code.store(chain.result, &at, steps.last().expect("the accumulator"));
        }
    }
}

impl StageCode {
    fn new(lowering: &mut Lowering, stage: &Stage) -> Self {
        match stage {
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
            Stage::AddResidual { own, other } => {
                StageCode::AddResidual { own: *own, other: *other }
            }
        }
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

    fn apply(&self, x: Expr, zero_point: i32, channel: &Expr, form: Form) -> Expr {
        match self {
            Factor::One(m) if *m == Multiplier::ONE => x + zero_point,
            Factor::One(m) if is_down(m) => rescale(x, *m, form) + zero_point,
            // A left shift may wrap, and then so may the sum: as in the reference kernels.
            Factor::One(m) => rescale(x, *m, form).wrapping_add(zero_point),
            Factor::Down { multipliers, shifts } => {
                let args = [x, load(*multipliers, channel), load(*shifts, channel)];
                call(requantize_down(form), args) + zero_point
            }
            Factor::Any { multipliers, shifts } => {
                let args = [x, load(*multipliers, channel), load(*shifts, channel)];
                call(Intrinsic::Requantize, args).wrapping_add(zero_point)
            }
        }
    }
}
