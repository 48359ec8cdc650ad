//! Routines in assembly as naked functions: as text, whose comments tokens wouldn't keep.

use std::fmt::Write;

use super::function::{ident, rust_type};
use crate::loop_ir::assembly::{print, Routine};
use crate::loop_ir::{Access, Function, Param};
use crate::text;

/// A function that is a routine.
pub fn print(function: &Function, routine: &Routine, doc: &[String]) -> String {
    let mut out = String::new();
    for line in doc {
        writeln!(out, "{}", format!("/// {line}").trim_end()).expect("a string");
    }
    let params: Vec<String> = function.params.iter().map(parameter).collect();
    let name = ident(&function.name);
    writeln!(out, "#[unsafe(naked)]\nunsafe extern \"C\" fn {name}({}) {{", params.join(", "))
        .expect("a string");
    out.push_str("    core::arch::naked_asm!(\n");
    for line in print::lines(&routine.code) {
        if !line.comment.is_empty() {
            writeln!(out, "        // {}", text::plain(&line.comment)).expect("a string");
        } else {
            let code = line.code.replace('{', "{{").replace('}', "}}");
            writeln!(out, "        \"{code}\",").expect("a string");
        }
    }
    out.push_str("    )\n}\n");
    out
}

fn parameter(param: &Param) -> String {
    let pointer = match param.access {
        Access::Write => "*mut",
        Access::Read | Access::Constant => "*const",
    };
    format!("{}: {pointer} {}", ident(&param.name), rust_type(param.dtype))
}
