//! The geometry that convolutions and pooling share: a window that steps over rows and columns.

/// Rows and columns added around the operand before the window steps over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// Whether nothing is added.
    pub fn is_none(self) -> bool {
        self == Padding::default()
    }
}

/// A window's steps over an operand, `[rows, columns]` throughout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Taps.
    pub size: [usize; 2],
    /// Steps from one output to the next.
    pub stride: [usize; 2],
    /// Steps from one tap to the next.
    pub dilation: [usize; 2],
    /// What is added around the operand.
    pub padding: Padding,
}

impl Window {
    /// The window of TFLite's SAME padding on an operand of `input` rows and columns: as many
    /// outputs as strides fit, the odd padding row or column at the end
    /// (`ComputePaddingHeightWidth`).
    pub fn same(
        input: [usize; 2],
        size: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> Self {
        let total = |i: usize| {
            let output = input[i].div_ceil(stride[i]);
            let reach = (output - 1) * stride[i] + (size[i] - 1) * dilation[i] + 1;
            reach.saturating_sub(input[i])
        };
        let (rows, columns) = (total(0), total(1));
        let padding = Padding {
            top: rows / 2,
            bottom: rows - rows / 2,
            left: columns / 2,
            right: columns - columns / 2,
        };
        Window { size, stride, dilation, padding }
    }

    /// The window of VALID padding: none.
    pub fn valid(size: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Self {
        Window { size, stride, dilation, padding: Padding::default() }
    }

    /// Rows and columns of the output for an operand of `input` rows and columns.
    ///
    /// # Errors
    /// The window is larger than the padded operand.
    pub fn output(&self, input: [usize; 2]) -> Result<[usize; 2], String> {
        let p = self.padding;
        let padded = [input[0] + p.top + p.bottom, input[1] + p.left + p.right];
        let reach = [0, 1].map(|i| (self.size[i] - 1) * self.dilation[i] + 1);
        if reach[0] > padded[0] || reach[1] > padded[1] {
            return Err(format!(
                "a window of {}x{} doesn't fit into {}x{}",
                reach[0], reach[1], padded[0], padded[1]
            ));
        }
        Ok([0, 1].map(|i| (padded[i] - reach[i]) / self.stride[i] + 1))
    }

    /// Whether some tap of some output lies outside of an operand of `input` rows and columns.
    pub fn clips(&self, input: [usize; 2], output: [usize; 2]) -> bool {
        self.clipped(input, output) != [0, 0]
    }

    /// How many rows and columns of the output have taps outside of an operand of `input` rows and
    /// columns.
    fn clipped(&self, input: [usize; 2], output: [usize; 2]) -> [usize; 2] {
        let before = [self.padding.top, self.padding.left];
        [0, 1].map(|i| {
            let reach = (self.size[i] - 1) * self.dilation[i] + 1;
            let first = before[i].div_ceil(self.stride[i]).min(output[i]);
            let room = (input[i] + before[i]).checked_sub(reach);
            let end = room.map_or(0, |room| room / self.stride[i] + 1);
            output[i] - (end.clamp(first, output[i]) - first)
        })
    }

    /// Whether it isn't so large for its operand that positions would leave 32 bits, or that the
    /// verification of code, which looks at clipped outputs one by one, would take long.
    pub fn is_sane(&self, input: [usize; 2], output: [usize; 2]) -> bool {
        const MAX_REACH: usize = 1 << 24;
        const MAX_CLIPPED: usize = 1 << 15;
        let reach = [0, 1].map(|i| (self.size[i] - 1) * self.dilation[i] + 1);
        let [rows, columns] = self.clipped(input, output);
        reach.iter().all(|&reach| reach <= MAX_REACH)
            && rows.saturating_mul(columns) <= MAX_CLIPPED
            && rows.max(columns) <= MAX_CLIPPED / 16
    }

    /// The operand's row and column under tap `tap` of output `output`, if it is inside.
    pub fn tap(
        &self,
        input: [usize; 2],
        output: [usize; 2],
        tap: [usize; 2],
    ) -> Option<[usize; 2]> {
        let row = (output[0] * self.stride[0] + tap[0] * self.dilation[0])
            .checked_sub(self.padding.top)?;
        let column = (output[1] * self.stride[1] + tap[1] * self.dilation[1])
            .checked_sub(self.padding.left)?;
        (row < input[0] && column < input[1]).then_some([row, column])
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Window { size, stride, dilation, padding: p } = self;
        write!(f, "{}x{}", size[0], size[1])?;
        if *stride != [1, 1] {
            write!(f, " stride {}x{}", stride[0], stride[1])?;
        }
        if *dilation != [1, 1] {
            write!(f, " dilation {}x{}", dilation[0], dilation[1])?;
        }
        if !p.is_none() {
            write!(f, " padding {},{},{},{}", p.top, p.left, p.bottom, p.right)?;
        }
        Ok(())
    }
}
