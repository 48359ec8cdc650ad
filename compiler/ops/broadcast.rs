//! How operands of different shapes meet element by element: dimensions of size 1 repeat.

use super::{coordinates, strides, TensorType};

/// The shape that both operands are stretched to; dimensions correspond from the innermost on.
pub fn shape(a: &TensorType, b: &TensorType) -> Result<Vec<usize>, String> {
    let rank = a.shape.len().max(b.shape.len());
    let sizes =
        (0..rank).rev().map(|axis| match (a.from_innermost(axis), b.from_innermost(axis)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(format!("the shapes of {a} and {b} don't go together")),
        });
    sizes.collect()
}

/// For each element of `result`, the index of the operand's element that goes into it.
pub fn sources(operand: &[usize], result: &[usize]) -> Vec<usize> {
    let stretched = result.len() - operand.len();
    let strides = strides(operand);
    let source = |i| {
        let position = &coordinates(result, i)[stretched..];
        let along = position.iter().zip(operand).zip(&strides);
        along.map(|((&at, &size), stride)| if size == 1 { 0 } else { at * stride }).sum()
    };
    (0..result.iter().product()).map(source).collect()
}
