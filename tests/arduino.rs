//! Arduino libraries, built with the compilers and flags of Arduino's cores for Cortex-M; their
//! example sketch runs on an emulated board and prints what the model computes.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[allow(dead_code)]
#[path = "support/firmware.rs"]
mod firmware;
#[allow(dead_code)]
#[path = "support/golden.rs"]
mod golden;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use firmware::{script, Lang};
use tflc::ir::{self, Graph};
use tflc::ops::{DType, Value};

const CORE: [&str; 5] =
    ["-mcpu=cortex-m4", "-mthumb", "-Os", "-ffunction-sections", "-fdata-sections"];
const WARNINGS: [&str; 3] = ["-Wall", "-Wextra", "-Werror"];

#[test]
fn the_sketch_runs_the_model() {
    if let Some(missing) = firmware::missing("cortex-m4", Lang::C) {
        return extent::left_out(&format!("Arduino libraries, for want of {missing}"));
    }
    let cpp = "arm-none-eabi-g++";
    if !Command::new(cpp).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return extent::left_out(&format!("Arduino libraries, for want of {cpp}"));
    }
    let stubs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/arduino");
    // Codes, real numbers and unsigned codes at the border.
    for name in ["digits_conv", "digits_float_io", "digits_uint8_io"] {
        let models = golden::models("tests/models");
        let model = models.iter().find(|model| model.name.contains(name)).expect("is there");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arduino").join(name);
        let _ = fs::remove_dir_all(&library);
        fs::create_dir_all(library.parent().expect("has one")).expect("can be made");
        succeed(
            Command::new(env!("CARGO_BIN_EXE_tflc"))
                .arg(&model.path)
                .args(["--target", "cortex-m4", "--arduino"])
                .arg(&library),
        );

        let src = library.join("src");
        let object = |file: &str| library.join(file).with_extension("o");
        let (code, sketch) = (object("code"), object("sketch"));
        succeed(
            Command::new("arm-none-eabi-gcc")
                .args(CORE.iter().chain(&WARNINGS))
                .args(["-std=gnu11", "-c", "-I"])
                .args([&src, &src.join(format!("{name}.c"))])
                .args(["-o".as_ref(), code.as_os_str()]),
        );
        // Arduino's tools make C++ of a sketch by including its core in the first line.
        let ino = library.join(format!("examples/{name}/{name}.ino"));
        let text = fs::read_to_string(&ino).expect("was written");
        let source = sketch.with_extension("cpp");
        fs::write(&source, format!("#include <Arduino.h>\n{text}")).expect("can be written");
        succeed(
            Command::new(cpp)
                .args(CORE.iter().chain(&WARNINGS))
                .args(["-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"])
                .args([PathBuf::from("-c"), "-I".into(), stubs.clone(), "-I".into(), src, source])
                .args(["-o".as_ref(), sketch.as_os_str()]),
        );

        let program = library.join("program.elf");
        let main = stubs.join("main.c");
        let c = firmware::file("c");
        succeed(
            script("build.sh")
                .args(["cortex-m4".as_ref(), program.as_path(), &main, &code, &sketch])
                .arg("-lm")
                .arg(format!("-I{}", c.display())),
        );
        let said = succeed(script("run.sh").arg("cortex-m4").arg(&program));
        let graph = tflc::frontend::import(&model.bytes()).expect("is valid");
        assert_eq!(said, expected(&graph), "{name}");
    }
}

/// What the sketch prints: outputs for zeros, in ten thousandths, and no time.
fn expected(graph: &Graph) -> String {
    let zeros = graph.inputs.iter().map(|&id| {
        let tensor = &graph.tensors[id];
        let count = tensor.ty.elements();
        match tensor.ty.dtype {
            DType::F32 => Value::from_floats(&tensor.ty.shape, vec![0.0; count]),
            _ => {
                let zero_point = tensor.quantization.map_or(0, |q| q.zero_point);
                Value::from_ints(tensor.ty.clone(), vec![zero_point; count])
            }
        }
    });
    let outputs = ir::eval(graph, &zeros.collect::<Vec<_>>()).expect("inputs fit");
    let mut lines = String::new();
    for (value, &id) in outputs.iter().zip(&graph.outputs) {
        let reals: Vec<f32> = match graph.tensors[id].quantization {
            _ if value.ty.dtype == DType::F32 => value.floats(),
            Some(q) => {
                value.ints().iter().map(|code| q.scale * (code - q.zero_point) as f32).collect()
            }
            None => unreachable!("every model here is quantized"),
        };
        for real in reals {
            lines += &format!("{}\n", (f64::from(real) * 10000.0).round());
        }
    }
    lines + "0 us\n"
}

/// What a command that succeeds prints: semihosting goes to stderr.
fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("can be run");
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    assert!(output.status.success(), "{command:?}\n{words}");
    words
}
