//! Activations on their way to the multipliers: the window of a pixel, its runs of bytes one
//! behind the other, widened to halfwords.

use super::assembler::{at, post, Assembler, Header, Slot};
use crate::loop_ir::assembly::registers::*;
use crate::loop_ir::assembly::{Cond, Reg};

/// Runs of windows with several rows are written out up to so many bytes.
const WRITTEN_OUT: usize = 16;

/// A run of activations: how many there are of what.
pub struct Run {
    /// Bytes, where the routine is for runs of that length only.
    bytes: Option<usize>,
    /// Blocks of four words.
    blocks: Slot,
    /// Words behind those.
    words: Slot,
    /// Bytes behind those.
    rest: Slot,
}

impl Run {
    /// Describes a run of so many bytes, of which a window has so many.
    pub fn new(code: &mut Assembler, header: &mut Header, bytes: usize, rows: usize) -> Run {
        let words = bytes / 4;
        Run {
            bytes: (rows > 1 && bytes <= WRITTEN_OUT).then_some(bytes),
            blocks: header.word(code, (words / 4) as i64),
            words: header.word(code, (words % 4) as i64),
            rest: header.word(code, (bytes % 4) as i64),
        }
    }

    /// Loads what is said of the run into `r7` to `r9`.
    pub fn load(&self, code: &mut Assembler) {
        if self.bytes.is_some() {
            return;
        }
        code.get(R7, self.blocks);
        code.get(R8, self.words);
        code.get(R9, self.rest);
    }

    /// Widens the run at `r4` to words every `pitch` bytes from `r5` on, both of which move; `r7`
    /// to `r9` are as loaded; `r0` to `r3`, `r6` and `r10` are lost.
    pub fn widen(&self, code: &mut Assembler, pitch: i32) {
        let word = |code: &mut Assembler, from: Reg| {
            code.sxtb16(R6, from);
            code.sxtb16_ror8(from, from);
            code.str(R6, post(R5, pitch));
            code.str(from, post(R5, pitch));
        };
        if let Some(bytes) = self.bytes {
            return written_out(code, bytes, pitch);
        }
        let (words, rest, one, end) = (code.label(), code.label(), code.label(), code.label());
        code.cmp(R7, 0);
        code.branch(Cond::Eq, words);
        code.mov(R10, R7);
        let block = code.here();
        for reg in [R0, R1, R2, R3] {
            code.ldr(reg, post(R4, 4));
        }
        for reg in [R0, R1, R2, R3] {
            word(code, reg);
        }
        code.subs(R10, R10, 1);
        code.branch(Cond::Ne, block);
        code.bind(words);
        code.cmp(R8, 0);
        code.branch(Cond::Eq, rest);
        code.mov(R10, R8);
        let single = code.here();
        code.ldr(R0, post(R4, 4));
        word(code, R0);
        code.subs(R10, R10, 1);
        code.branch(Cond::Ne, single);
        code.bind(rest);
        code.cmp(R9, 0);
        code.branch(Cond::Eq, end);
        code.ldrsb(R0, post(R4, 1));
        code.cmp(R9, 1);
        code.branch(Cond::Eq, one);
        code.ldrsb(R1, post(R4, 1));
        code.pack(R0, R0, R1);
        code.bind(one);
        // On top of a single one lies its sign, which weights of zero take away.
        code.str(R0, post(R5, pitch));
        code.cmp(R9, 3);
        code.branch(Cond::Ne, end);
        code.ldrsb(R0, post(R4, 1));
        code.str(R0, post(R5, pitch));
        code.bind(end);
    }
}

/// Widens a run of so many bytes without loops.
fn written_out(code: &mut Assembler, bytes: usize, pitch: i32) {
    let words = [R0, R1, R2, R3];
    let whole = &words[..bytes / 4];
    for &word in whole {
        code.ldr(word, post(R4, 4));
    }
    let rest = bytes % 4;
    for byte in [R7, R8, R9].into_iter().take(rest) {
        code.ldrsb(byte, post(R4, 1));
    }
    for &word in whole {
        code.sxtb16(R6, word);
        code.sxtb16_ror8(word, word);
        code.str(R6, post(R5, pitch));
        code.str(word, post(R5, pitch));
    }
    if rest > 1 {
        code.pack(R7, R7, R8);
    }
    // On top of a single one lies its sign, which weights of zero take away.
    for word in [R7, R9].into_iter().take(rest.div_ceil(2)) {
        code.str(word, post(R5, pitch));
    }
}

