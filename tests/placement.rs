//! Where generated code's data lies: constants and memory in the sections that were asked for, as
//! an ELF file has them, and two models that compute in one memory, on this machine and on an
//! emulated core.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[allow(dead_code)]
#[path = "support/firmware.rs"]
mod firmware;
#[allow(dead_code)]
#[path = "support/golden.rs"]
mod golden;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use firmware::{file, script, Lang};
use golden::Case;
use tflc::backend::c::Names;
use tflc::backend::{Arena, Placement, Section};
use tflc::ops::DType;
use tflc::target::Target;
use tflc::{compile, Compiled, Options};

/// Two models whose memories differ in size and in the types that they hold.
const MODELS: [&str; 2] = ["digits_conv", "digits_float_io"];

const WARNINGS: [&str; 9] = [
    "-std=c99",
    "-Werror",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-Wcast-align",
    "-Wmissing-prototypes",
    "-pedantic",
];

/// A model in both languages.
struct Generated {
    name: &'static str,
    compiled: Compiled,
    rust: String,
    c: String,
    header: String,
    cases: Vec<Case>,
}

fn generate(name: &'static str, target: &str, placement: &Placement) -> Generated {
    let models = golden::models("tests/models");
    let file = format!("/{name}.tflite");
    let model = models.iter().find(|model| model.name.ends_with(&file)).expect("is there");
    let options = Options {
        target: Target::find(target).expect("is there"),
        model: format!("{name}.tflite"),
        relax_requant: false,
        prefer: tflc::plan::Prefer::Speed,
        placement: placement.clone(),
        arguments: String::new(),
    };
    let compiled = compile(&model.bytes(), &options).expect("is supported");
    let rust = compiled.rust(&options);
    let c = compiled.c(&options, &Names::new(name));
    let mut cases = model.cases();
    cases.truncate(4);
    Generated { name, compiled, rust, c: c.source, header: c.header, cases }
}

fn placement(weights: Option<&str>, memory: Option<&str>, arena: Arena) -> Placement {
    let section = |name: Option<&str>| name.map(|name| Section::parse(name).expect("is one"));
    Placement { weights_section: section(weights), arena_section: section(memory), arena }
}

/// A section of an ELF file as `readelf` tells it.
#[derive(Debug, PartialEq)]
struct Contents {
    /// `PROGBITS`, or `NOBITS` where the file holds no bytes for it.
    kind: String,
    size: usize,
    writable: bool,
}

/// What the sections of that name hold; a compiler may make several of one name.
fn sections(object: &Path, name: &str) -> Vec<Contents> {
    let text = run(Command::new("readelf").arg("-SW").arg(object)).stdout;
    let text = String::from_utf8(text).expect("ASCII");
    let rows = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_once("] ")?.1.split_whitespace().collect();
        // Name, type, address, offset, size, entry size, and flags, which may be none.
        (words[0] == name && words.len() == 10).then(|| Contents {
            kind: words[1].into(),
            size: usize::from_str_radix(words[4], 16).expect("hexadecimal"),
            writable: words[6].contains('W'),
        })
    });
    rows.collect()
}

fn size(sections: &[Contents]) -> usize {
    sections.iter().map(|section| section.size).sum()
}

/// The sections hold the program's constants and nothing that can be written.
#[track_caller]
fn assert_constants(object: &Path, name: &str, compiled: &Compiled) {
    let found = sections(object, name);
    let bytes = compiled.program.constant_bytes();
    assert!((bytes..bytes + bytes / 4).contains(&size(&found)), "{bytes} bytes, not {found:?}");
    assert!(found.iter().all(|part| part.kind == "PROGBITS" && !part.writable), "{found:?}");
}

/// Names that mean memory without first values to compilers, and a name that doesn't.
const ARENA_SECTIONS: [(&str, &str); 2] = [(".bss.ccm", "NOBITS"), (".ccmram", "PROGBITS")];

