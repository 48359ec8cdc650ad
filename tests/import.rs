//! What import refuses, and in which words: all problems of a model at once.

#[path = "support/model_builder.rs"]
mod model_builder;

use model_builder::{
    Conv2DOptions, FullyConnectedOptions, ModelSpec, OperatorSpec, Options, ReshapeOptions,
    TensorSpec,
};
use tflc::frontend::{self, schema};

use schema::{activation, builtin, tensor_type};

/// A tensor of int8 codes.
fn codes(name: &str, shape: &[i32]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        shape: shape.into(),
        dtype: tensor_type::INT8,
        scales: vec![0.5],
        zero_points: vec![3],
        ..Default::default()
    }
}

/// A constant.
fn constant(name: &str, shape: &[i32], dtype: i8, data: Vec<u8>) -> TensorSpec {
    let (scales, zero_points) = (vec![0.25], vec![0]);
    TensorSpec { dtype, data: Some(data), scales, zero_points, ..codes(name, shape) }
}

/// A convolution behind a RESHAPE: `in` → `image` → `out`.
fn sound() -> ModelSpec {
    let conv = Conv2DOptions { stride_w: 1, stride_h: 1, ..Default::default() };
    let reshape = ReshapeOptions { new_shape: vec![1, 4, 4, 2] };
    ModelSpec {
        tensors: vec![
            codes("in", &[1, 32]),
            codes("image", &[1, 4, 4, 2]),
            constant("filters", &[3, 1, 1, 2], tensor_type::INT8, vec![7; 6]),
            constant("bias", &[3], tensor_type::INT32, vec![1; 12]),
            codes("out", &[1, 4, 4, 3]),
        ],
        operators: vec![
            OperatorSpec::new(builtin::RESHAPE, [0], [1], reshape),
            OperatorSpec::new(builtin::CONV_2D, [1, 2, 3], [4], conv),
        ],
        inputs: vec![0],
        outputs: vec![4],
        ..Default::default()
    }
}

/// A change to a model, and what each problem says behind it, from its beginning.
type Row = (fn(&mut ModelSpec), &'static [&'static str]);

#[test]
fn a_sound_model_is_imported() {
    let graph = frontend::import(&sound().build()).expect("is sound");
    assert_eq!(graph.nodes.len(), 2);
}

