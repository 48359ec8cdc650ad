//! Loops over the elements of shapes, for operators that touch several buffers at steady strides.

use crate::loop_ir::{Builder, Expr};

/// How a buffer is stepped through.
#[derive(Clone, Debug)]
pub struct Steps {
    /// The element at the start.
    pub base: Expr,
    /// Elements from one position to the next, by dimension; 0 stays, negative goes back.
    pub strides: Vec<isize>,
}

impl Steps {
    /// The elements of a shape in their order.
    pub fn dense(shape: &[usize]) -> Self {
        let strides = crate::ops::strides(shape).into_iter().map(|s| s as isize).collect();
        Steps { base: 0usize.into(), strides }
    }
}

/// Emits loops over `sizes`, outermost first, with `body` inside getting each buffer's element.
/// Dimensions of one position vanish, and those that every buffer passes without a gap are one
/// loop.
pub fn nest<const N: usize>(
    code: &mut Builder,
    sizes: &[usize],
    buffers: [Steps; N],
    body: impl FnOnce(&mut Builder, [Expr; N]),
) {
    let mut dims: Vec<(usize, [isize; N])> = Vec::new();
    for (i, &size) in sizes.iter().enumerate().filter(|(_, &size)| size != 1) {
        let strides = std::array::from_fn(|n| buffers[n].strides[i]);
        match dims.last_mut() {
            Some((outer, steps)) if (0..N).all(|n| steps[n] == strides[n] * size as isize) => {
                *outer *= size;
                *steps = strides;
            }
            _ => dims.push((size, strides)),
        }
    }
    let mut body = Some(body);
    emit(code, &dims, buffers.map(|steps| steps.base), &mut |code, at| {
        body.take().expect("the innermost loop is emitted once")(code, at);
    });
}

fn emit<const N: usize>(
    code: &mut Builder,
    dims: &[(usize, [isize; N])],
    at: [Expr; N],
    body: &mut dyn FnMut(&mut Builder, [Expr; N]),
) {
    let Some(((size, strides), inner)) = dims.split_first() else {
        return body(code, at);
    };
    code.repeat("i", 0usize, *size, |code, i| {
        let mut n = 0;
        let at = at.map(|at| {
            let stride = strides[n];
            n += 1;
            let at = match stride {
                0 => at,
                1.. => at + i.clone() * stride.unsigned_abs(),
                _ => at - i.clone() * stride.unsigned_abs(),
            };
            if inner.is_empty() {
                at
            } else {
                code.name("at", at)
            }
        });
        emit(code, inner, at, body);
    });
}
