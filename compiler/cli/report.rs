//! `tflc report`: what a model costs, layer by layer, and why.

use std::path::{Path, PathBuf};

use clap::Args;
use tflc::report::Report;

use super::compile::{self, Budgets, Shape};
use super::files::{self, Output};
use super::{budget, find_target, harmless, print, take, Failure};

/// Show what a model costs: cycles, flash and RAM by layer, and the memory map
///
/// Cycles are those from memory without wait states. Figures with a ~ are estimates.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    budgets: Budgets,
    /// Write the report as a page for browsers: one file that needs no other
    #[arg(long, value_name = "OUT.html")]
    html: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Reports as the command line says.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { shape, budgets, html, json } = arguments;
    let shape = Shape { budgets, ..shape };
    let mut wrong = Vec::new();
    let target = take(find_target(&shape.target), &mut wrong);
    let model = take(files::read(&shape.model), &mut wrong);
    let sources = [&*shape.model, Path::new(&shape.target)];
    let page = html.as_ref().map(|path| Output::new(path, &sources)).transpose();
    let page = take(page, &mut wrong);
    let (Some(target), Some(model), Some(page)) = (target, model, page) else {
        return Err(Failure::Unusable(wrong));
    };
    let options = shape.options(target);
    let compiled = compile::compile(&shape.model, &model, &options)?;
    let fits = budget::keep(&shape.model, &shape.budgets, &compiled, &options.target);
    let report = Report::new(&compiled, &options);
    if let Some(page) = page {
        files::write(&[(&page, report.html().as_bytes())])?;
    }
    match (json, html) {
        (true, _) => {
            let text = serde_json::to_string_pretty(&report).expect("plain data");
            print(format!("{text}\n").as_bytes())?;
        }
        (false, Some(path)) => print(format!("{}\n", path.display()).as_bytes())?,
        (false, None) => print(harmless(&report.to_string()).as_bytes())?,
    }
    // What exceeds a budget is worth looking at, and exceeds it all the same.
    fits
}
