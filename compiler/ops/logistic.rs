//! LOGISTIC: 1 / (1 + e^−x), as a table that the frontend has filled.
//!
//! TFLite's reference kernel looks up the same table, made from float32 (`LUTPopulate`).

use super::{elementwise, Operator, Stage, Table, TensorType, Value};

/// Operand: int8 codes of any shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// The result for each code.
    pub table: Table,
}

impl Operator for Logistic {
    fn kind(&self) -> &'static str {
        "LOGISTIC"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        elementwise::infer(inputs)
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        elementwise::eval(&self.stages().expect("has stages"), inputs[0], inputs[0].ty.clone())
    }

    fn stages(&self) -> Option<Vec<Stage>> {
        Some(vec![Stage::Table(self.table.clone())])
    }
}
