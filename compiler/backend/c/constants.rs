//! Constants of the loop IR as C arrays.

use std::borrow::Cow;
use std::fmt::Write;

use super::lines::WIDTH;
use super::{c_type, comment, real_text};
use crate::backend::Placement;
use crate::loop_ir::Constant;
use crate::ops::DType;

/// An array called `name`, with its comment.
pub fn print(constant: &Constant, name: &str, placement: &Placement) -> String {
    let mut out = String::with_capacity(constant.bytes.len() * 4 + 200);
    comment(&mut out, 0, std::slice::from_ref(&constant.doc));
    let (ty, len) = (c_type(constant.dtype), constant.len());
    let section = if placement.weights_section.is_some() { "TFLC_WEIGHTS " } else { "" };
    write!(out, "{section}static const {ty} {name}[{len}] = {{").expect("a string");
    elements(&mut out, constant);
    out.push_str("};\n");
    out
}

/// The inside of the braces: on the same line if it's short, else on lines of its own.
fn elements(out: &mut String, constant: &Constant) {
    // Eight of the longest words fill a line.
    let short = if constant.dtype.size() > 1 { 4 } else { 8 };
    let lines = constant.len() > short;
    if lines {
        out.push('\n');
    }
    // Most constants are bytes, and many.
    let bytes: Vec<String> = match constant.dtype.size() {
        1 => (0..=u8::MAX).map(|byte| element(constant.dtype, &[byte])).collect(),
        _ => Vec::new(),
    };
    let mut column = 0;
    for (i, element_bytes) in constant.bytes.chunks_exact(constant.dtype.size()).enumerate() {
        if i > 0 {
            out.push(',');
            column += 1;
        }
        let literal = match element_bytes {
            [byte] => Cow::Borrowed(&*bytes[usize::from(*byte)]),
            wide => Cow::Owned(element(constant.dtype, wide)),
        };
        // A comma follows.
        if lines && column + literal.len() + 1 > WIDTH {
            out.push('\n');
            column = 0;
        } else if i > 0 && !lines {
            out.push(' ');
        }
        out.push_str(&literal);
        column += literal.len();
    }
    if lines {
        out.push('\n');
    }
}

/// An element's literal.
fn element(dtype: DType, bytes: &[u8]) -> String {
    let word = || i32::from_le_bytes(bytes.try_into().expect("four bytes"));
    match dtype {
        DType::I8 => (bytes[0] as i8).to_string(),
        DType::U8 | DType::Bool => bytes[0].to_string(),
        DType::I16 => i16::from_le_bytes([bytes[0], bytes[1]]).to_string(),
        DType::I32 if word() == i32::MIN => "INT32_MIN".into(),
        DType::I32 => word().to_string(),
        DType::F32 => real_text(f32::from_bits(word() as u32)),
        DType::I64 => match i64::from_le_bytes(bytes.try_into().expect("eight bytes")) {
            i64::MIN => "INT64_MIN".into(),
            value => format!("INT64_C({value})"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dtype: DType, bytes: Vec<u8>) -> String {
        let doc = "some */ words".into();
        let constant = Constant { name: "X".into(), doc, dtype, bytes, packed: false };
        print(&constant, "x_1", &Placement::default())
    }

    #[test]
    fn few_elements_stand_on_one_line() {
        let expected = "/* some * / words */\nstatic const int8_t x_1[3] = {1, -1, -128};\n";
        assert_eq!(text(DType::I8, vec![1, 255, 128]), expected);
        assert!(text(DType::I32, i32::MIN.to_le_bytes().into()).contains("[1] = {INT32_MIN}"));
        assert!(text(DType::F32, 1.5f32.to_le_bytes().into()).contains("{1.5f}"));
    }

    #[test]
    fn many_elements_fill_lines() {
        let text = text(DType::I8, (0..1000).map(|i| (i * 7) as u8).collect());
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.lines().filter(|line| line.len() > WIDTH - 8).count() > 20, "{text}");
    }
}
