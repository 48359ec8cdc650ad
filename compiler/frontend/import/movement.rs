//! Operators that only move data. Their axes, sizes and positions become attributes.

use super::operator::Operator;
use super::tensor::{Fault, Tensor};
use super::Imported;
use crate::frontend::schema::{
    builtin, ConcatenationOptions, PackOptions, ReshapeOptions, ResizeNearestNeighborOptions,
    SqueezeOptions, StridedSliceOptions,
};
use crate::ops::{
    Concatenation, DType, Pack, Pad, Reshape, ResizeNearestNeighbor, Shape, StridedRange,
    StridedSlice, TensorType, Transpose, Value,
};

/// The axis that `axis` says, of `rank` ones; negative ones count from the end.
pub fn axis_of(op: &Operator, axis: i32, rank: usize) -> Option<usize> {
    let from_start = if axis < 0 { i64::from(axis) + rank as i64 } else { i64::from(axis) };
    let found = usize::try_from(from_start).ok().filter(|&axis| axis < rank);
    found.or_else(|| op.fail(None, Fault::damage(format!("there is no axis {axis} of {rank}"))))
}

pub fn concatenation(op: &Operator) -> Imported {
    let options = op.needed_options::<ConcatenationOptions>()?;
    op.expect_no_activation(options.fused_activation_function());
    let inputs: Vec<usize> = (0..op.input_count()).collect();
    let rank = op.input(0)?.ty.shape.len();
    for &i in &inputs {
        let input = op.input(i)?;
        if op.output().ty.dtype == DType::I8 {
            op.expect_same_quantization(input, op.output());
        }
    }
    let axis = axis_of(op, options.axis(), rank)?;
    Some((Concatenation { axis }.into(), inputs))
}

pub fn pack(op: &Operator) -> Imported {
    let options = op.needed_options::<PackOptions>()?;
    let inputs: Vec<usize> = (0..op.input_count()).collect();
    for &i in &inputs {
        op.input(i)?;
    }
    let axis = axis_of(op, options.axis(), op.input(0)?.ty.shape.len() + 1)?;
    Some((Pack { axis }.into(), inputs))
}

pub fn pad(op: &Operator) -> Imported {
    let input = op.input(0)?;
    let padding = op.known_ints(1, "the padding")?;
    if padding.len() != 2 * input.ty.shape.len() || padding.iter().any(|&size| size < 0) {
        let what = format!("padding by {padding:?} doesn't fit {}", input.ty);
        return op.fail(op.input(1), Fault::damage(what));
    }
    let value = if op.builtin() == builtin::PADV2 {
        padding_value(op, op.input(2)?)?
    } else if input.ty.dtype == DType::I8 {
        op.quantization(op.output())?.zero_point
    } else if input.ty.dtype.is_byte() || input.ty.dtype == DType::I16 {
        op.quantization(op.output()).map_or(0, |q| q.zero_point)
    } else {
        0
    };
    let padding = padding.chunks_exact(2).map(|sizes| [sizes[0] as usize, sizes[1] as usize]);
    Some((Pad { padding: padding.collect(), value }.into(), vec![0]))
}

/// What PADV2 pads with.
fn padding_value(op: &Operator, tensor: &Tensor) -> Option<i32> {
    if tensor.ty.dtype != op.output().ty.dtype {
        let what = format!("it is {}, but pads elements of {}", tensor.ty, op.output().ty.dtype);
        return op.fail(Some(tensor), Fault::damage(what));
    }
    if tensor.ty.dtype == DType::I8 {
        op.expect_same_quantization(tensor, op.output())?;
    }
    match tensor.value() {
        Some(value) if value.ty.elements() == 1 => match value.ty.dtype {
            DType::F32 => Some(value.floats()[0].to_bits() as i32),
            _ if Value::from_ints(value.ty.clone(), value.ints()) == value => Some(value.ints()[0]),
            _ => op.fail(
                Some(tensor),
                Fault {
                    what: "the value to pad with has more than 32 bits".into(),
                    advice: "make it smaller",
                },
            ),
        },
        _ => op.fail(
            Some(tensor),
            Fault {
                what: "the value to pad with is not one constant".into(),
                advice: "make it a constant",
            },
        ),
    }
}

