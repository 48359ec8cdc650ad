//! Operators that only move elements, as loops over their moves; RESIZE_NEAREST_NEIGHBOR by other
//! than whole factors with rows and columns looked up.

use super::nest::{nest, Steps};
use crate::kernels::moves::{Dim, Move, Source};
use crate::kernels::Lowering;
use crate::loop_ir::{load, Expr};
use crate::ops::{DType, ResizeNearestNeighbor};

/// Lowers a list of moves, one after another.
pub fn lower(lowering: &mut Lowering, moves: Vec<Move>) {
    for Move { source, dims, from, to } in moves {
        let sizes: Vec<usize> = dims.iter().map(|dim| dim.size).collect();
        let steps = |base: usize, step: fn(&Dim) -> isize| Steps {
            base: base.into(),
            strides: dims.iter().map(step).collect(),
        };
        let to = steps(to, |dim| dim.to);
        match source {
            Source::Operand(i) => {
                let (x, out) = (lowering.operand(i, "input"), lowering.result(0));
                let from = steps(from, |dim| dim.from);
                nest(&mut lowering.code, &sizes, [from, to], |code, [from, to]| {
                    code.store(out, to, load(x, from));
                });
            }
            Source::Value(value) => {
                let out = lowering.result(0);
                let value = match lowering.layer.output().dtype {
                    DType::F32 => Expr::Real(f32::from_bits(value as u32)),
                    _ => Expr::Int(value),
                };
                nest(&mut lowering.code, &sizes, [to], |code, [to]| code.store(out, to, value));
            }
        }
    }
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
