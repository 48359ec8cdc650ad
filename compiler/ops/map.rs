//! ADD, SUB or MUL with one number for all elements: any other operator's way from code to code,
//! as stages.

use super::{elementwise, Operator, Stage, TensorType, Value};

/// Operand: int8 codes of any shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// What the operator is called in the model.
    pub kind: &'static str,
    /// From the operand's codes to the result's.
    pub stages: Vec<Stage>,
}

impl Operator for Map {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        elementwise::infer(inputs)
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        elementwise::eval(&self.stages, inputs[0], inputs[0].ty.clone())
    }

    fn stages(&self) -> Option<Vec<Stage>> {
        Some(self.stages.clone())
    }

    fn describe(&self) -> String {
        "with a number".into()
    }
}
