//! Generated Rust: builds without a warning, computes the reference kernels' bytes, keeps no panic
//! in machine code, and is the same on every machine.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[allow(dead_code, reason = "some of it is for other tests")]
#[path = "support/golden.rs"]
mod golden;
#[path = "support/parallel.rs"]
mod parallel;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use extent::left_out;
use golden::Model;
use tflc::backend::Arena;
use tflc::harness::HostRust;
use tflc::target::Target;
use tflc::{compile, Compiled, Options};

/// Models whose generated files are checked in under `tests/golden`: those that a reader learns
/// most from.
const SHOWN: [&str; 4] = ["digits_conv", "digits_float_io", "digits_residual", "digits_separable"];

/// Targets whose code differs: with room for a function for each layer, and without.
const TARGETS: [&str; 2] = ["host", "cortex-m3"];

/// Models that are built into one program: hundreds in a few seconds.
const BATCH: usize = 150;

#[test]
fn own_models_are_exact() {
    let models = golden::models("tests/models");
    if extent::all() {
        return TARGETS.iter().for_each(|target| assert_exact(&models, target, 3));
    }
    left_out("tests/models/qat in optimized Rust");
    let (qat, models): (Vec<_>, Vec<_>) =
        models.into_iter().partition(|model| model.name.contains("/qat/"));
    TARGETS.iter().for_each(|target| assert_exact(&models, target, 3));
    TARGETS.iter().for_each(|target| assert_exact(&qat, target, 0));
}

#[test]
fn vectors_are_exact() {
    assert_exact(&golden::models("tests/vectors"), "host", 0);
}

#[test]
fn shared_models_are_exact() {
    // Small ones take longer to build with optimization than to run without.
    let models = golden::models("../shared/models");
    let (small, large): (Vec<_>, Vec<_>) =
        models.into_iter().partition(|model| model.name.contains("/random"));
    let targets = match extent::all() {
        true => &TARGETS[..],
        false => {
            left_out("../shared/models/random* in Rust for a second target");
            &TARGETS[..1]
        }
    };
    targets.iter().for_each(|target| assert_exact(&small, target, 0));
    TARGETS.iter().for_each(|target| assert_exact(&large, target, 1));
}

#[test]
fn machine_code_has_no_panic() {
    let folder = folder("machine_code");
    let mut models = golden::models("tests/models");
    match extent::all() {
        true => models.extend(golden::models("../shared/models")),
        false => left_out("../shared/models in the search for panics"),
    }
    // The random models have the same kernels, in more time.
    models.retain(|model| !model.name.contains("/random") && !model.name.contains("/qat/"));
    // The large ones, which have the same kernels too, as most firmwares are built.
    let builds: Vec<(&Model, &str, &str)> = (models.iter())
        .flat_map(|model| match model.name.starts_with("tests/") {
            true => vec![
                (model, "cortex-m3", "2"),
                (model, "cortex-m3", "3"),
                (model, "cortex-m3", "s"),
                (model, "cortex-m3", "z"),
                (model, "host", "3"),
            ],
            false => vec![(model, "cortex-m3", "3"), (model, "cortex-m3", "s")],
        })
        .collect();
    let found = parallel::map(&builds, |&(model, target, level)| {
        let (_, source) = generate(model, target)?;
        let name = model.path.file_stem().expect("has a name").to_string_lossy();
        let name = format!("{name}-{target}-{level}");
        let source = format!("#![no_std]\n#![forbid(unsafe_code)]\n{source}");
        let file = write(&folder, &format!("{name}.rs"), &source);
        let assembly = folder.join(format!("{name}.s"));
        let level = format!("-Copt-level={level}");
        let args = ["--crate-type=lib", "--crate-name=model", "--emit=asm", &level, "-o"];
        rustc(&file, &args, &assembly);
        let assembly = fs::read_to_string(assembly).expect("was just written");
        let panics = ["panic", "slice_index", "slice_start", "slice_end", "unwrap_failed"];
        let mut lines =
            assembly.lines().filter(|line| panics.iter().any(|name| line.contains(name)));
        lines.next().map(|line| format!("{name}: {line}"))
    });
    let found: Vec<String> = found.into_iter().flatten().collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn compiles_without_warnings() {
    let folder = folder("warnings");
    let (mut modules, mut sources) = (String::new(), Vec::new());
    let models = golden::models("tests/models");
    let pairs = TARGETS.iter().flat_map(|target| models.iter().map(move |model| (model, target)));
    for (index, (model, target)) in pairs.enumerate() {
        let Some((_, source)) = generate(model, target) else { continue };
        write(&folder, &format!("model{index}.rs"), &source);
        modules += &format!("mod model{index};\n");
        sources.push(source);
    }
    modules += "mod file { include!(\"model0.rs\"); }\n";
    let lints =
        "#![forbid(unsafe_code)]\n#![deny(warnings)]\n#![warn(missing_docs)]\n//! A test.\n";
    // Nothing is used, then everything.
    write(&folder, "unused.rs", &format!("{lints}{modules}fn main() {{}}\n"));
    let public =
        modules.replace("mod ", "pub mod ").replace("pub mod", "#[allow(missing_docs)] pub mod");
    write(&folder, "public.rs", &format!("#![no_std]\n{lints}{public}"));
    // Nothing of a newer Rust than the file says.
    let msrv = sources[0].split("// Rust: ").nth(1).and_then(|rest| rest.split(' ').next());
    write(&folder, "clippy.toml", &format!("msrv = \"{}\"\n", msrv.expect("the head names it")));
    let clippy = Command::new("clippy-driver").arg("--version").output();
    let clippy = clippy.is_ok_and(|output| output.status.success());
    if !clippy {
        left_out("clippy's lints, for want of it");
    }
    // Clippy has the compiler's own lints as well.
    let compiler = if clippy { "clippy-driver" } else { "rustc" };
    let crates = [("unused.rs", "--crate-type=bin"), ("public.rs", "--crate-type=lib")];
    let checks: Vec<_> = ["2021", "2024"]
        .iter()
        .flat_map(|edition| crates.map(|(file, kind)| (edition, file, kind)))
        .collect();
    parallel::map(&checks, |(edition, file, kind)| {
        let mut command = Command::new(compiler);
        command.current_dir(&folder).env("CLIPPY_CONF_DIR", &folder);
        let (edition, checked) = (format!("--edition={edition}"), format!("{file}.{edition}"));
        run(command.args([*file, &edition, kind, "--emit=metadata", "-o", &checked]));
    });
}

#[test]
fn the_struct_is_all_memory() {
    for model in golden::models("tests/models") {
        let Some((compiled, source)) = generate(&model, "cortex-m3") else { continue };
        let folder = folder("size");
        let size = compiled.program.ram().next_multiple_of(4);
        let check =
            format!("{source}\nconst _: () = assert!(core::mem::size_of::<Model>() == {size});\n");
        let file = write(&folder, "model.rs", &check);
        rustc(&file, &["--crate-type=lib", "--emit=metadata", "-o"], &folder.join("checked"));
    }
}

#[test]
fn output_is_deterministic() {
    for model in golden::models("tests/models") {
        let sources: Vec<_> =
            (0..2).filter_map(|_| generate(&model, "host")).map(|(_, source)| source).collect();
        assert!(sources.windows(2).all(|pair| pair[0] == pair[1]), "{}", model.name);
    }
}

/// With `UPDATE_GOLDEN=1`, writes the files instead of comparing them.
#[test]
fn golden_files_are_current() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for name in SHOWN {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/models")
            .join(format!("{name}.tflite"));
        let (_, source) =
            generate(&Model { name: name.into(), path }, "host").expect("is supported");
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.rs"));
        if update {
            fs::create_dir_all(golden.parent().expect("has one")).expect("can be made");
            fs::write(&golden, &source).expect("can be written");
        }
        let found = fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            found == source,
            "{} is not what tflc generates now; look at the difference after\n    \
             UPDATE_GOLDEN=1 cargo test --test generated_rust golden_files",
            golden.display()
        );
    }
}

