//! What passes have to say of the way from a layer's accumulators to its codes: which form it got,
//! and why.

use std::fmt;

use super::TensorId;

/// A chain of stages that was looked at, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Folding {
    /// The result that the chain computes.
    pub tensor: TensorId,
    /// The operators of the model file that the layer stood for then, by index.
    pub operators: Vec<usize>,
    /// What became of it.
    pub form: Form,
}

/// The form that a chain got, and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// What stood behind the first clamp only holds codes within narrower limits, if anything.
    Clamp,
    /// One multiplier, for whose results equality is proved.
    OneMultiplier(Scope),
    /// One multiplier that isn't exact, but as near as was asked for.
    Relaxed(Scope, Difference),
    /// So many requantizations in registers, as it was.
    Stages(usize, Obstacle),
    /// A table of 256 bytes behind the first clamp.
    Table(Obstacle),
}

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The lowest and the highest accumulator that can come, of all channels.
    pub accumulators: (i32, i32),
    /// How many channels were compared on their own, each over its own range; 1 if all have the
    /// same multiplier.
    pub channels: usize,
}

/// Why one multiplier isn't exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A higher accumulator may have a lower result.
    NotMonotone,
    /// The best multiplier differs.
    Differs(Difference),
}

/// How far two functions of accumulators differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// How many accumulators were compared, all channels together.
    pub total: u64,
    /// For how many of them results differ.
    pub count: u64,
    /// The largest difference of two results.
    pub most: u32,
}

impl std::ops::AddAssign for Difference {
    fn add_assign(&mut self, other: Difference) {
        self.total += other.total;
        self.count += other.count;
        self.most = self.most.max(other.most);
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Form::Clamp => write!(f, "clamp: the rest changes no code within its limits"),
            Form::OneMultiplier(scope) => write!(f, "requantize ×1, proved equal {scope}"),
            Form::Relaxed(scope, difference) => {
                write!(f, "requantize ×1, relaxed: {difference} {scope}")
            }
            Form::Stages(count, obstacle) => write!(f, "{count} stages: {obstacle}"),
            Form::Table(obstacle) => write!(f, "table: {obstacle}"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "over {}..={}", self.accumulators.0, self.accumulators.1)?;
        match self.channels {
            1 => Ok(()),
            channels => write!(f, " in all {channels} channels"),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Obstacle::NotMonotone => write!(f, "not monotone"),
            Obstacle::Differs(difference) => write!(f, "{difference} under one multiplier"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Difference { total, count, most } = self;
        write!(f, "{count} of {total} accumulators differ by up to {most}")
    }
}
