//! The build script: lists `targets/*.toml` in a table, so that a core is added by adding a file.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=targets");
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("targets");
    let mut files: Vec<_> = (fs::read_dir(&folder).expect("the folder targets"))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort_by_key(|path| natural(&path.file_stem().unwrap_or_default().to_string_lossy()));
    let mut table = String::from("&[\n");
    for path in &files {
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
        writeln!(table, "    ({name:?}, include_str!({path:?})),").expect("written to a string");
    }
    table.push_str("]\n");
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("targets.rs");
    fs::write(out, table).expect("a writable OUT_DIR");
}

/// What sorts names with numbers as people do: `m4` before `m33`.
fn natural(name: &str) -> (String, u32, String) {
    let digit = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let rest = name[digit..].trim_start_matches(|c: char| c.is_ascii_digit());
    let number = name[digit..name.len() - rest.len()].parse().unwrap_or(0);
    (name[..digit].to_string(), number, rest.to_string())
}
