#!/bin/sh
# measure.sh APP.elf: runs a program on an emulated core and counts what it executes between its
# functions bench_begin and bench_end; see README.md. The environment says how:
#     QEMU_COMMAND  the emulator and its board; default: a Cortex-M4
#     CORE          whose cycles: m4, m33, m3, m0p, or count
#     NM            the tool that lists the program's symbols
#     HOT=1         also prints the functions in which the cycles go, the most costly first
set -eu
here=$(cd "$(dirname "$0")" && pwd)
app=$1 nm=${NM:-arm-none-eabi-nm}
qemu=${QEMU_COMMAND:-qemu-system-arm -M mps2-an386 -display none -serial null -monitor none -semihosting-config enable=on,target=native}
cache=${TFLC_FIRMWARE_CACHE:-${CARGO_TARGET_DIR:-$here/../../target}/firmware}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

plugin=$cache/counter-$(cksum < "$here/counter.c" | cut -d ' ' -f 1).so
if [ ! -e "$plugin" ]; then
    mkdir -p "$cache"
    ${CC:-cc} -O2 -fPIC -shared -fvisibility=hidden -o "$work/counter.so" "$here/counter.c"
    mv "$work/counter.so" "$plugin"
fi

address() { "$nm" "$app" | awk -v name="$1" '$3 == name { print $1 }'; }
begin=$(address bench_begin) end=$(address bench_end)
[ -n "$begin" ] && [ -n "$end" ] || { echo "$0: $app has no bench_begin and bench_end" >&2; exit 2; }

status=0
# shellcheck disable=SC2086 # a list of words
timeout "${LIMIT:-300}" $qemu -plugin "$plugin,begin=$begin,end=$end,core=${CORE:-m4}${HOT:+,hot=$work/hot}" \
    -d plugin -D "$work/log" -kernel "$app" </dev/null || status=$?
grep '^cycles:' "$work/log" || { echo "$0: nothing was counted (exit code $status)" >&2; exit 1; }
[ "$status" = 0 ] || { echo "$0: the program ended with exit code $status" >&2; exit 1; }

# Both lists in the order of addresses: each instruction belongs to the last function before it.
if [ -n "${HOT:-}" ]; then
    {
        "$nm" -C "$app" | awk '$2 ~ /^[tTwW]$/ && $3 !~ /^\$/ { address = $1; $1 = $2 = ""; print address, "0", $0 }'
        awk '{ print $1, "1", $2, $3 }' "$work/hot"
    } | sort | awk '
        $2 == 0 { function_ = $0; sub(/^[^ ]* 0 */, "", function_) }
        $2 == 1 { insns[function_] += $3; cycles[function_] += $4; total += $4 }
        END { for (f in cycles) printf "%12d %12d %5.1f%%  %s\n", cycles[f], insns[f], 100 * cycles[f] / total, f }' |
        sort -rn | sed '1i\      cycles        insns  share  function'
fi
