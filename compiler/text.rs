//! Words, numbers and tables for people to read, in generated files and reports. Whatever comes from
//! the model file is made harmless first.

use std::fmt::Display;

/// `text` in printable ASCII and the signs that tflc's own words hold, so that no name in a model
/// file can end a comment's line.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' | '→' | '×' | '·' | '−' | '…' => out.push(c),
            _ => out.extend(c.escape_default()),
        }
    }
    out
}

/// A tensor's name as code in a doc comment. Of the names that converters join into one, the first.
pub fn code(name: &str) -> String {
    const WIDTH: usize = 80;
    let name = plain(name).replace('`', "'");
    let first = name.split(';').next().expect("at least one part");
    match first.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("`{}…`", &first[..end]),
        None if first.len() < name.len() => format!("`{first};…`"),
        None => format!("`{name}`"),
    }
}

/// A whole number with its thousands set apart.
pub fn thousands(number: impl Display) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `text` in lines of at most `width` characters, where its spaces allow it.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("never empty");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_string());
        }
    }
    lines
}

/// Rows of cells as lines with aligned columns; columns of numbers to the right.
pub fn table<const N: usize>(rows: &[[String; N]], right: [bool; N]) -> Vec<String> {
    let cell_width = |row: &[String; N], column: usize| row[column].chars().count();
    let width = |column| rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: Vec<String> = (0..N)
            .map(|i| match right[i] {
                true => format!("{:>1$}", row[i], widths[i]),
                false => format!("{:<1$}", row[i], widths[i]),
            })
            .collect();
        cells.join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_on_their_line() {
        assert_eq!(plain("a\nb\u{2028}c\u{202e}"), "a\\nb\\u{2028}c\\u{202e}");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0u64, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn wraps_at_spaces() {
        assert_eq!(wrap("ab cd  ef ghijkl", 5), ["ab cd", "ef", "ghijkl"]);
    }
}
