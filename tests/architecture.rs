//! The invariants of ARCHITECTURE.md that can be read off the sources, and its table of contents.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each part of the library may use of the others. The order is the way through the compiler.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("ops", &[]),
    ("target", &[]),
    ("ir", &["ops"]),
    ("frontend", &["ops", "ir"]),
    ("passes", &["ops", "ir", "target"]),
    ("loop_ir", &["ops"]),
    ("kernels", &["ops", "ir", "loop_ir", "target"]),
    ("plan", &["ops", "ir", "loop_ir", "kernels", "target"]),
    ("text", &[]),
    ("backend", &["ops", "loop_ir", "text"]),
    ("report", &["plan", "loop_ir", "target", "text", "Compiled", "Options"]),
    ("harness", &["ops", "ir", "loop_ir", "backend", "Compiled", "Options"]),
];

/// Crates, and the only files and folders of `compiler/` that know them.
const KNOWN_TO: [(&str, &[&str]); 9] = [
    ("flatbuffers", &["frontend/schema.rs"]),
    ("clap", &["cli"]),
    ("serde_json", &["cli"]),
    ("toml", &["target.rs"]),
    ("quote", &["backend/rust"]),
    ("syn", &["backend"]),
    ("prettyplease", &["backend/rust"]),
    ("tera", &["backend/c", "report/html.rs"]),
    ("sha2", &["lib.rs"]),
];

