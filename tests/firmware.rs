//! Generated code is exact on emulated cores, in Rust and in C, built as a firmware would be: see
//! `tests/firmware`. A part of the cores and models by default; all of them with
//! `TFLC_FIRMWARE=all`. What needs tools that aren't there is left out with a word on stderr.

#[path = "support/firmware.rs"]
mod firmware;
#[path = "support/golden.rs"]
mod golden;
#[path = "support/parallel.rs"]
mod parallel;

use std::collections::BTreeMap;

use firmware::{Board, Lang, Loaded};

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
    let all = std::env::var("TFLC_FIRMWARE").is_ok_and(|value| value == "all");
    // Without the rest: one core in Rust, whose library takes half a minute to build where it isn't
    // installed, and the most different ones in C.
    let quick = |board: &Board, lang| match lang {
        Lang::Rust => board.target == "cortex-m4",
        Lang::C => ["microbit", "mps2-an386", "virt"].contains(&board.name),
    };
    let folders: &[&str] =
        if all { &["tests/models", "../shared/models"] } else { &["tests/models"] };
    let models: Vec<_> = folders.iter().flat_map(|folder| golden::models(folder)).collect();
    let cases = if all { 6 } else { 3 };

    let mut left_out = BTreeMap::new();
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
                left_out.insert(format!("{} in {lang:?}", board.target), missing);
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
    for (what, missing) in left_out {
        eprintln!("left out: {what}, for want of {missing}");
    }

    // The longest first, so that no core is left idle in the end.
    programs.retain(|(_, _, group)| !group.is_empty());
    programs.sort_by_key(|(_, lang, group)| (*lang == Lang::C, usize::MAX - group.len()));
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
