//! Operators that only move elements, as strided copies: CONCATENATION, PACK, PAD, TRANSPOSE,
//! STRIDED_SLICE, RESIZE_NEAREST_NEIGHBOR by whole factors, and RESHAPE where memory can't be
//! shared.

use super::Layer;
use crate::ops::{
    strides, Concatenation, Op, Pack, Pad, ResizeNearestNeighbor, StridedSlice, Transpose,
};

/// Elements that go from steady places to steady places.
pub struct Move {
    /// Where they come from.
    pub source: Source,
    /// Over which dimensions, outermost first.
    pub dims: Vec<Dim>,
    /// The operand's first element.
    pub from: usize,
    /// The result's first element.
    pub to: usize,
}

/// What is moved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The operand of that position.
    Operand(usize),
    /// One code everywhere; the bits of a number if elements are `F32`.
    Value(i32),
}

/// A dimension of a [`Move`].
#[derive(Clone, Copy)]
pub struct Dim {
    /// How many positions it has.
    pub size: usize,
    /// From one position to the next in the operand.
    pub from: isize,
    /// From one position to the next in the result.
    pub to: isize,
}

impl Move {
    fn new(source: Source, sizes: &[usize], from: Steps, to: Steps) -> Move {
        let steps = sizes.iter().zip(from.by.iter().zip(&to.by));
        let dims = steps.map(|(&size, (&from, &to))| Dim { size, from, to }).collect();
        Move { source, dims, from: from.base, to: to.base }
    }

    /// The dimensions without those of one position, and those that operand and result pass without
    /// a gap as one.
    pub fn joined(&self) -> Vec<Dim> {
        let mut dims: Vec<Dim> = Vec::new();
        for &dim in self.dims.iter().filter(|dim| dim.size != 1) {
            let all = [dim.from, dim.to].map(|step| step * dim.size as isize);
            match dims.last_mut() {
                Some(outer) if [outer.from, outer.to] == all => {
                    *outer = Dim { size: outer.size * dim.size, ..dim };
                }
                _ => dims.push(dim),
            }
        }
        dims
    }
}

/// A first element, and the steps from one position to the next by dimension.
#[derive(Clone)]
struct Steps {
    base: usize,
    by: Vec<isize>,
}

impl Steps {
    fn dense(shape: &[usize]) -> Steps {
        Steps { base: 0, by: strides(shape).into_iter().map(|step| step as isize).collect() }
    }

    /// The same, from so many positions of a dimension on.
    fn behind(mut self, dimension: usize, positions: usize) -> Steps {
        self.base += positions * self.by[dimension].unsigned_abs();
        self
    }
}

/// The moves that a layer consists of, if it is nothing else.
pub fn moves(layer: Layer) -> Option<Vec<Move>> {
    match &layer.node.op {
        Op::Concatenation(op) => Some(concatenation(layer, op)),
        Op::Pack(op) => Some(pack(layer, op)),
        Op::Pad(op) => Some(pad(layer, op)),
        Op::Reshape(_) => {
            let all = [layer.output().elements()];
            let dense = Steps::dense(&all);
            Some(vec![Move::new(Source::Operand(0), &all, dense.clone(), dense)])
        }
        Op::ResizeNearestNeighbor(op) => resize(layer, op),
        Op::StridedSlice(op) => Some(vec![slice(layer, op)]),
        Op::Transpose(op) => Some(vec![transpose(layer, op)]),
        _ => None,
    }
}

fn concatenation(layer: Layer, op: &Concatenation) -> Vec<Move> {
    let mut to = Steps::dense(&layer.output().shape);
    let operand = |i: usize| {
        let shape = &layer.input(i).shape;
        let copy = Move::new(Source::Operand(i), shape, Steps::dense(shape), to.clone());
        to = to.clone().behind(op.axis, shape[op.axis]);
        copy
    };
    (0..layer.node.inputs.len()).map(operand).collect()
}

fn pack(layer: Layer, op: &Pack) -> Vec<Move> {
    let operand = |i: usize| {
        let shape = &layer.input(i).shape;
        let mut to = Steps::dense(&layer.output().shape).behind(op.axis, i);
        to.by.remove(op.axis);
        Move::new(Source::Operand(i), shape, Steps::dense(shape), to)
    };
    (0..layer.node.inputs.len()).map(operand).collect()
}

/// The operand, then what is before and behind it along each dimension: where it is inside along
/// the outer ones, all along the inner ones.
fn pad(layer: Layer, op: &Pad) -> Vec<Move> {
    let (input, output) = (&layer.input(0).shape, &layer.output().shape);
    let mut to = Steps::dense(output);
    let nowhere = Steps { base: 0, by: vec![0; output.len()] };
    let mut border = Vec::new();
    for (i, &[before, behind]) in op.padding.iter().enumerate() {
        for (start, count) in [(0, before), (before + input[i], behind)] {
            if count > 0 {
                let sizes = [&input[..i], &[count], &output[i + 1..]].concat();
                let to = to.clone().behind(i, start);
                border.push(Move::new(Source::Value(op.value), &sizes, nowhere.clone(), to));
            }
        }
        to = to.behind(i, before);
    }
    let mut moves = vec![Move::new(Source::Operand(0), input, Steps::dense(input), to)];
    moves.extend(border);
    moves
}

fn transpose(layer: Layer, op: &Transpose) -> Move {
    let mut from = Steps::dense(&layer.input(0).shape);
    from.by = op.permutation.iter().map(|&axis| from.by[axis]).collect();
    let shape = &layer.output().shape;
    Move::new(Source::Operand(0), shape, from, Steps::dense(shape))
}

fn slice(layer: Layer, op: &StridedSlice) -> Move {
    let mut from = Steps::dense(&layer.input(0).shape);
    for (i, range) in op.ranges.iter().enumerate() {
        from = from.behind(i, range.begin);
    }
    from.by = op.ranges.iter().zip(&from.by).map(|(range, step)| range.stride * step).collect();
    let sizes: Vec<usize> = op.ranges.iter().map(|range| range.length).collect();
    Move::new(Source::Operand(0), &sizes, from, Steps::dense(&sizes))
}

fn resize(layer: Layer, op: &ResizeNearestNeighbor) -> Option<Vec<Move>> {
    let &[images, height, width, channels] = &layer.input(0).shape[..] else { return None };
    let factor = |places: &[usize], size: usize| {
        let by = places.len() / size;
        let exact = by > 0 && places.iter().enumerate().all(|(to, &from)| from == to / by);
        exact.then_some(by)
    };
    let (down, across) = (factor(&op.rows, height)?, factor(&op.columns, width)?);
    let sizes = [images, height, down, width, across, channels];
    let to = Steps::dense(&sizes);
    let mut from = Steps::dense(&[images, height, 1, width, 1, channels]);
    (from.by[2], from.by[4]) = (0, 0);
    Some(vec![Move::new(Source::Operand(0), &sizes, from, to)])
}
