//! What the C files and the symbols in them are called: valid identifiers that clash with nothing
//! that C, its library or the generated code itself has.

use std::collections::{HashMap, HashSet};

use super::runtime;
use crate::loop_ir::Program;

/// The name of a model in C.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// What public symbols begin with: `kws` for `kws_t`, `kws_run`, `KWS_INPUT_LEN`.
    prefix: String,
    /// The header's file name, by which the source includes it.
    header: String,
}

impl Names {
    /// The names for files called `stem` with `.c` and `.h`. The prefix is the stem as an
    /// identifier: `my-model 2` gives `my_model_2`.
    pub fn new(stem: &str) -> Names {
        Names { prefix: identifier(stem), header: format!("{stem}.h") }
    }

    /// The same files with another prefix.
    ///
    /// # Errors
    /// It is none: the message says what would be.
    pub fn with_prefix(self, prefix: &str) -> Result<Names, String> {
        match identifier(prefix) {
            valid if valid == prefix => Ok(Names { prefix: valid, ..self }),
            valid => Err(format!("'{prefix}' can't begin C's names; {valid} can")),
        }
    }

    /// What public symbols begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What public macros begin with.
    pub fn upper(&self) -> String {
        self.prefix.to_ascii_uppercase()
    }

    /// The header's name as `#include` takes it, which knows no escapes.
    pub fn header(&self) -> String {
        self.header.chars().filter(|c| !c.is_control() && *c != '"' && *c != '\\').collect()
    }
}

/// The nearest identifier that can begin public names.
fn identifier(stem: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = stem.chars().map(plain).collect();
    // Names that begin with an underscore are the compiler's.
    let name = name.trim_matches('_');
    match name.chars().next() {
        None => "model".into(),
        Some('0'..='9') => format!("model_{name}"),
        Some(_) if TYPES.contains(&name) => format!("{name}_model"),
        Some(_) => name.into(),
    }
}

/// Names that aren't free at the top level of a generated file, or within its functions.
pub struct Scope(HashSet<String>);

impl Scope {
    /// The scope of a file with that prefix: what its header declares is taken.
    pub fn new(program: &Program, names: &Names) -> Scope {
        let reserved = RESERVED.iter().copied().chain(runtime::names());
        let mut taken: HashSet<String> = reserved.map(String::from).collect();
        let prefix = names.prefix();
        taken.extend(["t", "init", "run", "reset"].map(|name| format!("{prefix}_{name}")));
        for (what, borders) in [("input", &program.inputs), ("output", &program.outputs)] {
            taken.insert(format!("{prefix}_{what}"));
            taken.extend((0..borders.len()).map(|index| format!("{prefix}_{what}{index}")));
        }
        Scope(taken)
    }

    /// A name like `name` that is free, for the whole file.
    pub fn declare(&mut self, name: &str) -> String {
        let free = free(name, |name| self.is_taken(name));
        self.0.insert(free.clone());
        free
    }

    /// What each of a function's names is within the function: itself where that is free.
    pub fn locals<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> HashMap<&'a str, String> {
        let names: Vec<&str> = names.into_iter().collect();
        let mut spelled: HashMap<&str, String> = HashMap::new();
        let mut used: HashSet<String> = names.iter().map(|name| name.to_string()).collect();
        for name in names {
            if !spelled.contains_key(name) {
                let own = free(name, |other| {
                    self.is_taken(other) || other != name && used.contains(other)
                });
                used.insert(own.clone());
                spelled.insert(name, own);
            }
        }
        spelled
    }

    fn is_taken(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = name.to_string();
    while taken(&name) {
        name.push('_');
    }
    name
}

