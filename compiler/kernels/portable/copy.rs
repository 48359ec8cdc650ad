//! Operators that only move elements, as strided copies: CONCATENATION, PACK, PAD, TRANSPOSE,
//! STRIDED_SLICE, RESIZE_NEAREST_NEIGHBOR, and RESHAPE where memory can't be shared.

use super::nest::{nest, Steps};
use crate::kernels::Lowering;
use crate::loop_ir::{load, Expr};
use crate::ops::{
    strides, Concatenation, DType, Pack, Pad, ResizeNearestNeighbor, StridedSlice, Transpose,
};

/// Copies the operand as it is.
pub fn lower_reshape(lowering: &mut Lowering) {
    let size = lowering.layer.output().elements();
    copy(lowering, 0, &[size], Steps::dense(&[size]), Steps::dense(&[size]));
}

/// Lowers a concatenation: one copy for each operand.
pub fn lower_concatenation(lowering: &mut Lowering, op: &Concatenation) {
    let layer = lowering.layer;
    let steps = Steps::dense(&layer.output().shape);
    let mut offset = 0;
    for i in 0..layer.node.inputs.len() {
        let shape = &layer.input(i).shape;
        let base = offset * steps.strides[op.axis].unsigned_abs();
        let to = Steps { base: base.into(), ..steps.clone() };
        copy(lowering, i, shape, Steps::dense(shape), to);
        offset += shape[op.axis];
    }
}

/// Lowers a stack: one copy for each operand.
pub fn lower_pack(lowering: &mut Lowering, op: &Pack) {
    let layer = lowering.layer;
    let mut steps = Steps::dense(&layer.output().shape);
    let step = steps.strides.remove(op.axis).unsigned_abs();
    for i in 0..layer.node.inputs.len() {
        let shape = &layer.input(i).shape;
        let to = Steps { base: (i * step).into(), ..steps.clone() };
        copy(lowering, i, shape, Steps::dense(shape), to);
    }
}

/// Lowers a padding: the value everywhere, then the operand over it.
pub fn lower_pad(lowering: &mut Lowering, op: &Pad) {
    let layer = lowering.layer;
    let (input, output) = (layer.input(0), layer.output());
    let out = lowering.result(0);
    let value = match output.dtype {
        DType::F32 => Expr::Real(f32::from_bits(op.value as u32)),
        _ => Expr::Int(op.value),
    };
    lowering.code.repeat("i", 0usize, output.elements(), |code, i| code.store(out, i, value));
    let mut to = Steps::dense(&output.shape);
    let first: usize = op.padding.iter().zip(strides(&output.shape)).map(|(p, s)| p[0] * s).sum();
    to.base = first.into();
    let x = lowering.operand(0, "input");
    nest(&mut lowering.code, &input.shape, [Steps::dense(&input.shape), to], |code, [from, to]| {
        code.store(out, to, load(x, from));
    });
}

/// Lowers a transposition.
pub fn lower_transpose(lowering: &mut Lowering, op: &Transpose) {
    let layer = lowering.layer;
    let mut from = Steps::dense(&layer.input(0).shape);
    from.strides = op.permutation.iter().map(|&axis| from.strides[axis]).collect();
    let shape = &layer.output().shape;
    copy(lowering, 0, shape, from, Steps::dense(shape));
}

/// Lowers a strided slice.
pub fn lower_strided_slice(lowering: &mut Lowering, op: &StridedSlice) {
    let mut from = Steps::dense(&lowering.layer.input(0).shape);
    let starts = op.ranges.iter().zip(&from.strides).map(|(r, s)| r.begin * s.unsigned_abs());
    from.base = starts.sum::<usize>().into();
    from.strides = op.ranges.iter().zip(&from.strides).map(|(r, s)| r.stride * s).collect();
    let sizes: Vec<usize> = op.ranges.iter().map(|range| range.length).collect();
    copy(lowering, 0, &sizes, from, Steps::dense(&sizes));
}

/// Lowers a nearest-neighbour resizing: rows and columns looked up.
pub fn lower_resize_nearest_neighbor(lowering: &mut Lowering, op: &ResizeNearestNeighbor) {
    let layer = lowering.layer;
    let [images, height, width, channels] =
        layer.input(0).shape[..].try_into().expect("four dimensions");
    let x = lowering.operand(0, "input");
    let indices = |list: &[usize]| list.iter().map(|&i| i as i32).collect::<Vec<_>>();
    let rows =
        lowering.words("rows", "the operand's row for each of the result's", &indices(&op.rows));
    let columns = lowering.words(
        "columns",
        "the operand's column for each of the result's",
        &indices(&op.columns),
    );
    let out = lowering.result(0);
    let (output_height, output_width) = (op.rows.len(), op.columns.len());
    lowering.code.repeat("image", 0usize, images, |code, image| {
        code.repeat("y", 0usize, output_height, |code, y| {
            let row = &image * height + load(rows, &y).to_index();
            let row = code.name("row", row * width);
            code.repeat("x", 0usize, output_width, |code, x_| {
                let from = (&row + load(columns, &x_).to_index()) * channels;
                let from = code.name("from", from);
                let to = ((&image * output_height + &y) * output_width + x_) * channels;
                let to = code.name("to", to);
                code.repeat("c", 0usize, channels, |code, c| {
                    code.store(out, &to + &c, load(x, &from + &c));
                });
            });
        });
    });
}

fn copy(lowering: &mut Lowering, operand: usize, sizes: &[usize], from: Steps, to: Steps) {
    let x = lowering.operand(operand, "input");
    let out = lowering.result(0);
    nest(&mut lowering.code, sizes, [from, to], |code, [from, to]| {
        code.store(out, to, load(x, from));
    });
}
