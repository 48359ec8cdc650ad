//! The same models compiled by tflc and by microflow, behind one trait.
//!
//! microflow's part is called below its public `predict_quantized`, which would also turn the
//! output into floats: both take int8 codes and give int8 codes.

use microflow::buffer::Buffer2D;

include!(concat!(env!("OUT_DIR"), "/models.rs"));

/// One model, compiled by both.
pub trait Both {
    /// The model's name.
    const NAME: &'static str;
    /// Where the model file is.
    const FILE: &'static str;
    /// The multiplications that the model file asks for.
    const MACS: u64;
    /// How many codes a run takes.
    const INPUT_LEN: usize;
    /// tflc's model with its memory.
    type Tflc;
    /// microflow's type for the input.
    type Input: Codes;
    /// microflow's type for the output.
    type Output: Codes;

    /// tflc's model, ready to run.
    fn tflc() -> Self::Tflc;
    /// The output of tflc's code.
    fn run_tflc<'a>(model: &'a mut Self::Tflc, input: &[i8]) -> &'a [i8];
    /// The output of microflow's code.
    fn run_microflow(input: &Self::Input) -> Self::Output;
}

/// microflow's buffers, whose matrices lie column by column in memory.
pub trait Codes {
    /// A buffer with these contents, row by row.
    fn from_codes(codes: &[i8]) -> Self;
    /// The contents, row by row.
    fn to_codes(&self) -> Vec<i8>;
}

impl<const ROWS: usize, const COLUMNS: usize> Codes for Buffer2D<i8, ROWS, COLUMNS> {
    fn from_codes(codes: &[i8]) -> Self {
        Self::from_row_slice(codes)
    }

    fn to_codes(&self) -> Vec<i8> {
        self.transpose().as_slice().to_vec()
    }
}

impl<const BATCHES: usize, const ROWS: usize, const COLUMNS: usize, const CHANNELS: usize> Codes
    for [Buffer2D<[i8; CHANNELS], ROWS, COLUMNS>; BATCHES]
{
    fn from_codes(codes: &[i8]) -> Self {
        std::array::from_fn(|batch| {
            Buffer2D::from_fn(|row, column| {
                let pixel = (batch * ROWS + row) * COLUMNS + column;
                std::array::from_fn(|channel| codes[pixel * CHANNELS + channel])
            })
        })
    }

    fn to_codes(&self) -> Vec<i8> {
        self.iter()
            .flat_map(|image| image.transpose().iter().flatten().copied().collect::<Vec<_>>())
            .collect()
    }
}

/// `count` codes without pattern, the same for the same `seed`.
pub fn random_codes(count: usize, seed: u64) -> Vec<i8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as i8
    };
    (0..count).map(|_| next()).collect()
}