pub fn reshape(op: &Operator) -> Imported {
    let input = op.input(0)?;
    let from_options = || {
        let shape = op.options::<ReshapeOptions>()?.new_shape()?;
        Some(shape.iter().collect::<Vec<i32>>())
    };
    let from_operand = || match op.has_input(1) {
        true => op.input(1)?.value().filter(|value| value.ty.dtype != DType::F32),
        false => None,
    };
    let stated = from_operand().map(|value| value.ints()).or_else(from_options);
    // Where the shape is only computed when the model runs, the file still says the output's.
    let stated = stated.unwrap_or_else(|| output_sizes(op));
    // Old files mean a scalar by [0].
    let stated = if stated == [0] { Vec::new() } else { stated };
    let known: i64 = stated
        .iter()
        .filter(|&&size| size != -1)
        .map(|&size| i64::from(size))
        .fold(1, |product, size| product.saturating_mul(size));
    let elements = input.ty.elements() as i64;
    let open = elements.checked_div(known).unwrap_or(0);
    let shape: Option<Vec<usize>> = stated
        .iter()
        .map(|&size| usize::try_from(if size == -1 { open } else { size.into() }).ok())
        .collect();
    match shape {
        Some(shape) => Some((Reshape { shape }.into(), vec![0])),
        None => op.fail(None, Fault::damage(format!("{} can't become {stated:?}", input.ty))),
    }
}

/// The output's shape as the file says it.
fn output_sizes(op: &Operator) -> Vec<i32> {
    op.output().ty.shape.iter().map(|&size| size as i32).collect()
}

pub fn squeeze(op: &Operator) -> Imported {
    let shape = &op.input(0)?.ty.shape;
    let stated: Vec<i32> = (op.options::<SqueezeOptions>())
        .and_then(|options| options.squeeze_dims())
        .map_or_else(Vec::new, |axes| axes.iter().collect());
    let axes = stated.iter().map(|&axis| axis_of(op, axis, shape.len()));
    let mut axes: Vec<usize> = axes.collect::<Option<_>>()?;
    if axes.is_empty() {
        axes = (0..shape.len()).filter(|&axis| shape[axis] == 1).collect();
    }
    if let Some(&axis) = axes.iter().find(|&&axis| shape[axis] != 1) {
        return op
            .fail(None, Fault::damage(format!("axis {axis} to drop has size {}", shape[axis])));
    }
    let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
    Some((Reshape { shape: kept.map(|axis| shape[axis]).collect() }.into(), vec![0]))
}

pub fn expand_dims(op: &Operator) -> Imported {
    let mut shape = op.input(0)?.ty.shape.clone();
    let axis = match op.known_ints(1, "the axis")?[..] {
        [axis] => axis_of(op, axis, shape.len() + 1)?,
        _ => return op.fail(op.input(1), Fault::damage("there is more than one axis")),
    };
    shape.insert(axis, 1);
    Some((Reshape { shape }.into(), vec![0]))
}

pub fn transpose(op: &Operator) -> Imported {
    let rank = op.input(0)?.ty.shape.len();
    let axes = op.known_ints(1, "the order of dimensions")?;
    let permutation =
        axes.into_iter().map(|axis| axis_of(op, axis, rank)).collect::<Option<_>>()?;
    Some((Transpose { permutation }.into(), vec![0]))
}

pub fn shape(op: &Operator) -> Imported {
    op.input(0)?;
    match op.output().ty.dtype {
        dtype @ (DType::I32 | DType::I64) => Some((Shape { dtype }.into(), vec![0])),
        dtype => op.fail(None, Fault::damage(format!("it yields elements of type {dtype}"))),
    }
}

pub fn resize_nearest_neighbor(op: &Operator) -> Imported {
    let options = op.options::<ResizeNearestNeighborOptions>();
    let align_corners = options.is_some_and(|options| options.align_corners());
    let half_pixels = options.is_some_and(|options| options.half_pixel_centers());
    let input = op.input(0)?;
    let size = op.known_ints(1, "the new size")?;
    let [_, rows, columns, channels] = input.ty.shape[..] else {
        return op.fail(
            Some(input),
            Fault::damage(format!("it is {}, not of rows and columns", input.ty)),
        );
    };
    let new_size = match size[..] {
        [rows, columns] => [rows, columns].map(|size| usize::try_from(size).unwrap_or(0)),
        _ => [0, 0],
    };
    let result = TensorType::checked(input.ty.dtype, [new_size[0], new_size[1], channels]);
    if let Err(what) = result {
        return op.fail(op.input(1), Fault::damage(what));
    }
    let sources = |from: usize, to: usize| {
        (0..to).map(|i| nearest(i, from, to, align_corners, half_pixels)).collect()
    };
    let resize = ResizeNearestNeighbor {
        rows: sources(rows, new_size[0]),
        columns: sources(columns, new_size[1]),
    };
    Some((resize.into(), vec![0]))
}

