//! ADD and SUB: both operands brought to a common fine scale, summed, and requantized.
//!
//! Formula: TFLite's `reference_integer_ops/add.h` (`AddFunc`): three roundings.

use super::{broadcast, Addend, Epilogue, Operator, TensorType, Value};

/// Operands: two of int8 codes, of shapes that go together.
#[derive(Clone, Debug, PartialEq)]
pub struct Add {
    /// Whether it is SUB. The second operand's multiplier is then negative.
    pub subtract: bool,
    /// How each operand is brought to the common scale.
    pub operands: [Addend; 2],
    /// From sums to codes.
    pub epilogue: Epilogue,
}

impl Operator for Add {
    fn kind(&self) -> &'static str {
        if self.subtract {
            "SUB"
        } else {
            "ADD"
        }
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
        let sum = |(x, y)| self.operands[0].apply(a[x]) + self.operands[1].apply(b[y]);
        from_a.into_iter().zip(from_b).map(sum).collect()
    }

    fn epilogue(&self) -> Option<&Epilogue> {
        Some(&self.epilogue)
    }

    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        Some(&mut self.epilogue)
    }

    fn describe(&self) -> String {
        let [a, b] = self.operands;
        let sign = if self.subtract { '-' } else { '+' };
        let factor = |addend: Addend| addend.multiplier.real().abs();
        format!(
            "{:.6} (x {:+}) {sign} {:.6} (y {:+})",
            factor(a),
            -a.zero_point,
            factor(b),
            -b.zero_point
        )
    }
}
