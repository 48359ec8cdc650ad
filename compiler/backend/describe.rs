//! What a program is called and said to be in any language: the words that its printers share.

use super::Banner;
use crate::loop_ir::{Layer, Memory, Program};
use crate::ops::DType;
use crate::text;

/// Which operators of the model a layer stands for.
pub fn operators(layer: &Layer) -> String {
    let plural = if layer.operators.contains(',') { "s" } else { "" };
    format!("Operator{plural} {}", layer.operators)
}

/// What a call does.
pub fn call(layer: &Layer) -> String {
    let part = if layer.part.is_empty() { String::new() } else { format!(", {}", layer.part) };
    format!("{}: {}{part}", operators(layer), layer.what)
}

/// What a call does in the first of several rounds, and which part that is in the last.
pub fn repeated(first: &Layer, last: &Layer) -> String {
    match first.part == last.part {
        true => call(first),
        false => format!("{}; in the last round {}", call(first), last.part),
    }
}

/// What several rounds are.
pub fn rounds(count: usize) -> String {
    format!("{count} rounds, each for the rows that come next.")
}

/// Which layers aren't exact, and how far off they are: lines for the head of a file.
pub fn relaxed(banner: &Banner) -> Vec<String> {
    let head = "Not exact, as --relax-requant allows; the accumulators for which results differ:";
    let layers = banner.relaxed.iter().map(|layer| format!("    {layer}"));
    let head = (!banner.relaxed.is_empty()).then(|| head.to_string());
    head.into_iter().chain(layers).collect()
}

/// The layers in their order, a row each under a row of headings; `name` says what a function is
/// called. The fourth column holds numbers.
pub fn layers(program: &Program, name: impl Fn(usize) -> String) -> Vec<[String; 5]> {
    let heads = ["Operator", "What", "Shapes", "MACs", "Function"].map(String::from);
    let rows = program.layers().into_iter().map(|calls| {
        let Layer { operators, what, shapes, .. } = &program.calls[calls[0]].layer;
        let macs = calls.iter().map(|&call| program.calls[call].layer.macs).sum::<u64>();
        let mut functions: Vec<usize> = Vec::new();
        for function in calls.iter().map(|&call| program.calls[call].function) {
            if !functions.contains(&function) {
                functions.push(function);
            }
        }
        let functions: Vec<String> = functions.into_iter().map(&name).collect();
        [
            operators.clone(),
            what.clone(),
            shapes.clone(),
            text::thousands(macs),
            functions.join(", "),
        ]
    });
    std::iter::once(heads).chain(rows).collect()
}

/// What a function computes, then for which layers: paragraphs.
pub fn function(program: &Program, function: usize) -> (Vec<String>, Vec<String>) {
    let layers = program.layers().into_iter().filter_map(|calls| {
        let mut own = calls.iter().map(|&call| &program.calls[call]);
        own.clone().find(|call| call.function == function)?;
        let Layer { tensor, .. } = &program.calls[calls[0]].layer;
        let macs = match own.by_ref().map(|call| call.layer.macs).sum::<u64>() {
            0 => String::new(),
            macs => format!(", {} MACs", text::thousands(macs)),
        };
        let operators = operators(&program.calls[calls[0]].layer);
        Some(format!("{operators}: {}{macs}", text::code(tensor)))
    });
    (program.functions[function].doc.clone(), layers.collect())
}

/// `input`, or `input0` where there are several.
pub fn border_name(what: &str, index: usize, count: usize) -> String {
    match count {
        1 => what.to_string(),
        _ => format!("{what}{index}"),
    }
}

/// "the input", or "input 0" where there are several.
pub fn border_words(what: &str, index: usize, count: usize) -> String {
    match count {
        1 => format!("the {what}"),
        _ => format!("{what} {index}"),
    }
}

/// What a memory is called: `arena` for int8, `arena_f32` and so on for others.
pub fn memory(memories: &[Memory], index: usize) -> String {
    let dtype = memories[index].dtype;
    let suffix = match dtype {
        DType::I8 => String::new(),
        dtype => format!("_{dtype}"),
    };
    match memories[..index].iter().filter(|memory| memory.dtype == dtype).count() {
        0 => format!("arena{suffix}"),
        earlier => format!("arena{suffix}_{}", earlier + 1),
    }
}
