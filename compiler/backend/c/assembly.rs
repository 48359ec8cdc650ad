//! Routines in assembly as naked functions.

use std::fmt::Write;

use super::{c_type, comment};
use crate::loop_ir::assembly::{print, Routine};
use crate::loop_ir::{Access, Function};

/// A function called `name` that is a routine.
pub fn print(function: &Function, routine: &Routine, name: &str, doc: &[String]) -> String {
    let mut out = String::new();
    comment(&mut out, 0, doc);
    let params = function.params.iter().map(|param| {
        let constant = if param.access == Access::Write { "" } else { "const " };
        format!("TFLC_UNUSED {constant}{} *{}", c_type(param.dtype), param.name)
    });
    let params: Vec<String> = params.collect();
    writeln!(out, "TFLC_NAKED static void {name}({})\n{{", params.join(",\n    "))
        .expect("a string");
    out.push_str("    __asm__ volatile(\n");
    for line in print::lines(&routine.code) {
        match &*line.comment {
            "" => writeln!(out, "        \"{}\\n\"", line.code),
            words => writeln!(out, "        /* {} */", super::ascii(words)),
        }
        .expect("a string");
    }
    out.push_str("    );\n}\n");
    out
}
