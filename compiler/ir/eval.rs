//! The reference interpreter: the graph evaluated node by node with `ops`' meanings.

use super::{Graph, TensorId};
use crate::ops::Value;

/// The model's outputs for `inputs`, both in the model's order.
///
/// # Errors
/// The inputs' number or types aren't the model's.
pub fn eval(graph: &Graph, inputs: &[Value]) -> Result<Vec<Value>, String> {
    let values = eval_all(graph, inputs)?;
    let value = |&id: &TensorId| values[id.index()].clone().expect("outputs are computed");
    Ok(graph.outputs.iter().map(value).collect())
}

/// Every tensor's value, by the tensor's index; `None` for tensors that nothing computes.
///
/// # Errors
/// The inputs' number or types aren't the model's.
pub fn eval_all(graph: &Graph, inputs: &[Value]) -> Result<Vec<Option<Value>>, String> {
    if inputs.len() != graph.inputs.len() {
        return Err(format!("{} inputs given, the model has {}", inputs.len(), graph.inputs.len()));
    }
    let mut values: Vec<Option<Value>> =
        graph.tensors.iter().map(|(_, tensor)| tensor.constant.clone()).collect();
    for (i, (&id, value)) in graph.inputs.iter().zip(inputs).enumerate() {
        let ty = &graph.tensors[id].ty;
        if value.ty != *ty {
            return Err(format!("input {i} is {}, the model's is {ty}", value.ty));
        }
        values[id.index()] = Some(value.clone());
    }
    for node in &graph.nodes {
        let operand = |id: &TensorId| values[id.index()].as_ref().expect("operands come first");
        let results = node.op.eval(&node.inputs.iter().map(operand).collect::<Vec<_>>());
        for (&id, result) in node.outputs.iter().zip(results) {
            values[id.index()] = Some(result);
        }
    }
    Ok(values)
}
