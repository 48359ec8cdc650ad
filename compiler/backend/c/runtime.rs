//! The functions of `tflc_rt.h` that a generated file needs, cut out of its text as they stand,
//! comments and all.

use std::collections::BTreeSet;

use tflc_rt::HEADER;

/// What the header's functions begin with.
const PREFIX: &str = "tflc_";

/// What stands in each one's signature before its type.
const STATIC: &str = "static ";

/// The functions named, and those that they call, in the header's order.
///
/// # Panics
/// When the header has no function of one of the names: a bug in tflc.
pub fn functions(names: &BTreeSet<&'static str>) -> Vec<&'static str> {
    let all = split(HEADER);
    let mut wanted = vec![false; all.len()];
    let position = |name: &str| {
        let found = all.iter().position(|(n, _)| *n == name);
        found.unwrap_or_else(|| panic!("tflc_rt.h has no function `{name}`"))
    };
    let mut open: Vec<usize> =
        names.iter().map(|name| position(&format!("{PREFIX}{name}"))).collect();
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut wanted[index], true) {
            open.extend(calls(all[index].1).map(position));
        }
    }
    all.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|((_, text), _)| text).collect()
}

/// The names of all functions.
pub fn names() -> Vec<&'static str> {
    split(HEADER).into_iter().map(|(name, _)| name).collect()
}

/// Name and text of each function, with the comment above it.
fn split(header: &str) -> Vec<(&str, &str)> {
    let paragraphs = header.split("\n}\n").map(|text| text.trim_start_matches('\n'));
    let functions = paragraphs.filter_map(|text| {
        // Before the first function stands what isn't copied.
        let text = text.rsplit("\n\n").find(|text| text.contains(STATIC))?;
        let start = header.find(text).expect("a part of it");
        let text = &header[start..start + text.len() + "\n}\n".len()];
        let signature = text.split(STATIC).nth(1).expect("just seen");
        let name = signature.split('(').next().expect("at least one part");
        Some((name.rsplit(' ').next().expect("at least one part"), text))
    });
    functions.collect()
}

/// The header's functions that a function's body calls.
fn calls(text: &str) -> impl Iterator<Item = &str> {
    let body = text.split_once("\n{\n").expect("a function").1;
    body.match_indices(PREFIX).filter_map(move |(at, _)| {
        let name = &body[at..];
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        name[end..].starts_with('(').then(|| &name[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loop_ir::Intrinsic;

    #[test]
    fn functions_come_with_what_they_call() {
        let texts = functions(&BTreeSet::from(["requantize"]));
        let names: Vec<_> = texts.iter().map(|text| split(text)[0].0).collect();
        let expected = [
            "tflc_shift_left",
            "tflc_doubling_high_mul",
            "tflc_rounding_shift_right",
            "tflc_requantize",
        ];
        assert_eq!(names, expected);
        assert!(texts.iter().all(|text| text.starts_with("/*") && text.ends_with("\n}\n")));
    }

    #[test]
    fn every_function_is_found_whole() {
        let all = split(HEADER);
        assert_eq!(all.len(), HEADER.matches("\n{\n").count());
        for (name, text) in all {
            let parts = ["/* ", STATIC, "\n{\n", "\n}\n"];
            assert!(parts.iter().all(|part| text.matches(part).count() >= 1), "{name}");
            assert_eq!(text.matches(STATIC).count(), 1, "{name}");
        }
    }

    #[test]
    fn every_intrinsic_is_there() {
        use Intrinsic::*;
        let all = [
            DoublingHighMul,
            RoundingShiftRight,
            Requantize,
            RequantizeDown,
            RequantizeDownByHalves,
            DivideRounded,
            LeadingZeros,
            Reciprocal,
            Quantize,
            Dequantize,
        ];
        assert!(functions(&all.map(Intrinsic::name).into()).len() > all.len());
    }
}
