//! The functions of `tflc-rt` that a generated file needs, cut out of its source text as they
//! stand, comments and all.

use std::sync::OnceLock;

/// The functions named, and those that they call, in the order of `source`.
///
/// # Panics
/// When `source` has no function of one of the names: a bug in tflc.
pub fn functions(source: &str, names: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    let all = split(source);
    let mut wanted = vec![false; all.len()];
    let position = |name: &str| all.iter().position(|(n, _)| *n == name);
    let mut open: Vec<usize> = (names.into_iter())
        .map(|name| position(name).unwrap_or_else(|| panic!("tflc-rt has no function `{name}`")))
        .collect();
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut wanted[index], true) {
            open.extend(calls(&all[index].1).filter_map(position));
        }
    }
    let wanted = all.into_iter().zip(wanted).filter(|(_, wanted)| *wanted);
    wanted.map(|((_, text), _)| text).collect()
}

/// Whether `tflc-rt` has a function of that name.
pub fn is_function(name: &str) -> bool {
    static NAMES: OnceLock<Vec<&str>> = OnceLock::new();
    let names = || split(tflc_rt::SOURCE).into_iter().map(|(name, _)| name).collect();
    NAMES.get_or_init(names).contains(&name)
}

/// Name and text of every function at the top level, without `pub`, with its attributes and doc
/// comment.
fn split(source: &str) -> Vec<(&str, String)> {
    let mut functions = Vec::new();
    let mut head = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let signature = line.strip_prefix("pub ").unwrap_or(line);
        if line.starts_with("///") || line.starts_with("#[") {
            head.push_str(line);
            head.push('\n');
        } else if signature.starts_with("fn ") || signature.starts_with("const fn ") {
            let name = signature.split("fn ").nth(1).expect("just seen");
            let name = name.split(['(', '<']).next().expect("at least one part");
            let mut text = std::mem::take(&mut head) + signature + "\n";
            for line in lines.by_ref() {
                text.push_str(line);
                text.push('\n');
                if line == "}" {
                    break;
                }
            }
            functions.push((name, text));
        } else {
            head.clear();
        }
    }
    functions
}

/// The names directly before an opening parenthesis, outside of comments; not those of methods.
fn calls(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().map(|line| line.split("//").next().expect("at least one part"));
    code.flat_map(|line| {
        let before = line.match_indices('(').map(move |(at, _)| &line[..at]);
        before.filter_map(|before| {
            let mut parts = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_');
            let name = parts.next().expect("at least one part");
            (!before[..before.len() - name.len()].ends_with('.')).then_some(name)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_come_with_what_they_call() {
        let texts = functions(tflc_rt::SOURCE, ["requantize"]);
        let names: Vec<_> = texts.iter().map(|text| split(text)[0].0.to_string()).collect();
        assert_eq!(names, ["doubling_high_mul", "rounding_shift_right", "requantize"]);
        assert!(texts.iter().all(|text| text.starts_with("///") && text.ends_with("\n}\n")));
    }

    #[test]
    fn every_function_is_found_whole() {
        let file = syn::parse_file(tflc_rt::SOURCE).expect("valid Rust");
        let parsed: Vec<String> = (file.items.into_iter())
            .filter_map(|item| match item {
                syn::Item::Fn(mut function) => {
                    function.vis = syn::Visibility::Inherited;
                    Some(quote::quote!(#function).to_string())
                }
                _ => None,
            })
            .collect();
        let cut: Vec<String> = (split(tflc_rt::SOURCE).into_iter())
            .map(|(_, text)| {
                let function: syn::ItemFn = syn::parse_str(&text).expect("one function");
                quote::quote!(#function).to_string()
            })
            .collect();
        assert_eq!(parsed, cut);
    }
}
