//! What runs before `main`: the vector table and the reset handler, for Cortex-M and RISC-V. Your
//! board's own crate (`cortex-m-rt`, `riscv-rt`, an SDK) does the same; it is here so that this
//! example needs nothing else.
//!
//! It is in assembly because Rust may not run before its statics have their values.

use core::arch::global_asm;
use core::panic::PanicInfo;

use crate::semihosting;

// The vector table: where the stack begins, the reset handler, and 14 exceptions, none of which
// should occur. `.thumb_func` makes a symbol odd: that is how Arm marks addresses of Thumb code.
#[cfg(target_arch = "arm")]
global_asm!(
    "
    .section .vectors, \"a\"
    .word __stack_top
    .word reset
    .rept 14
    .word fault
    .endr

    .section .text.reset, \"ax\"
    .global reset
    .thumb_func
reset:
    @ .data: from flash to RAM.
    ldr     r0, =__data_start
    ldr     r1, =__data_end
    ldr     r2, =__data_load
    b       2f
1:  ldm     r2!, {{r3}}
    stm     r0!, {{r3}}
2:  cmp     r0, r1
    blo     1b

    @ .bss: zero.
    ldr     r0, =__bss_start
    ldr     r1, =__bss_end
    movs    r3, #0
    b       4f
3:  stm     r0!, {{r3}}
4:  cmp     r0, r1
    blo     3b

    @ Cores with a floating point or vector unit start with it off; code for them may use it. CPUID
    @ tells Armv7-M and later, on which CPACR may be written whether there is such a unit or not.
    ldr     r0, =0xe000ed00
    ldr     r1, [r0]
    lsls    r1, r1, #12
    lsrs    r1, r1, #28
    cmp     r1, #15
    bne     5f
    movs    r1, #0xf
    lsls    r1, r1, #20
    movs    r2, #0x88
    str     r1, [r0, r2]
    dsb
    isb

5:  bl      main
    bl      fault

    .ltorg
"
);

// RISC-V begins at the flash's first byte, with no stack pointer yet.
#[cfg(target_arch = "riscv32")]
global_asm!(
    "
    .section .text.reset, \"ax\"
    .global reset
reset:
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    la      sp, __stack_top
    la      t0, {fault}
    csrw    mtvec, t0

    # .data: from flash to RAM.
    la      t0, __data_start
    la      t1, __data_end
    la      t2, __data_load
    j       2f
1:  lw      t3, 0(t2)
    sw      t3, 0(t0)
    addi    t0, t0, 4
    addi    t2, t2, 4
2:  bltu    t0, t1, 1b

    # .bss: zero.
    la      t0, __bss_start
    la      t1, __bss_end
    j       4f
3:  sw      zero, 0(t0)
    addi    t0, t0, 4
4:  bltu    t0, t1, 3b

    call    main
    j       {fault}
",
    fault = sym fault,
);

/// Any exception ends here.
#[no_mangle]
extern "C" fn fault() -> ! {
    semihosting::print("fault\n");
    semihosting::exit(2)
}

/// The generated code never panics; the rest of a firmware may.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    semihosting::print("panic\n");
    semihosting::exit(2)
}