#[test]
fn problems_are_named() {
    let rows: &[Row] = &[
        (
            |m| m.operators[0].builtin = builtin::FLOOR,
            &["operator 0 FLOOR (version 1), tensor 'image': this operator is not supported"],
        ),
        (
            |m| {
                m.operators[0].builtin = builtin::CUSTOM;
                m.operators[0].custom_code = Some("Frobnicate".into());
                m.operators[1].version = 7;
                m.tensors[4].dtype = tensor_type::INT16;
            },
            &[
                "operator 0 Frobnicate (version 1), tensor 'image': this operator is not supported",
                "operator 1 CONV_2D (version 7), tensor 'out': int16 activations are not supported",
            ],
        ),
        (
            |m| m.operators[0].builtin = 5000,
            &["operator 0 of unknown kind 5000 (version 1), tensor 'image': this operator is not"],
        ),
        (
            |m| {
                for at in [0, 1, 4] {
                    m.tensors[at].dtype = tensor_type::FLOAT32;
                }
            },
            &[
                "operator 1 CONV_2D (version 1), tensor 'image': hybrid weights (float32 activations)",
                "operator 1 CONV_2D (version 1), tensor 'out': hybrid weights (float32 activations)",
            ],
        ),
        (
            |m| m.tensors[1].scales.clear(),
            &["operator 1 CONV_2D (version 1), tensor 'image': it has no scale and zero point"],
        ),
        (
            |m| {
                m.tensors[1].scales = vec![f32::NAN];
                m.tensors[4].zero_points = vec![300];
            },
            &[
                "operator 1 CONV_2D (version 1), tensor 'image': its scale is NaN",
                "operator 1 CONV_2D (version 1), tensor 'out': its zero point is not within -128 to 127",
            ],
        ),
        (
            |m| {
                m.tensors[2].scales = vec![0.1, 0.2];
                m.tensors[2].zero_points = vec![0, 0];
            },
            &["operator 1 CONV_2D (version 1), tensor 'filters': its 2 scales are not those of its"],
        ),
        (
            |m| m.tensors[2].data = Some(vec![7; 5]),
            &["operator 1 CONV_2D (version 1), tensor 'filters': it is i8[3x1x1x2], but has 5 bytes"],
        ),
        (
            |m| m.tensors[3].data = None,
            &["operator 1 CONV_2D (version 1), tensor 'bias': it is read before anything computes it"],
        ),
        (
            |m| m.tensors[2].shape = vec![3, 2, 1, 2],
            &["operator 1 CONV_2D (version 1), tensor 'filters': it is i8[3x2x1x2], but has 6 bytes"],
        ),
        (
            |m| m.tensors[4].shape = vec![1, 4, 4, 5],
            &["operator 1 CONV_2D (version 1), tensor 'out': it is i8[1x4x4x5], but the operator yields"],
        ),
        (
            |m| m.tensors[0].shape = vec![1, -1],
            &["tensor 'in': a tensor i8[1x0] has no elements: every dimension must be known"],
        ),
        (
            |m| m.tensors[0].shape = vec![i32::MAX, i32::MAX, i32::MAX],
            &["tensor 'in': a tensor i8[2147483647x2147483647x2147483647] is too large"],
        ),
        (
            |m| m.tensors[0].dtype = tensor_type::FLOAT16,
            &["tensor 'in': elements of type float16 are not supported"],
        ),
        (
            |m| m.tensors[1].is_variable = true,
            &["operator 0 RESHAPE (version 1), tensor 'image': it keeps a state"],
        ),
        (
            |m| m.operators[1].inputs = vec![1, 2, 99],
            &["operator 1 CONV_2D (version 1), tensor 'out': there is no tensor 99"],
        ),
        (
            |m| m.operators[1].inputs = vec![4, 2, 3],
            &["operator 1 CONV_2D (version 1), tensor 'out': it is read before anything computes it"],
        ),
        (
            |m| m.operators[1].outputs = vec![1],
            &[
                "operator 1 CONV_2D (version 1), tensor 'image': it is computed, but not only here",
                "tensor 'out': it is read before anything computes it",
            ],
        ),
        (
            |m| m.operators[1].outputs.clear(),
            &[
                "operator 1 CONV_2D (version 1): it has no output",
                "tensor 'out': it is read before anything computes it",
            ],
        ),
        (
            |m| m.operators[1].options = Options::None,
            &["operator 1 CONV_2D (version 1), tensor 'out': its options are missing"],
        ),
        (
            |m| {
                let options = Conv2DOptions { stride_h: -1, dilation_w_factor: 0, ..Default::default() };
                m.operators[1].options = options.into();
            },
            &[
                "operator 1 CONV_2D (version 1), tensor 'out': its stride is -1 by 0",
                "operator 1 CONV_2D (version 1), tensor 'out': its dilation is 1 by 0",
            ],
        ),
        (
            |m| {
                let fused_activation_function = activation::TANH;
                let steps = Conv2DOptions { stride_w: 1, stride_h: 1, ..Default::default() };
                m.operators[1].options = Conv2DOptions { fused_activation_function, ..steps }.into();
            },
            &["operator 1 CONV_2D (version 1), tensor 'out': the fused activation TANH is not"],
        ),
        (
            |m| {
                let options = FullyConnectedOptions { weights_format: 1, ..Default::default() };
                m.operators[1].builtin = builtin::FULLY_CONNECTED;
                m.operators[1].options = options.into();
            },
            &["operator 1 FULLY_CONNECTED (version 1), tensor 'filters': shuffled weights"],
        ),
        (
            |m| {
                let options = ReshapeOptions { new_shape: vec![1, 5, -1] };
                m.operators[0].options = options.into();
            },
            &["operator 0 RESHAPE (version 1), tensor 'image': i8[1x32] can't become i8[1x5x6]"],
        ),
        (|m| m.outputs.clear(), &["the model has no output"]),
        (|m| m.outputs = vec![-1], &["output 0 is tensor -1, which doesn't exist"]),
        (|m| m.inputs = vec![0, 0], &["tensor 'in': it is an input twice"]),
        (|m| m.inputs = vec![0, 2], &["tensor 'filters': it is an input, but holds data"]),
    ];
    for (change, expected) in rows {
        let mut model = sound();
        change(&mut model);
        let problems = frontend::import(&model.build()).expect_err(expected[0]);
        let said = problems.to_string();
        let matches = said.lines().count() == expected.len()
            && said.lines().zip(*expected).all(|(line, start)| line.starts_with(start));
        assert!(matches, "expected\n{}\nbut import says\n{said}", expected.join("\n"));
    }
}
