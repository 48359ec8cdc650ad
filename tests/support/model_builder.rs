//! Writes .tflite models for tests, from a plain description: a [`ModelSpec`] is data that a test
//! spells out or generates, and [`ModelSpec::build`] makes the file's bytes of it. Nothing is
//! checked, so that wrong models can be written too. Codes of operators, types and so on are in
//! `tflc::frontend::schema`.
//!
//! The numbers of fields are those of TensorFlow's schema, written down a second time here rather
//! than taken from the reader, so that the round trip at the end tests both.

#![allow(dead_code, reason = "each test crate uses its own part of this")]

use flatbuffers::{FlatBufferBuilder, Push, PushAlignment, VOffsetT, Vector, WIPOffset};
use flatbuffers::{TableFinishedWIPOffset, UnionWIPOffset};
use tflc::frontend::schema;

/// A model with one graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSpec {
    pub description: String,
    pub tensors: Vec<TensorSpec>,
    pub operators: Vec<OperatorSpec>,
    /// Indices of tensors.
    pub inputs: Vec<i32>,
    /// Indices of tensors.
    pub outputs: Vec<i32>,
}

/// A tensor: constant if it has data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorSpec {
    pub name: String,
    pub shape: Vec<i32>,
    /// The shape with −1 for sizes known at run time only; left out if empty.
    pub shape_signature: Vec<i32>,
    /// Whether an empty shape is an unknown one, not a scalar's.
    pub is_unranked: bool,
    /// From `schema::tensor_type`.
    pub dtype: i8,
    /// One, or one for each index of the quantized dimension; none for a plain tensor.
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    pub quantized_dimension: i32,
    /// Little-endian, in row-major order.
    pub data: Option<Vec<u8>>,
    pub is_variable: bool,
}

/// An operator.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorSpec {
    /// From `schema::builtin`.
    pub builtin: i32,
    pub version: i32,
    /// The name of a custom operator.
    pub custom_code: Option<String>,
    /// Indices of tensors, −1 for an absent one.
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub intermediates: Vec<i32>,
    pub options: Options,
    pub custom_options: Vec<u8>,
}

impl OperatorSpec {
    /// An operator of version 1.
    pub fn new(
        builtin: i32,
        inputs: impl Into<Vec<i32>>,
        outputs: impl Into<Vec<i32>>,
        options: impl Into<Options>,
    ) -> Self {
        Self {
            builtin,
            version: 1,
            custom_code: None,
            inputs: inputs.into(),
            outputs: outputs.into(),
            intermediates: Vec::new(),
            options: options.into(),
            custom_options: Vec::new(),
        }
    }
}

type Builder = FlatBufferBuilder<'static>;
type Finished = WIPOffset<TableFinishedWIPOffset>;

impl ModelSpec {
    /// The bytes of the .tflite file.
    pub fn build(&self) -> Vec<u8> {
        let b = &mut Builder::new();

        // Buffer 0 is the empty one, by convention.
        let constants = self.tensors.iter().filter_map(|tensor| tensor.data.as_deref());
        let buffers: Vec<Finished> =
            [&[][..]].into_iter().chain(constants).map(|data| write_buffer(b, data)).collect();
        let buffers = b.create_vector(&buffers);

        let mut constants = 0;
        let tensors: Vec<Finished> = self
            .tensors
            .iter()
            .map(|tensor| {
                constants += u32::from(tensor.data.is_some());
                write_tensor(b, tensor, if tensor.data.is_some() { constants } else { 0 })
            })
            .collect();

        let mut codes: Vec<(i32, i32, Option<&str>)> = Vec::new();
        let operators: Vec<Finished> = self
            .operators
            .iter()
            .map(|operator| {
                let code = (operator.builtin, operator.version, operator.custom_code.as_deref());
                let index = codes.iter().position(|&known| known == code).unwrap_or_else(|| {
                    codes.push(code);
                    codes.len() - 1
                });
                write_operator(b, operator, index as u32)
            })
            .collect();
        let codes: Vec<Finished> = codes.into_iter().map(|code| write_code(b, code)).collect();

        let tensors = b.create_vector(&tensors);
        let operators = b.create_vector(&operators);
        let inputs = b.create_vector(&self.inputs);
        let outputs = b.create_vector(&self.outputs);
        let subgraph = b.start_table();
        put(b, 0, tensors);
        put(b, 1, inputs);
        put(b, 2, outputs);
        put(b, 3, operators);
        let subgraph = b.end_table(subgraph);

        let codes = b.create_vector(&codes);
        let subgraphs = b.create_vector(&[subgraph]);
        let description = b.create_string(&self.description);
        let model = b.start_table();
        put(b, 0, 3u32);
        put(b, 1, codes);
        put(b, 2, subgraphs);
        put(b, 3, description);
        put(b, 4, buffers);
        let model = b.end_table(model);
        b.finish(model, Some("TFL3"));
        b.finished_data().to_vec()
    }
}

