//! Prints a program as a C source and its header: C99, `<stdint.h>` and `<string.h>` only, no
//! undefined behaviour, no warnings.
//!
//! Function bodies and constants are printed here; `templates/model.c.tera` and `model.h.tera`
//! hold what stands around them.

pub mod arduino;

mod assembly;
mod constants;
mod function;
mod lines;
mod model;
mod names;
mod runtime;

use std::collections::BTreeSet;

use self::lines::WIDTH;
pub use self::names::Names;
use super::{describe, Banner, Placement};
use crate::loop_ir::Program;
use crate::ops::DType;
use crate::text;
use names::Scope;

const SOURCE: &str = include_str!("../../../templates/model.c.tera");
const HEADER: &str = include_str!("../../../templates/model.h.tera");

/// A model in C.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CFiles {
    /// The `.c` file.
    pub source: String,
    /// The `.h` file, which the source includes by the name that it was printed for.
    pub header: String,
}

/// The program as C files.
///
/// # Panics
/// For a program that [`verify`](crate::loop_ir::verify()) rejects.
pub fn print(program: &Program, banner: &Banner, names: &Names, placement: &Placement) -> CFiles {
    let context = context(program, banner, names, placement);
    CFiles { source: render(SOURCE, &context), header: render(HEADER, &context) }
}

/// What the templates are filled with.
fn context(
    program: &Program,
    banner: &Banner,
    names: &Names,
    placement: &Placement,
) -> tera::Context {
    let mut scope = Scope::new(program, names);
    let function_names: Vec<String> =
        program.functions.iter().map(|f| scope.declare(&f.name)).collect();
    let constant_names: Vec<String> =
        program.constants.iter().map(|c| scope.declare(&c.name.to_lowercase())).collect();
    let mut used = BTreeSet::new();
    let functions: Vec<String> = (program.functions.iter().zip(&function_names).enumerate())
        .map(|(index, (function, name))| {
            let doc = function_doc(program, index);
            match function.assembly() {
                Some(routine) => assembly::print(function, routine, name, &doc),
                None => function::print(function, name, &doc, &scope, &mut used),
            }
        })
        .collect();
    let constants: Vec<String> = (program.constants.iter().zip(&constant_names))
        .map(|(constant, name)| constants::print(constant, name, placement))
        .collect();
    let rows = describe::layers(program, |function| function_names[function].clone());
    let rows: Vec<_> = rows.into_iter().map(|row| row.map(|cell| ascii(&cell))).collect();

    let mut context = model::context(program, names, placement, &function_names, &constant_names);
    context.insert("version", env!("CARGO_PKG_VERSION"));
    context.insert("model", &ascii(&banner.model));
    context.insert("arguments", &ascii(&banner.arguments));
    context.insert("sha256", &ascii(&banner.sha256));
    context.insert("target", &ascii(&banner.target));
    context.insert("macs", &text::thousands(banner.macs));
    let relaxed: Vec<String> = describe::relaxed(banner).iter().map(|line| ascii(line)).collect();
    context.insert("relaxed", &relaxed);
    context.insert("constant_bytes", &text::thousands(program.constant_bytes()));
    context.insert("ram", &text::thousands(program.ram()));
    let has_assembly = program.functions.iter().any(|function| function.assembly().is_some());
    context.insert("has_assembly", &has_assembly);
    context.insert("layers", &program.layers().len());
    context.insert("table", &text::table(&rows, [false, false, false, true, false]));
    context.insert("runtime", &runtime::functions(&used));
    context.insert("functions", &functions);
    context.insert("constants", &constants);
    context
}

fn render(template: &str, context: &tera::Context) -> String {
    tera::Tera::one_off(template, context, false)
        .unwrap_or_else(|error| panic!("bug in tflc: a template fails: {error:?}"))
}

/// What a function computes, and for which layers.
fn function_doc(program: &Program, function: usize) -> Vec<String> {
    let (mut doc, layers) = describe::function(program, function);
    doc.extend(layers.into_iter().map(|layer| format!("- {}", layer.replace('`', "'"))));
    doc
}

/// Appends paragraphs as a comment.
fn comment(out: &mut String, indent: usize, paragraphs: &[String]) {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in paragraphs {
        let wrapped = text::wrap(&ascii(paragraph), WIDTH - 6 - indent);
        let hanging = if paragraph.starts_with("- ") { "  " } else { "" };
        lines.extend(wrapped.iter().enumerate().map(|(i, line)| match i {
            0 => line.clone(),
            _ => format!("{hanging}{line}"),
        }));
    }
    let spaces = " ".repeat(indent);
    out.push_str(&format!("{spaces}/* {} */\n", lines.join(&format!("\n{spaces} * "))));
}

/// `text` in printable ASCII, harmless within a comment.
fn ascii(text: &str) -> String {
    let signs = [("→", "->"), ("×", "x"), ("·", "*"), ("−", "-"), ("…", "...")];
    let text = signs.iter().fold(text.to_string(), |text, (sign, plain)| text.replace(sign, plain));
    // No comment begins or ends within it, and there are no trigraphs.
    let mut text = text::plain(&text);
    for (pair, apart) in [("*/", "* /"), ("/*", "/ *"), ("??", "? ?")] {
        while text.contains(pair) {
            text = text.replace(pair, apart);
        }
    }
    text
}

/// An element type in C.
fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 => "int8_t",
        // 0 or 1: `bool` needs another header, and C++ has no `_Bool`.
        DType::U8 | DType::Bool => "uint8_t",
        DType::I16 => "int16_t",
        DType::I32 => "int32_t",
        DType::I64 => "int64_t",
        DType::F32 => "float",
    }
}

/// The shortest text that C reads as the same number.
fn real_text(value: f32) -> String {
    if value.is_nan() {
        "(0.0f / 0.0f)".into()
    } else if value.is_infinite() {
        if value < 0.0 {
            "(-1.0f / 0.0f)".into()
        } else {
            "(1.0f / 0.0f)".into()
        }
    } else {
        format!("{value:?}f")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_hold_any_text() {
        assert_eq!(ascii("a*/b /*/ ??/ → é\n"), "a* /b / * / ? ?/ -> \\u{e9}\\n");
        let mut out = String::new();
        comment(&mut out, 2, &["one".into(), format!("- {}", "word ".repeat(30))]);
        assert!(
            out.starts_with("  /* one\n   * - word ") && out.contains("\n   *   word"),
            "{out}"
        );
        assert!(out.lines().all(|line| line.len() <= WIDTH), "{out}");
    }

    #[test]
    fn reals_are_read_back() {
        assert_eq!([1.0, 0.1, 1e-8, -3.5e30].map(real_text), ["1.0f", "0.1f", "1e-8f", "-3.5e30f"]);
    }
}
