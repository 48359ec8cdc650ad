//! Real CMake builds through `cmake/tflc.cmake`: for this machine, and with a cross compiler.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Configures and builds a project in `tests/cmake`; yields the folder with the program.
fn build(project: &str, core: &str, further: &[String]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmake").join(project);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cmake-{project}-{core}"));
    let run = |command: &mut Command| {
        let output = command.output().expect("cmake starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}\n{text}");
        text
    };
    run(Command::new("cmake")
        .args(["-S".as_ref(), source.as_os_str(), "-B".as_ref(), folder.as_os_str()])
        .args([&format!("-DCORE={core}"), "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"])
        .arg(format!("-DTFLC_EXECUTABLE={}", env!("CARGO_BIN_EXE_tflc")))
        .args(further));
    run(Command::new("cmake").arg("--build").arg(&folder));
    let again = run(Command::new("cmake").arg("--build").arg(&folder));
    assert!(!again.contains("tflc digits"), "compiled again without need:\n{again}");
    folder
}

fn runs(folder: &Path) {
    let output = Command::new(folder.join("app")).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.starts_with("digit "), "{text}");
}

#[test]
fn builds_for_this_machine() {
    if !there("cmake") {
        return extent::left_out("builds with CMake, for want of cmake");
    }
    let folder = build("", "host", &[]);
    runs(&folder);
    let placed =
        |name| fs::read_to_string(folder.join("tflc/placed").join(name)).expect("is there");
    assert!(placed("placed.c").contains("section(\".ext_flash\")"));
    let header = placed("placed.h");
    assert!(header.contains("section(\".bss.ccm\")") && header.contains("placed_init(void *arena"));
}

/// What stands in for ESP-IDF and Zephyr sets up what the real ones do; their flags must arrive.
#[test]
fn builds_in_other_build_systems() {
    if !there("cmake") {
        return extent::left_out("builds with CMake, for want of cmake");
    }
    for (project, flag) in [("esp-idf", "-DTHE_CHIP"), ("zephyr", "core.h")] {
        let folder = build(project, "host", &[]);
        let commands = fs::read_to_string(folder.join("compile_commands.json")).expect("is there");
        let mut lines = commands.lines().filter(|line| line.contains("\"command\""));
        let command = lines.find(|line| line.ends_with("digits.c\",")).expect("digits.c is built");
        assert!(command.contains(flag), "{command}");
        runs(&folder);
    }
}

#[test]
fn builds_for_a_cortex_m4() {
    if !there("cmake") || !there("arm-none-eabi-gcc") {
        return extent::left_out(
            "builds with CMake for a Cortex-M4, for want of cmake or arm-none-eabi-gcc",
        );
    }
    let toolchain = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmake/cortex-m4.cmake");
    build("", "cortex-m4", &[format!("-DCMAKE_TOOLCHAIN_FILE={}", toolchain.display())]);
}
