//! From a verified [`Program`](crate::loop_ir::Program) to text: one printer a language, each
//! spelling the same loop IR. Nothing here computes anything that the program doesn't say.

#[cfg(feature = "c")]
pub mod c;
pub mod rust;

mod describe;
mod placement;
mod runtime;
mod tidy;

pub use placement::{Arena, Placement, Section};

/// What the head of a generated file says of where it comes from. No time, no folder: the same
/// model and arguments give the same bytes everywhere.
#[derive(Clone, Debug, Default)]
pub struct Banner {
    /// The model's file name.
    pub model: String,
    /// The model's SHA-256.
    pub sha256: String,
    /// The arguments that made the file.
    pub arguments: String,
    /// The target's name.
    pub target: String,
    /// Multiplications for one inference.
    pub macs: u64,
    /// The layers that aren't exact because rounding once was asked for, and how far off they are.
    pub relaxed: Vec<String>,
}
