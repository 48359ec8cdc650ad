//! Breaks lines of C that are too long: behind an assignment, between arguments, before operators,
//! wherever nests least.

/// The width that lines are kept to, where names allow it.
pub const WIDTH: usize = 100;

/// Spaces for a level of blocks, and for what continues a line.
pub const INDENT: usize = 4;

/// A term of a sum that deserves a line of its own.
const LONG_TERM: usize = 30;

/// Appends a line of code, `indent` spaces in, in as many lines as it needs.
pub fn push(out: &mut String, indent: usize, code: &str) {
    if indent + code.len() <= WIDTH {
        return push_line(out, indent, code);
    }
    if let Some(at) = code.find("= ").filter(|&at| depth(&code[..at]) == 0) {
        let (target, value) = code.split_at(at + 1);
        if indent + INDENT + value.trim_start().len() <= WIDTH {
            push_line(out, indent, target);
            return push_line(out, indent + INDENT, value.trim_start());
        }
        // A sum of which not even the first term's call begins on the line.
        let terms = parts(value.trim_start(), &[" + ", " - "]);
        let fits = longest_brackets(code).is_none_or(|(head, ..)| indent + head.len() <= WIDTH);
        if terms.len() > 1 && !fits {
            push_line(out, indent, target);
            return terms.into_iter().for_each(|term| push(out, indent + INDENT, term));
        }
    }
    // A sum of long terms: one on each line.
    let terms = parts(code, &[" + ", " - "]);
    if terms.len() > 1
        && terms.iter().all(|term| (LONG_TERM..=WIDTH - indent).contains(&term.len()))
    {
        return terms.into_iter().for_each(|term| push_line(out, indent, term));
    }
    if let Some((head, inside, tail)) = longest_brackets(code) {
        let parts = split(inside);
        if parts.len() > 1 || inside.len() > WIDTH / 2 {
            push_line(out, indent, head);
            return fill(out, indent + INDENT, &parts, tail);
        }
    }
    push_line(out, indent, code);
}

fn push_line(out: &mut String, indent: usize, line: &str) {
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(line);
    out.push('\n');
}

/// Appends what stands within brackets, and behind them `tail`: as many parts on a line as fit.
fn fill(out: &mut String, indent: usize, parts: &[&str], tail: &str) {
    let mut line = String::new();
    for (i, part) in parts.iter().enumerate() {
        let end = if i + 1 == parts.len() { tail } else { "" };
        if !line.is_empty() && indent + line.len() + 1 + part.len() + end.len() > WIDTH {
            push(out, indent, &std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(part);
        line.push_str(end);
    }
    push(out, indent, &line);
}

/// The code up to and with the opening bracket of the longest part in brackets that is in none
/// itself, that part, and the rest.
fn longest_brackets(code: &str) -> Option<(&str, &str, &str)> {
    let mut best: Option<(usize, usize)> = None;
    let mut open = 0;
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' => {
                if depth == 0 {
                    open = at + 1;
                }
                depth += 1;
            }
            b')' | b']' => {
                depth -= 1;
                if depth == 0 && best.is_none_or(|(from, to)| to - from < at - open) {
                    best = Some((open, at));
                }
            }
            _ => {}
        }
    }
    best.map(|(from, to)| (&code[..from], &code[from..to], &code[to..]))
}

/// Code in parts that may stand on lines of their own: arguments or, if there is just one, the
/// terms of a sum, else the factors of a product.
fn split(code: &str) -> Vec<&str> {
    let levels: [&[&str]; 3] = [&[", ", "; "], &[" + ", " - "], &[" * ", " / "]];
    let all = levels.map(|separators| parts(code, separators));
    all.into_iter().find(|parts| parts.len() > 1).unwrap_or_else(|| vec![code])
}

/// What stands between separators that are in no brackets. Commas stay with what is before them,
/// operators with what is behind.
fn parts<'a>(code: &'a str, separators: &[&str]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut from = 0;
    for at in 1..code.len() {
        let rest = &code.as_bytes()[at..];
        if separators.iter().any(|separator| rest.starts_with(separator.as_bytes()))
            && depth(&code[..at]) == 0
        {
            let end = if rest[0] == b' ' { at } else { at + 1 };
            parts.push(&code[from..end]);
            from = end + 1;
        }
    }
    parts.push(&code[from..]);
    parts
}

/// How many brackets are open at the end; below 0 where more are closed than opened.
fn depth(code: &str) -> isize {
    let count = |signs: [char; 2]| code.matches(signs).count() as isize;
    count(['(', '[']) - count([')', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(indent: usize, code: &str) -> Vec<String> {
        let mut out = String::new();
        push(&mut out, indent, code);
        out.lines().map(String::from).collect()
    }

    #[test]
    fn values_go_to_their_own_line() {
        let value = format!("f(a, {})", "b".repeat(70));
        let expected = ["    const int32_t scaled_2 =".to_string(), format!("        {value};")];
        assert_eq!(lines(4, &format!("const int32_t scaled_2 = {value};")), expected);
        assert_eq!(lines(4, "x = f(a);"), ["    x = f(a);"]);
    }

    #[test]
    fn arguments_fill_lines() {
        let long = "a".repeat(40);
        let code = format!("x[i] = (int8_t)f(g(h({long}, {long}), {long}) - 1, b, c);");
        let expected = [
            "x[i] = (int8_t)f(".to_string(),
            "    g(".to_string(),
            format!("        h({long}, {long}),"),
            format!("        {long}) - 1,"),
            "    b, c);".to_string(),
        ];
        assert_eq!(lines(0, &code), expected);
        let expected =
            ["f(".to_string(), format!("    {long}"), format!("    + {long} * {long});")];
        assert_eq!(lines(0, &format!("f({long} + {long} * {long});")), expected);
    }
}
