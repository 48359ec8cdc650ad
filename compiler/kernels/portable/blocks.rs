//! Items of a kind, several at a time.

use crate::loop_ir::{Builder, Expr};

/// How items are taken: blocks of the same width, and perhaps a rest.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    count: usize,
    width: usize,
    /// Whether the last block begins among the items of the one before it and computes some again:
    /// cheaper than code of its own for a rest.
    overlap: bool,
}

/// Items that are computed side by side.
#[derive(Clone, Debug)]
pub struct Block {
    /// The first.
    pub first: Expr,
    /// How many items the blocks before it have.
    pub before: Expr,
    /// How many there are.
    pub width: usize,
}

impl Blocks {
    /// `count` items, up to `most` at a time. Where results lie over operands, none may be computed
    /// `again`.
    pub fn new(count: usize, most: usize, again: bool) -> Self {
        // As many blocks as it takes, and then no wider than need be.
        let width = count.div_ceil(count.div_ceil(most).max(1)).max(1);
        Blocks { count, width, overlap: again && count % width > 0 }
    }

    /// The widest block's items.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The first item and the width of each.
    pub fn list(&self) -> Vec<(usize, usize)> {
        let Blocks { count, width, overlap } = *self;
        let block = |first: usize| match overlap {
            true => (first.min(count - width), width),
            false => (first, width.min(count - first)),
        };
        (0..count).step_by(width).map(block).collect()
    }

    /// Emits `body` for all of them.
    pub fn each(&self, code: &mut Builder, mut body: impl FnMut(&mut Builder, Block)) {
        let Blocks { count, width, overlap } = *self;
        let end = if overlap { count.div_ceil(width) } else { count / width };
        code.repeat("block", 0usize, end, |code, block| {
            let before = code.name("before", block * width);
            let first = match overlap {
                true => code.name("first", before.clone().min(count - width)),
                false => before.clone(),
            };
            body(code, Block { first, before, width })
        });
        let rest = count % width;
        if !overlap && rest > 0 {
            let first = Expr::from(count - rest);
            body(code, Block { before: first.clone(), first, width: rest });
        }
    }
}
