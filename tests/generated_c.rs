//! Generated C: builds without a warning on every compiler that is here, computes the reference
//! kernels' bytes under sanitizers, needs no library and no global memory, and is the same on every
//! machine.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[allow(dead_code, reason = "what is known of layers is for other tests")]
#[path = "support/golden.rs"]
mod golden;
#[path = "support/model_builder.rs"]
mod model_builder;
#[path = "support/parallel.rs"]
mod parallel;
#[path = "support/random_model.rs"]
mod random_model;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use extent::left_out;
use golden::Model;
use random_model::Rng;
use tflc::backend::c::{CFiles, Names};
use tflc::backend::Arena;
use tflc::harness::{CCompiler, HostC};
use tflc::ir;
use tflc::ops::{DType, Value};
use tflc::target::Target;
use tflc::{compile, Compiled, Options};

/// Models whose generated files are checked in under `tests/golden`.
const SHOWN: [&str; 2] = ["digits_conv", "digits_float_io"];

/// Models that are built into one program.
const BATCH: usize = 40;

/// Random models that are built, and with everything.
const RANDOM_MODELS: (u64, u64) = (60, 240);

/// What users may have on.
const WARNINGS: [&str; 18] = [
    "-std=c99",
    "-Werror",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-pedantic",
    "-Wundef",
    "-Wcast-align",
    "-Wcast-qual",
    "-Wfloat-equal",
    "-Wdouble-promotion",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wredundant-decls",
    "-Wswitch-default",
    "-Wvla",
];

#[test]
fn own_models_are_exact() {
    assert_exact("tests/models");
}

#[test]
fn vectors_are_exact() {
    assert_exact("tests/vectors");
}

#[test]
fn shared_models_are_exact() {
    assert_exact("../shared/models");
}

#[test]
fn random_models_are_exact() {
    let seeds = extent::seeds("random models in C", RANDOM_MODELS.0, RANDOM_MODELS.1);
    let items = seeds.iter().map(|&seed| {
        let options = options("random", "host");
        let compiled = compile(&random_model::model(seed), &options).expect("a right model");
        let mut rng = Rng::new(seed);
        let cases = (0..4).map(|case| {
            let inputs: Vec<Value> = compiled
                .imported
                .inputs
                .iter()
                .map(|&id| random_input(&compiled, id, case, &mut rng))
                .collect();
            let outputs = ir::eval(&compiled.imported, &inputs).expect("inputs fit");
            (inputs, outputs.into_iter().map(|value| value.bytes).collect())
        });
        Item { name: format!("random model {seed}"), cases: cases.collect(), compiled }
    });
    assert_items_exact(&items.collect::<Vec<_>>());
}

/// The extremes, then anything.
fn random_input(compiled: &Compiled, id: ir::TensorId, case: usize, rng: &mut Rng) -> Value {
    let ty = &compiled.imported.tensors[id].ty;
    let count = ty.elements();
    if ty.dtype == DType::F32 {
        let special = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MIN,
            f32::MAX,
            -0.0,
            1e-40,
            0.5,
            1.5,
            -2.5,
        ];
        let real =
            |_| if rng.chance(10) { rng.pick(&special) } else { rng.real(-20.0, 20.0) as f32 };
        return Value::from_floats(&ty.shape, (0..count).map(real).collect::<Vec<_>>());
    }
    let (low, high) = match ty.dtype {
        DType::I64 => (i32::MIN, i32::MAX),
        dtype => dtype.range(),
    };
    let code = |_| match case {
        0 => low,
        1 => high,
        _ => rng.range(low.into(), high.into()) as i32,
    };
    Value::from_ints(ty.clone(), (0..count).map(code).collect::<Vec<_>>())
}

