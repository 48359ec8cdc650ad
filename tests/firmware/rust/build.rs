//! Tells the linker where the board has its memory.

use std::env;
use std::path::Path;

fn main() {
    let boards = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("from cargo")).join("../boards");
    let board = match &*env::var("TARGET").expect("from cargo") {
        "thumbv6m-none-eabi" => "microbit",
        "thumbv7m-none-eabi" => "mps2-an385",
        "thumbv7em-none-eabi" => "mps2-an386",
        "thumbv8m.main-none-eabi" => "mps2-an505",
        "riscv32imc-unknown-none-elf" => "virt",
        target => panic!("no board is known for {target}"),
    };
    println!("cargo::rustc-link-arg=-L{}", boards.display());
    println!("cargo::rustc-link-arg=-T{board}.ld");
    // Of the two that GNU's linker for RISC-V knows.
    if board == "virt" && env::var_os("CARGO_TARGET_RISCV32IMC_UNKNOWN_NONE_ELF_LINKER").is_some() {
        println!("cargo::rustc-link-arg=-melf32lriscv");
    }
    println!("cargo::rerun-if-changed={}", boards.display());
}