/// What a pure function doesn't do, and the only places that do it.
const IMPURE: [(&str, &[&str]); 8] = [
    ("std::fs", &["cli", "build_script.rs", "harness.rs", "harness", "embed_targets.rs"]),
    ("std::process", &["main.rs", "cli", "harness.rs", "harness"]),
    ("std::env", &["build_script.rs", "harness.rs", "harness", "embed_targets.rs"]),
    ("std::time", &[]),
    ("std::thread", &[]),
    ("println!", &["build_script.rs", "embed_targets.rs"]),
    ("eprintln!", &[]),
    ("dbg!", &[]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder and those under it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The compiler's sources: each path from `compiler/` on, and the code without comments and
/// without what only tests see.
fn sources() -> Vec<(String, String)> {
    let folder = root().join("compiler");
    let sources = files(&folder).into_iter().map(|path| {
        let name = path.strip_prefix(&folder).unwrap().to_string_lossy().replace('\\', "/");
        let text = read(&path);
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().map(|line| line.split("//").next().unwrap());
        (name, lines.collect::<Vec<_>>().join("\n"))
    });
    sources.filter(|(name, _)| name.ends_with(".rs")).collect()
}

/// Whether a file is one of those, or lies in one of those folders.
fn lies_in(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        name.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The names behind `crate::`, in braces or not.
fn uses(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        let (mut depth, mut name) = (0, String::new());
        for c in part.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            // Within the outer braces, a comma comes before the next name.
            if depth <= 1 && (c.is_alphanumeric() || c == '_') && !name.ends_with(':') {
                name.push(c);
            } else if depth == 1 && c == ',' {
                names.insert(name.trim_end_matches(':').to_string());
                name.clear();
            } else if c == ':' && !name.ends_with(':') {
                name.push(':');
            }
            if depth == 0 && !c.is_alphanumeric() && c != '_' {
                break;
            }
        }
        names.insert(name.trim_end_matches(':').to_string());
    }
    names.remove("");
    names
}

#[test]
fn uses_are_found() {
    let code =
        "use crate::ir::{Graph, Id};\nuse crate::{Compiled, ops::{Op, Value}, plan::x, loop_ir};\n\
                fn f() -> crate::target::Target { crate::compile(a, b) }";
    let names = ["Compiled", "compile", "ir", "loop_ir", "ops", "plan", "target"];
    assert_eq!(uses(code).into_iter().collect::<Vec<_>>(), names);
}

#[test]
fn dependencies_run_one_way() {
    let mut wrong = Vec::new();
    for (part, allowed) in MAY_USE {
        for (name, code) in sources() {
            if name != format!("{part}.rs") && !name.starts_with(&format!("{part}/")) {
                continue;
            }
            let used = uses(&code);
            let others =
                used.iter().filter(|used| *used != part && !allowed.contains(&used.as_str()));
            wrong.extend(others.map(|other| format!("compiler/{name} uses {other}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_are_known_where_they_are_needed() {
    let mut wrong = Vec::new();
    for (krate, places) in KNOWN_TO {
        for (name, code) in sources() {
            let known = [
                format!("use {krate}::"),
                format!("use {krate};"),
                format!("{krate}::"),
                format!("{krate}!"),
            ];
            let uses = code.lines().any(|line| {
                known.iter().any(|known| {
                    line.match_indices(known.as_str()).any(|(at, _)| {
                        let before = line[..at].chars().next_back();
                        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
                    })
                })
            });
            if uses && !lies_in(&name, places) {
                wrong.push(format!("compiler/{name} knows {krate}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_library_is_pure() {
    let mut wrong = Vec::new();
    for (name, code) in sources() {
        for (what, places) in IMPURE {
            if code.contains(what) && !lies_in(&name, places) {
                wrong.push(format!("compiler/{name} has {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stands_where_the_file_format_needs_it() {
    for (name, code) in sources() {
        let word = |c: char| !c.is_alphanumeric() && c != '_';
        // In backquotes it is prose, and the backend prints some.
        let has = code.split(word).any(|part| part == "unsafe")
            && !code.contains("`unsafe`")
            && !name.starts_with("backend/rust/");
        assert!(!has || name == "frontend/schema.rs", "compiler/{name} has unsafe code");
    }
    assert!(read("runtime-support/src/lib.rs").contains("#![forbid(unsafe_code)]"));
}

#[test]
fn templates_compute_nothing() {
    for path in files(&root().join("templates")) {
        let text = read(&path);
        for tag in text.split("{{").skip(1).map(|part| part.split("}}").next().unwrap()) {
            let expression = tag.trim().trim_matches('-');
            let arithmetic =
                expression.contains(['+', '*', '/', '%']) || expression.contains(" - ");
            assert!(!arithmetic, "{}: {{{{{tag}}}}}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (name, _) in sources() {
        let text = read(Path::new("compiler").join(&name));
        assert!(text.starts_with("//! "), "compiler/{name}");
    }
}

#[test]
fn passes_say_what_they_require_and_ensure() {
    for pass in tflc::passes::PIPELINE {
        let text = read(format!("compiler/passes/{}.rs", pass.name));
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(
            head.starts_with("//! Requires ") && head.contains("; ensures "),
            "{}: {head}",
            pass.name
        );
    }
}

#[test]
fn the_map_shows_every_place() {
    let map = read("ARCHITECTURE.md");
    for entry in fs::read_dir(root().join("compiler")).unwrap() {
        let entry = entry.unwrap();
        let mut name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            if fs::read_dir(entry.path()).unwrap().next().is_none() {
                continue;
            }
            name.push('/');
        }
        assert!(
            map.contains(&format!("`{name}`")),
            "ARCHITECTURE.md says nothing of compiler/{name}"
        );
    }
    let pipeline =
        tflc::passes::PIPELINE.iter().map(|pass| pass.name).collect::<Vec<_>>().join(" → ");
    assert!(
        map.contains(&pipeline),
        "ARCHITECTURE.md doesn't have the passes as they are: {pipeline}"
    );
}

#[test]
fn the_readme_lists_operators_and_targets() {
    let readme = read("README.md");
    let import = read("compiler/frontend/import/mod.rs");
    let operators: Vec<&str> = (import.split("builtin::").skip(1))
        .map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap())
        .collect();
    assert!(operators.len() > 20, "{operators:?}");
    for operator in operators {
        let listed = readme
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(|word| word == operator);
        assert!(listed, "README.md doesn't list {operator}");
    }
    for target in tflc::target::Target::all() {
        assert!(
            readme.contains(&format!("`{}`", target.name)),
            "README.md doesn't list {}",
            target.name
        );
    }
}