/// Writes a field of the table under construction.
fn put(b: &mut Builder, number: VOffsetT, value: impl Push) {
    b.push_slot_always(4 + 2 * number, value);
}

/// A byte of a buffer. TensorFlow's runtime wants buffers at multiples of 16.
#[derive(Clone, Copy)]
struct BufferByte(u8);

impl Push for BufferByte {
    type Output = u8;

    // Unsafe because the trait has it so; nothing here is.
    unsafe fn push(&self, dst: &mut [u8], _written_len: usize) {
        dst[0] = self.0;
    }

    fn alignment() -> PushAlignment {
        PushAlignment::new(16)
    }
}

fn write_buffer(b: &mut Builder, data: &[u8]) -> Finished {
    let bytes: Vec<BufferByte> = data.iter().copied().map(BufferByte).collect();
    let bytes = (!bytes.is_empty()).then(|| b.create_vector(&bytes));
    let table = b.start_table();
    if let Some(bytes) = bytes {
        put(b, 0, bytes);
    }
    b.end_table(table)
}

fn write_tensor(b: &mut Builder, tensor: &TensorSpec, buffer: u32) -> Finished {
    let quantized = !tensor.scales.is_empty() || !tensor.zero_points.is_empty();
    let quantization = quantized.then(|| {
        let scales = b.create_vector(&tensor.scales);
        let zero_points = b.create_vector(&tensor.zero_points);
        let table = b.start_table();
        put(b, 2, scales);
        put(b, 3, zero_points);
        put(b, 6, tensor.quantized_dimension);
        b.end_table(table)
    });
    let name = b.create_string(&tensor.name);
    let shape = b.create_vector(&tensor.shape);
    let signature = &tensor.shape_signature;
    let signature = (!signature.is_empty()).then(|| b.create_vector(signature));
    let table = b.start_table();
    put(b, 0, shape);
    put(b, 1, tensor.dtype);
    put(b, 2, buffer);
    put(b, 3, name);
    if let Some(quantization) = quantization {
        put(b, 4, quantization);
    }
    put(b, 5, tensor.is_variable);
    if let Some(signature) = signature {
        put(b, 7, signature);
    }
    put(b, 8, !tensor.is_unranked);
    b.end_table(table)
}

fn write_code(b: &mut Builder, (builtin, version, custom): (i32, i32, Option<&str>)) -> Finished {
    let custom = custom.map(|name| b.create_string(name));
    let table = b.start_table();
    // Codes from 127 on only fit the newer field.
    put(b, 0, builtin.clamp(0, 127) as i8);
    if let Some(custom) = custom {
        put(b, 1, custom);
    }
    put(b, 2, version);
    put(b, 3, builtin);
    b.end_table(table)
}

fn write_operator(b: &mut Builder, operator: &OperatorSpec, code: u32) -> Finished {
    let inputs = b.create_vector(&operator.inputs);
    let outputs = b.create_vector(&operator.outputs);
    let options = operator.options.write(b);
    let custom = &operator.custom_options;
    let custom = (!custom.is_empty()).then(|| b.create_vector(custom));
    let intermediates = &operator.intermediates;
    let intermediates = (!intermediates.is_empty()).then(|| b.create_vector(intermediates));
    let table = b.start_table();
    put(b, 0, code);
    put(b, 1, inputs);
    put(b, 2, outputs);
    if let Some(options) = options {
        put(b, 3, operator.options.tag());
        put(b, 4, options);
    }
    if let Some(custom) = custom {
        put(b, 5, custom);
    }
    if let Some(intermediates) = intermediates {
        put(b, 8, intermediates);
    }
    b.end_table(table)
}

