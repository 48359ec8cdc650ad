//! Constants of the loop IR as Rust statics: as text, since a compiler's tokens for each byte of
//! the weights take it a hundred times as long.

use std::fmt::Write;

use super::function::real_text;
use crate::backend::Section;
use crate::loop_ir::Constant;
use crate::ops::DType;
use crate::text;

/// The width that lines are kept to.
const WIDTH: usize = 100;

/// A list of more bytes than these isn't read by people, but takes compilers long.
const LIST: usize = 256;

/// Whether a constant is a byte string in an `Aligned`: weights and tables of codes.
pub fn is_aligned(constant: &Constant) -> bool {
    match constant.dtype {
        DType::I8 => true,
        DType::U8 => constant.len() > LIST,
        _ => constant.packed,
    }
}

/// A static with its doc comment, in a section.
pub fn print(constant: &Constant, section: Option<&Section>) -> String {
    let mut out = String::new();
    for line in text::wrap(&text::plain(&constant.doc), WIDTH - 4) {
        writeln!(out, "/// {line}").expect("a string");
    }
    if let Some(section) = section {
        writeln!(out, "#[unsafe(link_section = \"{section}\")]").expect("a string");
    }
    let (name, len) = (&constant.name, constant.len());
    if is_aligned(constant) {
        let len = constant.bytes.len();
        write!(out, "static {name}: Aligned<[u8; {len}]> = Aligned(*b\"").expect("a string");
        byte_string(&mut out, &constant.bytes);
        out.push_str("\");\n");
    } else {
        write!(out, "static {name}: [{}; {len}] = [", constant.dtype).expect("a string");
        numbers(&mut out, &elements(constant));
        out.push_str("];\n");
    }
    out
}

/// The inside of a byte string, on one line or on lines of its own.
fn byte_string(out: &mut String, bytes: &[u8]) {
    const INDENT: &str = "\\\n    ";
    out.reserve(bytes.len() * 4);
    let lines = bytes.len() > 16;
    let mut column = WIDTH;
    for (i, &byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            // With a digit behind it, it would look like an octal number.
            0 if !bytes.get(i + 1).is_some_and(u8::is_ascii_digit) => b"\\0",
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b' '..=b'~' => &[byte],
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                &[b'\\', b'x', DIGITS[byte as usize / 16], DIGITS[byte as usize % 16]]
            }
        };
        // The backslash at the end of a line takes a column.
        let mut escaped = std::str::from_utf8(escaped).expect("ASCII");
        if lines && column + escaped.len() + 1 > WIDTH {
            out.push_str(INDENT);
            column = INDENT.len() - 2;
            if byte == b' ' {
                // A line's first spaces don't count.
                escaped = "\\x20";
            }
        }
        out.push_str(escaped);
        column += escaped.len();
    }
}

/// The inside of an array, on one line or on lines of its own.
fn numbers(out: &mut String, numbers: &[String]) {
    let line = numbers.join(", ");
    if line.len() <= 40 {
        out.push_str(&line);
        return;
    }
    for line in text::wrap(&line, WIDTH - 5) {
        write!(out, "\n    {line}").expect("a string");
    }
    out.push_str(",\n");
}

/// The elements' literals.
fn elements(constant: &Constant) -> Vec<String> {
    let word = |b: &[u8]| i32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let chunks = constant.bytes.chunks_exact(constant.dtype.size());
    let literal = |b: &[u8]| match constant.dtype {
        DType::I8 => (b[0] as i8).to_string(),
        DType::U8 => b[0].to_string(),
        DType::Bool => (b[0] != 0).to_string(),
        DType::I16 => i16::from_le_bytes([b[0], b[1]]).to_string(),
        DType::I32 => word(b).to_string(),
        DType::F32 => real_text(f32::from_bits(word(b) as u32)),
        DType::I64 => i64::from_le_bytes(b.try_into().expect("eight bytes")).to_string(),
    };
    chunks.map(literal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_strings_are_read_back() {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Spaces and other characters that need care come often.
            match state >> 28 {
                0..=3 => b' ',
                4..=5 => b"\"\\\n\r\t\x000"[(state >> 8) as usize % 7],
                _ => (state >> 16) as u8,
            }
        };
        for len in [0, 1, 16, 17, 18, 1000] {
            let bytes: Vec<u8> = (0..len).map(|_| random()).collect();
            let mut inside = String::new();
            byte_string(&mut inside, &bytes);
            let literal: syn::LitByteStr =
                syn::parse_str(&format!("b\"{inside}\"")).expect("a literal");
            assert_eq!(literal.value(), bytes);
            assert!(inside.lines().all(|line| line.len() <= WIDTH), "{inside}");
        }
    }
}
