fn main() -> Result<(), tflc::BuildError> {
    tflc::build("../models/digits_conv.tflite")
        .target("host")
        .name("digits")
        .flash(16 << 10)
        .ram(8 << 10)
        .compile()?;
    // A file that is checked in.
    tflc::build("../models/digits_conv.tflite")
        .target("cortex-m4")
        .folder("../firmware/rust/src")
        .check()
        .compile()?;
    Ok(())
}
