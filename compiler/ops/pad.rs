//! PAD and PADV2: a constant around the operand.

use super::{coordinates, strides, DType, Operator, TensorType, Value};

/// Operand: of any type.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// How many elements are added before and behind, by dimension.
    pub padding: Vec<[usize; 2]>,
    /// The added elements' code; the bits of their number if they are `F32`.
    pub value: i32,
}

impl Operator for Pad {
    fn kind(&self) -> &'static str {
        "PAD"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let TensorType { dtype, shape } = inputs[0];
        if self.padding.len() != shape.len() {
            return Err(format!("{} dimensions of padding for {}", self.padding.len(), inputs[0]));
        }
        let padded = shape.iter().zip(&self.padding);
        let padded: Vec<usize> =
            padded.map(|(size, [before, behind])| size + before + behind).collect();
        Ok(vec![TensorType::checked(*dtype, padded)?])
    }

    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = super::infer_one(self, inputs);
        let input = inputs[0];
        let strides = strides(&input.ty.shape);
        let size = ty.dtype.size();
        let sign = if self.value < 0 && ty.dtype != DType::F32 { 0xff } else { 0 };
        let mut padding_element = self.value.to_le_bytes().to_vec();
        padding_element.resize(size.max(4), sign);
        let mut bytes = Vec::with_capacity(ty.bytes());
        for i in 0..ty.elements() {
            let position = coordinates(&ty.shape, i).into_iter().zip(&self.padding);
            let inside: Option<Vec<usize>> = position
                .zip(&input.ty.shape)
                .map(|((at, [before, _]), &size)| at.checked_sub(*before).filter(|&at| at < size))
                .collect();
            bytes.extend(match inside {
                Some(position) => {
                    let at: usize =
                        position.iter().zip(&strides).map(|(at, stride)| at * stride).sum();
                    &input.bytes[at * size..][..size]
                }
                None => &padding_element[..size],
            });
        }
        vec![Value::new(ty, bytes)]
    }

    fn describe(&self) -> String {
        let by_dimension = self.padding.iter().map(|[before, behind]| format!("{before}+{behind}"));
        format!("{} with {}", by_dimension.collect::<Vec<_>>().join(","), self.value)
    }
}
