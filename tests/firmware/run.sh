#!/bin/sh
# run.sh TARGET APP.elf: runs a program on an emulated board, or for LIMIT seconds (default 300).
set -eu
target=$1
. "$(dirname "$0")/target.sh"
# shellcheck disable=SC2086 # a list of words
exec timeout "${LIMIT:-300}" $qemu -kernel "$2" </dev/null