/// The position out of `from` that is nearest to position `i` of `to`, in float32 as TFLite's
/// `GetNearestNeighbor` computes it.
fn nearest(i: usize, from: usize, to: usize, align_corners: bool, half_pixels: bool) -> usize {
    let scale = match align_corners && to > 1 {
        true => (from - 1) as f32 / (to - 1) as f32,
        false => from as f32 / to as f32,
    };
    let offset = if half_pixels { 0.5 } else { 0.0 };
    let position = (i as f32 + offset) * scale;
    let position = if align_corners { position.round() } else { position.floor() };
    (position as usize).min(from - 1)
}

pub fn strided_slice(op: &Operator) -> Imported {
    let options = op.needed_options::<StridedSliceOptions>()?;
    let input = op.input(0)?;
    let (begin, end) = (op.known_ints(1, "the begin"), op.known_ints(2, "the end"));
    let strides = op.known_ints(3, "the stride");
    let (begin, end, strides) = (begin?, end?, strides?);
    let rank = input.ty.shape.len();
    let count = begin.len();
    if end.len() != count || strides.len() != count || count > 31 {
        return op.fail(None, Fault::damage("begin, end and stride are not of one length"));
    }
    let is_set = |mask: i32, i: usize| mask & (1 << i) != 0;
    let ellipsis = (0..count).find(|&i| is_set(options.ellipsis_mask(), i));
    let is_new = |i: usize| is_set(options.new_axis_mask(), i) && Some(i) != ellipsis;
    let consumed = (0..count).filter(|&i| !is_new(i) && Some(i) != ellipsis).count();
    let Some(left) = rank.checked_sub(consumed) else {
        return op
            .fail(None, Fault::damage(format!("it slices {consumed} dimensions of {}", input.ty)));
    };

    let (mut ranges, mut shape) = (Vec::new(), Vec::new());
    let take_whole = |ranges: &mut Vec<StridedRange>, shape: &mut Vec<usize>, dimensions: usize| {
        for &length in &input.ty.shape[ranges.len()..ranges.len() + dimensions] {
            ranges.push(StridedRange { begin: 0, stride: 1, length });
            shape.push(length);
        }
    };
    for i in 0..count {
        if Some(i) == ellipsis {
            take_whole(&mut ranges, &mut shape, left);
            continue;
        }
        if is_new(i) {
            shape.push(1);
            continue;
        }
        let axis = ranges.len();
        let entry = Entry {
            begin: (!is_set(options.begin_mask(), i)).then_some(begin[i]),
            end: (!is_set(options.end_mask(), i)).then_some(end[i]),
            end_is_relative: options.offset(),
            stride: strides[i],
            is_single: is_set(options.shrink_axis_mask(), i),
        };
        match entry.range(input.ty.shape[axis]) {
            Ok(range) => ranges.push(range),
            Err(what) => return op.fail(None, Fault::damage(format!("along axis {axis}, {what}"))),
        }
        if !entry.is_single {
            shape.push(ranges[axis].length);
        }
    }
    let rest = rank - ranges.len();
    take_whole(&mut ranges, &mut shape, rest);
    Some((StridedSlice { ranges, shape }.into(), vec![0]))
}

/// What a slice takes along one dimension, as the file says it.
struct Entry {
    /// The first position, unless it is the outermost; negative counts from the end.
    begin: Option<i32>,
    /// The position behind the last, unless that is the outermost.
    end: Option<i32>,
    /// Whether `end` counts from `begin`.
    end_is_relative: bool,
    stride: i32,
    /// Whether only the element at `begin` is taken.
    is_single: bool,
}

impl Entry {
    /// The positions in a dimension of `size` (TFLite's `StridedSliceStartForAxis` and
    /// `StridedSliceEndForAxis`).
    fn range(&self, size: usize) -> Result<StridedRange, String> {
        let (size, stride) = (size as i64, i64::from(self.stride));
        if stride == 0 {
            return Err("the stride is 0".into());
        }
        let (lowest, highest) = if stride > 0 { (0, size) } else { (-1, size - 1) };
        let (first, last) = if stride > 0 { (0, size) } else { (size - 1, -1) };
        let from_start = |position: i64| if position < 0 { position + size } else { position };
        let position = |position: i64| from_start(position).clamp(lowest, highest);
        let begin = self.begin.map_or(first, |begin| position(begin.into()));
        if self.is_single {
            return match usize::try_from(begin) {
                Ok(begin) if (begin as i64) < size => {
                    Ok(StridedRange { begin, stride: 1, length: 1 })
                }
                _ => Err(format!("there is no position {}", self.begin.unwrap_or(0))),
            };
        }
        let offset = if self.end_is_relative { begin } else { 0 };
        let end = self.end.map_or(last, |end| position(i64::from(end) + offset));
        let length = (end - begin + stride - stride.signum()) / stride;
        if length <= 0 {
            return Err("nothing is taken".into());
        }
        Ok(StridedRange { begin: begin as usize, stride: stride as isize, length: length as usize })
    }
}
