//! What operators that map each code on its own have in common: they are nothing but stages.

use super::{Stage, TensorType, Value};

/// The result's type: the operand's, which must be of int8 codes.
pub fn infer(inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
    super::expect_codes(inputs[0])?;
    Ok(vec![inputs[0].clone()])
}

/// The operand's codes behind the stages, as a value of type `ty`.
pub fn eval(stages: &[Stage], input: &Value, ty: TensorType) -> Vec<Value> {
    let channels = ty.from_innermost(0);
    let results =
        input.ints().into_iter().enumerate().map(|(i, code)| {
            stages.iter().fold(code, |code, stage| stage.apply(code, i % channels))
        });
    vec![Value::from_ints(ty, results)]
}
