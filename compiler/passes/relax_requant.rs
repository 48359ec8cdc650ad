//! Requires activations fused; ensures that chains of stages which one multiplier follows within 1
//! are one multiplier, and that the graph says where that isn't exact, and how far.

use super::fold_requant::{clamped, fold_chains, offset, one_multiplier};
use crate::ir::{Form, Graph};
use crate::target::Target;

/// The furthest that a code may be off.
pub const MOST: u32 = 1;

/// Rounds once where the model rounds more often. What can be had exactly is left for
/// `fold_requant`.
pub fn run(graph: &mut Graph, _: &Target) {
    fold_chains(graph, |chain, accumulators, _| {
        if clamped(chain, accumulators).is_some() {
            return None;
        }
        let (short, scope, difference) = one_multiplier(chain, offset(chain), accumulators)?;
        let inexact = (1..=MOST).contains(&difference.most);
        inexact.then_some((short, Form::Relaxed(scope, difference)))
    });
}