/// How a window steps over the operand.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Images, each on its own.
    pub images: usize,
    /// Rows and columns of the operand.
    pub input: [usize; 2],
    /// Bytes of one of its pixels.
    pub channels: usize,
    /// Rows and columns of results.
    pub output: [usize; 2],
    /// Rows and columns of the window.
    pub size: [usize; 2],
    /// Rows and columns from one result to the next.
    pub stride: [usize; 2],
    /// Rows and columns from one tap of the window to the next.
    pub dilation: [usize; 2],
    /// Rows above and columns to the left of the operand at which the first window begins.
    pub before: [usize; 2],
    /// What lies outside of the operand.
    pub padding: i32,
}

impl Geometry {
    /// The same steps with a single column as a row, but for one whose taps lie apart: they are rows
    /// of the window; and with pixels as one long row where that is what they are.
    pub fn simplified(self) -> Self {
        let mut g = self;
        let single = |axis: usize| [g.input, g.size, g.output].iter().all(|size| size[axis] == 1);
        if (single(1) && g.dilation[0] == 1) || (single(0) && g.dilation[1] > 1) {
            g.swap();
        }
        if g.size == [1, 1] && g.stride == [1, 1] && !g.padded() {
            g.input = [1, g.input[0] * g.input[1]];
            g.output = [1, g.output[0] * g.output[1]];
        }
        g
    }

    /// Swaps rows and columns.
    pub fn swap(&mut self) {
        let Geometry { input, output, size, stride, dilation, before, .. } = self;
        for pair in [input, output, size, stride, dilation, before] {
            pair.swap(0, 1);
        }
    }

    /// Bytes of a row of the window.
    pub fn run(&self) -> usize {
        self.size[1] * self.channels
    }

    /// Whether some window reaches outside of the operand.
    pub fn padded(&self) -> bool {
        let reach = |axis: usize| {
            let window = (self.size[axis] - 1) * self.dilation[axis];
            let last = (self.output[axis] - 1) * self.stride[axis] + window;
            self.before[axis] > 0 || last >= self.input[axis] + self.before[axis]
        };
        reach(0) || reach(1)
    }

    /// Bytes for a row of the window, in words.
    fn line(&self) -> usize {
        self.run().next_multiple_of(4)
    }

    /// Bytes of scratch memory for windows that are partly outside: a line of padding, and one that
    /// is put together.
    pub fn lines(&self) -> usize {
        if self.padded() {
            2 * self.line()
        } else {
            0
        }
    }
}

/// The window of the current pixel, and how it goes on to the next.
pub struct Window {
    by_words: bool,
    run: Run,
    /// Whether windows are single rows, and whether results are.
    single: bool,
    single_results: bool,
    rows: Slot,
    /// Bytes from a row of the window to the next, less those of the run.
    pitch: Slot,
    columns: Slot,
    step_x: Slot,
    step_y: Slot,
    first: Slot,
    border: Option<Border>,
    /// The first tap's address; it may lie outside.
    tap: Slot,
    /// Results left in the row.
    left: Slot,
}

struct Border {
    start_x: Slot,
    start_y: Slot,
    stride_x: Slot,
    stride_y: Slot,
    inside_x: Slot,
    inside_y: Slot,
    height: Slot,
    width: Slot,
    taps: Slot,
    dilation: Slot,
    channels: Slot,
    padding: Slot,
    line_words: Slot,
    line_offset: Slot,
    /// Bytes of a row of the window.
    run: Slot,
    /// Bytes from a row of the window to the next.
    row_bytes: Slot,
    blank: Slot,
    line: Slot,
    x: Slot,
    y: Slot,
    /// Bytes of a row that are outside to the left, and those that are inside.
    skip: Slot,
    inside: Slot,
    rows_left: Slot,
}

