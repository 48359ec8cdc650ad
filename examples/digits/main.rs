//! Classifies handwritten digits with code that tflc generated, and says how often it is right.
//!
//! `digits_conv.rs` beside this file is checked in as firmware would have it. It was made by
//!
//! ```text
//! tflc tests/models/digits_conv.tflite --target host -o examples/digits/digits_conv.rs
//! ```
//!
//! Run with `cargo run --release --example digits`.

// Generated files keep their own layout.
#[rustfmt::skip]
mod digits_conv;

use digits_conv::{Model, INPUT_LEN, INPUT_SCALE, INPUT_ZERO_POINT};

/// Images that no training has seen, 65 bytes each: 8 by 8 pixels from 0 to 16, and the digit.
const IMAGES: &[u8] = include_bytes!("../../tests/models/digits_test.bin");

/// The code of a pixel; the model was trained on pixels from 0 to 1.
fn quantize(pixel: u8) -> i8 {
    let code = (f32::from(pixel) / 16.0 / INPUT_SCALE).round() as i32 + INPUT_ZERO_POINT;
    code.clamp(-128, 127) as i8
}

fn main() {
    let mut model = Model::new();
    let (mut images, mut right) = (0, 0);
    for image in IMAGES.chunks_exact(INPUT_LEN + 1) {
        let (pixels, digit) = (&image[..INPUT_LEN], usize::from(image[INPUT_LEN]));
        for (code, &pixel) in model.input_mut().iter_mut().zip(pixels) {
            *code = quantize(pixel);
        }
        model.run();
        let scores = model.output();
        let best = (0..scores.len()).max_by_key(|&digit| scores[digit]);
        images += 1;
        right += usize::from(best == Some(digit));
    }
    let percent = 100.0 * right as f64 / images as f64;
    println!("{right} of {images} digits recognized: {percent:.2} %");
    println!("the model takes {} bytes of RAM", size_of::<Model>());
}