#[test]
fn c_lies_in_its_sections() {
    let compilers = ["gcc", "clang", "arm-none-eabi-gcc"];
    for compiler in compilers.into_iter().filter(|compiler| is_there(compiler)) {
        for (section, kind) in ARENA_SECTIONS {
            for arena in [Arena::Own, Arena::Shared] {
                let folder = folder(&format!("c-{compiler}{section}-{arena:?}"));
                let placement = placement(Some(".ext_flash"), Some(section), arena);
                let model = generate("digits_conv", "host", &placement);
                write(&folder, "digits_conv.h", &model.header);
                write(&folder, "digits_conv.c", &model.c);
                let main = "#include \"digits_conv.h\"\n\
                    DIGITS_CONV_ARENA_SECTION static digits_conv_t model;\n\
                    int main(void)\n{\n    digits_conv_run(&model);\n    return 0;\n}\n";
                write(&folder, "main.c", main);
                for name in ["digits_conv", "main"] {
                    let mut command = Command::new(compiler);
                    command.current_dir(&folder).args(WARNINGS);
                    run(command.args(["-O2", "-c", &format!("{name}.c")]));
                }
                assert_constants(&folder.join("digits_conv.o"), ".ext_flash", &model.compiled);
                let found = sections(&folder.join("main.o"), section);
                let ram = model.compiled.program.ram();
                let expected = Contents { kind: kind.into(), size: ram, writable: true };
                assert_eq!(found, [expected], "{compiler}");
            }
        }
    }
}

#[test]
fn rust_lies_in_its_sections() {
    for (section, kind) in ARENA_SECTIONS {
        for (arena, edition) in
            [(Arena::Own, "2021"), (Arena::Own, "2024"), (Arena::Shared, "2021")]
        {
            let folder = folder(&format!("rust{section}-{arena:?}-{edition}"));
            let placement = placement(Some(".ext_flash"), Some(section), arena);
            let model = generate("digits_conv", "host", &placement);
            write(&folder, "model.rs", &model.rust);
            let memory = match arena {
                Arena::Own => "model::Model = model::Model::new()",
                Arena::Shared => "[u32; model::ARENA_LEN] = [0; model::ARENA_LEN]",
            };
            let model_in = match arena {
                Arena::Own => "let model = memory",
                Arena::Shared => "let mut model = model::Model::new(memory)",
            };
            let main = format!(
                "#![no_std]\n#![deny(warnings)]\nmod model;\n\
                 model::arena_section! {{\n    static mut MEMORY: {memory};\n}}\n\
                 /// # Safety\n/// Nothing else runs it.\n\
                 pub unsafe fn run(code: i8) -> i8 {{\n    \
                     let memory = unsafe {{ &mut *core::ptr::addr_of_mut!(MEMORY) }};\n    \
                     {model_in};\n    model.input_mut()[0] = code;\n    model.run();\n    \
                     model.output()[0]\n}}\n"
            );
            write(&folder, "main.rs", &main);
            let edition = format!("--edition={edition}");
            let build = |level: &str, object: &str| {
                let mut rustc = Command::new("rustc");
                rustc.current_dir(&folder).args([&edition, "--crate-type=lib", "--emit=obj"]);
                let level = format!("-Copt-level={level}");
                let object = folder.join(object);
                run(rustc.args([&level, "-Ccodegen-units=1", "main.rs", "-o"]).arg(&object));
                object
            };
            // An optimizer may make code of small constants.
            assert_constants(&build("0", "plain.o"), ".ext_flash", &model.compiled);
            let object = build("3", "main.o");
            let ram = model.compiled.program.ram();
            let expected = Contents { kind: kind.into(), size: ram, writable: true };
            assert_eq!(sections(&object, section), [expected]);
            let symbols = run(Command::new("nm").arg(&object)).stdout;
            let symbols = String::from_utf8(symbols).expect("ASCII");
            assert!(
                !["panic", "slice_", "unwrap_"].iter().any(|p| symbols.contains(p)),
                "{symbols}"
            );
        }
    }
}

