//! Runs generated models on golden cases, compares their outputs, and prints a line for each:
//!
//! ```text
//! NAME exact cases=N ram=BYTES stack=BYTES
//! ```
//!
//! or `NAME wrong case=N`. `ram` is the model's struct, `stack` what a run takes of it at most.
//!
//! The environment variable MODELS names a file with a `models! { … }`: see below.

#![no_std]
#![no_main]

#[path = "../rust/src/semihosting.rs"]
mod semihosting;
#[path = "../rust/src/startup.rs"]
mod startup;

use core::arch::asm;
use core::mem::size_of_val;
use core::ptr::{addr_of, addr_of_mut};

use semihosting::{exit, print, print_number};

/// Models, each with a name, its generated file, a file with the bytes of its cases (inputs, then
/// outputs), and the names of the methods that give its inputs and outputs.
macro_rules! models {
    ($($name:ident $file:literal $cases:literal [$($input:ident)*] [$($output:ident)*];)*) => {
        $(
            mod $name {
                include!($file);
            }
        )*

        fn check_models() -> bool {
            let mut exact = true;
            $({
                static mut MODEL: $name::Model = $name::Model::new();
                #[link_section = ".cases"]
                static CASES: [u8; include_bytes!($cases).len()] = *include_bytes!($cases);

                /// Not part of the caller, so that the stack that it takes can be told apart.
                #[inline(never)]
                fn run(model: &mut $name::Model) {
                    model.run();
                }

                // SAFETY: the only use of MODEL, and the stack below this function is free.
                let (model, top) = unsafe { (&mut *addr_of_mut!(MODEL), paint_stack()) };
                let mut cases = CASES.as_slice();
                let (mut number, mut wrong, mut stack) = (0, None, 0);
                while !cases.is_empty() {
                    $(fill(model.$input(), &mut cases);)*
                    bench_begin();
                    run(model);
                    bench_end();
                    if number == 0 {
                        // SAFETY: the stack below this function isn't in use.
                        stack = unsafe { used_stack(top) };
                    }
                    let same = true $(& same(model.$output(), &mut cases))*;
                    if !same && wrong.is_none() {
                        wrong = Some(number);
                    }
                    number += 1;
                }
                print(stringify!($name));
                if let Some(case) = wrong {
                    exact = false;
                    print(" wrong case=");
                    print_number(case);
                } else {
                    print(" exact cases=");
                    print_number(number);
                    print(" ram=");
                    print_number(size_of_val(model) as u32);
                    print(" stack=");
                    print_number(stack);
                }
                print("\n");
            })*
            exact
        }
    };
}

include!(env!("MODELS"));

#[no_mangle]
extern "C" fn main() -> ! {
    exit(if check_models() { 0 } else { 1 })
}

/// Its first instruction starts the counter in `tests/cycles`.
#[no_mangle]
#[inline(never)]
extern "C" fn bench_begin() {
    // SAFETY: does nothing.
    unsafe { asm!("nop") }
}

/// Its first instruction stops the counter.
#[no_mangle]
#[inline(never)]
extern "C" fn bench_end() {
    // SAFETY: does nothing. There are two, so that the linker doesn't make both functions one.
    unsafe { asm!("nop", "nop") }
}

/// Copies the first bytes to an input of a model. Byte by byte and volatile: `memcpy` should be
/// part of this program only if the model needs it.
fn fill<T: Copy>(input: &mut [T], bytes: &mut &[u8]) {
    let (head, rest) = bytes.split_at(size_of_val(input));
    let input: *mut u8 = input.as_mut_ptr().cast();
    for (i, byte) in head.iter().enumerate() {
        // SAFETY: `head` is as long as the input, and holds the elements of a tensor.
        unsafe { input.add(i).write_volatile(*byte) }
    }
    *bytes = rest;
}

/// Whether an output of a model is the first bytes.
fn same<T: Copy>(output: &[T], bytes: &mut &[u8]) -> bool {
    let (head, rest) = bytes.split_at(size_of_val(output));
    *bytes = rest;
    let output: *const u8 = output.as_ptr().cast();
    // SAFETY: `head` is as long as the output; the elements of a tensor have no padding.
    head.iter().enumerate().all(|(i, byte)| unsafe { output.add(i).read_volatile() } == *byte)
}

const PAINT: u32 = 0xa5a5_a5a5;

extern "C" {
    /// The end of the variables: the stack may grow down to there.
    static mut __stack_limit: u32;
}

/// Writes a pattern over the stack that isn't in use; returns where that begins.
#[inline(always)]
unsafe fn paint_stack() -> u32 {
    let top: u32;
    #[cfg(target_arch = "arm")]
    asm!("mov {}, sp", out(reg) top);
    #[cfg(target_arch = "riscv32")]
    asm!("mv {}, sp", out(reg) top);
    let mut at = addr_of_mut!(__stack_limit);
    while (at as u32) < top {
        at.write_volatile(PAINT);
        at = at.add(1);
    }
    top
}

/// How far below `top` the pattern is gone.
#[inline(always)]
unsafe fn used_stack(top: u32) -> u32 {
    let mut at = addr_of!(__stack_limit);
    while (at as u32) < top && at.read_volatile() == PAINT {
        at = at.add(1);
    }
    top - at as u32
}
