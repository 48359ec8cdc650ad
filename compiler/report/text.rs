//! The report for a terminal: at most 100 characters a line.

use std::fmt;

use super::memory::{short, Kind, Life};
use super::{Alternative, Figure, Kernel, Layer, Report};
use crate::text::{plain, table, thousands, wrap};

const WIDTH: usize = 100;
/// Rows of the memory map.
const ROWS: usize = 16;
/// Columns of the memory map: the addresses beside it take the rest.
const COLUMNS: usize = 84;
/// What values are called in the memory map, in turn.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let about = if self.estimated { "~" } else { "" };
        f.pad(&format!("{about}{}", thousands(self.value)))
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Kernel::Assembly => "assembly",
            Kernel::Portable => "portable",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{} for {}\n", plain(&self.model), self.target)?;
        lines(f, &self.work())?;
        writeln!(f)?;
        lines(f, &self.needs())?;
        if self.layers.iter().any(|layer| layer.kernel == Kernel::Portable) {
            writeln!(f, "\n~ is an estimate: portable code is what the compiler makes of it.")?;
        }
        let folded = self.layers.iter().enumerate().filter(|(_, layer)| !layer.foldings.is_empty());
        for (n, (i, layer)) in folded.enumerate() {
            if n == 0 {
                writeln!(f, "\nActivations and requantizations behind layers:")?;
            }
            writeln!(f, "{i:>3}  {}", layer.foldings.join("; "))?;
        }
        self.others(f)?;
        if !self.relaxed.is_empty() {
            writeln!(f, "\nNot exact, as --relax-requant allows; where results differ:")?;
            lines(f, &self.relaxed.iter().map(|line| format!("  {line}")).collect::<Vec<_>>())?;
        }
        self.map(f)
    }
}

fn lines(f: &mut fmt::Formatter, lines: &[String]) -> fmt::Result {
    lines.iter().try_for_each(|line| writeln!(f, "{}", line.trim_end()))
}

/// As much of a text as fits.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => text.to_string(),
    }
}

impl Report {
    /// What each layer does, and what that takes.
    fn work(&self) -> Vec<String> {
        let heads = ["", "operator", "what", "result", "MACs", "cycles", "share"].map(String::from);
        let all = self.totals.cycles.value;
        let row = |(i, layer): (usize, &Layer)| {
            let operators: Vec<String> = layer.operators.iter().map(usize::to_string).collect();
            let result = layer.shapes.rsplit("→ ").next().unwrap_or_default();
            [
                i.to_string(),
                cut(&operators.join(", "), 10),
                cut(format!("{} {}", layer.op, layer.attributes).trim_end(), 35),
                cut(result, 16),
                thousands(layer.macs),
                layer.cycles.to_string(),
                share(layer.cycles.value, all),
            ]
        };
        let macs = thousands(self.totals.macs);
        let cycles = self.totals.cycles.to_string();
        let total = [
            String::new(),
            String::new(),
            "all".into(),
            String::new(),
            macs,
            cycles,
            String::new(),
        ];
        let rows = self.layers.iter().enumerate().map(row);
        let rows: Vec<_> = std::iter::once(heads).chain(rows).chain([total]).collect();
        table(&rows, [true, false, false, false, true, true, true])
    }

    /// How each layer is computed, and which memory that takes.
    fn needs(&self) -> Vec<String> {
        let heads = ["", "function", "kernel", "constants", "code", "RAM", "scratch", "stack"];
        let row = |(i, layer): (usize, &Layer)| {
            [
                i.to_string(),
                cut(&layer.function, 40),
                layer.kernel.to_string(),
                thousands(layer.constants),
                layer.code.to_string(),
                thousands(layer.ram),
                thousands(layer.scratch),
                layer.stack.to_string(),
            ]
        };
        let totals = &self.totals;
        let total = [
            String::new(),
            format!("all: {} bytes of flash", totals.flash),
            String::new(),
            thousands(totals.constants),
            totals.code.to_string(),
            thousands(totals.ram),
            String::new(),
            totals.stack.to_string(),
        ];
        let rows = self.layers.iter().enumerate().map(row);
        let rows: Vec<_> =
            std::iter::once(heads.map(String::from)).chain(rows).chain([total]).collect();
        table(&rows, [true, false, false, true, true, true, true, true])
    }

