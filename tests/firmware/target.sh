# What the scripts here know of a target, from its file in `targets/` and the table below. Sourced
# with $target set; sets $triple, $rust_flags, $cc, $c_flags, $tools (prefix of the binutils),
# $board (its linker script in boards/), $qemu (the command without the program) and $core (the
# counter's cost table).

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
toml=$root/targets/$target.toml
[ -e "$toml" ] || { echo "$0: there is no $toml" >&2; exit 2; }

# value SECTION KEY: a string or a list of strings, as words.
value() {
    awk -v section="[$1]" -v key="$2" '
        /^\[/ { inside = $1 == section }
        inside && $1 == key { sub(/^[^=]*= */, ""); gsub(/[]["]/, ""); gsub(/, */, " "); sub(/ *#.*/, ""); print }' "$toml"
}
triple=$(value rust triple) rust_flags=$(value rust flags)
cc=$(value c compiler) c_flags=$(value c flags)

tools=arm-none-eabi- core=count
case $target in
    # The M4 board runs code for a Cortex-M0 and has more memory than a board with one.
    cortex-m0|cortex-m0plus) default=mps2-an386 core=m0p ;;
    cortex-m3) default=mps2-an385 core=m3 ;;
    cortex-m4) default=mps2-an386 core=m4 ;;
    cortex-m7) default=mps2-an500 ;;
    cortex-m33) default=mps2-an505 core=m33 ;;
    cortex-m55) default=mps3-an547 ;;
    rv32*) default=virt tools=riscv64-unknown-elf- ;;
    *) echo "$0: no board is known for $target" >&2; exit 2 ;;
esac
board=${BOARD:-$default}
case $board in
    virt) qemu="qemu-system-riscv32 -M virt -cpu rv32 -bios none" ;;
    *) qemu="qemu-system-arm -M $board" ;;
esac
qemu="$qemu -display none -serial null -monitor none -semihosting-config enable=on,target=native"

# Things that are built once. In cargo's folder, where `cargo clean` finds them.
cache=${TFLC_FIRMWARE_CACHE:-${CARGO_TARGET_DIR:-$root/target}/firmware}
