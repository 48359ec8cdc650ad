#!/bin/sh
# Runs all tests; installs what they need where it can, and says in the end what was left out.
# Arguments go to `cargo test`. TFLC_FIRMWARE=all takes every core and model on emulated boards, not
# a choice of them.
set -eu
cd "$(dirname "$0")/.."
./setup.sh
tests/setup.sh
verdict=0
cargo test --workspace "$@" || verdict=$?
tests/setup.sh --left-out
[ -n "${TFLC_FIRMWARE:-}" ] || echo "a choice of cores and models was emulated; TFLC_FIRMWARE=all takes all"
exit $verdict
