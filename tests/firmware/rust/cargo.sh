#!/bin/sh
# cargo.sh ARGUMENTS: cargo, for those who have Rust from Debian's packages (rustc-web, cargo-web,
# rust-web-src) and not from rustup: it builds Rust's core library from its source, and links with
# GNU's linkers.
export PATH="/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
for target in THUMBV6M_NONE_EABI THUMBV7M_NONE_EABI THUMBV7EM_NONE_EABI THUMBV8M_MAIN_NONE_EABI; do
    export "CARGO_TARGET_${target}_LINKER=arm-none-eabi-ld"
done
export CARGO_TARGET_RISCV32IMC_UNKNOWN_NONE_ELF_LINKER=riscv64-unknown-elf-ld
exec cargo "$@" -Zbuild-std=core -Zbuild-std-features=compiler-builtins-mem
