//! Typed, verified access to the bytes of a .tflite file.
//!
//! A .tflite file is a FlatBuffer of TensorFlow Lite's schema, version 3. This module declares the
//! tables and fields of it that tflc reads, once each, and makes from that declaration both the
//! verifier and the accessors: what an accessor reads, [`read`] has checked. It knows nothing of
//! what a model means; import does.
//!
//! The numbers of fields, enum values and union members are facts of TensorFlow's published
//! `schema.fbs` (`tensorflow/compiler/mlir/lite/schema/schema.fbs` in its repository). A field's
//! number is its place in the table there, counting from 0; a union takes two, its type first.
//! Fields that tflc has no use for are left out, and are then not looked at in any way.
//!
//! Numbers in a file can be anything, also after verification: an index may be negative or past
//! the end, an enum value unknown. [`element`] looks up by such an index.

use std::fmt;
use std::marker::PhantomData;

use flatbuffers::{
    ErrorTraceDetail, Follow, ForwardsUOffset, InvalidFlatbuffer, Table, TableVerifier, VOffsetT,
    Vector, Verifiable, Verifier, VerifierOptions,
};

/// The version that [`Model::version`] has in every file of this schema.
pub const SCHEMA_VERSION: u32 = 3;

/// The four bytes that follow the first four of every .tflite file.
pub const FILE_IDENTIFIER: &str = "TFL3";

/// Where the file identifier lies.
const IDENTIFIER_AT: std::ops::Range<usize> = 4..8;

/// Checks that `bytes` are a .tflite file and gives its root. The error is one sentence that
/// completes "MODEL.tflite: ". The bytes may be anything and lie at any alignment; the time is
/// linear in their number.
pub fn read(bytes: &[u8]) -> Result<Model<'_>, String> {
    let Some(identifier) = bytes.get(IDENTIFIER_AT) else {
        return Err(format!("this is not a .tflite file: it has only {} bytes", bytes.len()));
    };
    if identifier != FILE_IDENTIFIER.as_bytes() {
        return Err(format!(
            "this is not a .tflite file: its bytes 4 to 7 are \"{}\", not \"{FILE_IDENTIFIER}\"",
            identifier.escape_ascii(),
        ));
    }
    // Offsets are signed 32-bit numbers; the accessors' arithmetic relies on their fitting.
    if i32::try_from(bytes.len()).is_err() {
        return Err(format!(
            "the file has {} bytes, but a .tflite file has less than 2 GiB",
            bytes.len(),
        ));
    }
    flatbuffers::root_with_opts::<Model>(&limits(bytes.len()), bytes)
        .map_err(|error| describe(&error))
}

/// How much the verifier may visit in a file of that many bytes. Tables and vectors may be shared,
/// so a small file can unfold into a huge tree. Bounding the tree by the file's size bounds the
/// time of verification, and the time and memory of whoever walks the verified model once. Real
/// models unfold to less than twice their size.
fn limits(file_bytes: usize) -> VerifierOptions {
    VerifierOptions {
        max_depth: 16,
        max_tables: 1_000_000,
        max_apparent_size: file_bytes.saturating_mul(16),
        ignore_missing_null_terminator: true,
    }
}

/// One sentence on what is wrong, and where.
fn describe(error: &InvalidFlatbuffer) -> String {
    use InvalidFlatbuffer::{
        ApparentSizeTooLarge, DepthLimitReached, InconsistentUnion, MissingNullTerminator,
        MissingRequiredField, RangeOutOfBounds, SignedOffsetOutOfBounds, TooManyTables, Unaligned,
        Utf8Error,
    };
    let (trace, what) = match error {
        RangeOutOfBounds { error_trace, .. } | SignedOffsetOutOfBounds { error_trace, .. } => {
            (error_trace, "reaches past the end of the file")
        }
        Unaligned { error_trace, .. } => (error_trace, "lies at an unaligned address"),
        Utf8Error { error_trace, .. } => (error_trace, "is not UTF-8 text"),
        MissingNullTerminator { error_trace, .. } => (error_trace, "is text that does not end"),
        MissingRequiredField { error_trace, .. } => (error_trace, "lacks a field"),
        InconsistentUnion { error_trace, .. } => (error_trace, "is half a union"),
        TooManyTables | ApparentSizeTooLarge | DepthLimitReached => {
            return "the file is damaged: its tables refer to the same bytes again and again".into()
        }
    };
    let mut path = String::from("model");
    for step in trace.as_ref().iter().rev() {
        path += &match step {
            ErrorTraceDetail::VectorElement { index, .. } => format!("[{index}]"),
            ErrorTraceDetail::TableField { field_name, .. } => format!(".{field_name}"),
            ErrorTraceDetail::UnionVariant { variant, .. } => format!(".{variant}"),
        };
    }
    format!("the file is damaged: `{path}` {what}")
}

/// The element of a vector at an index that a file gives: `None` where there is no such element.
pub fn element<'a, T: Follow<'a> + 'a>(
    vector: Option<Vector<'a, T>>,
    index: impl TryInto<usize>,
) -> Option<T::Inner> {
    let (vector, index) = (vector?, index.try_into().ok()?);
    (index < vector.len()).then(|| vector.get(index))
}

/// A vector of numbers as a file stores it. It differs from the flatbuffers crate's own in that
/// the elements may be unaligned: TensorFlow's writer leaves empty vectors of 64-bit numbers so.
/// Reading copies bytes, so nothing depends on the alignment.
struct Numbers<'a, T>(PhantomData<&'a T>);

impl<'a, T: Follow<'a> + 'a> Follow<'a> for Numbers<'a, T> {
    type Inner = Vector<'a, T>;

    unsafe fn follow(buf: &'a [u8], loc: usize) -> Vector<'a, T> {
        // SAFETY: the caller promises that `run_verifier` has accepted this place.
        unsafe { Vector::new(buf, loc) }
    }
}

impl<T> Verifiable for Numbers<'_, T> {
    fn run_verifier(verifier: &mut Verifier, pos: usize) -> Result<(), InvalidFlatbuffer> {
        let len = verifier.get_uoffset(pos)? as usize;
        let bytes = len.saturating_mul(size_of::<T>());
        verifier.range_in_buffer(pos.saturating_add(flatbuffers::SIZE_UOFFSET), bytes)
    }
}

/// The place of a field's entry in the vtable, which starts with two 16-bit sizes.
const fn vtable_offset(field_number: VOffsetT) -> VOffsetT {
    4 + 2 * field_number
}

