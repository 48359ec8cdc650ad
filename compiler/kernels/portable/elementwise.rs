//! Operators that map each element on its own: stages over codes, QUANTIZE and DEQUANTIZE.

use super::epilogue::EpilogueCode;
use crate::kernels::Lowering;
use crate::loop_ir::{call, load, Intrinsic};
use crate::ops::{Chain, Dequantize, Epilogue, Quantize, QuantizeSource, Stage};

/// From so many elements on, a table of 256 bytes is worth its flash.
const TABLE_FROM: usize = 256;

/// Lowers a list of stages on int8 codes.
pub fn lower_stages(lowering: &mut Lowering, stages: Vec<Stage>) {
    let elements = lowering.layer.output().elements();
    let clamps = stages.iter().all(|stage| matches!(stage, Stage::Clamp { .. } | Stage::Table(_)));
    let stages = match clamps || elements < TABLE_FROM {
        true => stages,
        false => vec![Stage::table(|code| stages.iter().fold(code, |x, stage| stage.apply(x, 0)))],
    };
    lower_codes(lowering, stages);
}

/// Lowers a quantization of real numbers or of other codes.
pub fn lower_quantize(lowering: &mut Lowering, op: &Quantize) {
    match op.source {
        QuantizeSource::Real { scale } => {
            let elements = lowering.layer.output().elements();
            let (min, max) = op.dtype.range();
            let x = lowering.operand(0, "input");
            let out = lowering.result(0);
            lowering.code.repeat("i", 0usize, elements, |code, i| {
                let args = [load(x, &i), scale.into(), op.zero_point.into()];
                code.store(out, i, call(Intrinsic::Quantize, args).max(min).min(max));
            });
        }
        QuantizeSource::Codes { .. } => {
            lower_codes(lowering, op.requantization().expect("codes to codes"))
        }
    }
}

/// Lowers a dequantization.
pub fn lower_dequantize(lowering: &mut Lowering, op: &Dequantize) {
    let elements = lowering.layer.output().elements();
    let x = lowering.operand(0, "input");
    let out = lowering.result(0);
    lowering.code.repeat("i", 0usize, elements, |code, i| {
        let args = [load(x, &i), op.scale.into(), op.zero_point.into()];
        code.store(out, i, call(Intrinsic::Dequantize, args));
    });
}

fn lower_codes(lowering: &mut Lowering, stages: Vec<Stage>) {
    let elements = lowering.layer.output().elements();
    let x = lowering.operand(0, "input");
    let epilogue = EpilogueCode::new(lowering, &Epilogue(vec![Chain(stages)]));
    lowering.code.repeat("i", 0usize, elements, |code, i| {
        epilogue.store(code, &i, load(x, &i), &0usize.into());
    });
}
