//! What generated code costs on emulated cores is what `tests/costs/costs.md` says: instructions,
//! cycles, flash, RAM and stack of each model, in Rust and in C, built as a firmware would be. So
//! a slowdown shows in a diff.
//!
//! With the compilers that the file names, figures must be the same; with others, they may be off by
//! 2 %. By default, this repository's models are measured on a Cortex-M4; with `TFLC_TESTS=all`, all
//! models there and this repository's on every core. `UPDATE_COSTS=1` measures all models there, a
//! minute's work, and writes the file instead; with both, all models on every core, for a quarter of
//! an hour. Rows that aren't measured stay as they are: those whose model or tools aren't there are
//! said to be left out.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[allow(dead_code)]
#[path = "support/firmware.rs"]
mod firmware;
#[allow(dead_code)]
#[path = "support/golden.rs"]
mod golden;
#[path = "support/parallel.rs"]
mod parallel;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use extent::left_out;
use firmware::Lang;
use golden::Model;
use tflc::target::Target;
use tflc::text::thousands;

/// The cores, in the order of the table.
const TARGETS: [&str; 7] =
    ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "rv32imc"];

/// Those for which `tests/cycles` models cycles; on the others, it counts instructions.
const MODELLED: [&str; 4] = ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m33"];

/// Cycles of TensorFlow Lite Micro with CMSIS-NN at -O3 on a Cortex-M4, counted in the same way.
const INTERPRETER: [(&str, f64); 5] = [
    ("kws_ref_model", 9.26e6),
    ("pretrainedResnet_quant", 36.3e6),
    ("vww_96_int8", 29.5e6),
    ("ad01_int8", 0.723e6),
    ("micro_speech_quantized", 2.03e6),
];

/// Arguments with which models are measured on the Cortex-M4 too: little RAM, or little flash.
const BUDGETS: [(&str, &str); 9] = [
    ("ad01_int8", "-O size"),
    ("digits_residual", "--ram 3000"),
    ("digits_separable", "-O size"),
    ("kws_ref_model", "-O size"),
    ("kws_ref_model", "--ram 7000"),
    ("pretrainedResnet_quant", "-O size"),
    ("pretrainedResnet_quant", "--ram 24000"),
    ("vww_96_int8", "-O size"),
    ("vww_96_int8", "--ram 31000"),
];

/// How far figures of other compilers may be off.
const TOLERANCE: f64 = 0.02;

/// What a row is about: model, target, language.
type Key = (String, usize, &'static str);

/// Instructions, cycles (0 where they aren't modelled), and bytes of flash, RAM and stack.
type Figures = [u64; 5];

#[test]
fn costs_are_as_listed() {
    let update = std::env::var_os("UPDATE_COSTS").is_some();
    let all = extent::all();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/costs/costs.md");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let listed = parse(&text);

    let mut models = golden::models("tests/models");
    if !all {
        left_out("costs on other cores than the Cortex-M4, and those of ../shared/models");
    } else if !update {
        left_out("costs of ../shared/models on other cores than the Cortex-M4");
    }
    if update || all {
        let mut shared = golden::models("../shared/models");
        // Not the random ones in the folders below.
        shared.retain(|model| model.name.matches('/').count() == 3);
        models.append(&mut shared);
    }
    let mut jobs = Vec::new();
    let mut wanting = BTreeMap::new();
    for (target, &name) in TARGETS.iter().enumerate() {
        for (lang, word) in [(Lang::Rust, "Rust"), (Lang::C, "C")] {
            if !all && name != "cortex-m4" {
                continue;
            }
            match firmware::missing(name, lang) {
                Some(missing) => drop(wanting.insert(format!("{name} in {word}"), missing)),
                None => jobs.push((target, word)),
            }
        }
    }
    for (what, missing) in &wanting {
        left_out(&format!("costs on {what}, for want of {missing}"));
    }

    // tests/relu_after_qat.rs measures these.
    let models: Vec<Model> =
        models.into_iter().filter(|model| !model.name.contains("/qat/")).collect();

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("costs");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).expect("can be made");
    let arguments = |model| {
        let budgets = BUDGETS.iter().filter(move |(name, _)| *name == stem(model));
        std::iter::once("").chain(budgets.map(|(_, arguments)| *arguments))
    };
    let mut measured: Vec<_> = (models.iter())
        .flat_map(|model| arguments(model).map(move |arguments| (model, arguments)))
        .flat_map(|(model, a)| jobs.iter().map(move |&(t, w)| (model, a, t, w)))
        .collect();
    measured.retain(|(model, arguments, target, _)| {
        let own = model.name.starts_with("tests/");
        TARGETS[*target] == "cortex-m4" || (arguments.is_empty() && (update || own))
    });
    let found = parallel::map(&measured, |&(model, arguments, target, word)| {
        measure(&folder, model, arguments, target, word)
    });
    let found: BTreeMap<Key, Figures> = found.into_iter().collect();
    fs::remove_dir_all(&folder).expect("can be deleted");

    let compilers = compilers(&jobs);
    if update {
        // What can't be measured here keeps its row.
        let mut rows = listed.clone();
        rows.extend(found);
        fs::create_dir_all(path.parent().expect("has one")).expect("can be made");
        fs::write(&path, page(&rows, &compilers)).expect("can be written");
        return;
    }
    let mut differences = Vec::new();
    for (key, figures) in &found {
        let word = key.2;
        let tolerance =
            match compilers.iter().filter(|(w, _)| *w == word).all(|(_, line)| text.contains(line))
            {
                true => 0.0,
                false => TOLERANCE,
            };
        let what = format!("{} on {} in {word}", key.0, TARGETS[key.1]);
        let Some(listed) = listed.get(key) else {
            differences.push(format!("{what} isn't listed"));
            continue;
        };
        let names = ["instructions", "cycles", "bytes of flash", "bytes of RAM", "bytes of stack"];
        for ((name, &found), &listed) in names.iter().zip(figures).zip(listed) {
            if found.abs_diff(listed) as f64 > tolerance * listed as f64 {
                let percent = 100.0 * (found as f64 / (listed as f64).max(1.0) - 1.0);
                differences
                    .push(format!("{what}: {found} {name} instead of {listed} ({percent:+.2} %)"));
            }
        }
    }
    // A model that is gone leaves a row behind.
    let names: BTreeSet<String> = (models.iter())
        .flat_map(|model| arguments(model).map(|arguments| title(model, arguments)))
        .collect();
    let own_only = models.iter().all(|model| model.name.starts_with("tests/"));
    let gone = listed.keys().filter(|key| !names.contains(&key.0) && !own_only);
    differences.extend(gone.map(|key| format!("{} is listed but isn't there", key.0)));
    assert!(
        differences.is_empty(),
        "{} is not what is measured now; look at the difference after\n    \
         UPDATE_COSTS=1 cargo test --test costs    (all cores: TFLC_TESTS=all before it)\n{}",
        path.display(),
        differences.join("\n")
    );
}