/// Slots of the header come first, those of variables behind them.
impl Window {
    /// Describes the windows in the header; `line` is where in the scratch memory the lines are.
    pub fn new(code: &mut Assembler, header: &mut Header, g: &Geometry, line: usize) -> Window {
        let row = g.input[1] * g.channels;
        let run = Run::new(code, header, g.run(), g.size[0]);
        let padded = g.padded();
        let before = (g.before[0] * row + g.before[1] * g.channels) as i64;
        let mut word = |value: i64| header.word(code, value);
        let rows = word(g.size[0] as i64);
        let pitch = word((g.dilation[0] * row) as i64 - g.run() as i64);
        let columns = word(g.output[1] as i64);
        let step_x = word((g.stride[1] * g.channels) as i64);
        let step_y =
            word((g.stride[0] * row) as i64 - (g.output[1] * g.stride[1] * g.channels) as i64);
        let first = word(-before);
        let inside = |axis: usize| {
            (g.input[axis] as i64 - ((g.size[axis] - 1) * g.dilation[axis]) as i64).max(0)
        };
        let padding = i32::from_le_bytes([g.padding as u8; 4]);
        let border = padded.then(|| Border {
            start_y: word(-(g.before[0] as i64)),
            start_x: word(-(g.before[1] as i64)),
            stride_y: word(g.stride[0] as i64),
            stride_x: word(g.stride[1] as i64),
            inside_y: word(inside(0)),
            inside_x: word(inside(1)),
            height: word(g.input[0] as i64),
            width: word(g.input[1] as i64),
            taps: word(g.size[1] as i64),
            dilation: word(g.dilation[0] as i64),
            channels: word(g.channels as i64),
            padding: word(padding.into()),
            line_words: word((g.line() / 4) as i64),
            line_offset: word(line as i64),
            run: word(g.run() as i64),
            row_bytes: word((g.dilation[0] * row) as i64),
            blank: Slot::default(),
            line: Slot::default(),
            x: Slot::default(),
            y: Slot::default(),
            skip: Slot::default(),
            inside: Slot::default(),
            rows_left: Slot::default(),
        });
        Window {
            by_words: g.channels % 4 == 0,
            single: g.size[0] == 1,
            single_results: g.output[0] == 1,
            run,
            rows,
            pitch,
            columns,
            step_x,
            step_y,
            first,
            border,
            tap: Slot::default(),
            left: Slot::default(),
        }
    }

    /// Goes to the first pixel: `input` points to the operand, `scratch` to the scratch memory; `r0`,
    /// `r1`, `r4` and `temp` are lost.
    pub fn start(&mut self, code: &mut Assembler, input: Reg, scratch: Reg, temp: Reg) {
        for slot in [&mut self.tap, &mut self.left] {
            *slot = code.slot();
        }
        code.get(temp, self.first);
        code.add(temp, temp, input);
        code.put(temp, self.tap);
        code.get(temp, self.columns);
        code.put(temp, self.left);
        if let Some(b) = &mut self.border {
            let variables = [
                &mut b.blank,
                &mut b.line,
                &mut b.x,
                &mut b.y,
                &mut b.skip,
                &mut b.inside,
                &mut b.rows_left,
            ];
            for slot in variables {
                *slot = code.slot();
            }
            code.get(R4, b.line_offset);
            code.add(R4, R4, scratch);
            code.put(R4, b.blank);
            fill(code, b);
            code.put(R4, b.line);
            code.get(temp, b.start_x);
            code.put(temp, b.x);
            code.get(temp, b.start_y);
            code.put(temp, b.y);
        }
    }

    /// Whether windows follow each other in one row that is all inside.
    pub fn is_row(&self) -> bool {
        self.single && self.single_results && self.border.is_none()
    }

    /// Goes on to the next pixel of such a row; `r0` and `r1` are lost.
    pub fn advance_in_row(&self, code: &mut Assembler) {
        code.get(R0, self.tap);
        code.get(R1, self.step_x);
        code.add(R0, R0, R1);
        code.put(R0, self.tap);
    }

    /// Goes on to the next pixel; `r0` to `r3` are lost.
    pub fn advance(&self, code: &mut Assembler) {
        let same_row = code.label();
        code.get(R0, self.tap);
        code.get(R1, self.step_x);
        code.get(R2, self.left);
        code.add(R0, R0, R1);
        if let Some(b) = &self.border {
            code.get(R1, b.x);
            code.get(R3, b.stride_x);
            code.add(R1, R1, R3);
            code.put(R1, b.x);
        }
        code.subs(R2, R2, 1);
        code.branch(Cond::Ne, same_row);
        code.get(R1, self.step_y);
        code.get(R2, self.columns);
        code.add(R0, R0, R1);
        if let Some(b) = &self.border {
            code.get(R1, b.start_x);
            code.put(R1, b.x);
            code.get(R1, b.y);
            code.get(R3, b.stride_y);
            code.add(R1, R1, R3);
            code.put(R1, b.y);
        }
        code.bind(same_row);
        code.put(R0, self.tap);
        code.put(R2, self.left);
    }

    /// Widens the window to words every `pitch` bytes from `r5` on; all registers but `r11` are
    /// lost.
    pub fn gather(&self, code: &mut Assembler, pitch: i32) {
        self.run.load(code);
        code.get(R4, self.tap);
        let end = code.label();
        if let Some(b) = &self.border {
            let border = code.label();
            code.comment("is all of the window inside?");
            code.get(R0, b.x);
            code.get(R1, b.inside_x);
            code.get(R2, b.y);
            code.get(R3, b.inside_y);
            code.cmp(R0, R1);
            code.branch(Cond::Hs, border);
            code.cmp(R2, R3);
            code.branch(Cond::Hs, border);
            self.inside(code, pitch);
            code.branch(Cond::Al, end);
            code.bind(border);
            self.outside(code, b, pitch);
        } else {
            self.inside(code, pitch);
        }
        code.bind(end);
    }

