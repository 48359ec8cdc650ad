//! MUL: the product of two operands, requantized.
//!
//! Formula: TFLite's `reference_integer_ops/mul.h` (`MulElementwise`).

use super::{broadcast, Epilogue, Operator, TensorType, Value};

/// Operands: two of int8 codes, of shapes that go together.
#[derive(Clone, Debug, PartialEq)]
pub struct Mul {
    /// Subtracted from every code of each operand.
    pub zero_points: [i32; 2],
    /// From products to codes.
    pub epilogue: Epilogue,
}

impl Operator for Mul {
    fn kind(&self) -> &'static str {
        "MUL"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        super::expect_codes(inputs[0])?;
        super::expect_codes(inputs[1])?;
        let shape = broadcast::shape(inputs[0], inputs[1])?;
        Ok(self.epilogue.types(TensorType::checked(inputs[0].dtype, shape)?))
    }

    fn accumulators(&self, inputs: &[&Value], ty: &TensorType) -> Vec<i32> {
        let [a, b] = [inputs[0].ints(), inputs[1].ints()];
        let [from_a, from_b] = [0, 1].map(|i| broadcast::sources(&inputs[i].ty.shape, &ty.shape));
        let product = |(x, y)| (a[x] - self.zero_points[0]) * (b[y] - self.zero_points[1]);
        from_a.into_iter().zip(from_b).map(product).collect()
    }

    fn macs(&self, _inputs: &[&TensorType], output: &TensorType) -> u64 {
        output.elements() as u64
    }

    fn epilogue(&self) -> Option<&Epilogue> {
        Some(&self.epilogue)
    }

    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        Some(&mut self.epilogue)
    }

    fn describe(&self) -> String {
        let [a, b] = self.zero_points;
        format!("(x {:+}) * (y {:+})", -a, -b)
    }
}