    /// How layers could be computed otherwise.
    fn others(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let heads = ["", "other ways", "", "cycles", "flash", "scratch"].map(String::from);
        let mut rows = vec![heads];
        for (i, layer) in self.layers.iter().enumerate() {
            for (word, other) in [("faster", &layer.faster), ("cheaper", &layer.cheaper)] {
                if let Some(Alternative { kernel, cycles, flash, scratch }) = other {
                    rows.push([
                        i.to_string(),
                        kernel.to_string(),
                        word.to_string(),
                        thousands(*cycles),
                        thousands(*flash),
                        thousands(*scratch),
                    ]);
                }
            }
        }
        if rows.len() == 1 {
            return Ok(());
        }
        writeln!(f)?;
        lines(f, &table(&rows, [true, false, false, true, true, true]))
    }

    /// Time across, bytes up: each value a box of its letter.
    fn map(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Some(peak) = &self.peak else { return Ok(()) };
        let count = self.calls;
        // Calls to a column, or columns to a call.
        let together = count.div_ceil(COLUMNS);
        let columns = count.div_ceil(together);
        let width = (COLUMNS / columns).clamp(1, 6);
        let band = self.totals.ram.div_ceil(ROWS).max(1);
        let across = if count > self.layers.len() { "calls" } else { "layers" };
        writeln!(f, "\nMemory: {across} across, bytes up")?;
        for row in (0..self.totals.ram.div_ceil(band)).rev() {
            let mut line = format!("{:>9} ", thousands(row * band));
            for column in 0..columns {
                let layers = column * together..((column + 1) * together).min(count);
                let letter = self.cell(layers, row * band..(row + 1) * band);
                line.extend(std::iter::repeat_n(letter, width));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        let mut marks = vec![' '; columns * width];
        marks[peak.call / together * width] = '^';
        let marks: String = marks.into_iter().collect();
        writeln!(f, "{:10}{} layer {}: the peak\n", "", marks.trim_end(), peak.layer)?;
        for (i, life) in self.tensors.iter().enumerate() {
            if life.kind == Kind::Scratch {
                continue;
            }
            let until = |layer: Option<usize>, border: &str| {
                layer.map_or(border.to_string(), |layer| layer.to_string())
            };
            let time = format!("{}..{}", until(life.written, "input"), until(life.read, "output"));
            let bytes = thousands(life.bytes);
            let line = format!(
                "{}  {bytes:>9}  {time:<10}  {}",
                self.letter(i),
                plain(&short(&life.tensor))
            );
            writeln!(f, "{}", cut(&line, WIDTH))?;
        }
        if self.tensors.iter().any(|life| life.kind == Kind::Scratch) {
            writeln!(f, ".  scratch memory of layers")?;
        }
        writeln!(f)?;
        lines(f, &wrap(&plain(&peak.why), WIDTH))
    }

    /// The letter of the value that takes most of these bytes at these layers.
    fn cell(&self, layers: std::ops::Range<usize>, bytes: std::ops::Range<usize>) -> char {
        let common = |life: &Life| {
            let place = self.place(life);
            place.end.min(bytes.end).saturating_sub(place.start.max(bytes.start))
        };
        let there = self.tensors.iter().enumerate();
        let there =
            there.filter(|(_, life)| layers.clone().any(|i| life.is_alive(i)) && common(life) > 0);
        match there.max_by_key(|(_, life)| common(life)) {
            Some((_, life)) if life.kind == Kind::Scratch => '.',
            Some((i, _)) => self.letter(i),
            None => ' ',
        }
    }

    /// What a value is called.
    fn letter(&self, tensor: usize) -> char {
        let earlier = self.tensors[..tensor].iter().filter(|life| life.kind != Kind::Scratch);
        LETTERS[earlier.count() % LETTERS.len()].into()
    }
}

/// A part of a whole, in percent.
pub fn share(part: u64, whole: u64) -> String {
    let tenths = (part * 1000 + whole / 2) / whole.max(1);
    format!("{}.{} %", tenths / 10, tenths % 10)
}
