//! What AVERAGE_POOL_2D and MAX_POOL_2D have in common: windows over each channel on its own,
//! with the padding left out.

use super::{TensorType, Value, Window};

/// The result's type for a window over activations NHWC of int8 codes.
pub fn infer(window: &Window, input: &TensorType) -> Result<TensorType, String> {
    super::expect_codes(input)?;
    let [n, h, w, c] = super::four_dimensions(input)?;
    let [oh, ow] = window.output([h, w])?;
    TensorType::checked(input.dtype, [n, oh, ow, c])
}

/// About how many steps its evaluation takes.
pub fn work(window: &Window, output: &TensorType) -> u64 {
    let taps = (window.size[0] as u64).saturating_mul(window.size[1] as u64);
    taps.saturating_mul(output.elements() as u64)
}

/// `summary(codes under the window)` for each element of a result of type `ty`.
pub fn summaries(
    window: &Window,
    input: &Value,
    ty: &TensorType,
    summary: impl Fn(&[i32]) -> i32,
) -> Vec<i32> {
    let x = input.ints();
    let [n, ih, iw, channels] = input.ty.shape[..].try_into().expect("four dimensions");
    let mut results = Vec::with_capacity(ty.elements());
    let mut codes = Vec::new();
    for b in 0..n {
        for oy in 0..ty.shape[1] {
            for ox in 0..ty.shape[2] {
                for c in 0..channels {
                    codes.clear();
                    for ky in 0..window.size[0] {
                        for kx in 0..window.size[1] {
                            if let Some([y, x_]) = window.tap([ih, iw], [oy, ox], [ky, kx]) {
                                codes.push(x[((b * ih + y) * iw + x_) * channels + c]);
                            }
                        }
                    }
                    results.push(summary(&codes));
                }
            }
        }
    }
    results
}
