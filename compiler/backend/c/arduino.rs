//! A model as an Arduino library: the C files, what Arduino's tools want to know of them, and a
//! sketch that runs the model, which their menu of examples offers.

use super::Names;
use crate::backend::{Banner, Placement};
use crate::loop_ir::Program;

const PROPERTIES: &str = include_str!("../../../templates/library.properties.tera");
const SKETCH: &str = include_str!("../../../templates/sketch.ino.tera");

/// The longest name that Arduino's tools take.
const LONGEST: usize = 63;

/// What a library with a header of that name would hide: its folder comes first on the path of all
/// that is built with it.
const HEADERS: &[&str] = &[
    "arduino",
    "assert",
    "complex",
    "ctype",
    "errno",
    "fenv",
    "float",
    "inttypes",
    "iso646",
    "limits",
    "locale",
    "malloc",
    "math",
    "setjmp",
    "signal",
    "stdalign",
    "stdarg",
    "stdatomic",
    "stdbool",
    "stddef",
    "stdint",
    "stdio",
    "stdlib",
    "stdnoreturn",
    "string",
    "strings",
    "tgmath",
    "threads",
    "time",
    "uchar",
    "unistd",
    "wchar",
    "wctype",
];

/// The names in a library: files and symbols alike are called `name`, or the nearest to it that C
/// takes.
///
/// # Errors
/// A library can't be called that.
pub fn names(name: &str) -> Result<Names, String> {
    let names = Names::new(Names::new(name).prefix());
    if HEADERS.contains(&&*names.prefix().to_ascii_lowercase()) {
        return Err(format!("a library '{name}' would hide the header {}", names.header()));
    }
    if names.prefix().len() > LONGEST {
        return Err(format!("'{name}' is too long: Arduino takes {LONGEST} characters"));
    }
    Ok(names)
}

/// The files' paths within the library's folder.
pub fn paths(names: &Names) -> [String; 4] {
    let name = names.prefix();
    [
        "library.properties".into(),
        format!("src/{}", names.header()),
        format!("src/{name}.c"),
        format!("examples/{name}/{name}.ino"),
    ]
}

/// The files' texts, in the order of their [`paths`].
///
/// # Panics
/// For a program that [`verify`](crate::loop_ir::verify()) rejects.
pub fn print(
    program: &Program,
    banner: &Banner,
    names: &Names,
    placement: &Placement,
) -> [String; 4] {
    let context = super::context(program, banner, names, placement);
    [PROPERTIES, super::HEADER, super::SOURCE, SKETCH].map(|text| super::render(text, &context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hide_no_header() {
        let valid = names("my-model").unwrap();
        assert_eq!(valid.prefix(), "my_model");
        assert_eq!(paths(&valid)[1], "src/my_model.h");
        assert!(names("Signal").unwrap_err().contains("Signal.h"));
        assert!(names(&"x".repeat(64)).is_err());
    }
}