/// Keywords of C up to C23 and of C++, names of the headers that are included, functions of the
/// library that compilers know without a header, and the locals of the public functions.
const RESERVED: &[&str] = &[
    "alignas",
    "alignof",
    "and",
    "asm",
    "auto",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "compl",
    "concept",
    "const",
    "constexpr",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "final",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "nullptr",
    "operator",
    "or",
    "override",
    "private",
    "protected",
    "public",
    "register",
    "requires",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typename",
    "typeof",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "while",
    "xor",
    //
    "abort",
    "abs",
    "acos",
    "asin",
    "atan",
    "bcmp",
    "bcopy",
    "bzero",
    "calloc",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "div",
    "erf",
    "exit",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "fma",
    "fmax",
    "fmin",
    "fmod",
    "free",
    "frexp",
    "gamma",
    "hypot",
    "index",
    "isnan",
    "j0",
    "j1",
    "jn",
    "labs",
    "ldexp",
    "linux",
    "log",
    "log10",
    "log1p",
    "log2",
    "logb",
    "malloc",
    "max",
    "memchr",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "min",
    "modf",
    "offsetof",
    "pow",
    "printf",
    "ptrdiff_t",
    "rand",
    "realloc",
    "remainder",
    "rindex",
    "rint",
    "round",
    "scanf",
    "significand",
    "sin",
    "sinh",
    "size_t",
    "sqrt",
    "stpcpy",
    "strcat",
    "strchr",
    "strcmp",
    "strcpy",
    "strlen",
    "strtok",
    "tan",
    "tanh",
    "time",
    "trunc",
    "unix",
    "y0",
    "y1",
    "yn",
    "NULL",
    //
    "m",
    "arena",
    "arena_u8",
    "arena_i16",
    "arena_i32",
    "arena_i64",
    "arena_f32",
    "arena_bool",
];

/// Words that with `_t` are types of C, of POSIX or of C++.
const TYPES: &[&str] = &[
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int_least8",
    "int_least16",
    "int_least32",
    "int_least64",
    "uint_least8",
    "uint_least16",
    "uint_least32",
    "uint_least64",
    "int_fast8",
    "int_fast16",
    "int_fast32",
    "int_fast64",
    "uint_fast8",
    "uint_fast16",
    "uint_fast32",
    "uint_fast64",
    "intmax",
    "uintmax",
    "intptr",
    "uintptr",
    "size",
    "ssize",
    "ptrdiff",
    "max_align",
    "nullptr",
    "wchar",
    "wint",
    "wctype",
    "wctrans",
    "char8",
    "char16",
    "char32",
    "float",
    "double",
    "div",
    "ldiv",
    "lldiv",
    "imaxdiv",
    "sig_atomic",
    "fpos",
    "fenv",
    "fexcept",
    "mbstate",
    "time",
    "clock",
    "clockid",
    "timer",
    "once_flag",
    "cnd",
    "mtx",
    "thrd",
    "tss",
    "off",
    "mode",
    "dev",
    "ino",
    "nlink",
    "pid",
    "uid",
    "gid",
    "id",
    "key",
    "blkcnt",
    "blksize",
    "suseconds",
    "useconds",
    "socklen",
    "sigset",
    "stack",
    "va_list",
    "regex",
    "locale",
    "bool",
    "byte",
    "tflc",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_stem_gives_an_identifier() {
        for (stem, prefix) in [
            ("kws", "kws"),
            ("my-model 2", "my_model_2"),
            ("2d", "model_2d"),
            ("", "model"),
            ("__x__", "x"),
            ("größe", "gr__e"),
            ("int8", "int8_model"),
            ("int", "int"),
        ] {
            assert_eq!(identifier(stem), prefix);
            assert_eq!(identifier(prefix), prefix);
        }
        let names = Names::new("my-model 2");
        assert_eq!((names.header(), names.upper()), ("my-model 2.h".into(), "MY_MODEL_2".into()));
        assert_eq!(names.clone().with_prefix("kws").unwrap().prefix(), "kws");
        let error = names.with_prefix("a-b").unwrap_err();
        assert!(error.contains("a_b"), "{error}");
    }

    #[test]
    fn names_that_are_taken_get_an_underscore() {
        let mut scope = Scope::new(&Program::default(), &Names::new("kws"));
        assert_eq!(
            ["exp", "kws_run", "a", "a"].map(|name| scope.declare(name)),
            ["exp_", "kws_run_", "a", "a_"]
        );
        let locals = scope.locals(["int", "int_", "a", "x", "x", "tflc_min"]);
        let spelled = ["int", "int_", "a", "x", "tflc_min"].map(|name| locals[name].clone());
        assert_eq!(spelled, ["int__", "int_", "a__", "x", "tflc_min_"]);
    }
}
