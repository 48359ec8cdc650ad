//! What every pass may rely on and must keep.

use super::{Graph, TensorId};

/// Checks that operands are computed before they are read, that each tensor is computed once and
/// that every result has the type that its operator infers.
///
/// # Errors
/// The first violation, naming the node. It is a bug in the compiler: a model's own faults are
/// found at import.
pub fn validate(graph: &Graph) -> Result<(), String> {
    let mut known: Vec<bool> = graph.tensors.iter().map(|(_, t)| t.constant.is_some()).collect();
    for (id, tensor) in graph.tensors.iter() {
        if tensor.constant.as_ref().is_some_and(|value| value.ty != tensor.ty) {
            return Err(format!("constant {id:?} '{}' isn't of its type", tensor.name));
        }
    }
    for &id in &graph.inputs {
        known[id.index()] = true;
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        let place = || format!("node {i} {}", node.op.kind());
        if let Some(id) = node.inputs.iter().find(|id| !known[id.index()]) {
            return Err(format!("{} reads {id:?} before it is computed", place()));
        }
        let inferred =
            node.op.infer(&graph.input_types(node)).map_err(|e| format!("{}: {e}", place()))?;
        let actual: Vec<_> = node.outputs.iter().map(|&id| graph.tensors[id].ty.clone()).collect();
        if inferred != actual {
            return Err(format!("{} yields {inferred:?}, its tensors are {actual:?}", place()));
        }
        for &id in &node.outputs {
            if std::mem::replace(&mut known[id.index()], true) {
                return Err(format!("{} computes {id:?} again", place()));
            }
        }
    }
    let missing = |id: &&TensorId| !known[id.index()];
    match graph.outputs.iter().find(missing) {
        Some(id) => Err(format!("output {id:?} is never computed")),
        None => Ok(()),
    }
}