#[test]
fn models_share_an_arena_in_rust() {
    let folder = folder("shared-rust");
    let models = MODELS.map(|name| generate(name, "host", &shared()));
    let body = rust(&folder, &models);
    let main = "fn main() {\n    assert!(check(&mut [0x55aa_aa55; LEN]));\n}\n";
    write(&folder, "main.rs", format!("#![deny(warnings)]\n{body}{main}"));
    let rustc = |main: &str| {
        let mut rustc = Command::new("rustc");
        rustc.current_dir(&folder).args(["--edition=2021", "-O", "-Coverflow-checks=on", main]);
        rustc.args(["-o", "main"]).output().expect("can be run")
    };
    let output = rustc("main.rs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    run(&mut Command::new(folder.join("main")));

    // What is wrong with an arena, the compiler says.
    let wrong = [
        (
            "digits_conv::Model::new(&mut [0; digits_conv::ARENA_LEN - 1]).run()",
            "the arena is shorter",
        ),
        ("digits_conv::Model::new(&mut [0u8; 4 * LEN]).run()", "mismatched types"),
        (
            "let mut arena = [0; LEN]; let mut a = digits_conv::Model::new(&mut arena); \
             let mut b = digits_float_io::Model::new(&mut arena); a.run(); b.run()",
            "more than once",
        ),
    ];
    for (statement, says) in wrong {
        write(&folder, "wrong.rs", format!("{body}fn main() {{ {statement}; }}\n"));
        let output = rustc("wrong.rs");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && words.contains(says), "{statement}\n{words}");
    }
}

#[test]
fn models_share_an_arena_in_c() {
    let folder = folder("shared-c");
    let models = MODELS.map(|name| generate(name, "host", &shared()));
    c(&folder, &models, "");
    for compiler in ["gcc", "clang"].into_iter().filter(|compiler| is_there(compiler)) {
        for level in ["-O0", "-O3"] {
            let mut command = Command::new(compiler);
            command.current_dir(&folder).args(WARNINGS).args([level, "main.c"]);
            command.args(MODELS.map(|name| format!("{name}.c"))).args(["-o", "main"]);
            // Clang's sanitizers need packages of their own.
            if compiler == "gcc" {
                command.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
            }
            run(&mut command);
            run(&mut Command::new(folder.join("main")));
        }
    }
}

#[test]
fn models_share_an_arena_on_a_core() {
    let target = "cortex-m4";
    let placement = placement(Some(".ext_flash"), Some(".bss.ccm"), Arena::Shared);
    let models = MODELS.map(|name| generate(name, target, &placement));
    for lang in [Lang::C, Lang::Rust] {
        if let Some(missing) = firmware::missing(target, lang) {
            eprintln!("left out: a shared arena in {lang:?} on {target}, for want of {missing}");
            continue;
        }
        let folder = folder(&format!("core-{lang:?}"));
        let program = folder.join("main.elf");
        let mut build = script("build.sh");
        build.arg(target).arg(&program);
        match lang {
            Lang::C => {
                c(&folder, &models, "DIGITS_CONV_ARENA_SECTION ");
                build.arg(folder.join("main.c"));
                build.args(MODELS.map(|name| folder.join(format!("{name}.c"))));
            }
            Lang::Rust => {
                let main = format!(
                    "#![no_std]\n#![no_main]\n{}\
                     #[path = {:?}]\nmod semihosting;\n#[path = {:?}]\nmod startup;\n\
                     digits_conv::arena_section! {{\n    static mut ARENA: [u32; LEN] = [0; LEN];\n}}\n\
                     #[no_mangle]\nextern \"C\" fn main() -> ! {{\n    \
                         let exact = check(unsafe {{ &mut *core::ptr::addr_of_mut!(ARENA) }});\n    \
                         semihosting::print(\"checked\\n\");\n    \
                         semihosting::exit(!exact as u32)\n}}\n",
                    rust(&folder, &models),
                    file("rust/src/semihosting.rs"),
                    file("rust/src/startup.rs"),
                );
                write(&folder, "main.rs", main);
                build.arg(folder.join("main.rs"));
            }
        }
        run(&mut build);
        run(script("run.sh").arg(target).arg(&program));
        let constants = models.iter().map(|model| model.compiled.program.constant_bytes());
        let found = sections(&program, ".ext_flash");
        assert!(size(&found) >= constants.sum() && found.iter().all(|part| !part.writable));
    }
}

fn shared() -> Placement {
    placement(None, None, Arena::Shared)
}

