#!/bin/sh
# build.sh TARGET OUT.elf MAIN.rs [RUSTC ARGUMENTS], or
# build.sh TARGET OUT.elf MAIN.c OTHER.c... [COMPILER ARGUMENTS]: a program for a board, as a
# firmware's release build would make it. C_FLAGS and RUST_FLAGS add to the compilers' arguments.
set -eu
target=$1 out=$2 main=$3
shift 3
. "$(dirname "$0")/target.sh"

# shellcheck disable=SC2086 # some variables are lists of words
case $main in
*.rs)
    rustc=$("$here/sysroot.sh" "$target")
    # rustup's rustc has a linker of its own. GNU's for RISC-V has to be told which of its two.
    linker=
    case $rustc in *--sysroot=*) linker=-Clinker=${tools}ld ;; esac
    case $linker$target in ?*rv32*) linker="$linker -Clink-arg=-melf32lriscv" ;; esac
    $rustc --edition=2021 --target="$triple" $rust_flags -Copt-level=3 -Ccodegen-units=1 -Clto=fat -Cpanic=abort \
        $linker "-Clink-arg=-L$here/boards" "-Clink-arg=-T$board.ld" -Clink-arg=--gc-sections \
        "$main" "$@" ${RUST_FLAGS:-} -o "$out"
    ;;
*.c)
    # Debian's compiler for RISC-V comes without a C library.
    library=
    case $target in rv32*) library="-nostdlib -I$here/c/riscv $here/c/riscv/string.c -lgcc" ;; esac
    $cc $c_flags -std=c99 -O3 -ffunction-sections -fdata-sections -ffreestanding -nostartfiles -static \
        "-L$here/boards" "-T$board.ld" -Wl,--gc-sections -I"$here/c" \
        "$main" "$here/c/startup.c" "$here/c/semihosting.c" "$@" ${C_FLAGS:-} $library -o "$out"
    ;;
esac
