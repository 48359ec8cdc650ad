//! A firmware with a model in it: reads a handwritten digit and says which one it is.
//!
//! `digits_conv.rs` beside this file is generated and checked in. It was made by
//!
//! ```text
//! tflc ../../models/digits_conv.tflite --target cortex-m4 -o src/digits_conv.rs
//! ```

#![no_std]
#![no_main]

// Generated files keep their own layout.
#[rustfmt::skip]
mod digits_conv;
mod semihosting;
mod startup;

use core::ptr::addr_of_mut;

use digits_conv::{Model, INPUT_SCALE, INPUT_ZERO_POINT};
use semihosting::{exit, print, print_number};

/// A digit as the sensor saw it: 8 by 8 pixels, from nothing to ink.
const IMAGE: [&[u8; 8]; 8] = [
    b"  :#%.  ",
    b"  %***  ",
    b" :%.#-  ",
    b"  :=@=  ",
    b"   :+@. ",
    b"  *: #- ",
    b"  @-=@: ",
    b"  =##=  ",
];
const SHADES: &[u8; 10] = b" .:-=+*#%@";

/// The code of each shade. The model was trained on pixels from 0 to 1.
const CODES: [i8; 10] = {
    let mut codes = [0; 10];
    let mut shade = 0;
    while shade < 10 {
        codes[shade] = quantize(shade as f32 / 9.0);
        shade += 1;
    }
    codes
};

/// Evaluated by the compiler: no floating point is left in the program.
const fn quantize(real: f32) -> i8 {
    ((real / INPUT_SCALE + 0.5) as i32 + INPUT_ZERO_POINT) as i8
}

/// All of the model's memory, where the linker counts it.
static mut MODEL: Model = Model::new();

/// Called by the reset handler.
#[no_mangle]
extern "C" fn main() -> ! {
    // SAFETY: `main` runs once, and nothing else uses MODEL.
    let model = unsafe { &mut *addr_of_mut!(MODEL) };
    for (code, ink) in model.input_mut().iter_mut().zip(IMAGE.into_iter().flatten()) {
        let shade = SHADES.iter().position(|shade| shade == ink).unwrap_or(0);
        *code = CODES[shade];
    }
    model.run();

    let mut best = 0;
    for (digit, score) in model.output().iter().enumerate() {
        // Scores are codes for 0 to 1; -128 stands for 0.
        print_number(digit as u32);
        print(": ");
        print_number((i32::from(*score) + 128) as u32 * 100 / 256);
        print(" %\n");
        if *score > model.output()[best] {
            best = digit;
        }
    }
    print("It is a ");
    print_number(best as u32);
    print(".\n");
    exit(0)
}
