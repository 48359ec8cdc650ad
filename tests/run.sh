#!/bin/sh
# Runs the tests; installs what they need where it can, and says in the end what was left out for want of
# it. Arguments go to `cargo test`. TFLC_TESTS=all takes everything, not what is done in two minutes.
set -eu
cd "$(dirname "$0")/.."
./setup.sh
tests/setup.sh
verdict=0
cargo test --workspace "$@" || verdict=$?
tests/setup.sh --left-out
[ "${TFLC_TESTS:-}" = all ] || echo "what else was left out stands above; TFLC_TESTS=all takes everything"
exit $verdict
