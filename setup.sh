#!/bin/sh
# Sees to it that Rust (1.85 or newer) and a linker are here. Installs Debian's where they are
# missing; where Rust is there already, it changes nothing.
set -eu

enough() {
    version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || return 1
    minor=$(echo "$version" | cut -d . -f 2)
    case $version in 1.*) [ "$minor" -ge 85 ] ;; *) false ;; esac &&
        rustc --version >/dev/null 2>&1 && command -v cc >/dev/null
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if enough; then exit 0; fi

if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }; then
    echo "installing Rust and gcc from Debian's packages"
    as_root apt-get update -q
    # Debian 13 and later have a new enough rustc under its own name, Debian 12 as rustc-web.
    if apt-cache policy cargo-web | grep -q 'Candidate: 1'; then rust="cargo-web rustc-web"; else rust="cargo rustc"; fi
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $rust gcc libc6-dev ca-certificates
    # Shells remember where they found, or didn't find, a command.
    hash -r
fi

if ! enough; then
    echo "error: Rust 1.85 or newer and a C compiler for linking are needed: see https://rustup.rs" >&2
    exit 1
fi