/// The counter gives the figures of the one that it follows, where that is there.
#[test]
fn counter_agrees_with_the_shared_one() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tools/cycles/measure");
    if !shared.exists() {
        return left_out("the comparison of the two counters, for want of the other one");
    }
    if let Some(missing) = firmware::missing("cortex-m4", Lang::C) {
        return left_out(&format!("the comparison of the two counters, for want of {missing}"));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counters");
    fs::create_dir_all(&folder).expect("can be made");
    let model = golden::models("tests/models")
        .into_iter()
        .find(|m| m.name.contains("residual"))
        .expect("is there");
    for target in ["cortex-m4", "cortex-m33", "cortex-m0plus", "rv32imc"] {
        if firmware::missing(target, Lang::C).is_some() {
            continue;
        }
        let keep = folder.join(target);
        let ours = run(firmware::script("measure.sh")
            .args([&model.path, Path::new(target), Path::new("c")])
            .env("KEEP", &keep)
            .env("TFLC", env!("CARGO_BIN_EXE_tflc")));
        let mut command = Command::new(&shared);
        command.arg(keep.join("app.elf"));
        match target {
            "cortex-m33" => {
                command.env("CORE", "m33").env("MACHINE", "mps2-an505").env("CPU", "cortex-m33")
            }
            "cortex-m0plus" => command.env("CORE", "m0p"),
            "rv32imc" => command
                .env("QEMU", "qemu-system-riscv32")
                .env("MACHINE", "virt")
                .env("CPU", "rv32")
                .env("QEMU_ARGS", "-bios none")
                .env("NM", "riscv64-unknown-elf-nm"),
            _ => &mut command,
        };
        let theirs = run(&mut command);
        assert_eq!(field(&ours, "insns"), field(&theirs, "insns"), "{target}");
        assert_eq!(field(&ours, "cycles"), field(&theirs, "cycles"), "{target}");
    }
    fs::remove_dir_all(&folder).expect("can be deleted");
}