/// A field of a table of options.
trait Field: PartialEq + Sized {
    /// What the reader's accessor gives.
    type Read<'a>;
    /// What has to be written before the table is begun.
    type Prepared;
    fn from_read(read: Self::Read<'_>) -> Self;
    /// A value that differs from this one, and by how much.
    fn other(&self, by: u8) -> Self;
    /// The value that these bits make.
    fn from_bits(bits: i64) -> Self;
    fn prepare(&self, b: &mut Builder) -> Self::Prepared;
    fn write(prepared: Self::Prepared, b: &mut Builder, number: VOffsetT);
}

macro_rules! number_fields {
    ($($type:ident: |$value:ident, $by:ident| $other:expr, |$bits:ident| $from_bits:expr;)*) => {$(
        impl Field for $type {
            type Read<'a> = Self;
            type Prepared = Self;
            fn from_read(read: Self) -> Self {
                read
            }
            fn other(&self, $by: u8) -> Self {
                let $value = *self;
                $other
            }
            fn from_bits($bits: i64) -> Self {
                $from_bits
            }
            fn prepare(&self, _: &mut Builder) -> Self {
                *self
            }
            fn write(prepared: Self, b: &mut Builder, number: VOffsetT) {
                put(b, number, prepared);
            }
        }
    )*};
}

number_fields! {
    bool: |value, _by| !value, |bits| bits & 1 == 1;
    i8: |value, by| value + by as i8, |bits| bits as i8;
    i32: |value, by| value - i32::from(by), |bits| bits as i32;
    f32: |value, by| value + 0.5 * f32::from(by), |bits| f32::from_bits(bits as u32);
}

impl Field for Vec<i32> {
    type Read<'a> = Option<Vector<'a, i32>>;
    type Prepared = WIPOffset<Vector<'static, i32>>;
    fn from_read(read: Self::Read<'_>) -> Self {
        read.unwrap_or_default().iter().collect()
    }
    fn other(&self, by: u8) -> Self {
        [self.as_slice(), &[-1, by.into()]].concat()
    }
    fn from_bits(bits: i64) -> Self {
        vec![bits as i32; bits.unsigned_abs() as usize % 4]
    }
    fn prepare(&self, b: &mut Builder) -> Self::Prepared {
        b.create_vector(self)
    }
    fn write(prepared: Self::Prepared, b: &mut Builder, number: VOffsetT) {
        put(b, number, prepared);
    }
}

/// The tables of options: a struct for each, with the schema's defaults, and the enum of them.
macro_rules! options {
    ($($tag:literal $table:ident {
        $($number:literal $field:ident: $type:ty = $default:expr),* $(,)?
    })*) => {
        $(
            #[derive(Clone, Debug, PartialEq)]
            pub struct $table {
                $(pub $field: $type,)*
            }

            impl Default for $table {
                fn default() -> Self {
                    Self { $($field: $default,)* }
                }
            }

            impl From<$table> for Options {
                fn from(options: $table) -> Self {
                    Self::$table(options)
                }
            }
        )*

        /// An operator's options.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Options {
            None,
            $($table($table),)*
        }

        impl Options {
            /// Two of each kind: one with the schema's defaults, one with nothing but other values.
            pub fn samples() -> Vec<Self> {
                vec![
                    Self::None,
                    $(
                        $table::default().into(),
                        $table { $($field: <$type>::other(&$default, 1 + $number),)* }.into(),
                    )*
                ]
            }

            /// Makes a field what these bits are: one of them, by `field` modulo their number.
            #[allow(unused_variables, reason = "some tables have no fields")]
            pub fn set(&mut self, field: usize, bits: i64) {
                match self {
                    Self::None => {}
                    $(Self::$table(options) => {
                        let mut fields: Vec<(u8, &mut dyn FnMut(i64))> = Vec::new();
                        let $table { $($field,)* } = options;
                        $(
                            let mut set = |bits| *$field = <$type as Field>::from_bits(bits);
                            fields.push(($number, &mut set));
                        )*
                        let count = fields.len().max(1);
                        if let Some((_, set)) = fields.get_mut(field % count) {
                            set(bits);
                        }
                    })*
                }
            }

            /// The number that says in the file which kind these are.
            pub fn tag(&self) -> u8 {
                match self {
                    Self::None => 0,
                    $(Self::$table(_) => $tag,)*
                }
            }

            /// What the reader finds in an operator.
            #[allow(unused_variables, reason = "some tables have no fields")]
            pub fn of(operator: &schema::Operator) -> Self {
                $(
                    if let Some(table) = operator.options::<schema::$table>() {
                        return $table {
                            $($field: <$type as Field>::from_read(table.$field()),)*
                        }
                        .into();
                    }
                )*
                Self::None
            }

            /// Writes the table. A field is left out where it has its default.
            fn write(&self, b: &mut Builder) -> Option<WIPOffset<UnionWIPOffset>> {
                match self {
                    Self::None => None,
                    $(Self::$table($table { $($field,)* }) => {
                        $(
                            let default: $type = $default;
                            let $field = (*$field != default).then(|| $field.prepare(b));
                        )*
                        let table = b.start_table();
                        $(
                            if let Some($field) = $field {
                                <$type>::write($field, b, $number);
                            }
                        )*
                        Some(b.end_table(table).as_union_value())
                    })*
                }
            }
        }
    };
}

