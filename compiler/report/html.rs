//! The report as a page for browsers: one file that needs no other, in `templates/report.html.tera`.
//! What is to be drawn where is computed here.

use serde::Serialize;

use super::memory::{short, Kind};
use super::text::share;
use super::{Alternative, Report};
use crate::text::{plain, thousands};

const TEMPLATE: &str = include_str!("../../templates/report.html.tera");

/// The size of the memory map's frame.
const WIDTH: usize = 960;
const HEIGHT: usize = 400;
/// Room for addresses to the left of it.
const LEFT: usize = 72;
/// Room above and below it.
const MARGIN: usize = 24;
/// Lines across the map.
const LINES: usize = 4;
/// Colours that values have in turn.
const COLOURS: usize = 6;
/// About how wide a character is drawn.
const CHARACTER: usize = 7;

/// A layer's row.
#[derive(Serialize)]
struct Row {
    index: usize,
    operators: String,
    op: String,
    attributes: String,
    shapes: String,
    tensor: String,
    macs: String,
    cycles: String,
    share: String,
    function: String,
    kernel: String,
    constants: String,
    code: String,
    ram: String,
    scratch: String,
    stack: String,
    others: Vec<String>,
    foldings: Vec<String>,
    is_peak: bool,
}

/// A value in the memory map.
#[derive(Serialize)]
struct Shape {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    /// Of the colours, or 0 for scratch memory.
    colour: usize,
    label: String,
    /// What it says when pointed at.
    title: String,
    text_x: usize,
    text_y: usize,
}

/// A line with its number beside it.
#[derive(Serialize)]
struct Mark {
    at: usize,
    text: String,
}

/// How a layer could be computed otherwise, in words.
fn others(layer: &super::Layer) -> Vec<String> {
    let words = |(word, other): (&str, &Option<Alternative>)| {
        let Alternative { kernel, cycles, flash, scratch } = other.as_ref()?;
        let [cycles, flash, scratch] = [*cycles, *flash as u64, *scratch as u64].map(thousands);
        Some(format!("{word}: {kernel}, {cycles} cycles, {flash} flash, {scratch} scratch"))
    };
    [("faster", &layer.faster), ("cheaper", &layer.cheaper)].into_iter().filter_map(words).collect()
}

impl Report {
    /// The report as a page that holds all it needs.
    pub fn html(&self) -> String {
        let mut context = tera::Context::new();
        context.insert("report", self);
        context.insert("model", &plain(&self.model));
        context.insert("why", &self.peak.as_ref().map(|peak| plain(&peak.why)));
        context.insert("rows", &self.rows());
        let totals = &self.totals;
        let sums = [
            ("macs", thousands(totals.macs)),
            ("cycles", totals.cycles.to_string()),
            ("constants", thousands(totals.constants)),
            ("code", totals.code.to_string()),
            ("flash", totals.flash.to_string()),
            ("ram", thousands(totals.ram)),
            ("stack", totals.stack.to_string()),
        ];
        for (name, sum) in sums {
            context.insert(name, &sum);
        }
        context.insert("shapes", &self.shapes());
        let across = (0..=LINES).map(|i| {
            let bytes = self.totals.ram * i / LINES;
            Mark { at: self.height(bytes), text: thousands(bytes) }
        });
        context.insert("addresses", &across.collect::<Vec<_>>());
        // Not so many numbers that they meet.
        let step = self.calls.div_ceil(WIDTH / (4 * CHARACTER)).max(1);
        let numbers = (0..self.calls)
            .step_by(step)
            .map(|i| Mark { at: (self.time(i) + self.time(i + 1)) / 2, text: i.to_string() });
        context.insert("numbers", &numbers.collect::<Vec<_>>());
        if let Some(peak) = &self.peak {
            let from = self.time(peak.call);
            context.insert("peak_x", &from);
            context.insert("peak_width", &(self.time(peak.call + 1) - from));
        }
        let frame = [
            ("left", LEFT),
            ("top", MARGIN),
            ("right", LEFT + WIDTH),
            ("height", HEIGHT),
            ("number_x", LEFT - CHARACTER),
            ("number_y", HEIGHT + MARGIN * 7 / 4),
            ("whole_width", LEFT + WIDTH + MARGIN),
            ("whole_height", HEIGHT + 2 * MARGIN),
        ];
        for (name, number) in frame {
            context.insert(name, &number);
        }
        tera::Tera::one_off(TEMPLATE, &context, true)
            .unwrap_or_else(|error| panic!("bug in tflc: a template fails: {error:?}"))
    }

    fn rows(&self) -> Vec<Row> {
        let row = |(index, layer): (usize, &super::Layer)| Row {
            index,
            operators: layer.operators.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
            op: layer.op.clone(),
            attributes: layer.attributes.clone(),
            shapes: layer.shapes.clone(),
            tensor: plain(&short(&layer.tensor)),
            macs: thousands(layer.macs),
            cycles: layer.cycles.to_string(),
            share: share(layer.cycles.value, self.totals.cycles.value),
            function: layer.function.clone(),
            kernel: layer.kernel.to_string(),
            constants: thousands(layer.constants),
            code: layer.code.to_string(),
            ram: thousands(layer.ram),
            scratch: thousands(layer.scratch),
            stack: layer.stack.to_string(),
            others: others(layer),
            foldings: layer.foldings.clone(),
            is_peak: self.peak.as_ref().is_some_and(|peak| peak.layer == index),
        };
        self.layers.iter().enumerate().map(row).collect()
    }

    /// Where a layer begins.
    fn time(&self, call: usize) -> usize {
        LEFT + WIDTH * call / self.calls.max(1)
    }

    /// Where an address lies.
    fn height(&self, bytes: usize) -> usize {
        MARGIN + HEIGHT - HEIGHT * bytes / self.totals.ram.max(1)
    }

    fn shapes(&self) -> Vec<Shape> {
        let shape = |(i, life): (usize, &super::Life)| {
            let x = self.time(life.written.unwrap_or(0));
            let end = self.time(life.read.map_or(self.calls, |call| call + 1));
            let place = self.place(life);
            let (y, bottom) = (self.height(place.end), self.height(place.start));
            let (width, height) = (end - x, bottom - y);
            let name = plain(&short(&life.tensor));
            let room = width.saturating_sub(CHARACTER) / CHARACTER;
            let label = match height < 2 * CHARACTER || room < 4 {
                true => String::new(),
                false => name.chars().take(room).collect(),
            };
            let scratch = if life.kind == Kind::Scratch { "scratch memory of " } else { "" };
            let title = format!(
                "{scratch}{name}: {} bytes at {}",
                thousands(life.bytes),
                thousands(place.start)
            );
            let colour = if life.kind == Kind::Scratch { 0 } else { 1 + i % COLOURS };
            let (text_x, text_y) = (x + CHARACTER / 2, y + 2 * CHARACTER);
            Shape { x, y, width, height, colour, label, title, text_x, text_y }
        };
        self.tensors.iter().enumerate().map(shape).collect()
    }
}
