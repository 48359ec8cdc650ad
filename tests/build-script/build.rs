fn main() -> Result<(), tflc::BuildError> {
    tflc::build("../models/digits_conv.tflite")
        .target("host")
        .name("digits")
        .ram(8 << 10)
        .compile()?;
    Ok(())
}