fn measure(
    folder: &Path,
    model: &Model,
    arguments: &str,
    target: usize,
    word: &'static str,
) -> (Key, Figures) {
    let name = TARGETS[target];
    let case = model.cases().swap_remove(0);
    let title = self::title(model, arguments).replace(' ', "_");
    let file: PathBuf = folder.join(format!("{title}-{name}-{word}.case"));
    fs::write(&file, [case.inputs.concat(), case.outputs.concat()].concat())
        .expect("can be written");
    let line = run(firmware::script("measure.sh")
        .args([&model.path, Path::new(name), Path::new(&word.to_lowercase())])
        .args(arguments.split_whitespace())
        .env("TFLC", env!("CARGO_BIN_EXE_tflc"))
        .env("CASE", &file));
    let figures = ["insns", "cycles", "flash", "ram", "stack"].map(|what| field(&line, what));
    let modelled = MODELLED.contains(&name);
    let figures =
        [figures[0], if modelled { figures[1] } else { 0 }, figures[2], figures[3], figures[4]];
    ((self::title(model, arguments), target, word), figures)
}

/// What a row is called.
fn title(model: &Model, arguments: &str) -> String {
    format!("{} {arguments}", stem(model)).trim_end().to_string()
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// The number behind `name=`.
fn field(line: &str, name: &str) -> u64 {
    let start = format!("{name}=");
    let word = line.split_whitespace().find_map(|word| word.strip_prefix(&start));
    word.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {line}"))
}

fn stem(model: &Model) -> &str {
    model.path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name")
}

/// A line for each compiler that is used, with the language that it is for.
fn compilers(jobs: &[(usize, &'static str)]) -> BTreeSet<(&'static str, String)> {
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_string();
    let compiler = |&(target, word): &(usize, &'static str)| {
        let version = match word {
            "Rust" => {
                let rustc = run(firmware::script("sysroot.sh").arg(TARGETS[target]));
                let rustc = rustc.split_whitespace().next().expect("a command");
                first_line(run(Command::new(rustc).arg("--version")))
            }
            _ => {
                let compiler = Target::find(TARGETS[target]).expect("is there").c.compiler;
                first_line(run(Command::new(compiler).arg("--version")))
            }
        };
        (word, format!("- {word}: {version}\n"))
    };
    jobs.iter().map(compiler).collect()
}

/// The figures of a page that [`page`] made.
fn parse(text: &str) -> BTreeMap<Key, Figures> {
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [model, target, word, figures @ ..] = &cells[..] else { continue };
        let Some(target) = TARGETS.iter().position(|name| name == target) else { continue };
        let word = if *word == "C" { "C" } else { "Rust" };
        let number = |cell: &&str| cell.replace(',', "").parse().unwrap_or(0);
        let figures: Vec<u64> = figures.iter().map(number).collect();
        rows.insert((model.to_string(), target, word), figures.try_into().expect("five figures"));
    }
    rows
}

fn page(rows: &BTreeMap<Key, Figures>, compilers: &BTreeSet<(&'static str, String)>) -> String {
    let mut out = String::from(
        "# What generated code costs\n\n\
         Measured on emulated cores by `cargo test --test costs`, which compares it with this page; \
         `UPDATE_COSTS=1 cargo test --test costs` writes the rows for the Cortex-M4 anew, with \
         `TFLC_TESTS=all` before it all of them. Built as a firmware would be: \
         opt-level 3 with link time optimization in Rust, -O3 in C.\n\n\
         - cycles: with memory as fast as the core, by the tables in [tests/cycles](../cycles); none for cores \
         whose timing is not published.\n\
         - flash: code, constants and first values of variables, less those of a firmware whose model does nothing.\n\
         - RAM: the model's struct. Stack: the most that a run takes.\n\n\
         Compilers:\n\n",
    );
    for (_, line) in compilers {
        out.push_str(line);
    }
    out.push_str(
        "\n## Cortex-M4 cycles beside TensorFlow Lite Micro with CMSIS-NN\n\n\
         | model | TFLM + CMSIS-NN, -O3 | Rust | C |\n|---|---:|---:|---:|\n",
    );
    let m4 = TARGETS.iter().position(|name| *name == "cortex-m4").expect("is there");
    for (model, theirs) in INTERPRETER {
        let cell = |word: &'static str| match rows.get(&(model.into(), m4, word)) {
            Some(figures) => {
                format!("{} ({:.2}×)", thousands(figures[1]), figures[1] as f64 / theirs)
            }
            None => String::new(),
        };
        writeln!(
            out,
            "| {model} | {} | {} | {} |",
            thousands(theirs as u64),
            cell("Rust"),
            cell("C")
        )
        .expect("a string");
    }
    out.push_str(
        "\n## All\n\n| model | target | language | instructions | cycles | flash | RAM | stack |\n",
    );
    out.push_str("|---|---|---|---:|---:|---:|---:|---:|\n");
    for ((model, target, word), figures) in rows {
        let cells = figures.map(|figure| if figure == 0 { "–".into() } else { thousands(figure) });
        writeln!(out, "| {model} | {} | {word} | {} |", TARGETS[*target], cells.join(" | "))
            .expect("a string");
    }
    out
}