/// The type under which the flatbuffers crate verifies and follows a field.
macro_rules! stored {
    ($a:lifetime, str) => { ForwardsUOffset<&$a str> };
    ($a:lifetime, bool) => { bool };
    ($a:lifetime, i8) => { i8 };
    ($a:lifetime, u8) => { u8 };
    ($a:lifetime, i32) => { i32 };
    ($a:lifetime, u32) => { u32 };
    ($a:lifetime, u64) => { u64 };
    ($a:lifetime, f32) => { f32 };
    ($a:lifetime, [u8]) => { ForwardsUOffset<Numbers<$a, u8>> };
    ($a:lifetime, [i32]) => { ForwardsUOffset<Numbers<$a, i32>> };
    ($a:lifetime, [i64]) => { ForwardsUOffset<Numbers<$a, i64>> };
    ($a:lifetime, [f32]) => { ForwardsUOffset<Numbers<$a, f32>> };
    ($a:lifetime, [$table:ident]) => { ForwardsUOffset<Vector<$a, ForwardsUOffset<$table<$a>>>> };
    ($a:lifetime, $table:ident) => { ForwardsUOffset<$table<$a>> };
}

/// The type that a field's accessor gives.
macro_rules! value {
    ($a:lifetime, str) => { &$a str };
    ($a:lifetime, [u8]) => { Vector<$a, u8> };
    ($a:lifetime, [i32]) => { Vector<$a, i32> };
    ($a:lifetime, [i64]) => { Vector<$a, i64> };
    ($a:lifetime, [f32]) => { Vector<$a, f32> };
    ($a:lifetime, [$table:ident]) => { Vector<$a, ForwardsUOffset<$table<$a>>> };
    ($a:lifetime, $table:ident) => { $table<$a> };
}

