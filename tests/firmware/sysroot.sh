#!/bin/sh
# sysroot.sh TARGET: prints the arguments that make rustc compile for a target of ours, after
# building Rust's core library for it if need be.
#
# With rustup, `rustup target add TRIPLE` brings that library, and there are no arguments. Debian
# has its source (packages rustc-web cargo-web rust-web-src), from which it is built once, in half
# a minute.
set -eu
target=$1
. "$(dirname "$0")/target.sh"

has() { [ -d "$("$1" --print sysroot 2>/dev/null)/lib/rustlib/$triple/lib" ]; }
if has rustc; then
    echo rustc
    exit
fi
# A compiler with the library's source beside it.
for rustc in rustc /usr/bin/rustc; do
    source=$("$rustc" --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/core
    [ -d "$source" ] && break || source=
done
if [ -z "$source" ]; then
    echo "no Rust for $triple: rustup target add $triple, or apt-get install rustc-web cargo-web rust-web-src" >&2
    exit 3
fi
cargo=$(dirname "$(command -v "$rustc")")/cargo
version=$("$rustc" --version | awk '{ print $2 }')
sysroot=$cache/sysroot-$version
library=$sysroot/lib/rustlib/$triple/lib
if [ ! -d "$library" ]; then
    echo "building Rust's core library for $triple, once" >&2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/src" "$work/lib" "$(dirname "$library")"
    echo '#![no_std]' > "$work/src/lib.rs"
    printf '[package]\nname = "only-core"\nedition = "2021"\n[profile.release]\npanic = "abort"\n[workspace]\n' > "$work/Cargo.toml"
    # RUSTC_BOOTSTRAP: -Zbuild-std is not stable yet. Bitcode: for link time optimization.
    (cd "$work" && RUSTC_BOOTSTRAP=1 RUSTC=$rustc RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR=$work/target \
        "$cargo" build --quiet --release --target "$triple" \
        -Zbuild-std=core -Zbuild-std-features=compiler-builtins-mem >&2)
    cp "$work/target/$triple/release/deps/"*.rlib "$work/lib"
    # Whoever is first wins; a second one's is the same.
    mv -T "$work/lib" "$library" 2>/dev/null || [ -d "$library" ]
fi
echo "$rustc --sysroot=$sysroot"
