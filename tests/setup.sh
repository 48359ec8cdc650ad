#!/bin/sh
# Installs what the tests of firmware, C and CMake need from Debian's packages, each on its own, so
# that one that can't be had keeps no other away: QEMU, compilers for Arm and RISC-V, clang, CMake, and
# a Rust with its core library's source, unless rustup has brought that library for our targets.
#
# Never fails. `--left-out` installs nothing; it says what is still missing, for want of which tests
# are left out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

has() { command -v "$1" >/dev/null; }
# rust_for TARGET: whether Rust's core library is there for it, or its source.
rust_for() {
    triple=$(awk -F '"' '/^triple/ { print $2 }' "$here/../targets/$1.toml")
    for rustc in rustc /usr/bin/rustc; do
        sysroot=$("$rustc" --print sysroot 2>/dev/null) || continue
        [ -d "$sysroot/lib/rustlib/$triple/lib" ] || [ -d "$sysroot/lib/rustlib/src/rust/library/core" ] && return
    done
    return 1
}

# missing: the packages that would bring what isn't there.
missing() {
    has qemu-system-arm || echo qemu-system-arm
    has qemu-system-riscv32 || echo qemu-system-misc
    has arm-none-eabi-g++ || echo gcc-arm-none-eabi libnewlib-arm-none-eabi
    has riscv64-unknown-elf-gcc || echo gcc-riscv64-unknown-elf
    has clang || echo clang
    has cmake || echo cmake
    has make || echo make
    has python3 || echo python3
    for target in cortex-m0 cortex-m3 cortex-m4 cortex-m33 rv32imc; do
        rust_for $target || { echo rust; break; }
    done
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

wanted=$(missing | tr '\n' ' ')
if [ "${1:-}" = --left-out ]; then
    [ -z "$wanted" ] || echo "tests that need these were left out: $wanted(rust: the core library for the targets, or its source)"
    exit 0
fi
[ -n "$wanted" ] || exit 0
if has apt-get && as_root true 2>/dev/null; then
    echo "installing from Debian's packages: $wanted"
    as_root apt-get update -q >/dev/null || true
    case $wanted in *rust*)
        # Debian 13 and later have a new enough Rust under its own name, Debian 12 as rustc-web.
        if apt-cache policy cargo-web 2>/dev/null | grep -q 'Candidate: 1'; then rust="rustc-web cargo-web rust-web-src"; else rust="rustc cargo rust-src"; fi
        wanted=$(echo "$wanted" | sed "s/\brust\b/$rust binutils-arm-none-eabi/") ;;
    esac
    for package in $wanted; do
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$package" >/dev/null ||
            echo "$package can't be installed"
    done
fi
