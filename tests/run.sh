#!/bin/sh
# Runs all tests; installs what they need where it can. Arguments go to `cargo test`.
set -eu
cd "$(dirname "$0")/.."
./setup.sh
exec cargo test --workspace "$@"
