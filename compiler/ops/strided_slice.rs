//! STRIDED_SLICE: every n-th element of a range, along each dimension.

use super::{coordinates, strides, Operator, TensorType, Value};

/// Operand: of any type. The frontend has resolved the masks.
#[derive(Clone, Debug, PartialEq)]
pub struct StridedSlice {
    /// What is taken, by dimension of the operand.
    pub ranges: Vec<StridedRange>,
    /// The result's shape: the ranges' lengths, where dimensions of size 1 may be dropped or added.
    pub shape: Vec<usize>,
}

/// The positions `begin`, `begin + stride`, … along one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StridedRange {
    /// The first position.
    pub begin: usize,
    /// From one position to the next; may be negative.
    pub stride: isize,
    /// How many positions.
    pub length: usize,
}

impl StridedRange {
    /// Position `i`.
    pub fn position(&self, i: usize) -> usize {
        self.begin.wrapping_add_signed(self.stride.wrapping_mul(i as isize))
    }

    /// Whether all positions are under `size`.
    fn fits(&self, size: usize) -> bool {
        let reach = self.stride.checked_mul(self.length as isize - 1);
        let last = reach.and_then(|reach| self.begin.checked_add_signed(reach));
        self.length > 0 && self.begin < size && last.is_some_and(|last| last < size)
    }
}

impl Operator for StridedSlice {
    fn kind(&self) -> &'static str {
        "STRIDED_SLICE"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let TensorType { dtype, shape } = inputs[0];
        let mut sizes = self.ranges.iter().zip(shape);
        if self.ranges.len() != shape.len() || !sizes.all(|(range, &size)| range.fits(size)) {
            return Err(format!("{} has no {}", inputs[0], self.describe()));
        }
        let output = TensorType::checked(*dtype, self.shape.clone())?;
        if output.elements() != self.ranges.iter().map(|range| range.length).product::<usize>() {
            return Err(format!("{} can't become {output}", self.describe()));
        }
        Ok(vec![output])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = super::infer_one(self, inputs);
        let lengths: Vec<usize> = self.ranges.iter().map(|range| range.length).collect();
        let strides = strides(&inputs[0].ty.shape);
        vec![inputs[0].gather(&ty, |i| {
            let position = coordinates(&lengths, i).into_iter().zip(&self.ranges).zip(&strides);
            position.map(|((at, range), stride)| range.position(at) * stride).sum()
        })]
    }

    fn describe(&self) -> String {
        let range = |r: &StridedRange| match r {
            StridedRange { begin, stride: 1, length } => format!("{begin}..{}", begin + length),
            StridedRange { begin, stride, length } => format!("{length} from {begin} by {stride}"),
        };
        self.ranges.iter().map(range).collect::<Vec<_>>().join(", ")
    }
}
