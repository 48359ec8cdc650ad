//! Requires activations fused; ensures that no elementwise operator only adds the same number to
//! all codes, if those who read its result could take other zero points instead.

use super::ranges::{hull, Ranges};
use crate::ir::Graph;
use crate::ops::{DType, Op};
use crate::target::Target;

/// Drops operators that only shift codes, such as a QUANTIZE between two zero points, and shifts
/// the zero points that their readers subtract.
pub fn run(graph: &mut Graph, _: &Target) {
    let Some(ranges) = Ranges::new(graph) else { return };
    let mut i = 0;
    while i < graph.nodes.len() {
        if shift(graph, &ranges, i).and_then(|by| remove(graph, i, by)).is_none() {
            i += 1;
        }
    }
}

/// What node `i` adds to every code that comes, if it does nothing else.
fn shift(graph: &Graph, ranges: &Ranges, i: usize) -> Option<i32> {
    let node = &graph.nodes[i];
    let stages = node.op.stages()?;
    let (min, max) = hull(ranges.of(node.inputs[0]));
    let moved = |code: i32| stages.iter().fold(code, |x, stage| stage.apply(x, 0)) - code;
    let by = moved(min);
    (min..=max).all(|code| moved(code) == by).then_some(by)
}

/// Removes node `i`, which adds `by`; `None` if a reader can't do without.
fn remove(graph: &mut Graph, i: usize, by: i32) -> Option<()> {
    let (before, after) = (graph.nodes[i].inputs[0], graph.nodes[i].outputs[0]);
    if graph.outputs.contains(&after) {
        return None;
    }
    let mut readers = Vec::new();
    for (reader, node) in graph.nodes.iter().enumerate() {
        let mut operands = (0..node.inputs.len()).filter(|&o| node.inputs[o] == after).peekable();
        if operands.peek().is_some() {
            let mut op = node.op.clone();
            operands.try_for_each(|operand| subtract(&mut op, operand, by))?;
            readers.push((reader, op));
        }
    }
    for (reader, op) in readers {
        graph.nodes[reader].op = op;
    }
    graph.replace_uses(after, before);
    graph.nodes.remove(i);
    Some(())
}

/// Makes an operator expect codes that are lower by `by` as that operand; `None` if it can't.
fn subtract(op: &mut Op, operand: usize, by: i32) -> Option<()> {
    let (min, max) = DType::I8.range();
    let code = |padding: i32| Some(padding - by).filter(|code| (min..=max).contains(code));
    match (op, operand) {
        (Op::Conv2d(op), 0) => {
            op.padding_value = code(op.padding_value)?;
            op.input_zero_point -= by;
        }
        (Op::DepthwiseConv2d(op), 0) => {
            op.padding_value = code(op.padding_value)?;
            op.input_zero_point -= by;
        }
        (Op::FullyConnected(op), 0) => op.input_zero_point -= by,
        (Op::Mean(op), 0) => op.input_zero_point -= by,
        (Op::Add(op), operand) if operand < 2 => op.operands[operand].zero_point -= by,
        (Op::Mul(op), operand) => op.zero_points[operand] -= by,
        _ => return None,
    }
    Some(())
}