/// A field's accessor: a number has a default, anything else may be absent.
macro_rules! accessor {
    ($(#[$doc:meta])* $number:literal $field:ident: $kind:tt = $default:expr) => {
        $(#[$doc])*
        pub fn $field(&self) -> $kind {
            // SAFETY: `run_verifier` of the same table declaration has checked this field as this
            // type, and a wrapper is only made from verified bytes.
            unsafe { self.table.get::<$kind>(vtable_offset($number), None) }.unwrap_or($default)
        }
    };
    ($(#[$doc:meta])* $number:literal $field:ident: $kind:tt) => {
        $(#[$doc])*
        pub fn $field(&self) -> Option<value!('a, $kind)> {
            // SAFETY: as above.
            unsafe { self.table.get::<stored!('a, $kind)>(vtable_offset($number), None) }
        }
    };
}

/// A table: the wrapper, its accessors, its verifier. `where f` names a further check.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $table:ident {
            $($(#[$field_doc:meta])* $number:literal $field:ident: $kind:tt $(= $default:expr)?,)*
        }
        $(where $check:ident)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $table<'a> {
            #[allow(dead_code, reason = "a table without fields never reads it")]
            table: Table<'a>,
        }

        impl<'a> $table<'a> {
            $(accessor! { $(#[$field_doc])* $number $field: $kind $(= $default)? })*
        }

        impl<'a> Follow<'a> for $table<'a> {
            type Inner = Self;

            unsafe fn follow(buf: &'a [u8], loc: usize) -> Self {
                // SAFETY: the caller promises that `run_verifier` has accepted this place.
                Self { table: unsafe { Table::new(buf, loc) } }
            }
        }

        impl Verifiable for $table<'_> {
            fn run_verifier(verifier: &mut Verifier, pos: usize) -> Result<(), InvalidFlatbuffer> {
                let fields = verifier.visit_table(pos)?;
                $(let fields = fields.visit_field::<stored!('_, $kind)>(
                    stringify!($field),
                    vtable_offset($number),
                    false,
                )?;)*
                $(let fields = $check(fields)?;)?
                fields.finish();
                Ok(())
            }
        }

        impl fmt::Debug for $table<'_> {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.debug_struct(stringify!($table))
                    $(.field(stringify!($field), &self.$field()))*
                    .finish()
            }
        }
    };
}

/// The tables that can stand in [`Operator`]'s union of options, each with its number there.
macro_rules! options {
    ($($(#[$doc:meta])* $tag:literal $table:ident $fields:tt)*) => {
        $(
            table! { $(#[$doc])* $table $fields }

            impl sealed::Options for $table<'_> {}

            impl<'a> Options<'a> for $table<'a> {
                const TAG: u8 = $tag;
            }
        )*

        /// Verifies what stands in the union as the table that `tag` says. Tables that tflc does
        /// not know stay unverified: no [`Options`] has their tag, so they can't be read.
        fn verify_tagged_options(
            tag: u8,
            verifier: &mut Verifier,
            pos: usize,
        ) -> Result<(), InvalidFlatbuffer> {
            match tag {
                $($tag => {
                    let name = stringify!($table);
                    verifier.verify_union_variant::<ForwardsUOffset<$table>>(name, pos)
                })*
                _ => Ok(()),
            }
        }

        #[cfg(test)]
        const DECLARED_OPTIONS: &[(u8, &str)] = &[$(($tag, stringify!($table))),*];
    };
}

/// Numbers with names: a module of constants, and the way back to the name.
macro_rules! codes {
    (
        $(#[$doc:meta])* mod $module:ident: $type:ident { $($name:ident = $code:literal,)* }
        $(#[$name_doc:meta])* fn $name_of:ident
    ) => {
        $(#[$doc])*
        pub mod $module {
            $(
                #[doc = concat!("The code of ", stringify!($name), ".")]
                pub const $name: $type = $code;
            )*
        }

        $(#[$name_doc])*
        pub fn $name_of(code: $type) -> Option<&'static str> {
            match code {
                $($code => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

table! {
    /// The root: everything that a file holds.
    Model {
        /// The schema's version: [`SCHEMA_VERSION`], or the file means something else.
        0 version: u32 = 0,
        /// The kinds of operators that occur, each once.
        1 operator_codes: [OperatorCode],
        /// The graphs. The first is the main one; others are bodies of control flow.
        2 subgraphs: [SubGraph],
        /// What the converter says of the file.
        3 description: str,
        /// The constants' bytes. Number 0 is empty by convention: tensors without data name it.
        4 buffers: [Buffer],
        /// Named buffers that are no tensor's.
        6 metadata: [Metadata],
    }
}

table! {
    /// A name for one of the model's buffers.
    Metadata {
        /// What the buffer holds.
        0 name: str,
        /// The buffer's index in [`Model::buffers`].
        1 buffer: u32 = 0,
    }
}

table! {
    /// A kind of operator: which, and with which version of its meaning.
    OperatorCode {
        /// The code as files said it before there were more than 127: see [`Self::builtin`].
        0 deprecated_builtin_code: i8 = 0,
        /// The name of the operator, where the code is [`builtin::CUSTOM`].
        1 custom_code: str,
        /// The version of the operator's meaning.
        2 version: i32 = 1,
        /// The code as newer files say it: see [`Self::builtin`].
        3 builtin_code: i32 = 0,
    }
}

impl OperatorCode<'_> {
    /// The operator's code, from [`builtin`]. Old files have only the 8-bit field and new ones
    /// have both, the old one at 127 where the code doesn't fit: the larger one counts.
    pub fn builtin(&self) -> i32 {
        self.builtin_code().max(self.deprecated_builtin_code().into())
    }
}

table! {
    /// A graph: tensors, and the operators in the order in which they run.
    SubGraph {
        /// The tensors.
        0 tensors: [Tensor],
        /// The graph's inputs: indices of tensors.
        1 inputs: [i32],
        /// The graph's outputs: indices of tensors.
        2 outputs: [i32],
        /// The operators in execution order.
        3 operators: [Operator],
        /// The graph's name.
        4 name: str,
    }
}

table! {
    /// A tensor: shape, element type, quantization, and data where it is constant.
    Tensor {
        /// The sizes of the axes. Absent or empty for a scalar, and where the rank is unknown.
        0 shape: [i32],
        /// The type of the elements, from [`tensor_type`].
        1 type_: i8 = 0,
        /// The index in [`Model::buffers`] of its data; an empty buffer if it has none.
        2 buffer: u32 = 0,
        /// The tensor's name, for people.
        3 name: str,
        /// How its integers stand for real numbers.
        4 quantization: QuantizationParameters,
        /// Whether it keeps its value from one run to the next.
        5 is_variable: bool = false,
        /// Present where the data is stored in a sparse form.
        6 sparsity: SparsityParameters,
        /// The shape with −1 for sizes that are only known at run time, where there are such.
        7 shape_signature: [i32],
        /// Whether an empty shape says a scalar rather than that the rank is unknown.
        8 has_rank: bool = false,
        /// Nonzero where the data lies in another file.
        10 external_buffer: u32 = 0,
    }
}

table! {
    /// How real numbers r are stored as integers q: r = scale · (q − zero_point).
    QuantizationParameters {
        /// The least value seen, for converters only.
        0 min: [f32],
        /// The greatest value seen, for converters only.
        1 max: [f32],
        /// One scale, or one for each index of the quantized dimension. None: not quantized.
        2 scale: [f32],
        /// Zero points, as many as scales.
        3 zero_point: [i64],
        /// Nonzero where quantization is described by a further table.
        4 details_type: u8 = 0,
        /// The axis along which scales differ, where there is more than one.
        6 quantized_dimension: i32 = 0,
    }
}

table! {
    /// The description of a sparse tensor. Only its presence matters.
    SparsityParameters {}
}

table! {
    /// Bytes of a constant: see [`Self::bytes`].
    Buffer {
        /// The bytes, where they lie inside the FlatBuffer.
        0 data: [u8],
        /// Where in the file they start, if they lie behind the FlatBuffer. 0 and 1 mean that
        /// they don't.
        1 offset: u64 = 0,
        /// How many they are, if they lie behind the FlatBuffer.
        2 size: u64 = 0,
    }
}

impl<'a> Buffer<'a> {
    /// The bytes, wherever they lie: empty for a buffer without data, `None` where they are said
    /// to lie outside of the file.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        if self.offset() > 1 {
            let start = usize::try_from(self.offset()).ok()?;
            let end = start.checked_add(usize::try_from(self.size()).ok()?)?;
            self.table.buf().get(start..end)
        } else {
            Some(self.data().map_or(&[], |data| data.bytes()))
        }
    }
}

table! {
    /// An operator: its kind, what it reads and writes, its options.
    Operator {
        /// The index of its kind in [`Model::operator_codes`].
        0 opcode_index: u32 = 0,
        /// What it reads: indices of tensors, −1 for an optional one that is absent.
        1 inputs: [i32],
        /// What it writes: indices of tensors.
        2 outputs: [i32],
        /// Which table stands in the union of options, 0 for none: see [`Self::options`].
        3 builtin_options_type: u8 = 0,
        /// The options of a custom operator.
        5 custom_options: [u8],
        /// Tensors that describe the quantization of values inside the operator (LSTM).
        8 intermediates: [i32],
        /// Where in the file the options of a custom operator start, if behind the FlatBuffer.
        9 large_custom_options_offset: u64 = 0,
        /// How many bytes these are.
        10 large_custom_options_size: u64 = 0,
        /// Which table stands in the second union of options, 0 for none. tflc reads none of them.
        11 builtin_options_2_type: u8 = 0,
    }
    where verify_options
}

/// The number of the field that holds the union's tag.
const OPTIONS_TAG: VOffsetT = 3;
/// The number of the field that holds the union's table.
const OPTIONS: VOffsetT = 4;

impl<'a> Operator<'a> {
    /// The operator's options, if it has some and they are of that type.
    pub fn options<T: Options<'a>>(&self) -> Option<T> {
        if self.builtin_options_type() != T::TAG {
            return None;
        }
        // SAFETY: `verify_options` has checked this field as the table that the tag says. The tag
        // is T's, and only `options!` makes an `Options`: each with the tag it is verified under.
        unsafe { self.table.get::<ForwardsUOffset<T>>(vtable_offset(OPTIONS), None) }
    }
}

/// Verifies an operator's union of options. Unlike the flatbuffers crate's `visit_union`, and like
/// TensorFlow's reader, it lets pass a tag without a table and a table without a tag: neither can
/// be read.
fn verify_options<'v, 'o, 'b>(
    mut fields: TableVerifier<'v, 'o, 'b>,
) -> Result<TableVerifier<'v, 'o, 'b>, InvalidFlatbuffer> {
    let tag = match fields.deref(vtable_offset(OPTIONS_TAG))? {
        Some(pos) => fields.verifier().get_u8(pos)?,
        None => 0,
    };
    if let Some(pos) = fields.deref(vtable_offset(OPTIONS))? {
        verify_tagged_options(tag, fields.verifier(), pos)?;
    }
    Ok(fields)
}

/// A table of options that [`Operator::options`] can give.
pub trait Options<'a>: sealed::Options + Follow<'a, Inner = Self> + Sized + 'a {
    /// The number that says, in [`Operator::builtin_options_type`], that the options are these.
    const TAG: u8;
}

mod sealed {
    /// Keeps [`super::Options`] to the types made by `options!`: a wrong tag would be unsound.
    pub trait Options {}
}

options! {
    /// CONV_2D.
    1 Conv2DOptions {
        /// From [`padding`].
        0 padding: i8 = 0,
        /// The step along the width.
        1 stride_w: i32 = 0,
        /// The step along the height.
        2 stride_h: i32 = 0,
        /// From [`activation`].
        3 fused_activation_function: i8 = 0,
        /// The distance of the filter's taps along the width.
        4 dilation_w_factor: i32 = 1,
        /// The distance of the filter's taps along the height.
        5 dilation_h_factor: i32 = 1,
        /// The bias's type where it isn't the usual one, from [`tensor_type`]; else 0.
        6 quantized_bias_type: i8 = 0,
    }

    /// DEPTHWISE_CONV_2D.
    2 DepthwiseConv2DOptions {
        /// From [`padding`].
        0 padding: i8 = 0,
        /// The step along the width.
        1 stride_w: i32 = 0,
        /// The step along the height.
        2 stride_h: i32 = 0,
        /// How many output channels each input channel has. Redundant: the shapes say it.
        3 depth_multiplier: i32 = 0,
        /// From [`activation`].
        4 fused_activation_function: i8 = 0,
        /// The distance of the filter's taps along the width.
        5 dilation_w_factor: i32 = 1,
        /// The distance of the filter's taps along the height.
        6 dilation_h_factor: i32 = 1,
    }

    /// AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D.
    5 Pool2DOptions {
        /// From [`padding`].
        0 padding: i8 = 0,
        /// The step along the width.
        1 stride_w: i32 = 0,
        /// The step along the height.
        2 stride_h: i32 = 0,
        /// The window's width.
        3 filter_width: i32 = 0,
        /// The window's height.
        4 filter_height: i32 = 0,
        /// From [`activation`].
        5 fused_activation_function: i8 = 0,
    }

    /// SVDF.
    6 SVDFOptions {
        /// How many filters make up one unit.
        0 rank: i32 = 0,
        /// From [`activation`].
        1 fused_activation_function: i8 = 0,
        /// Of hybrid models (float activations, quantized weights) only.
        2 asymmetric_quantize_inputs: bool = false,
    }

    /// FULLY_CONNECTED.
    8 FullyConnectedOptions {
        /// From [`activation`].
        0 fused_activation_function: i8 = 0,
        /// How the weights are arranged: 0 is row by row.
        1 weights_format: i8 = 0,
        /// Whether the output has the input's rank, rather than two axes.
        2 keep_num_dims: bool = false,
        /// Of hybrid models (float activations, quantized weights) only.
        3 asymmetric_quantize_inputs: bool = false,
        /// The bias's type where it isn't the usual one, from [`tensor_type`]; else 0.
        4 quantized_bias_type: i8 = 0,
    }

    /// SOFTMAX.
    9 SoftmaxOptions {
        /// The factor of the exponents.
        0 beta: f32 = 0.0,
    }

    /// CONCATENATION.
    10 ConcatenationOptions {
        /// The axis along which inputs follow each other; negative counts from the end.
        0 axis: i32 = 0,
        /// From [`activation`].
        1 fused_activation_function: i8 = 0,
    }

    /// ADD.
    11 AddOptions {
        /// From [`activation`].
        0 fused_activation_function: i8 = 0,
        /// For 16-bit tensors: whether scales are powers of two.
        1 pot_scale_int16: bool = true,
    }

    /// L2_NORMALIZATION.
    12 L2NormOptions {
        /// From [`activation`].
        0 fused_activation_function: i8 = 0,
    }

    /// LSTM.
    14 LSTMOptions {
        /// From [`activation`].
        0 fused_activation_function: i8 = 0,
        /// The bound of the cell state, 0 for none.
        1 cell_clip: f32 = 0.0,
        /// The bound of the projection, 0 for none.
        2 proj_clip: f32 = 0.0,
        /// 0: the full LSTM; 1: the basic one, with four inputs and outputs.
        3 kernel_type: i8 = 0,
        /// Of hybrid models (float activations, quantized weights) only.
        4 asymmetric_quantize_inputs: bool = false,
    }

    /// RESIZE_BILINEAR. The new size is an input.
    15 ResizeBilinearOptions {
        /// Whether corners' centers stay in place.
        2 align_corners: bool = false,
        /// Whether pixels' centers lie at halves.
        3 half_pixel_centers: bool = false,
    }

    /// RESHAPE. The shape may also be an input.
    17 ReshapeOptions {
        /// The new shape; −1 for one size that follows from the others.
        0 new_shape: [i32],
    }

    /// SPACE_TO_DEPTH.
    19 SpaceToDepthOptions {
        /// The side of the squares that become channels.
        0 block_size: i32 = 0,
    }

    /// MUL.
    21 MulOptions {
        /// From [`activation`].
        0 fused_activation_function: i8 = 0,
    }

    /// PAD.
    22 PadOptions {}

    /// GATHER.
    23 GatherOptions {
        /// The axis that indices are of; negative counts from the end.
        0 axis: i32 = 0,
        /// How many leading axes the input and the indices share.
        1 batch_dims: i32 = 0,
    }

    /// TRANSPOSE.
    26 TransposeOptions {}

    /// MEAN, SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_ANY and REDUCE_ALL.
    27 ReducerOptions {
        /// Whether reduced axes stay, with size 1.
        0 keep_dims: bool = false,
    }

    /// SUB.
    28 SubOptions {
        /// From [`activation`].
        0 fused_activation_function: i8 = 0,
        /// For 16-bit tensors: whether scales are powers of two.
        1 pot_scale_int16: bool = true,
    }

    /// DIV.
    29 DivOptions {
        /// From [`activation`].
        0 fused_activation_function: i8 = 0,
    }

    /// SQUEEZE.
    30 SqueezeOptions {
        /// The axes of size 1 to drop, negative ones counting from the end. None: all.
        0 squeeze_dims: [i32],
    }

    /// STRIDED_SLICE. Bit i of a mask concerns entry i of the begin, end and stride inputs.
    32 StridedSliceOptions {
        /// Entries whose begin is ignored: as far as possible.
        0 begin_mask: i32 = 0,
        /// Entries whose end is ignored: as far as possible.
        1 end_mask: i32 = 0,
        /// The entry that stands for as many axes as needed.
        2 ellipsis_mask: i32 = 0,
        /// Entries that add an axis of size 1.
        3 new_axis_mask: i32 = 0,
        /// Entries that take one element and drop the axis.
        4 shrink_axis_mask: i32 = 0,
        /// Whether ends are relative to begins.
        5 offset: bool = false,
    }

    /// SPLIT.
    35 SplitOptions {
        /// How many parts; as many as outputs.
        0 num_splits: i32 = 0,
    }

    /// CAST.
    37 CastOptions {
        /// From [`tensor_type`]. Redundant: the tensors say it.
        0 in_data_type: i8 = 0,
        /// From [`tensor_type`]. Redundant: the tensors say it.
        1 out_data_type: i8 = 0,
    }

    /// DEQUANTIZE.
    38 DequantizeOptions {}

    /// MAXIMUM and MINIMUM.
    39 MaximumMinimumOptions {}

    /// ARG_MAX.
    40 ArgMaxOptions {
        /// The type of the indices, from [`tensor_type`].
        0 output_type: i8 = 0,
    }

    /// PADV2.
    43 PadV2Options {}

    /// SLICE.
    48 SliceOptions {}

    /// TRANSPOSE_CONV.
    49 TransposeConvOptions {
        /// From [`padding`].
        0 padding: i8 = 0,
        /// The step along the output's width.
        1 stride_w: i32 = 0,
        /// The step along the output's height.
        2 stride_h: i32 = 0,
        /// From [`activation`].
        3 fused_activation_function: i8 = 0,
        /// The bias's type where it isn't the usual one, from [`tensor_type`]; else 0.
        4 quantized_bias_type: i8 = 0,
    }

    /// EXPAND_DIMS.
    52 ExpandDimsOptions {}

    /// SHAPE.
    55 ShapeOptions {
        /// The type of the sizes, from [`tensor_type`].
        0 out_type: i8 = 0,
    }

    /// ARG_MIN.
    57 ArgMinOptions {
        /// The type of the indices, from [`tensor_type`].
        0 output_type: i8 = 0,
    }

    /// PACK.
    59 PackOptions {
        /// How many inputs there are.
        0 values_count: i32 = 0,
        /// Where the new axis goes; negative counts from the end.
        1 axis: i32 = 0,
    }

    /// ONE_HOT.
    61 OneHotOptions {
        /// Where the new axis goes; negative counts from the end.
        0 axis: i32 = 0,
    }

    /// UNPACK.
    64 UnpackOptions {
        /// How many outputs there are.
        0 num: i32 = 0,
        /// The axis that goes; negative counts from the end.
        1 axis: i32 = 0,
    }

    /// UNIDIRECTIONAL_SEQUENCE_LSTM.
    71 UnidirectionalSequenceLSTMOptions {
        /// From [`activation`].
        0 fused_activation_function: i8 = 0,
        /// The bound of the cell state, 0 for none.
        1 cell_clip: f32 = 0.0,
        /// The bound of the projection, 0 for none.
        2 proj_clip: f32 = 0.0,
        /// Whether time is the first axis, rather than the batch.
        3 time_major: bool = false,
        /// Of hybrid models (float activations, quantized weights) only.
        4 asymmetric_quantize_inputs: bool = false,
        /// Whether recurrent weights are diagonal matrices, stored as vectors.
        5 diagonal_recurrent_tensors: bool = false,
    }

    /// RESIZE_NEAREST_NEIGHBOR. The new size is an input.
    74 ResizeNearestNeighborOptions {
        /// Whether corners' centers stay in place.
        0 align_corners: bool = false,
        /// Whether pixels' centers lie at halves.
        1 half_pixel_centers: bool = false,
    }

    /// LEAKY_RELU.
    75 LeakyReluOptions {
        /// The slope of the negative side.
        0 alpha: f32 = 0.0,
    }

    /// MIRROR_PAD.
    77 MirrorPadOptions {
        /// 0: the border is not repeated (REFLECT); 1: it is (SYMMETRIC).
        0 mode: i8 = 0,
    }

    /// SPLIT_V.
    79 SplitVOptions {
        /// How many parts; as many as outputs.
        0 num_splits: i32 = 0,
    }

    /// QUANTIZE.
    89 QuantizeOptions {}

    /// DEPTH_TO_SPACE.
    94 DepthToSpaceOptions {
        /// The side of the squares that channels become.
        0 block_size: i32 = 0,
    }

    /// BATCH_MATMUL.
    101 BatchMatMulOptions {
        /// Whether the left matrices are stored transposed.
        0 adj_x: bool = false,
        /// Whether the right matrices are stored transposed.
        1 adj_y: bool = false,
        /// Of hybrid models (float activations, quantized weights) only.
        2 asymmetric_quantize_inputs: bool = false,
    }
}

/// The name of the table that stands in the union of options under a number, whether or not tflc
/// reads it.
pub fn options_name(tag: u8) -> Option<&'static str> {
    OPTIONS_NAMES.get(usize::from(tag)).copied()
}

/// The members of the union of options, in order.
#[rustfmt::skip]
const OPTIONS_NAMES: [&str; 127] = [
    "NONE", "Conv2DOptions", "DepthwiseConv2DOptions", "ConcatEmbeddingsOptions",
    "LSHProjectionOptions", "Pool2DOptions", "SVDFOptions", "RNNOptions", "FullyConnectedOptions",
    "SoftmaxOptions", "ConcatenationOptions", "AddOptions", "L2NormOptions",
    "LocalResponseNormalizationOptions", "LSTMOptions", "ResizeBilinearOptions", "CallOptions",
    "ReshapeOptions", "SkipGramOptions", "SpaceToDepthOptions", "EmbeddingLookupSparseOptions",
    "MulOptions", "PadOptions", "GatherOptions", "BatchToSpaceNDOptions", "SpaceToBatchNDOptions",
    "TransposeOptions", "ReducerOptions", "SubOptions", "DivOptions", "SqueezeOptions",
    "SequenceRNNOptions", "StridedSliceOptions", "ExpOptions", "TopKV2Options", "SplitOptions",
    "LogSoftmaxOptions", "CastOptions", "DequantizeOptions", "MaximumMinimumOptions",
    "ArgMaxOptions", "LessOptions", "NegOptions", "PadV2Options", "GreaterOptions",
    "GreaterEqualOptions", "LessEqualOptions", "SelectOptions", "SliceOptions",
    "TransposeConvOptions", "SparseToDenseOptions", "TileOptions", "ExpandDimsOptions",
    "EqualOptions", "NotEqualOptions", "ShapeOptions", "PowOptions", "ArgMinOptions",
    "FakeQuantOptions", "PackOptions", "LogicalOrOptions", "OneHotOptions", "LogicalAndOptions",
    "LogicalNotOptions", "UnpackOptions", "FloorDivOptions", "SquareOptions", "ZerosLikeOptions",
    "FillOptions", "BidirectionalSequenceLSTMOptions", "BidirectionalSequenceRNNOptions",
    "UnidirectionalSequenceLSTMOptions", "FloorModOptions", "RangeOptions",
    "ResizeNearestNeighborOptions", "LeakyReluOptions", "SquaredDifferenceOptions",
    "MirrorPadOptions", "AbsOptions", "SplitVOptions", "UniqueOptions", "ReverseV2Options",
    "AddNOptions", "GatherNdOptions", "CosOptions", "WhereOptions", "RankOptions",
    "ReverseSequenceOptions", "MatrixDiagOptions", "QuantizeOptions", "MatrixSetDiagOptions",
    "HardSwishOptions", "IfOptions", "WhileOptions", "DepthToSpaceOptions",
    "NonMaxSuppressionV4Options", "NonMaxSuppressionV5Options", "ScatterNdOptions",
    "SelectV2Options", "DensifyOptions", "SegmentSumOptions", "BatchMatMulOptions",
    "CumsumOptions", "CallOnceOptions", "BroadcastToOptions", "Rfft2dOptions", "Conv3DOptions",
    "HashtableOptions", "HashtableFindOptions", "HashtableImportOptions", "HashtableSizeOptions",
    "VarHandleOptions", "ReadVariableOptions", "AssignVariableOptions", "RandomOptions",
    "BucketizeOptions", "GeluOptions", "DynamicUpdateSliceOptions", "UnsortedSegmentProdOptions",
    "UnsortedSegmentMaxOptions", "UnsortedSegmentMinOptions", "UnsortedSegmentSumOptions",
    "ATan2Options", "SignOptions", "BitcastOptions", "BitwiseXorOptions", "RightShiftOptions",
];

codes! {
    /// What an operator's inputs are padded to.
    mod padding: i8 { SAME = 0, VALID = 1, }
    /// The name of a [`padding`].
    fn padding_name
}

codes! {
    /// Functions that an operator applies to its result.
    mod activation: i8 {
        NONE = 0, RELU = 1, RELU_N1_TO_1 = 2, RELU6 = 3, TANH = 4, SIGN_BIT = 5,
    }
    /// The name of an [`activation`].
    fn activation_name
}

codes! {
    /// Types of tensors' elements.
    mod tensor_type: i8 {
        FLOAT32 = 0, FLOAT16 = 1, INT32 = 2, UINT8 = 3, INT64 = 4, STRING = 5, BOOL = 6, INT16 = 7,
        COMPLEX64 = 8, INT8 = 9, FLOAT64 = 10, COMPLEX128 = 11, UINT64 = 12, RESOURCE = 13,
        VARIANT = 14, UINT32 = 15, UINT16 = 16, INT4 = 17, BFLOAT16 = 18, INT2 = 19, UINT4 = 20,
        FLOAT8_E4M3FN = 21, FLOAT8_E5M2 = 22,
    }
    /// The name of a [`tensor_type`].
    fn tensor_type_name
}

codes! {
    /// The operators. CUSTOM has its name in [`OperatorCode::custom_code`]; DELEGATE and
    /// PLACEHOLDER_FOR_GREATER_OP_CODES never stand in a file.
    mod builtin: i32 {
        ADD = 0, AVERAGE_POOL_2D = 1, CONCATENATION = 2, CONV_2D = 3, DEPTHWISE_CONV_2D = 4,
        DEPTH_TO_SPACE = 5, DEQUANTIZE = 6, EMBEDDING_LOOKUP = 7, FLOOR = 8, FULLY_CONNECTED = 9,
        HASHTABLE_LOOKUP = 10, L2_NORMALIZATION = 11, L2_POOL_2D = 12,
        LOCAL_RESPONSE_NORMALIZATION = 13, LOGISTIC = 14, LSH_PROJECTION = 15, LSTM = 16,
        MAX_POOL_2D = 17, MUL = 18, RELU = 19, RELU_N1_TO_1 = 20, RELU6 = 21, RESHAPE = 22,
        RESIZE_BILINEAR = 23, RNN = 24, SOFTMAX = 25, SPACE_TO_DEPTH = 26, SVDF = 27, TANH = 28,
        CONCAT_EMBEDDINGS = 29, SKIP_GRAM = 30, CALL = 31, CUSTOM = 32,
        EMBEDDING_LOOKUP_SPARSE = 33, PAD = 34, UNIDIRECTIONAL_SEQUENCE_RNN = 35, GATHER = 36,
        BATCH_TO_SPACE_ND = 37, SPACE_TO_BATCH_ND = 38, TRANSPOSE = 39, MEAN = 40, SUB = 41,
        DIV = 42, SQUEEZE = 43, UNIDIRECTIONAL_SEQUENCE_LSTM = 44, STRIDED_SLICE = 45,
        BIDIRECTIONAL_SEQUENCE_RNN = 46, EXP = 47, TOPK_V2 = 48, SPLIT = 49, LOG_SOFTMAX = 50,
        DELEGATE = 51, BIDIRECTIONAL_SEQUENCE_LSTM = 52, CAST = 53, PRELU = 54, MAXIMUM = 55,
        ARG_MAX = 56, MINIMUM = 57, LESS = 58, NEG = 59, PADV2 = 60, GREATER = 61,
        GREATER_EQUAL = 62, LESS_EQUAL = 63, SELECT = 64, SLICE = 65, SIN = 66,
        TRANSPOSE_CONV = 67, SPARSE_TO_DENSE = 68, TILE = 69, EXPAND_DIMS = 70, EQUAL = 71,
        NOT_EQUAL = 72, LOG = 73, SUM = 74, SQRT = 75, RSQRT = 76, SHAPE = 77, POW = 78,
        ARG_MIN = 79, FAKE_QUANT = 80, REDUCE_PROD = 81, REDUCE_MAX = 82, PACK = 83,
        LOGICAL_OR = 84, ONE_HOT = 85, LOGICAL_AND = 86, LOGICAL_NOT = 87, UNPACK = 88,
        REDUCE_MIN = 89, FLOOR_DIV = 90, REDUCE_ANY = 91, SQUARE = 92, ZEROS_LIKE = 93, FILL = 94,
        FLOOR_MOD = 95, RANGE = 96, RESIZE_NEAREST_NEIGHBOR = 97, LEAKY_RELU = 98,
        SQUARED_DIFFERENCE = 99, MIRROR_PAD = 100, ABS = 101, SPLIT_V = 102, UNIQUE = 103,
        CEIL = 104, REVERSE_V2 = 105, ADD_N = 106, GATHER_ND = 107, COS = 108, WHERE = 109,
        RANK = 110, ELU = 111, REVERSE_SEQUENCE = 112, MATRIX_DIAG = 113, QUANTIZE = 114,
        MATRIX_SET_DIAG = 115, ROUND = 116, HARD_SWISH = 117, IF = 118, WHILE = 119,
        NON_MAX_SUPPRESSION_V4 = 120, NON_MAX_SUPPRESSION_V5 = 121, SCATTER_ND = 122,
        SELECT_V2 = 123, DENSIFY = 124, SEGMENT_SUM = 125, BATCH_MATMUL = 126,
        PLACEHOLDER_FOR_GREATER_OP_CODES = 127, CUMSUM = 128, CALL_ONCE = 129, BROADCAST_TO = 130,
        RFFT2D = 131, CONV_3D = 132, IMAG = 133, REAL = 134, COMPLEX_ABS = 135, HASHTABLE = 136,
        HASHTABLE_FIND = 137, HASHTABLE_IMPORT = 138, HASHTABLE_SIZE = 139, REDUCE_ALL = 140,
        CONV_3D_TRANSPOSE = 141, VAR_HANDLE = 142, READ_VARIABLE = 143, ASSIGN_VARIABLE = 144,
        BROADCAST_ARGS = 145, RANDOM_STANDARD_NORMAL = 146, BUCKETIZE = 147, RANDOM_UNIFORM = 148,
        MULTINOMIAL = 149, GELU = 150, DYNAMIC_UPDATE_SLICE = 151, RELU_0_TO_1 = 152,
        UNSORTED_SEGMENT_PROD = 153, UNSORTED_SEGMENT_MAX = 154, UNSORTED_SEGMENT_SUM = 155,
        ATAN2 = 156, UNSORTED_SEGMENT_MIN = 157, SIGN = 158, BITCAST = 159, BITWISE_XOR = 160,
        RIGHT_SHIFT = 161, STABLEHLO_LOGISTIC = 162, STABLEHLO_ADD = 163, STABLEHLO_DIVIDE = 164,
        STABLEHLO_MULTIPLY = 165, STABLEHLO_MAXIMUM = 166, STABLEHLO_RESHAPE = 167,
        STABLEHLO_CLAMP = 168, STABLEHLO_CONCATENATE = 169, STABLEHLO_BROADCAST_IN_DIM = 170,
        STABLEHLO_CONVOLUTION = 171, STABLEHLO_SLICE = 172, STABLEHLO_CUSTOM_CALL = 173,
        STABLEHLO_REDUCE = 174, STABLEHLO_ABS = 175, STABLEHLO_AND = 176, STABLEHLO_COSINE = 177,
        STABLEHLO_EXPONENTIAL = 178, STABLEHLO_FLOOR = 179, STABLEHLO_LOG = 180,
        STABLEHLO_MINIMUM = 181, STABLEHLO_NEGATE = 182, STABLEHLO_OR = 183, STABLEHLO_POWER = 184,
        STABLEHLO_REMAINDER = 185, STABLEHLO_RSQRT = 186, STABLEHLO_SELECT = 187,
        STABLEHLO_SUBTRACT = 188, STABLEHLO_TANH = 189, STABLEHLO_SCATTER = 190,
        STABLEHLO_COMPARE = 191, STABLEHLO_CONVERT = 192, STABLEHLO_DYNAMIC_SLICE = 193,
        STABLEHLO_DYNAMIC_UPDATE_SLICE = 194, STABLEHLO_PAD = 195, STABLEHLO_IOTA = 196,
        STABLEHLO_DOT_GENERAL = 197, STABLEHLO_REDUCE_WINDOW = 198, STABLEHLO_SORT = 199,
        STABLEHLO_WHILE = 200, STABLEHLO_GATHER = 201, STABLEHLO_TRANSPOSE = 202, DILATE = 203,
        STABLEHLO_RNG_BIT_GENERATOR = 204, REDUCE_WINDOW = 205, STABLEHLO_COMPOSITE = 206,
        STABLEHLO_SHIFT_LEFT = 207, STABLEHLO_CBRT = 208, STABLEHLO_CASE = 209,
    }
    /// The name of a [`builtin`] operator.
    fn builtin_name
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, UnionWIPOffset, WIPOffset};

    type Tables<'a> = Vec<WIPOffset<TableFinishedWIPOffset>>;

    /// A file whose root has `subgraphs` and one operator code with the given codes.
    fn file(b: &mut FlatBufferBuilder, codes: (i8, i32), subgraphs: Tables) -> Vec<u8> {
        let code = b.start_table();
        b.push_slot_always(vtable_offset(0), codes.0);
        b.push_slot_always(vtable_offset(3), codes.1);
        let code = b.end_table(code);
        let codes = b.create_vector(&[code]);
        let subgraphs = b.create_vector(&subgraphs);
        let model = b.start_table();
        b.push_slot_always(vtable_offset(1), codes);
        b.push_slot_always(vtable_offset(2), subgraphs);
        let model = b.end_table(model);
        b.finish(model, Some(FILE_IDENTIFIER));
        b.finished_data().to_vec()
    }

    /// A file with one operator whose union of options has `tag` and the table that `write` makes.
    fn file_with_options(tag: u8, write: impl FnOnce(&mut FlatBufferBuilder)) -> Vec<u8> {
        let b = &mut FlatBufferBuilder::new();
        let options = b.start_table();
        write(b);
        let options: WIPOffset<UnionWIPOffset> = b.end_table(options).as_union_value();
        let operator = b.start_table();
        b.push_slot_always(vtable_offset(OPTIONS_TAG), tag);
        b.push_slot_always(vtable_offset(OPTIONS), options);
        let operator = b.end_table(operator);
        let operators = b.create_vector(&[operator]);
        let subgraph = b.start_table();
        b.push_slot_always(vtable_offset(3), operators);
        let subgraph = b.end_table(subgraph);
        file(b, (0, 0), vec![subgraph])
    }

    fn first_operator(bytes: &[u8]) -> Operator<'_> {
        let subgraph = element(read(bytes).unwrap().subgraphs(), 0).unwrap();
        element(subgraph.operators(), 0).unwrap()
    }

    #[test]
    fn what_is_no_model_is_refused_in_one_sentence() {
        for (bytes, error) in [
            (&b""[..], "this is not a .tflite file: it has only 0 bytes"),
            (b"short", "this is not a .tflite file: it has only 5 bytes"),
            (
                b"<html>\n<p>",
                "this is not a .tflite file: its bytes 4 to 7 are \"l>\\n<\", not \"TFL3\"",
            ),
            (b"\xff\xff\xff\xffTFL3", "the file is damaged: `model` lies at an unaligned address"),
            (
                b"\xfc\xff\xff\xffTFL3",
                "the file is damaged: `model` reaches past the end of the file",
            ),
        ] {
            assert_eq!(read(bytes).unwrap_err(), error);
        }
    }

    #[test]
    fn an_error_says_where() {
        // The options' vtable is (6, size, place of field 0): that place becomes a far one.
        let mut bytes = file_with_options(9, |b| b.push_slot_always(vtable_offset(0), 1.5f32));
        assert_eq!(first_operator(&bytes).options::<SoftmaxOptions>().unwrap().beta(), 1.5);
        let at = bytes.windows(2).position(|w| w == 6u16.to_le_bytes()).unwrap() + 4;
        bytes[at + 1] = 0x70;
        assert_eq!(
            read(&bytes).unwrap_err(),
            "the file is damaged: `model.subgraphs[0].operators[0].SoftmaxOptions.beta` \
             reaches past the end of the file"
        );
    }

    #[test]
    fn options_are_read_as_what_their_tag_says_and_as_nothing_else() {
        // ReshapeOptions' field 0 is an offset: this number would lead far outside.
        let write = |b: &mut FlatBufferBuilder| b.push_slot_always(vtable_offset(0), i32::MAX);
        let bytes = file_with_options(32, write);
        let operator = first_operator(&bytes);
        assert_eq!(operator.options::<StridedSliceOptions>().unwrap().begin_mask(), i32::MAX);
        assert!(operator.options::<ReshapeOptions>().is_none());
        assert!(read(&file_with_options(17, write)).is_err());
        for unknown in [0, 18, 126, 127, 255] {
            let bytes = file_with_options(unknown, write);
            assert!(first_operator(&bytes).options::<ReshapeOptions>().is_none());
        }
    }

    #[test]
    fn absent_fields_have_their_defaults() {
        let bytes = file_with_options(1, |_| {});
        let model = read(&bytes).unwrap();
        assert_eq!(model.version(), 0);
        assert!(model.description().is_none());
        assert!(element(model.buffers(), 0).is_none());
        let operator = first_operator(&bytes);
        assert!(element(operator.inputs(), -1).is_none());
        let conv = operator.options::<Conv2DOptions>().unwrap();
        assert_eq!((conv.padding(), conv.stride_w(), conv.dilation_w_factor()), (0, 0, 1));
    }

    #[test]
    fn the_larger_operator_code_counts() {
        for (codes, expected) in [((3, 0), 3), ((127, 150), 150), ((0, 3), 3), ((9, 9), 9)] {
            let bytes = file(&mut FlatBufferBuilder::new(), codes, vec![]);
            let code = element(read(&bytes).unwrap().operator_codes(), 0).unwrap();
            assert_eq!(code.builtin(), expected);
        }
    }

    #[test]
    fn bytes_may_lie_anywhere_in_memory() {
        let bytes = file_with_options(1, |_| {});
        for shift in 0..8 {
            let shifted = [vec![0; shift], bytes.clone()].concat();
            assert!(first_operator(&shifted[shift..]).options::<Conv2DOptions>().is_some());
        }
    }

    #[test]
    fn shared_tables_cannot_make_a_small_file_huge() {
        // 1000 subgraphs that are one, with 1000 tensors that are one.
        let b = &mut FlatBufferBuilder::new();
        let tensor = b.start_table();
        let tensor = b.end_table(tensor);
        let tensors = b.create_vector(&[tensor; 1000]);
        let subgraph = b.start_table();
        b.push_slot_always(vtable_offset(0), tensors);
        let subgraph = b.end_table(subgraph);
        let bytes = file(b, (0, 0), vec![subgraph; 1000]);
        assert_eq!(
            read(&bytes).unwrap_err(),
            "the file is damaged: its tables refer to the same bytes again and again"
        );
    }

    #[test]
    fn empty_vectors_of_64_bit_numbers_may_be_unaligned() {
        // Two empty vectors side by side: one of them is not followed by an 8-byte boundary.
        let b = &mut FlatBufferBuilder::new();
        let tensors = [(); 2].map(|()| b.create_vector::<i32>(&[])).map(|zero_point| {
            let quantization = b.start_table();
            b.push_slot_always(vtable_offset(3), zero_point);
            let quantization = b.end_table(quantization);
            let tensor = b.start_table();
            b.push_slot_always(vtable_offset(4), quantization);
            b.end_table(tensor)
        });
        let tensors = b.create_vector(&tensors);
        let subgraph = b.start_table();
        b.push_slot_always(vtable_offset(0), tensors);
        let subgraph = b.end_table(subgraph);
        let bytes = file(b, (0, 0), vec![subgraph]);
        let subgraph = element(read(&bytes).unwrap().subgraphs(), 0).unwrap();
        for tensor in subgraph.tensors().unwrap() {
            assert!(tensor.quantization().unwrap().zero_point().unwrap().is_empty());
        }
    }

    #[test]
    fn a_buffer_may_lie_behind_the_flatbuffer() {
        for (offset, size, expected) in [
            (0, 0, Some(&b""[..])),
            (1, 1 << 40, Some(b"")),
            (8, 4, Some(b"data")),
            (8, 5, None),
            (u64::MAX, u64::MAX, None),
        ] {
            let b = &mut FlatBufferBuilder::new();
            let buffer = b.start_table();
            b.push_slot_always(vtable_offset(1), offset);
            b.push_slot_always(vtable_offset(2), size);
            let buffer = b.end_table(buffer);
            b.finish_minimal(buffer);
            let mut bytes = b.finished_data().to_vec();
            let behind = bytes.len() as u64 - 8;
            if offset == 8 {
                // The offset counts from the file's start, and is only known now.
                let at = bytes.windows(8).position(|w| w == 8u64.to_le_bytes()).unwrap();
                bytes[at..at + 8].copy_from_slice(&(8 + behind).to_le_bytes());
            }
            bytes.extend(b"data");
            let buffer = flatbuffers::root::<Buffer>(&bytes).unwrap();
            assert_eq!(buffer.bytes(), expected);
        }
    }

    #[test]
    fn codes_have_their_names() {
        assert_eq!(builtin_name(builtin::CONV_2D), Some("CONV_2D"));
        assert_eq!((0..=209).filter(|&code| builtin_name(code).is_none()).count(), 0);
        assert_eq!((builtin_name(-1), builtin_name(210)), (None, None));
        assert_eq!(tensor_type_name(9), Some("INT8"));
        assert_eq!(options_name(126), Some("RightShiftOptions"));
        assert_eq!(options_name(127), None);
        for &(tag, name) in DECLARED_OPTIONS {
            assert_eq!(options_name(tag), Some(name));
        }
    }
}
