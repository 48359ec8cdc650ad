//! What a firmware crate with a build script looks like; its test runs the model once.

/// Written by `build.rs`.
pub mod digits {
    include!(concat!(env!("OUT_DIR"), "/digits.rs"));
}

#[cfg(test)]
mod tests {
    use super::digits::{Model, INPUT_SCALE, INPUT_ZERO_POINT};

    /// The test images, 64 pixels of 0 to 16 and a label each: see `tests/models/README.md`.
    const IMAGES: &[u8] = include_bytes!("../../models/digits_test.bin");

    #[test]
    fn classifies_digits() {
        let mut model = Model::new();
        let right = IMAGES.chunks_exact(65).filter(|image| {
            for (code, &pixel) in model.input_mut().iter_mut().zip(&image[..64]) {
                let real = f32::from(pixel) / 16.0;
                let rounded = (real / INPUT_SCALE).round() as i32 + INPUT_ZERO_POINT;
                *code = rounded.clamp(-128, 127) as i8;
            }
            model.run();
            let scores = model.output();
            let best = (0..10).max_by_key(|&digit| scores[digit]);
            best == Some(image[64] as usize)
        });
        // The reference kernels' own count: 98.06 %.
        assert_eq!(right.count(), 353);
    }
}