    /// A window that is inside.
    fn inside(&self, code: &mut Assembler, pitch: i32) {
        if self.single {
            return self.run.widen(code, pitch);
        }
        code.get(LR, self.rows);
        code.get(R12, self.pitch);
        let row = code.here();
        self.run.widen(code, pitch);
        code.add(R4, R4, R12);
        code.subs(LR, LR, 1);
        code.branch(Cond::Ne, row);
    }

    /// A window that is partly outside: rows outside are the blank line, rows with columns outside
    /// are put together in the line behind it.
    fn outside(&self, code: &mut Assembler, b: &Border, pitch: i32) {
        code.comment("columns outside to the left, and those inside");
        let (positive, fits, filled) = (code.label(), code.label(), code.label());
        code.get(R0, b.x);
        code.get(R1, b.width);
        code.get(R2, b.taps);
        code.get(R3, b.channels);
        code.mov(R6, 0);
        code.sub(R1, R1, R0);
        code.cmp(R0, 0);
        code.branch(Cond::Ge, positive);
        code.rsb(R6, R0, 0);
        code.bind(positive);
        code.cmp(R2, R1);
        code.branch(Cond::Le, fits);
        code.mov(R2, R1);
        code.bind(fits);
        code.sub(R2, R2, R6);
        code.mul(R6, R6, R3);
        code.mul(R2, R2, R3);
        code.put(R6, b.skip);
        code.put(R2, b.inside);
        // The row's number, the tap's address, and rows left.
        code.get(R12, b.y);
        code.mov(LR, R4);
        code.get(R10, self.rows);
        code.get(R0, b.run);
        code.cmp(R2, R0);
        code.branch(Cond::Eq, filled);
        code.get(R4, b.line);
        fill(code, b);
        code.bind(filled);
        let row = code.here();
        let widen = code.label();
        code.put(R10, b.rows_left);
        code.get(R1, b.height);
        code.get(R4, b.blank);
        code.get(R2, b.inside);
        code.get(R3, b.run);
        code.cmp(R12, R1);
        code.branch(Cond::Hs, widen);
        code.mov(R4, LR);
        code.cmp(R2, R3);
        code.branch(Cond::Eq, widen);
        code.get(R4, b.line);
        code.get(R1, b.skip);
        code.cmp(R2, 0);
        code.branch(Cond::Le, widen);
        code.add(R0, LR, R1);
        code.add(R1, R1, R4);
        copy(code, self.by_words);
        code.bind(widen);
        self.run.widen(code, pitch);
        code.get(R0, b.row_bytes);
        code.get(R3, b.dilation);
        code.get(R10, b.rows_left);
        code.add(LR, LR, R0);
        code.add(R12, R12, R3);
        code.subs(R10, R10, 1);
        code.branch(Cond::Ne, row);
    }
}

/// Fills the line at `r4` with padding; `r0` and `r1` are lost.
fn fill(code: &mut Assembler, b: &Border) {
    code.get(R0, b.padding);
    code.get(R1, b.line_words);
    let fill = code.here();
    code.str(R0, post(R4, 4));
    code.subs(R1, R1, 1);
    code.branch(Cond::Ne, fill);
}

/// Copies `r2` bytes, one or more, from `r0` to `r1`; `r0` to `r3` are lost.
fn copy(code: &mut Assembler, by_words: bool) {
    if by_words {
        let word = code.here();
        code.ldr(R3, post(R0, 4));
        code.str(R3, post(R1, 4));
        code.subs(R2, R2, 4);
        code.branch(Cond::Ne, word);
        return;
    }
    let (word, last, byte, end) = (code.label(), code.label(), code.label(), code.label());
    code.subs(R2, R2, 4);
    code.branch(Cond::Lt, byte);
    code.branch(Cond::Eq, last);
    code.bind(word);
    code.ldr(R3, post(R0, 4));
    code.str(R3, post(R1, 4));
    code.subs(R2, R2, 4);
    code.branch(Cond::Gt, word);
    // The last word begins among bytes that were copied already.
    code.add(R0, R0, R2);
    code.add(R1, R1, R2);
    code.bind(last);
    code.ldr(R3, at(R0));
    code.str(R3, at(R1));
    code.branch(Cond::Al, end);
    code.bind(byte);
    code.add(R2, R2, 4);
    let byte = code.here();
    code.ldrsb(R3, post(R0, 1));
    code.strb(R3, post(R1, 1));
    code.subs(R2, R2, 1);
    code.branch(Cond::Ne, byte);
    code.bind(end);
}
