//! Real CMake builds through `cmake/tflc.cmake`: for this machine, and with a cross compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

fn there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Configures and builds `tests/cmake`; yields the program.
fn build(core: &str, further: &[String]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmake");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cmake-{core}"));
    let run = |command: &mut Command| {
        let output = command.output().expect("cmake starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}\n{text}");
        text
    };
    run(Command::new("cmake")
        .args(["-S".as_ref(), source.as_os_str(), "-B".as_ref(), folder.as_os_str()])
        .arg(format!("-DCORE={core}"))
        .arg(format!("-DTFLC_EXECUTABLE={}", env!("CARGO_BIN_EXE_tflc")))
        .args(further));
    run(Command::new("cmake").arg("--build").arg(&folder));
    let again = run(Command::new("cmake").arg("--build").arg(&folder));
    assert!(!again.contains("tflc digits"), "compiled again without need:\n{again}");
    folder.join("app")
}

#[test]
fn builds_for_this_machine() {
    if !there("cmake") {
        return println!("left out: cmake isn't installed");
    }
    let app = build("host", &[]);
    let output = Command::new(app).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.starts_with("digit "), "{text}");
}

#[test]
fn builds_for_a_cortex_m4() {
    if !there("cmake") || !there("arm-none-eabi-gcc") {
        return println!("left out: cmake or arm-none-eabi-gcc isn't installed");
    }
    let toolchain = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmake/cortex-m4.cmake");
    build("cortex-m4", &[format!("-DCMAKE_TOOLCHAIN_FILE={}", toolchain.display())]);
}
