//! The tensors of the model file, and how far import has come with each.

use super::quantization;
use crate::frontend::schema::{self, tensor_type};
use crate::ir::{Quantization, TensorId};
use crate::ops::{DType, TensorType, Value};

/// A tensor of the model file.
pub struct Tensor<'a> {
    /// Its name, for people.
    pub name: String,
    /// What the file says of its type; once it is in the graph, what was inferred.
    pub ty: TensorType,
    /// Whether the file leaves its shape open.
    pub is_unranked: bool,
    /// Why it can't be used at all.
    pub fault: Option<Fault>,
    /// How its codes stand for real numbers, as the file says it.
    pub quantization: Option<schema::QuantizationParameters<'a>>,
    /// The contents of a constant.
    pub data: Option<&'a [u8]>,
    /// What it was found to hold though it is computed.
    pub folded: Option<Value>,
    /// Whether it is in the graph.
    pub state: State,
}

/// How far import has come with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing has computed it.
    Pending,
    /// It is in the graph.
    Available(TensorId),
    /// It can't be in the graph, for a reason that has been reported.
    Broken,
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub advice: &'static str,
}

impl Fault {
    /// A fault that only an inconsistent file has.
    pub fn damage(what: impl Into<String>) -> Self {
        Fault { what: what.into(), advice: "the model contradicts itself; convert it again" }
    }
}

impl<'a> Tensor<'a> {
    /// Reads a tensor of the file.
    pub fn read(model: &schema::Model<'a>, table: schema::Tensor<'a>) -> Self {
        let (ty, fault) = match tensor_type_of(&table) {
            Ok(ty) => (ty, None),
            Err(fault) => (TensorType::new(DType::I8, []), Some(fault)),
        };
        let (data, data_fault) = match data(model, &table, &ty, fault.is_some()) {
            Ok(data) => (data, None),
            Err(fault) => (None, Some(fault)),
        };
        Tensor {
            name: table.name().unwrap_or_default().into(),
            is_unranked: table.shape().is_none_or(|shape| shape.is_empty()) && !table.has_rank(),
            quantization: table.quantization(),
            fault: fault.or(data_fault),
            ty,
            data,
            folded: None,
            state: State::Pending,
        }
    }

    /// What it holds, where that is known.
    pub fn value(&self) -> Option<Value> {
        if self.fault.is_some() {
            return None;
        }
        let constant = || Some(Value::new(self.ty.clone(), self.data?.to_vec()));
        self.folded.clone().or_else(constant)
    }

    /// Its quantization as a whole, for display.
    pub fn whole_quantization(&self) -> Option<Quantization> {
        quantization::of_whole(self).ok()
    }
}

/// The tensor's type as the file says it.
fn tensor_type_of(table: &schema::Tensor) -> Result<TensorType, Fault> {
    if table.sparsity().is_some() {
        return Err(Fault {
            what: "it is stored sparsely".into(),
            advice: "convert without sparsity (tf.lite.Optimize.EXPERIMENTAL_SPARSITY)",
        });
    }
    if table.is_variable() {
        return Err(Fault {
            what: "it keeps a state from one run to the next, which is not supported".into(),
            advice: "make the state an input and an output of the model",
        });
    }
    let dtype = match table.type_() {
        tensor_type::FLOAT32 => DType::F32,
        tensor_type::INT32 => DType::I32,
        tensor_type::UINT8 => DType::U8,
        tensor_type::INT64 => DType::I64,
        tensor_type::BOOL => DType::Bool,
        tensor_type::INT16 => DType::I16,
        tensor_type::INT8 => DType::I8,
        other => {
            let code = || format!("of the unknown number {other}");
            let name = schema::tensor_type_name(other).map_or_else(code, str::to_lowercase);
            return Err(Fault {
                what: format!("elements of type {name} are not supported"),
                advice: quantization::FULL_INTEGER,
            });
        }
    };
    let sizes = table.shape().into_iter().flatten().map(|size| usize::try_from(size).unwrap_or(0));
    let ty = TensorType::new(dtype, sizes.collect::<Vec<_>>());
    TensorType::checked(dtype, ty.shape).map_err(|what| Fault {
        what,
        advice: "every dimension must be known and at least 1; convert with a fixed input shape",
    })
}

/// A constant's bytes.
fn data<'a>(
    model: &schema::Model<'a>,
    table: &schema::Tensor<'a>,
    ty: &TensorType,
    is_faulty: bool,
) -> Result<Option<&'a [u8]>, Fault> {
    if table.external_buffer() != 0 {
        return Err(Fault {
            what: "its data lies in another file".into(),
            advice: "convert to a single file",
        });
    }
    let Some(buffer) = schema::element(model.buffers(), table.buffer()) else {
        // Files without any buffers occur where there are no constants.
        return match table.buffer() {
            0 => Ok(None),
            index => {
                Err(Fault::damage(format!("its data should be buffer {index}, which is missing")))
            }
        };
    };
    match buffer.bytes() {
        None => Err(Fault::damage("its data lies outside of the file")),
        Some([]) => Ok(None),
        Some(bytes) if is_faulty || bytes.len() == ty.bytes() => Ok(Some(bytes)),
        Some(bytes) => Err(Fault::damage(format!("it is {ty}, but has {} bytes", bytes.len()))),
    }
}