/// The model compiled and as Rust; `None` where it has operators that are not supported yet.
fn generate(model: &Model, target: &str) -> Option<(Compiled, String)> {
    let file = model.name.rsplit('/').next().expect("at least one part");
    let file = file.trim_end_matches(".tflite");
    let options = Options {
        target: Target::find(target).expect("is there"),
        model: format!("{file}.tflite"),
        relax_requant: false,
        prefer: tflc::plan::Prefer::Speed,
        placement: tflc::backend::Placement::default(),
        arguments: format!("{file}.tflite --target {target} -o {file}.rs"),
    };
    match compile(&model.bytes(), &options) {
        Ok(compiled) => {
            let source = compiled.rust(&options);
            Some((compiled, source))
        }
        Err(_) if model.name.contains("random-more/") => None,
        Err(problems) => panic!("{}:\n{problems}", model.name),
    }
}

/// Builds models in batches, at an optimization level of rustc, and compares what they compute with their golden cases.
fn assert_exact(models: &[Model], target: &str, level: u8) {
    let mut failures = Vec::new();
    for models in models.chunks(BATCH) {
        let generated: Vec<_> =
            models.iter().map(|model| (model, generate(model, target))).collect();
        let generated: Vec<_> = generated.into_iter().filter_map(|(m, g)| Some((m, g?))).collect();
        let sources: Vec<_> =
            generated.iter().map(|(_, (c, source))| (&source[..], &c.program)).collect();
        let host =
            HostRust::build(&sources, Arena::Own, level).unwrap_or_else(|error| panic!("{error}"));
        for (index, (model, (compiled, _))) in generated.iter().enumerate() {
            let cases = model.cases();
            let inputs: Vec<_> = cases.iter().map(|case| case.values(&compiled.imported)).collect();
            match host.run(index, &inputs) {
                Ok(outputs) => {
                    let wrong = outputs.iter().zip(&cases).position(|(found, case)| {
                        !found.iter().map(|value| &value.bytes).eq(&case.outputs)
                    });
                    if let Some(case) = wrong {
                        failures.push(format!("{} differs in case {case}", model.name));
                    }
                }
                Err(error) => failures.push(format!("{}: {error}", model.name)),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn rustc(file: &Path, args: &[&str], output: &Path) {
    run(Command::new("rustc").arg("--edition=2021").arg(file).args(args).arg(output));
}

fn run(command: &mut Command) {
    let output = command.output().expect("can be run");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("can be made");
    folder
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("can be written");
    path
}