/// Writes the models in Rust to the folder; yields modules, and a function that runs their cases in
/// turn in one arena.
fn rust(folder: &Path, models: &[Generated; 2]) -> String {
    let mut out = String::new();
    for model in models {
        write(folder, &format!("{}.rs", model.name), &model.rust);
        let Generated { name, compiled, .. } = model;
        let dtype = compiled.program.memories[compiled.program.inputs[0].region.memory].dtype;
        write!(
            out,
            "mod {name};
fn {name}(arena: &mut [u32; LEN], input: &[u8], output: &[u8]) -> bool {{
    let mut model = {name}::Model::new(arena);
    for (to, from) in model.input_mut().iter_mut().zip(input.chunks_exact({})) {{
        *to = {dtype}::from_le_bytes(from.try_into().unwrap());
    }}
    model.run();
    let output = output.chunks_exact({});
    model.output().iter().zip(output).all(|(found, expected)| found.to_le_bytes() == *expected)
}}\n",
            dtype.size(),
            dtype.size(),
        )
        .expect("a string");
    }
    let [a, b] = models.each_ref().map(|model| format!("{}::ARENA_LEN", model.name));
    writeln!(out, "const LEN: usize = if {a} > {b} {{ {a} }} else {{ {b} }};").expect("a string");
    let calls = (0..models[0].cases.len()).flat_map(|case| {
        models.iter().map(move |model| {
            let Case { inputs, outputs } = &model.cases[case];
            format!("{}(arena, &{:?}, &{:?})", model.name, inputs[0], outputs[0])
        })
    });
    let calls: Vec<String> = calls.collect();
    let calls = calls.join("\n        && ");
    write!(out, "fn check(arena: &mut [u32; LEN]) -> bool {{\n    {calls}\n}}\n")
        .expect("a string");
    out
}

/// Writes the models in C to the folder, and a program that runs their cases in turn in one arena,
/// a variable that `before` stands before. It fails unless all are exact.
fn c(folder: &Path, models: &[Generated; 2], before: &str) {
    let mut out = String::from("#include <string.h>\n\n");
    for model in models {
        write(folder, &format!("{}.h", model.name), &model.header);
        write(folder, &format!("{}.c", model.name), &model.c);
        writeln!(out, "#include \"{}.h\"", model.name).expect("a string");
    }
    let [a, b] = models.each_ref().map(|model| model.name);
    let [upper_a, upper_b] = [a, b].map(str::to_uppercase);
    write!(
        out,
        "
{before}static union {{
    {a}_t a;
    {b}_t b;
    unsigned char bytes[{upper_a}_ARENA_SIZE > {upper_b}_ARENA_SIZE ? {upper_a}_ARENA_SIZE : {upper_b}_ARENA_SIZE];
}} arena;

int main(void)
{{
    if ({a}_init(&arena, {upper_a}_ARENA_SIZE - 1) != NULL) return 2;
    if ({a}_init(arena.bytes + {upper_a}_ARENA_ALIGN / 2, {upper_a}_ARENA_SIZE) != NULL) return 2;
    memset(&arena, 0x5a, sizeof arena);
"
    )
    .expect("a string");
    for case in 0..models[0].cases.len() {
        for Generated { name, cases, .. } in models {
            let bytes = |bytes: &[u8]| {
                let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
                numbers.join(", ")
            };
            let Case { inputs, outputs } = &cases[case];
            let (input, output) = (bytes(&inputs[0]), bytes(&outputs[0]));
            write!(
                out,
                "    {{
        static const unsigned char input[] = {{{input}}};
        static const unsigned char output[] = {{{output}}};
        {name}_t *model = {name}_init(&arena, sizeof arena);
        if (model == NULL) return 2;
        memcpy({name}_input(model), input, sizeof input);
        {name}_run(model);
        if (memcmp({name}_output(model), output, sizeof output) != 0) return 1;
    }}\n"
            )
            .expect("a string");
        }
    }
    out.push_str("    return 0;\n}\n");
    write(folder, "main.c", out);
}

#[test]
fn the_arena_is_aligned_for_all() {
    let model = generate("digits_float_io", "host", &shared());
    let types: Vec<DType> = model.compiled.program.memories.iter().map(|m| m.dtype).collect();
    assert!(types.contains(&DType::F32) && types.contains(&DType::I8), "{types:?}");
    let ram = model.compiled.program.ram();
    assert!(model.header.contains(&format!("ARENA_SIZE {ram}\n")), "{}", model.header);
    assert!(model.header.contains("ARENA_ALIGN 4\n"), "{}", model.header);
    assert!(model.rust.contains("#[repr(C, align(4))]\nstruct Memory {"), "{}", model.rust);
}

fn is_there(command: &str) -> bool {
    Command::new(command).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("can be run");
    let words = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&words));
    output
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("placement").join(name);
    fs::create_dir_all(&folder).expect("can be made");
    folder
}

fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) {
    fs::write(folder.join(name), contents).expect("can be written");
}
