#!/bin/sh
# measure.sh MODEL.tflite TARGET rust|c [TFLC ARGUMENTS]: what a model costs on an emulated core.
#
# It is compiled with $TFLC (default: the release build), built into a firmware, run on the first of its
# golden cases (those of MODEL.json, or the bytes in $CASE) and compared; then one line is printed:
#
#     MODEL TARGET LANG insns=N cycles=N flash=BYTES ram=BYTES stack=BYTES
#
# cycles: where the counter has a table for the core, else the number of instructions. flash: code,
# constants and first values of variables, less those of a firmware whose model does nothing. ram:
# the model's struct. stack: the most that a run takes.
#
# HOT=1 prints the functions in which the cycles go as well. KEEP=FOLDER keeps the files there.
#
# What was measured once isn't measured again: it stays in cargo's folder, named by a checksum of all that
# goes in, which is the generated code, the case, the files here and the tools' versions.
set -eu
model=$(realpath "$1") target=$2 lang=$3
shift 3
. "$(dirname "$0")/target.sh"
tflc=${TFLC:-${CARGO_TARGET_DIR:-$root/target}/release/tflc}

if [ -n "${KEEP:-}" ]; then mkdir -p "$KEEP" && work=$(realpath "$KEEP"); else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi

# The first case: inputs, then outputs.
case=${CASE:-$work/case}
[ -n "${CASE:-}" ] || python3 - "${model%.tflite}.json" "$case" <<'PYTHON'
import json, sys
case = json.load(open(sys.argv[1]))["cases"][0]
open(sys.argv[2], "wb").write(bytes.fromhex("".join(case["inputs"] + case["outputs"])))
PYTHON
printf '\0\0\0\0\0\0\0\0' > "$work/nothing"

# pieces SED-COMMAND FILE: what it makes of the lines that it matches, as one line.
pieces() { sed -nE "$1" "$2" | tr '\n' ' '; }

# build APP.elf, build_rest APP.elf: the model's firmware, and one whose model does nothing.
case $lang in
rust)
    "$tflc" "$model" --target "$target" -o "$work/model.rs" "$@" >/dev/null
    generated=$work/model.rs compiler=$("$here/sysroot.sh" "$target")
    inputs=$(pieces 's/^ *pub fn (input[0-9]*_mut)\(.*/\1/p' "$generated")
    outputs=$(pieces 's/^ *pub fn (output[0-9]*)\(.*/\1/p' "$generated")
    echo "models! { model \"$generated\" \"$case\" [$inputs] [$outputs]; }" > "$work/models"
    echo "models! { empty \"$here/checks/empty.rs\" \"$work/nothing\" [input_mut] [output]; }" > "$work/none"
    build() { MODELS=$work/models "$here/build.sh" "$target" "$1" "$here/checks/check.rs"; }
    build_rest() { MODELS=$work/none "$here/build.sh" "$target" "$1" "$here/checks/check.rs"; }
    ;;
c)
    "$tflc" "$model" --target "$target" -o "$work/model.c" "$@" >/dev/null
    generated="$work/model.c $work/model.h" compiler=$cc
    inputs=$(pieces 's/^[a-z0-9_]+ \*(model_input[0-9]*)\(.*;/INPUT(\1, \U\1_LEN)/p' "$work/model.h")
    outputs=$(pieces 's/^const [a-z0-9_]+ \*(model_output[0-9]*)\(.*;/OUTPUT(\1, \U\1_LEN)/p' "$work/model.h")
    mkdir -p "$work/full" "$work/none"
    list() { printf '#ifdef INCLUDES\n#include "%s"\n#else\nMODEL(%s, "%s", %s, %s)\n#endif\n' "$@"; }
    list "$work/model.h" model "$case" "$inputs" "$outputs" > "$work/full/models.h"
    list "$here/checks/empty.h" empty "$work/nothing" "INPUT(empty_input, EMPTY_INPUT_LEN)" \
        "OUTPUT(empty_output, EMPTY_OUTPUT_LEN)" > "$work/none/models.h"
    build() { "$here/build.sh" "$target" "$1" "$here/checks/check.c" "$work/model.c" "-I$work/full"; }
    build_rest() { "$here/build.sh" "$target" "$1" "$here/checks/check.c" "-I$work/none"; }
    ;;
*) echo "$0: the language is rust or c" >&2 && exit 2 ;;
esac

# once NAME COMMAND: what it prints, or printed when all that goes in was the same.
once() {
    result=$cache/measured/$1
    if [ -n "${KEEP:-}" ] || [ ! -e "$result" ]; then
        mkdir -p "$cache/measured"
        # Others may be at the same: they find all of it or nothing.
        "$2" > "$work/result"
        cp "$work/result" "$result.$$"
        mv "$result.$$" "$result"
    fi
    cat "$result"
}
# shellcheck disable=SC2086 # some variables are lists of words
around=$({
    echo "$target $lang $board ${RUST_FLAGS:-} ${C_FLAGS:-}"
    $compiler --version
    "${tools}ld" --version
    ${qemu%% *} --version
    cat "$toml" "$here"/*.sh "$here"/boards/* "$here"/checks/* "$here"/c/*.[ch] "$here"/c/riscv/* \
        "$here"/rust/src/* "$here"/../cycles/*
} | sha256sum | cut -c 1-32)
# shellcheck disable=SC2086
whole=$({ echo "$around" && cat $generated "$case"; } | sha256sum | cut -c 1-32)

# flash ELF: what counts of it.
flash() { "${tools}size" -A "$1" | awk '$1 ~ /^\.(vectors|text|rodata|data)$/ { sum += $2 } END { print sum }'; }
# What a firmware takes whose model does nothing.
flash_of_rest() {
    build_rest "$work/rest.elf" >&2
    flash "$work/rest.elf"
}
# What the counter says of the model's firmware.
count() {
    build "$work/app.elf" >&2
    counted=$(QEMU_COMMAND=$qemu CORE=$core NM=${tools}nm HOT=1 "$here/../cycles/measure.sh" "$work/app.elf" 2>&1) || true
    case $counted in *exact*cycles*) ;; *) printf '%s:\n%s\n' "$name" "$counted" >&2 && exit 1 ;; esac
    echo "flash=$(flash "$work/app.elf")"
    echo "$counted"
}
name="$(basename "$model" .tflite) $target $lang"
rest=$(once "$around" flash_of_rest)
counted=$(once "$whole" count)
field() { echo "$counted" | sed -nE "s/.*\b$1=([0-9]+).*/\1/p" | head -n 1; }
echo "$name insns=$(field insns) cycles=$(field cycles) flash=$(($(field flash) - rest)) ram=$(field ram) stack=$(field stack)"
[ -z "${HOT:-}" ] || echo "$counted" | sed -n '/function$/,$p'
