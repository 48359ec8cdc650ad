//! Requires constants folded; ensures that no ADD, SUB or MUL has the same number for all elements
//! as one of its operands: such an operator maps each code on its own.

use super::fold_requant::one_multiplier;
use crate::ir::{Graph, Node, TensorId};
use crate::ops::{Chain, DType, Map, Op, Stage, TensorType, Value};
use crate::target::Target;

/// Turns such operators into stages, which the passes behind this one know how to move.
pub fn run(graph: &mut Graph, _: &Target) {
    for i in 0..graph.nodes.len() {
        if let Some((operand, map)) = as_map(graph, &graph.nodes[i]) {
            graph.nodes[i].op = map.into();
            graph.nodes[i].inputs = vec![operand];
        }
    }
}

/// The operand that isn't the number, and what becomes of its codes.
fn as_map(graph: &Graph, node: &Node) -> Option<(TensorId, Map)> {
    let zero_points = match &node.op {
        Op::Add(op) => op.operands.map(|operand| operand.zero_point),
        Op::Mul(op) => op.zero_points,
        _ => return None,
    };
    let number = (0..2).find(|&at| graph.constant(node.inputs[at]).is_some_and(is_uniform))?;
    let other = 1 - number;
    let operand = node.inputs[other];
    let &[result] = &node.outputs[..] else { return None };
    if graph.tensors[operand].ty != graph.tensors[result].ty || graph.constant(operand).is_some() {
        return None;
    }
    // The operator itself says what becomes of each code.
    let (min, max) = DType::I8.range();
    let codes = Value::from_ints(TensorType::new(DType::I8, [256]), min..=max);
    let first = graph.constant(node.inputs[number])?.ints()[0];
    let first = Value::from_ints(TensorType::new(DType::I8, []), [first]);
    let mut operands = [&codes; 2];
    operands[number] = &first;
    let results = node.op.eval(&operands).swap_remove(0).ints();
    let table = Chain(vec![Stage::table(|code| results[(code - min) as usize])]);
    let stages = match one_multiplier(&table, zero_points[other], &[(min, max)]) {
        Some((linear, _, difference)) if difference.count == 0 => linear.0,
        _ => table.0,
    };
    Some((operand, Map { kind: node.op.kind(), stages }))
}

fn is_uniform(value: &Value) -> bool {
    let codes = value.ints();
    codes.iter().all(|code| *code == codes[0]) && !codes.is_empty()
}
