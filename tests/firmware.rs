//! Generated code is exact on emulated cores, in Rust and in C, built as a firmware would be: see
//! `tests/firmware`. A part of the cores and models by default; all of them with
//! `TFLC_TESTS=all`. What needs tools that aren't there is left out with a word on stderr.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[path = "support/firmware.rs"]
mod firmware;
#[allow(dead_code)]
#[path = "support/golden.rs"]
mod golden;
#[path = "support/parallel.rs"]
mod parallel;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use extent::left_out;
use firmware::{file, script, Board, Lang, Loaded};

const K: usize = 1 << 10;
const M: usize = 1 << 20;

/// Every core that the targets name. Code for a Cortex-M0 goes to a board that has one where it
/// fits, and else runs on a Cortex-M4.
const BOARDS: [Board; 8] = [
    Board { target: "cortex-m0", name: "microbit", flash: 256 * K, ram: 16 * K },
    Board { target: "cortex-m0", name: "mps2-an386", flash: 4 * M, ram: 4 * M },
    Board { target: "cortex-m3", name: "mps2-an385", flash: 4 * M, ram: 4 * M },
    Board { target: "cortex-m4", name: "mps2-an386", flash: 4 * M, ram: 4 * M },
    Board { target: "cortex-m7", name: "mps2-an500", flash: 4 * M, ram: 4 * M },
    Board { target: "cortex-m33", name: "mps2-an505", flash: 4 * M, ram: 4 * M },
    Board { target: "cortex-m55", name: "mps3-an547", flash: 512 * K, ram: 512 * K },
    Board { target: "rv32imc", name: "virt", flash: 4 * M, ram: 4 * M },
];

#[test]
fn models_are_exact_on_every_core() {
    let all = extent::all();
    // Without the rest: one core in Rust, whose library takes half a minute to build where it isn't
    // installed, and the most different ones in C.
    let quick = |board: &Board, lang| match lang {
        Lang::Rust => board.target == "cortex-m4",
        Lang::C => ["microbit", "mps2-an386", "virt"].contains(&board.name),
    };
    if !all {
        left_out("models on most other cores, and those in ../shared on any");
    }
    let folders: &[&str] =
        if all { &["tests/models", "../shared/models"] } else { &["tests/models"] };
    let models: Vec<_> = folders.iter().flat_map(|folder| golden::models(folder)).collect();
    let cases = if all { 6 } else { 3 };

    let mut wanting = BTreeMap::new();
    let mut programs = Vec::new();
    let targets: Vec<&str> = BOARDS.iter().map(|board| board.target).collect();
    let loaded = parallel::map(&targets, |target| -> Vec<Loaded> {
        models.iter().filter_map(|model| Loaded::new(model, target, cases)).collect()
    });
    for lang in [Lang::C, Lang::Rust] {
        let mut done = Vec::new();
        for (board, models) in BOARDS.iter().zip(&loaded) {
            if !all && !quick(board, lang) {
                continue;
            }
            if let Some(missing) = firmware::missing(board.target, lang) {
                wanting.insert(format!("{} in {lang:?}", board.target), missing);
                continue;
            }
            let (groups, _) = firmware::fit(board, models);
            for mut group in groups {
                group.retain(|model| !done.contains(&(board.target, &model.name)));
                done.extend(group.iter().map(|model| (board.target, &model.name)));
                programs.push((*board, lang, group));
            }
        }
    }
    for (what, missing) in wanting {
        left_out(&format!("models on {what}, for want of {missing}"));
    }

    // The longest first, so that no core is left idle in the end.
    programs.retain(|(_, _, group)| !group.is_empty());
    let size = |group: &[&Loaded]| group.iter().map(|model| model.flash()).sum::<usize>();
    programs.sort_by_key(|(_, lang, group)| (*lang == Lang::C, usize::MAX - size(group)));
    let failures = parallel::map(&programs, |(board, lang, group)| {
        let at = format!("{} in {lang:?} on {}", board.target, board.name);
        let begin = std::time::Instant::now();
        let result = firmware::run(board, *lang, group);
        let seconds = begin.elapsed().as_secs_f32();
        println!("{at}: {} models, {seconds:.1} s", group.len());
        match result {
            Err(error) => vec![format!("{at}: {error}")],
            Ok(verdicts) => {
                let wrong = verdicts.into_iter().filter(|verdict| !verdict.exact);
                wrong.map(|verdict| format!("{at}: {}", verdict.line)).collect()
            }
        }
    });
    let failures = failures.concat();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// With `UPDATE_GOLDEN=1`, writes the files instead of comparing them.
#[test]
fn checked_in_files_are_current() {
    for (folder, out) in [("rust", "src/digits_conv.rs"), ("c", "digits_conv.c")] {
        let mut tflc = Command::new(env!("CARGO_BIN_EXE_tflc"));
        tflc.current_dir(file(folder)).arg("../../models/digits_conv.tflite");
        tflc.args(["--target", "cortex-m4", "-o", out]);
        if std::env::var_os("UPDATE_GOLDEN").is_none() {
            tflc.arg("--check");
        }
        succeed(&mut tflc);
    }
}

#[test]
fn examples_run() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
    std::fs::create_dir_all(&folder).expect("can be made");
    for (lang, files) in [
        (Lang::Rust, ["rust/src/main.rs"].as_slice()),
        (Lang::C, ["c/main.c", "c/digits_conv.c"].as_slice()),
    ] {
        let target = "cortex-m4";
        if let Some(missing) = firmware::missing(target, lang) {
            left_out(&format!("the example in {lang:?} for {target}, for want of {missing}"));
            continue;
        }
        let program = folder.join(format!("{lang:?}-{target}.elf"));
        let files = files.iter().map(|name| file(name));
        succeed(script("build.sh").arg(target).arg(&program).args(files));
        let words = succeed(script("run.sh").arg(target).arg(&program));
        assert!(words.ends_with("It is a 3.\n"), "{words}");
    }
}

/// What the README says, on a copy of the folder.
#[test]
fn examples_build_with_cargo_and_make() {
    if !extent::all() {
        return left_out("the examples built with cargo and make");
    }
    if let Some(missing) = firmware::missing("cortex-m4", Lang::C)
        .or_else(|| firmware::missing("cortex-m4", Lang::Rust))
    {
        return left_out(&format!("the example in C, for want of {missing}"));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copied");
    std::fs::create_dir_all(&folder).expect("can be made");
    for part in ["boards", "c", "rust"] {
        succeed(Command::new("cp").arg("-r").arg(file(part)).arg(&folder));
    }
    let words = succeed(Command::new("make").current_dir(folder.join("c")).arg("run"));
    assert!(words.ends_with("It is a 3.\n"), "{words}");
    let installed = succeed(script("sysroot.sh").arg("cortex-m4")).trim() == "rustc";
    let cargo = if installed { "cargo".into() } else { folder.join("rust/cargo.sh") };
    let mut cargo = Command::new(cargo);
    cargo
        .current_dir(folder.join("rust"))
        .args(["run", "--release"])
        .env("CARGO_TARGET_DIR", folder.join("target"));
    let words = succeed(&mut cargo);
    assert!(words.ends_with("It is a 3.\n"), "{words}");
}

/// What a command that succeeds prints: semihosting goes to stderr.
fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("can be run");
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    assert!(output.status.success(), "{command:?}\n{words}");
    words
}
