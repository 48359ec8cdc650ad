//! AVERAGE_POOL_2D and MAX_POOL_2D.

use super::convolution::{window, Sizes};
use super::operator::Operator;
use super::tensor::Fault;
use super::Imported;
use crate::frontend::schema::Pool2DOptions;
use crate::ops::{AveragePool2d, Epilogue, MaxPool2d, Window};

pub fn average_pool_2d(op: &Operator) -> Imported {
    let (window, epilogue) = common(op)?;
    Some((AveragePool2d { window, epilogue }.into(), vec![0]))
}

pub fn max_pool_2d(op: &Operator) -> Imported {
    let (window, epilogue) = common(op)?;
    Some((MaxPool2d { window, epilogue }.into(), vec![0]))
}

fn common(op: &Operator) -> Option<(Window, Epilogue)> {
    let options = op.needed_options::<Pool2DOptions>()?;
    let sizes = Sizes {
        stride: [options.stride_h(), options.stride_w()],
        dilation: [1, 1],
        padding: options.padding(),
    };
    let taps = [options.filter_height(), options.filter_width()];
    let window = match taps.map(|size| usize::try_from(size).unwrap_or(0)) {
        [0, _] | [_, 0] => {
            let what = format!("its window is {} by {}", taps[0], taps[1]);
            op.fail(None, Fault::damage(what))
        }
        taps => window(op, taps, sizes),
    };
    // TFLite takes the operand's codes for the result's even where their scales differ.
    let (x, y) = (op.codes(op.input(0)?), op.codes(op.output()));
    let (_, y) = (x?, y?);
    let range = op.activation_range(options.fused_activation_function(), y);
    Some((window?, Epilogue::clamp(range?)))
}