/// The primitives of `tflc_rt.h` give what those of `tflc-rt` give.
#[test]
fn primitives_are_those_of_rust() {
    type Primitive = (&'static str, fn(i32, i32, i32) -> i32, fn(&mut Rng) -> [i32; 3]);
    fn any(rng: &mut Rng) -> i32 {
        let edges =
            [0, 1, -1, 2, -2, i32::MAX, i32::MIN, i32::MAX - 1, i32::MIN + 1, 1 << 30, -(1 << 30)];
        match rng.range(0, 3) {
            0 => rng.pick(&edges),
            1 => rng.next() as i32,
            _ => rng.next() as i32 >> rng.range(0, 31),
        }
    }
    fn real(rng: &mut Rng) -> i32 {
        let edges =
            [0.0, -0.0, 0.5, -0.5, 1.5, 2147483600.0, 2147483648.0, -2147483648.0, 1e30, f32::NAN];
        match rng.range(0, 3) {
            0 => rng.pick(&edges).to_bits() as i32,
            1 => (rng.real(-300.0, 300.0) as f32).to_bits() as i32,
            _ => rng.next() as i32,
        }
    }
    fn shift(rng: &mut Rng, low: i64, high: i64) -> i32 {
        rng.range(low, high) as i32
    }
    let primitives: &[Primitive] = &[
        (
            "doubling_high_mul(a, b)",
            |a, b, _| tflc_rt::doubling_high_mul(a, b),
            |r| [any(r), any(r), 0],
        ),
        (
            "rounding_shift_right(a, b)",
            |a, b, _| tflc_rt::rounding_shift_right(a, b as u32),
            |r| [any(r), shift(r, 0, 63), 0],
        ),
        ("requantize(a, b, c)", tflc_rt::requantize, |r| [any(r), any(r), shift(r, -31, 30)]),
        (
            "requantize_down(a, b, c)",
            |a, b, c| tflc_rt::requantize_down(a, b, c as u32),
            |r| [any(r), any(r).max(-i32::MAX), shift(r, 1, 31)],
        ),
        (
            "requantize_down_by_halves(a, b, c)",
            |a, b, c| tflc_rt::requantize_down_by_halves(a, b, c as u32),
            |r| [any(r), any(r).max(-i32::MAX), shift(r, 1, 31)],
        ),
        ("divide_rounded(a, b)", |a, b, _| tflc_rt::divide_rounded(a, b), |r| [any(r), any(r), 0]),
        ("leading_zeros(a)", |a, _, _| tflc_rt::leading_zeros(a) as i32, |r| [any(r), 0, 0]),
        ("reciprocal(a)", |a, _, _| tflc_rt::reciprocal(a), |r| [any(r), 0, 0]),
        (
            "reciprocal_of_one_plus(a)",
            |a, _, _| tflc_rt::reciprocal_of_one_plus(a),
            |r| [any(r) & i32::MAX, 0, 0],
        ),
        (
            "saturating_shift_left(a, b)",
            |a, b, _| tflc_rt::saturating_shift_left(a, b as u32),
            |r| [any(r), shift(r, 0, 31), 0],
        ),
        (
            "quantize(real(a), real(b), c)",
            |a, b, c| tflc_rt::quantize(f32::from_bits(a as u32), f32::from_bits(b as u32), c),
            |r| [real(r), real(r), any(r)],
        ),
        (
            "dequantize(a, real(b), c)",
            |a, b, c| tflc_rt::dequantize(a, f32::from_bits(b as u32), c).to_bits() as i32,
            |r| [any(r), real(r) & i32::MAX, any(r)],
        ),
        ("wrapping_add(a, b)", |a, b, _| a.wrapping_add(b), |r| [any(r), any(r), 0]),
        ("shift_left(a, b)", |a, b, _| a.wrapping_shl(b as u32), |r| [any(r), shift(r, 0, 31), 0]),
        ("clamp(a, -128, 127)", |a, _, _| a.clamp(-128, 127), |r| [any(r), 0, 0]),
        ("min(a, b)", |a, b, _| a.min(b), |r| [any(r), any(r), 0]),
        ("max(a, b)", |a, b, _| a.max(b), |r| [any(r), any(r), 0]),
    ];

    let mut arms = String::new();
    for (i, (call, ..)) in primitives.iter().enumerate() {
        let call = match call.starts_with("dequantize") {
            true => format!("bits(tflc_{call})"),
            false => format!("tflc_{call}"),
        };
        arms += &format!("        case {i}: a = {call}; break;\n");
    }
    let program = format!(
        "#include \"tflc_rt.h\"
#include <stdio.h>
#include <string.h>
static float real(int32_t bits) {{ float x; memcpy(&x, &bits, sizeof x); return x; }}
static int32_t bits(float x) {{ int32_t y; memcpy(&y, &x, sizeof y); return y; }}
int main(void)
{{
    int32_t in[4];
    while (fread(in, sizeof in, 1, stdin) == 1) {{
        int32_t a = in[1];
        const int32_t b = in[2], c = in[3];
        switch (in[0]) {{
{arms}        default: return 1;
        }}
        fwrite(&a, sizeof a, 1, stdout);
    }}
    return 0;
}}\n"
    );
    let folder = folder("primitives");
    write(&folder, "tflc_rt.h", tflc_rt::HEADER);
    write(&folder, "main.c", &program);
    let mut rng = Rng::new(1);
    let mut input = Vec::new();
    let mut expected = Vec::new();
    for (i, (_, compute, draw)) in primitives.iter().enumerate() {
        for _ in 0..20_000 {
            let args = draw(&mut rng);
            input
                .extend([i as i32, args[0], args[1], args[2]].iter().flat_map(|x| x.to_le_bytes()));
            expected.push((i, args, compute(args[0], args[1], args[2])));
        }
    }
    write(&folder, "input", &input);
    for compiler in compilers() {
        let compiler =
            CCompiler { command: compiler.into(), flags: WARNINGS.map(String::from).into() }
                .sanitized();
        for level in ["-O0", "-O3"] {
            run(Command::new(&compiler.command)
                .current_dir(&folder)
                .args(&compiler.flags)
                .args([level, "main.c", "-o", "main"]));
            let stdin = fs::File::open(folder.join("input")).expect("was just written");
            let output = run(Command::new(folder.join("main")).stdin(stdin));
            let found = output
                .stdout
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes(b.try_into().expect("four bytes")));
            assert_eq!(output.stdout.len(), 4 * expected.len());
            for ((i, args, expected), found) in expected.iter().zip(found) {
                let name = primitives[*i].0;
                let nan = |bits: i32| {
                    name.starts_with("dequantize") && f32::from_bits(bits as u32).is_nan()
                };
                assert!(
                    *expected == found || nan(*expected) && nan(found),
                    "{name} of {args:?}: {found}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn compiles_without_warnings_on_every_target() {
    let folder = folder("cross");
    // A compiler without a library has no string.h.
    fs::create_dir_all(folder.join("library")).expect("can be made");
    write(
        &folder,
        "library/string.h",
        "#include <stddef.h>\nvoid *memcpy(void *, const void *, size_t);\nvoid *memset(void *, int, size_t);\n",
    );
    let mut own = Vec::new();
    let mut all = Vec::new();
    let mut kinds = BTreeSet::new();
    let mut skipped = 0;
    for model in golden::models("tests/models").into_iter().chain(golden::models("tests/vectors")) {
        let (compiled, stem) = generate(&model).expect("is supported");
        // By default, one of each kind: of an operator and its operands' types.
        let types = |ids: &[ir::TensorId]| -> Vec<_> {
            ids.iter().map(|&id| compiled.graph.tensors[id].ty.dtype.to_string()).collect()
        };
        let nodes = compiled.graph.nodes.iter();
        let new =
            nodes.filter(|n| kinds.insert((n.op.kind(), types(&n.inputs), types(&n.outputs))));
        if new.count() == 0 && !extent::all() {
            skipped += 1;
            continue;
        }
        let files = print(&compiled, &stem, "host");
        write(&folder, &format!("{stem}.h"), &files.header);
        write(&folder, &format!("{stem}.c"), &files.source);
        if model.name.starts_with("tests/models") {
            own.push(format!("{stem}.c"));
        }
        all.push(format!("{stem}.c"));
    }
    if skipped > 0 {
        left_out(&format!(
            "{skipped} models on other C compilers, whose kinds of operators others have"
        ));
        left_out("three quarters of the optimized builds by C compilers for each core");
    }
    let mut builds = BTreeSet::new();
    let mut compilers: BTreeSet<String> = ["gcc", "clang"].map(String::from).into();
    for target in Target::all() {
        compilers.insert(target.c.compiler.clone());
        builds.insert((target.c.compiler, target.c.flags));
    }
    compilers.retain(|compiler| match is_there(compiler) {
        true => true,
        false => {
            left_out(&format!("what {compiler} would compile, which is not there"));
            false
        }
    });
    let command = |compiler: &str| {
        let mut command = Command::new(compiler);
        command.current_dir(&folder).args(WARNINGS);
        if compiler.contains("riscv") {
            command.args([
                "-march=rv32imc",
                "-mabi=ilp32",
                "-ffreestanding",
                "-isystem",
                "library",
            ]);
        }
        command
    };
    // Types differ by compiler, what optimizers warn about by core.
    let compilers: Vec<String> = compilers.into_iter().collect();
    // The host's has built all of them for the tests of exactness, with the same warnings.
    let others: Vec<&String> =
        compilers.iter().filter(|name| !["cc", "gcc"].contains(&&***name)).collect();
    parallel::map(&others, |compiler| run(command(compiler).arg("-fsyntax-only").args(&all)));
    let builds: Vec<_> =
        builds.into_iter().filter(|(compiler, _)| compilers.contains(compiler)).collect();
    let pairs = builds
        .iter()
        .enumerate()
        .flat_map(|(b, build)| own.iter().enumerate().map(move |(f, file)| (b + f, (build, file))));
    // By default, a part of the models for each core, and of the cores for each model.
    let few = pairs.filter(|(turn, _)| extent::all() || turn % 4 == 0);
    let builds: Vec<_> = few.map(|(_, build)| build).collect();
    parallel::map(&builds, |((compiler, flags), file)| {
        run(command(compiler).args(flags).args(["-O3", "-c", file, "-o", "/dev/null"]));
    });
}

#[test]
fn headers_are_for_cpp_too() {
    let folder = folder("cpp");
    let mut includes = String::new();
    for model in golden::models("tests/models") {
        let (compiled, stem) = generate(&model).expect("is supported");
        write(&folder, &format!("{stem}.h"), &print(&compiled, &stem, "host").header);
        // Twice: the second time changes nothing.
        includes += &format!(
            "#include \"{stem}.h\"\n#include \"{stem}.h\"\nstatic {stem}_t model_{stem};\n"
        );
        includes += &format!("void *run_{stem}() {{ {stem}_run(&model_{stem}); return {stem}_input(&model_{stem}); }}\n");
        let upper = stem.to_uppercase();
        includes += &format!("int shape_{stem}[] = {upper}_INPUT_SHAPE;\n");
    }
    write(&folder, "all.cpp", &includes);
    let mut any = false;
    for compiler in ["g++", "clang++"].into_iter().filter(|compiler| is_there(compiler)) {
        any = true;
        run(Command::new(compiler).current_dir(&folder).args([
            "-std=c++11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsyntax-only",
            "all.cpp",
        ]));
    }
    if !any {
        left_out("headers as C++, for want of a compiler");
    }
}

/// All that a file needs from elsewhere is `memcpy` and `memset`; all that it adds to a program is
/// code, constants and its public functions.
#[test]
fn objects_need_nothing_and_hold_no_memory() {
    if !is_there("nm") {
        return left_out("a look into objects, for want of nm");
    }
    let folder = folder("objects");
    for model in golden::models("tests/models") {
        let (compiled, stem) = generate(&model).expect("is supported");
        let files = print(&compiled, &stem, "host");
        let size: usize = compiled
            .program
            .memories
            .iter()
            .map(|m| (m.len * m.dtype.size()).next_multiple_of(4))
            .sum();
        // The struct is all the memory, and no more than that.
        let check = format!("\ntypedef char check[sizeof({stem}_t) == {size} ? 1 : -1];\n");
        write(&folder, &format!("{stem}.h"), &files.header);
        write(&folder, &format!("{stem}.c"), &(files.source + &check));
        let flags = [
            "-std=c99",
            "-O2",
            "-fno-stack-protector",
            "-fno-pie",
            "-U_FORTIFY_SOURCE",
            "-c",
            "-o",
            "object.o",
        ];
        run(Command::new("cc").current_dir(&folder).args(flags).arg(format!("{stem}.c")));
        let symbols =
            run(Command::new("nm").current_dir(&folder).args(["-f", "posix", "object.o"]));
        for symbol in String::from_utf8_lossy(&symbols.stdout).lines() {
            let mut words = symbol.split(' ');
            let (name, kind) = (words.next().expect("a name"), words.next().expect("a kind"));
            let fine = match kind {
                "U" => ["memcpy", "memset"].contains(&name),
                "T" => name.starts_with(&stem),
                kind => ["t", "r", "n", "a"].contains(&kind),
            };
            assert!(fine, "{stem}: {symbol}");
        }
    }
}

#[test]
fn output_is_deterministic_and_ascii() {
    for model in golden::models("tests/models") {
        let files: Vec<CFiles> = (0..2)
            .map(|_| {
                let (compiled, stem) = generate(&model).expect("is supported");
                print(&compiled, &stem, "cortex-m4")
            })
            .collect();
        assert!(files[0] == files[1], "{}", model.name);
        assert!(files[0].source.is_ascii() && files[0].header.is_ascii(), "{}", model.name);
        let code = files[0]
            .source
            .lines()
            .filter(|line| !line.starts_with(" *") && !line.starts_with("/*"));
        for line in code {
            assert!(line.len() <= 100 && line.trim_end() == line, "{}: {line}", model.name);
        }
    }
}

/// With `UPDATE_GOLDEN=1`, writes the files instead of comparing them.
#[test]
fn golden_files_are_current() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for name in SHOWN {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("tests/models").join(format!("{name}.tflite"));
        let (compiled, stem) = generate(&Model { name: name.into(), path }).expect("is supported");
        let files = print(&compiled, &stem, "host");
        for (extension, text) in [("c", files.source), ("h", files.header)] {
            let golden = root.join("tests/golden").join(format!("{name}.{extension}"));
            if update {
                fs::create_dir_all(golden.parent().expect("has one")).expect("can be made");
                fs::write(&golden, &text).expect("can be written");
            }
            assert!(
                fs::read_to_string(&golden).unwrap_or_default() == text,
                "{} is not what tflc generates now; look at the difference after\n    \
                 UPDATE_GOLDEN=1 cargo test --test generated_c golden_files",
                golden.display()
            );
        }
    }
}

/// A model, with inputs and what the reference kernels make of them.
struct Item {
    name: String,
    compiled: Compiled,
    cases: Vec<(Vec<Value>, Vec<Vec<u8>>)>,
}

fn assert_exact(folder: &str) {
    let items = golden::models(folder).into_iter().filter_map(|model| {
        let (compiled, _) = generate(&model)?;
        let cases =
            model.cases().into_iter().map(|case| (case.values(&compiled.imported), case.outputs));
        Some(Item { cases: cases.collect(), name: model.name, compiled })
    });
    assert_items_exact(&items.collect::<Vec<_>>());
}

/// Builds models in batches, with sanitizers and without a warning, and compares what they compute.
/// Without optimization: sanitized code builds ten times faster, and nothing wrong is optimized away
/// before they see it. `tests/firmware.rs` runs optimized code.
fn assert_items_exact(items: &[Item]) {
    let batches: Vec<&[Item]> = items.chunks(BATCH).collect();
    let compiler = CCompiler::new(&[&WARNINGS[..], &["-O0"]].concat()).sanitized();
    if !compiler.flags.iter().any(|flag| flag.contains("sanitize")) {
        left_out("sanitizers, which the compiler doesn't have");
    }
    let failures = parallel::map(&batches, |batch| {
        let programs: Vec<_> = batch.iter().map(|item| &item.compiled.program).collect();
        let host = HostC::build(&programs, Arena::Own, &compiler)
            .unwrap_or_else(|error| panic!("{error}"));
        let mut failures = Vec::new();
        for (index, item) in batch.iter().enumerate() {
            let inputs: Vec<_> = item.cases.iter().map(|(inputs, _)| inputs.clone()).collect();
            match host.run(index, &inputs) {
                Ok(outputs) => {
                    let wrong =
                        outputs.iter().zip(&item.cases).position(|(found, (_, expected))| {
                            !found.iter().map(|value| &value.bytes).eq(expected)
                        });
                    failures
                        .extend(wrong.map(|case| format!("{} differs in case {case}", item.name)));
                }
                Err(error) => failures.push(format!("{}: {error}", item.name)),
            }
        }
        failures
    });
    let failures: Vec<String> = failures.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The model compiled, and its file's stem; `None` where it has operators that are not supported
/// yet.
fn generate(model: &Model) -> Option<(Compiled, String)> {
    let file = model.name.rsplit('/').next().expect("at least one part");
    let stem = file.trim_end_matches(".tflite");
    match compile(&model.bytes(), &options(stem, "host")) {
        Ok(compiled) => Some((compiled, stem.to_string())),
        Err(_) if model.name.contains("random-more/") => None,
        Err(problems) => panic!("{}:\n{problems}", model.name),
    }
}

fn print(compiled: &Compiled, stem: &str, target: &str) -> CFiles {
    compiled.c(&options(stem, target), &Names::new(stem))
}

fn options(stem: &str, target: &str) -> Options {
    Options {
        target: Target::find(target).expect("is there"),
        model: format!("{stem}.tflite"),
        relax_requant: false,
        prefer: tflc::plan::Prefer::Speed,
        placement: tflc::backend::Placement::default(),
        arguments: format!("{stem}.tflite --target {target} -o {stem}.c"),
    }
}

/// The C compilers for this machine.
fn compilers() -> Vec<&'static str> {
    let (here, missing): (Vec<_>, Vec<_>) =
        ["gcc", "clang"].into_iter().partition(|compiler| is_there(compiler));
    for compiler in missing {
        left_out(&format!("what {compiler} would compile, which is not there"));
    }
    here
}

fn is_there(command: &str) -> bool {
    Command::new(command).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("can be run");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated_c").join(name);
    fs::create_dir_all(&folder).expect("can be made");
    folder
}

fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) {
    fs::write(folder.join(name), contents).expect("can be written");
}