options! {
    1 Conv2DOptions {
        0 padding: i8 = 0,
        1 stride_w: i32 = 0,
        2 stride_h: i32 = 0,
        3 fused_activation_function: i8 = 0,
        4 dilation_w_factor: i32 = 1,
        5 dilation_h_factor: i32 = 1,
        6 quantized_bias_type: i8 = 0,
    }
    2 DepthwiseConv2DOptions {
        0 padding: i8 = 0,
        1 stride_w: i32 = 0,
        2 stride_h: i32 = 0,
        3 depth_multiplier: i32 = 0,
        4 fused_activation_function: i8 = 0,
        5 dilation_w_factor: i32 = 1,
        6 dilation_h_factor: i32 = 1,
    }
    5 Pool2DOptions {
        0 padding: i8 = 0,
        1 stride_w: i32 = 0,
        2 stride_h: i32 = 0,
        3 filter_width: i32 = 0,
        4 filter_height: i32 = 0,
        5 fused_activation_function: i8 = 0,
    }
    6 SVDFOptions {
        0 rank: i32 = 0,
        1 fused_activation_function: i8 = 0,
        2 asymmetric_quantize_inputs: bool = false,
    }
    8 FullyConnectedOptions {
        0 fused_activation_function: i8 = 0,
        1 weights_format: i8 = 0,
        2 keep_num_dims: bool = false,
        3 asymmetric_quantize_inputs: bool = false,
        4 quantized_bias_type: i8 = 0,
    }
    9 SoftmaxOptions { 0 beta: f32 = 0.0 }
    10 ConcatenationOptions { 0 axis: i32 = 0, 1 fused_activation_function: i8 = 0 }
    11 AddOptions { 0 fused_activation_function: i8 = 0, 1 pot_scale_int16: bool = true }
    12 L2NormOptions { 0 fused_activation_function: i8 = 0 }
    14 LSTMOptions {
        0 fused_activation_function: i8 = 0,
        1 cell_clip: f32 = 0.0,
        2 proj_clip: f32 = 0.0,
        3 kernel_type: i8 = 0,
        4 asymmetric_quantize_inputs: bool = false,
    }
    15 ResizeBilinearOptions { 2 align_corners: bool = false, 3 half_pixel_centers: bool = false }
    17 ReshapeOptions { 0 new_shape: Vec<i32> = Vec::new() }
    19 SpaceToDepthOptions { 0 block_size: i32 = 0 }
    21 MulOptions { 0 fused_activation_function: i8 = 0 }
    22 PadOptions {}
    23 GatherOptions { 0 axis: i32 = 0, 1 batch_dims: i32 = 0 }
    26 TransposeOptions {}
    27 ReducerOptions { 0 keep_dims: bool = false }
    28 SubOptions { 0 fused_activation_function: i8 = 0, 1 pot_scale_int16: bool = true }
    29 DivOptions { 0 fused_activation_function: i8 = 0 }
    30 SqueezeOptions { 0 squeeze_dims: Vec<i32> = Vec::new() }
    32 StridedSliceOptions {
        0 begin_mask: i32 = 0,
        1 end_mask: i32 = 0,
        2 ellipsis_mask: i32 = 0,
        3 new_axis_mask: i32 = 0,
        4 shrink_axis_mask: i32 = 0,
        5 offset: bool = false,
    }
    35 SplitOptions { 0 num_splits: i32 = 0 }
    37 CastOptions { 0 in_data_type: i8 = 0, 1 out_data_type: i8 = 0 }
    38 DequantizeOptions {}
    39 MaximumMinimumOptions {}
    40 ArgMaxOptions { 0 output_type: i8 = 0 }
    43 PadV2Options {}
    48 SliceOptions {}
    49 TransposeConvOptions {
        0 padding: i8 = 0,
        1 stride_w: i32 = 0,
        2 stride_h: i32 = 0,
        3 fused_activation_function: i8 = 0,
        4 quantized_bias_type: i8 = 0,
    }
    52 ExpandDimsOptions {}
    55 ShapeOptions { 0 out_type: i8 = 0 }
    57 ArgMinOptions { 0 output_type: i8 = 0 }
    59 PackOptions { 0 values_count: i32 = 0, 1 axis: i32 = 0 }
    61 OneHotOptions { 0 axis: i32 = 0 }
    64 UnpackOptions { 0 num: i32 = 0, 1 axis: i32 = 0 }
    71 UnidirectionalSequenceLSTMOptions {
        0 fused_activation_function: i8 = 0,
        1 cell_clip: f32 = 0.0,
        2 proj_clip: f32 = 0.0,
        3 time_major: bool = false,
        4 asymmetric_quantize_inputs: bool = false,
        5 diagonal_recurrent_tensors: bool = false,
    }
    74 ResizeNearestNeighborOptions {
        0 align_corners: bool = false,
        1 half_pixel_centers: bool = false,
    }
    75 LeakyReluOptions { 0 alpha: f32 = 0.0 }
    77 MirrorPadOptions { 0 mode: i8 = 0 }
    79 SplitVOptions { 0 num_splits: i32 = 0 }
    89 QuantizeOptions {}
    94 DepthToSpaceOptions { 0 block_size: i32 = 0 }
    101 BatchMatMulOptions {
        0 adj_x: bool = false,
        1 adj_y: bool = false,
        2 asymmetric_quantize_inputs: bool = false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::{builtin, element, tensor_type};

    /// A model that uses whatever a description can say.
    fn model() -> ModelSpec {
        let constant = TensorSpec {
            name: "weights".into(),
            shape: vec![3, 1],
            dtype: tensor_type::INT8,
            scales: vec![0.5, 0.25, 1.5],
            zero_points: vec![0, -3, i64::MAX],
            quantized_dimension: 1,
            data: Some(vec![1, 2, 255]),
            ..TensorSpec::default()
        };
        let variable = TensorSpec {
            name: "state".into(),
            shape: vec![1, 8],
            shape_signature: vec![-1, 8],
            dtype: tensor_type::INT16,
            is_variable: true,
            ..TensorSpec::default()
        };
        let mut operators: Vec<OperatorSpec> = Options::samples()
            .into_iter()
            .map(|options| OperatorSpec::new(builtin::BATCH_MATMUL, [0, -1], [1], options))
            .collect();
        operators.push(OperatorSpec {
            version: 7,
            custom_code: Some("Mine".into()),
            intermediates: vec![1],
            custom_options: vec![9, 8],
            ..OperatorSpec::new(builtin::CUSTOM, [], [], Options::None)
        });
        ModelSpec {
            description: "made by a test".into(),
            tensors: vec![constant, variable],
            operators,
            inputs: vec![1],
            outputs: vec![1],
        }
    }

    fn numbers(vector: Option<Vector<i32>>) -> Vec<i32> {
        vector.unwrap_or_default().iter().collect()
    }

    fn read_tensor(model: &schema::Model, tensor: schema::Tensor) -> TensorSpec {
        let quantization = tensor.quantization();
        let data = element(model.buffers(), tensor.buffer()).unwrap().bytes().unwrap();
        TensorSpec {
            name: tensor.name().unwrap().into(),
            shape: numbers(tensor.shape()),
            shape_signature: numbers(tensor.shape_signature()),
            is_unranked: !tensor.has_rank(),
            dtype: tensor.type_(),
            scales: quantization.and_then(|q| q.scale()).unwrap_or_default().iter().collect(),
            zero_points: quantization
                .and_then(|q| q.zero_point())
                .unwrap_or_default()
                .iter()
                .collect(),
            quantized_dimension: quantization.map_or(0, |q| q.quantized_dimension()),
            data: (tensor.buffer() != 0).then(|| data.to_vec()),
            is_variable: tensor.is_variable(),
        }
    }

    fn read_operator(model: &schema::Model, operator: schema::Operator) -> OperatorSpec {
        let code = element(model.operator_codes(), operator.opcode_index()).unwrap();
        OperatorSpec {
            builtin: code.builtin(),
            version: code.version(),
            custom_code: code.custom_code().map(Into::into),
            inputs: numbers(operator.inputs()),
            outputs: numbers(operator.outputs()),
            intermediates: numbers(operator.intermediates()),
            options: Options::of(&operator),
            custom_options: operator.custom_options().unwrap_or_default().bytes().to_vec(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = model();
        let bytes = written.build();
        let model = schema::read(&bytes).unwrap();
        assert_eq!(model.version(), schema::SCHEMA_VERSION);
        let subgraph = element(model.subgraphs(), 0).unwrap();
        let read = ModelSpec {
            description: model.description().unwrap().into(),
            tensors: subgraph.tensors().unwrap().iter().map(|t| read_tensor(&model, t)).collect(),
            operators: subgraph
                .operators()
                .unwrap()
                .iter()
                .map(|o| read_operator(&model, o))
                .collect(),
            inputs: numbers(subgraph.inputs()),
            outputs: numbers(subgraph.outputs()),
        };
        assert_eq!(read, written);
    }
}
