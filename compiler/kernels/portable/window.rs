//! The taps of a window that lie inside the operand, along one axis.

use super::blocks::Blocks;
use crate::loop_ir::{Builder, Expr};
use crate::ops::Window;

/// Rows or columns: how a window steps over them.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Elements of the operand.
    pub input: usize,
    /// Elements of the result.
    pub output: usize,
    /// Taps.
    pub size: usize,
    /// Steps between results.
    pub stride: usize,
    /// Steps between taps.
    pub dilation: usize,
    /// Elements of padding before the first.
    pub before: usize,
}

impl Axis {
    /// The rows and the columns of `window` on an NHWC operand.
    pub fn both(window: &Window, input: &[usize], output: &[usize]) -> [Axis; 2] {
        let before = [window.padding.top, window.padding.left];
        [0, 1].map(|i| Axis {
            input: input[i + 1],
            output: output[i + 1],
            size: window.size[i],
            stride: window.stride[i],
            dilation: window.dilation[i],
            before: before[i],
        })
    }

    /// Steps from the first tap to behind the last.
    fn reach(&self) -> usize {
        (self.size - 1) * self.dilation + 1
    }

    /// The results whose taps are all inside: from the first, up to but not including the second.
    pub fn inside(&self) -> (usize, usize) {
        let first = self.before.div_ceil(self.stride).min(self.output);
        let last =
            (self.input + self.before).checked_sub(self.reach()).map(|x| x / self.stride + 1);
        (first, last.unwrap_or(0).clamp(first, self.output))
    }

    /// Whether all taps of all results are inside.
    pub fn is_inside(&self) -> bool {
        self.inside() == (0, self.output)
    }

    /// Emits `body` for all results: for those at the borders, which have taps outside, one at a
    /// time; for those between, up to `together` at a time, if `inside` says that they are worth
    /// code of their own. It is told how many, or `None` at the border. Where results lie over
    /// operands, none may be computed `again`.
    pub fn each(
        &self,
        code: &mut Builder,
        inside: bool,
        (together, again): (usize, bool),
        mut body: impl FnMut(&mut Builder, &Expr, Option<usize>),
    ) {
        let (first, end) = self.inside();
        if !inside || first == end {
            return code.repeat("x", 0usize, self.output, |code, x| body(code, &x, None));
        }
        let right = self.output - end;
        if first + right > 0 {
            // Those to the left of `first`, then those from `end` on.
            code.repeat("border", 0usize, first + right, |code, border| {
                let x = match (first, right) {
                    (0, _) => border + end,
                    (_, 0) => border,
                    _ => {
                        let beyond = border.clone().saturating_sub(first - 1).min(1usize);
                        border + beyond * (end - first)
                    }
                };
                let x = code.name("x", x);
                body(code, &x, None);
            });
        }
        if together == 1 {
            return code.repeat("x", first, end, |code, x| body(code, &x, Some(1)));
        }
        Blocks::new(end - first, together, again).each(code, |code, block| {
            let x = code.name("x", block.first + first);
            body(code, &x, Some(block.width));
        });
    }

    /// The taps that are inside for result `at`: from the first, up to but not including the
    /// second.
    pub fn clip(&self, code: &mut Builder, name: &str, at: &Expr) -> (Expr, Expr) {
        if self.is_inside() {
            return (0usize.into(), self.size.into());
        }
        let start = at.clone() * self.stride;
        let first = Expr::from(self.before).saturating_sub(&start).div_ceil(self.dilation);
        let room = Expr::from(self.input + self.before).saturating_sub(&start);
        let end = room.div_ceil(self.dilation).min(self.size);
        (code.name(&format!("{name}_from"), first), code.name(&format!("{name}_to"), end))
    }

    /// The operand's row or column under tap `tap` of result `at`.
    pub fn position(&self, at: &Expr, tap: &Expr) -> Expr {
        at.clone() * self.stride + tap.clone() * self.dilation - self.before
    }
}
