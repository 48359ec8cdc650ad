//! Semihosting: how a program on an emulated core (or behind a debugger) prints and ends. A
//! firmware of yours has a UART or RTT for this.

use core::arch::asm;

/// Prints a text.
#[inline(never)]
pub fn print(text: &str) {
    for byte in text.as_bytes() {
        // SYS_WRITEC
        call(0x03, byte as *const u8 as usize);
    }
}

/// Prints a number.
#[inline(never)]
pub fn print_number(mut number: u32) {
    let mut digits = [0; 10];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    for digit in digits.iter().skip(10 - length) {
        call(0x03, digit as *const u8 as usize);
    }
}

/// Ends the program with an exit code.
pub fn exit(code: u32) -> ! {
    // SYS_EXIT_EXTENDED with ADP_Stopped_ApplicationExit
    let reason = [0x20026, code];
    call(0x20, reason.as_ptr() as usize);
    loop {}
}

fn call(operation: usize, argument: usize) {
    // SAFETY: the operations used here read what `argument` points to and change no memory.
    #[cfg(target_arch = "arm")]
    unsafe {
        asm!("bkpt 0xab", inout("r0") operation => _, in("r1") argument, options(nostack));
    }
    // SAFETY: as above. These three instructions, uncompressed and within one page, are the call.
    #[cfg(target_arch = "riscv32")]
    unsafe {
        asm!(
            ".balign 16",
            ".option push",
            ".option norvc",
            "slli zero, zero, 0x1f",
            "ebreak",
            "srai zero, zero, 7",
            ".option pop",
            inout("a0") operation => _,
            in("a1") argument,
            options(nostack)
        );
    }
}
