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
# EMPTY=FILE keeps the firmware whose model does nothing there, for other models.
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

empty=${EMPTY:-$work/empty.elf}
[ -n "${EMPTY:-}" ] || rm -f "$empty"

# pieces SED-COMMAND FILE: what it makes of the lines that it matches, as one line.
pieces() { sed -nE "$1" "$2" | tr '\n' ' '; }

case $lang in
rust)
    "$tflc" "$model" --target "$target" -o "$work/model.rs" "$@" >/dev/null
    inputs=$(pieces 's/^ *pub fn (input[0-9]*_mut)\(.*/\1/p' "$work/model.rs")
    outputs=$(pieces 's/^ *pub fn (output[0-9]*)\(.*/\1/p' "$work/model.rs")
    echo "models! { model \"$work/model.rs\" \"$case\" [$inputs] [$outputs]; }" > "$work/models"
    echo "models! { empty \"$here/checks/empty.rs\" \"$work/nothing\" [input_mut] [output]; }" > "$work/none"
    MODELS=$work/models "$here/build.sh" "$target" "$work/app.elf" "$here/checks/check.rs"
    [ -e "$empty" ] || MODELS=$work/none "$here/build.sh" "$target" "$empty" "$here/checks/check.rs"
    ;;
c)
    "$tflc" "$model" --target "$target" -o "$work/model.c" "$@" >/dev/null
    inputs=$(pieces 's/^[a-z0-9_]+ \*(model_input[0-9]*)\(.*;/INPUT(\1, \U\1_LEN)/p' "$work/model.h")
    outputs=$(pieces 's/^const [a-z0-9_]+ \*(model_output[0-9]*)\(.*;/OUTPUT(\1, \U\1_LEN)/p' "$work/model.h")
    mkdir -p "$work/full" "$work/none"
    list() { printf '#ifdef INCLUDES\n#include "%s"\n#else\nMODEL(%s, "%s", %s, %s)\n#endif\n' "$@"; }
    list "$work/model.h" model "$case" "$inputs" "$outputs" > "$work/full/models.h"
    list "$here/checks/empty.h" empty "$work/nothing" "INPUT(empty_input, EMPTY_INPUT_LEN)" \
        "OUTPUT(empty_output, EMPTY_OUTPUT_LEN)" > "$work/none/models.h"
    "$here/build.sh" "$target" "$work/app.elf" "$here/checks/check.c" "$work/model.c" "-I$work/full"
    [ -e "$empty" ] || "$here/build.sh" "$target" "$empty" "$here/checks/check.c" "-I$work/none"
    ;;
*) echo "$0: the language is rust or c" >&2 && exit 2 ;;
esac

counted=$(QEMU_COMMAND=$qemu CORE=$core NM=${tools}nm "$here/../cycles/measure.sh" "$work/app.elf" 2>&1) || true
name="$(basename "$model" .tflite) $target $lang"
case $counted in *exact*cycles*) ;; *) printf '%s:\n%s\n' "$name" "$counted" >&2 && exit 1 ;; esac
# flash ELF: what counts of it.
flash() { "${tools}size" -A "$1" | awk '$1 ~ /^\.(vectors|text|rodata|data)$/ { sum += $2 } END { print sum }'; }
flash=$(($(flash "$work/app.elf") - $(flash "$empty")))
field() { echo "$counted" | sed -nE "s/.*\b$1=([0-9]+).*/\1/p" | head -n 1; }
echo "$name insns=$(field insns) cycles=$(field cycles) flash=$flash ram=$(field ram) stack=$(field stack)"
[ -z "${HOT:-}" ] || echo "$counted" | sed -n '/function$/,$p'
