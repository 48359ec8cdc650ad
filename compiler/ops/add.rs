//! ADD and SUB: both operands brought to a common fine scale, summed, and requantized.
//!
//! Formula: TFLite's `reference_integer_ops/add.h` (`AddFunc`): three roundings.

use super::{broadcast, Epilogue, Multiplier, Operator, TensorType, Value};

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

/// How one operand of a sum is brought to the scale of the sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Addend {
    /// Subtracted from every code.
    pub zero_point: i32,
    /// At most one half, so that sums fit: applied behind the left shift.
    pub multiplier: Multiplier,
}

impl Addend {
    /// The bits by which codes are shifted to the left, so that rounding costs little.
    pub const LEFT_SHIFT: u32 = 20;

    /// The share of `code` in the sum.
    pub fn apply(&self, code: i32) -> i32 {
        self.multiplier.apply((code - self.zero_point) << Self::LEFT_SHIFT)
    }
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
        Ok(vec![TensorType::checked(inputs[0].dtype, shape)?])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = super::infer_one(self, inputs);
        let [a, b] = [inputs[0].ints(), inputs[1].ints()];
        let [from_a, from_b] = [0, 1].map(|i| broadcast::sources(&inputs[i].ty.shape, &ty.shape));
        let channels = ty.from_innermost(0);
        let results = from_a.into_iter().zip(from_b).enumerate().map(|(i, (x, y))| {
            let sum = self.operands[0].apply(a[x]) + self.operands[1].apply(b[y]);
            self.epilogue.apply(sum, i % channels)
        });
        vec![Value::from_ints(ty, results)]
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
