//! `tflc::build`, as build scripts call it; `tests/build-script` is a crate that does.

use std::fs;
use std::path::{Path, PathBuf};

const MODEL: &str = "tests/models/digits_conv.tflite";

fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("build_script").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("can be made");
    folder
}

/// What cargo shows of a build script whose `main` returns that error.
fn shown(build: tflc::Build) -> String {
    format!("{:?}", build.compile().expect_err("it fails"))
}

#[test]
fn writes_rust_and_c() {
    let folder = folder("languages");
    let build = tflc::build(MODEL).target("cortex-m4").folder(&folder).flash(1 << 20).ram(8 << 10);
    let path = build.clone().compile().expect("compiles");
    assert_eq!(path, folder.join("digits_conv.rs"));
    let line = "tflc digits_conv.tflite --target cortex-m4 --flash 1M --ram 8K -o digits_conv.rs\n";
    assert!(fs::read_to_string(path).expect("is there").contains(line));
    let path = build.name("kws").c().compile().expect("compiles");
    assert_eq!(path, folder.join("kws.c"));
    let header = fs::read_to_string(folder.join("kws.h")).expect("is there");
    assert!(header.contains("void kws_run(kws_t *m);"), "{header}");
}

#[test]
fn check_changes_nothing() {
    let folder = folder("check");
    let build = tflc::build(MODEL).target("cortex-m4").folder(&folder);
    let says = shown(build.clone().check());
    let command = format!("tflc {MODEL} --target cortex-m4 -o {}", folder.display());
    assert!(says.contains("digits_conv.rs isn't what ") && says.contains(&command), "{says}");
    assert_eq!(fs::read_dir(&folder).expect("is there").count(), 0);
    build.clone().compile().expect("compiles");
    build.check().compile().expect("is current");
    assert!(shown(tflc::build(MODEL).target("host").check()).contains(".folder("));
}

#[test]
fn says_what_is_wrong() {
    let folder = folder("wrong");
    let build = |model: &str| tflc::build(model).target("cortex-m4").folder(&folder);
    let says = shown(build(MODEL).flash(10).ram(20));
    assert!(says.contains("allows") && says.contains(".flash(10)") && says.contains(".ram(20)"));
    assert!(shown(build("no.tflite")).contains("no.tflite can't be read"));
    assert!(shown(build("README.md")).starts_with("README.md can't be compiled:\n  "));
    assert!(shown(build(MODEL).target("z80")).contains("z80"));
    assert!(shown(tflc::build(MODEL)).contains(".target("));
    assert_eq!(fs::read_dir(&folder).expect("is there").count(), 0);
}
