//! Whether a compiled model fits the user's device.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::Path;

use tflc::loop_ir::Program;
use tflc::plan::cost;
use tflc::target::{format_size, Target};
use tflc::text::thousands;
use tflc::Compiled;

use super::compile::Budgets;
use super::{listing, tell, Failure};

/// How many of the layers that hold the most are named.
const NAMED_LAYERS: usize = 5;

/// Something that a device has only so much of.
struct Budget {
    option: &'static str,
    unit: &'static str,
    /// What the user allows.
    allowed: Option<usize>,
    /// What devices with the target's core usually have.
    usual: Option<usize>,
    needed: usize,
    /// What a layer, of those calls, holds of it.
    held_by: fn(&Program, &[usize]) -> usize,
}

/// Fails with all that exceeds what the user allows. What only exceeds the target's usual memory is
/// told and let through.
pub fn keep(
    model: &Path,
    allowed: &Budgets,
    compiled: &Compiled,
    target: &Target,
) -> Result<(), Failure> {
    let program = &compiled.program;
    let budgets = [
        Budget {
            option: "--flash",
            unit: "bytes of flash (constants, and about so much code)",
            allowed: allowed.flash,
            usual: target.memory.flash,
            needed: cost::flash(program, target),
            held_by: constants,
        },
        Budget {
            option: "--ram",
            unit: "bytes of RAM",
            allowed: allowed.ram,
            usual: target.memory.ram,
            needed: program.ram(),
            held_by: memory,
        },
    ];
    let mut wrong = Vec::new();
    for Budget { option, unit, allowed, usual, needed, held_by } in budgets {
        let what = format!("{} takes {} {unit}", model.display(), thousands(needed));
        match (allowed, usual) {
            (Some(allowed), _) if needed > allowed => wrong.push(format!(
                "{what}, {} more than {option} {} allows; the layers that hold the most:{}",
                thousands(needed - allowed),
                format_size(allowed),
                largest(program, held_by)
            )),
            (None, Some(usual)) if needed > usual => tell(&format!(
                "note: {what}, and {} devices usually have {} ({option} SIZE says what yours has)",
                target.name,
                format_size(usual)
            )),
            _ => {}
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::Unusable(wrong))
}

fn constants(program: &Program, calls: &[usize]) -> usize {
    let constants = calls.iter().flat_map(|&call| listing::constants(&program.calls[call]));
    let different: BTreeSet<usize> = constants.collect();
    different.into_iter().map(|constant| program.constants[constant].bytes.len()).sum()
}

fn memory(program: &Program, calls: &[usize]) -> usize {
    let of_call = |&call: &usize| {
        let regions = listing::regions(&program.calls[call]);
        regions.map(|region| region.len * program.memories[region.memory].dtype.size()).sum()
    };
    calls.iter().map(of_call).max().unwrap_or(0)
}

fn largest(program: &Program, held_by: fn(&Program, &[usize]) -> usize) -> String {
    let mut layers: Vec<(usize, usize)> =
        program.layers().iter().map(|calls| (held_by(program, calls), calls[0])).collect();
    layers.sort_by_key(|&(bytes, call)| (Reverse(bytes), call));
    let lines = layers.iter().take(NAMED_LAYERS).filter(|(bytes, _)| *bytes > 0);
    let line = |&(bytes, call): &(usize, usize)| {
        let layer = listing::title(&program.calls[call].layer);
        format!("\n{:>12}  {layer}", thousands(bytes))
    };
    lines.map(line).collect()
}
