"""One model per operator and configuration. MODELS: name -> function from name to Net."""

import numpy as np

from .net import NONE, RELU, RELU6, SAME, VALID, ACTIVATIONS, Net, q_range

MODELS = {}


def model(name, models=MODELS):
    """Registers a function that builds on a fresh Net and returns its outputs."""

    def register(f):
        assert name not in models, name

        def build(name):
            net = Net(name)
            outputs = f(net)
            net.output(*(outputs if isinstance(outputs, (list, tuple)) else [outputs]))
            return net

        models[name] = build
        return f

    return register


def unary(name, method, shape, *args, lo=None, hi=None, q=None, dtype="int8", **more):
    """A model of one input and one operator."""
    model(name)(lambda n: getattr(n, method)(n.input(shape, lo, hi, dtype, q), *args, **more))


# ---- CONV_2D


def conv(name, shape, cout, **more):
    unary("conv_2d_" + name, "conv", shape, cout, **more)


conv("1x1", (1, 5, 4, 6), 7, k=(1, 1))
conv("1x1_one_channel", (1, 4, 4, 1), 1, k=(1, 1), pad=VALID)
conv("1x1_pixel", (1, 1, 1, 9), 5, k=(1, 1))
conv("1x1_stride2", (1, 5, 5, 4), 3, k=(1, 1), stride=(2, 2))
conv("3x3_same", (1, 6, 5, 3), 4)
conv("3x3_valid", (1, 6, 5, 3), 4, pad=VALID)
conv("3x3_even_channels", (1, 4, 6, 8), 8, act=RELU)
conv("3x3_one_in", (1, 7, 6, 1), 5)
conv("3x3_one_out", (1, 5, 6, 5), 1, pad=VALID)
conv("5x2_same", (1, 7, 5, 2), 3, k=(5, 2))
conv("2x4_valid", (1, 5, 7, 3), 2, k=(2, 4), pad=VALID)
conv("even_kernel_same_stride2", (1, 6, 7, 2), 3, k=(4, 2), stride=(2, 2))
conv("stride2_same", (1, 7, 8, 3), 5, stride=(2, 2))
conv("stride2_valid", (1, 7, 8, 3), 4, stride=(2, 2), pad=VALID)
conv("stride2_same_relu6", (1, 8, 8, 3), 6, stride=(2, 2), act=RELU6)
conv("stride3_same", (1, 8, 7, 2), 3, stride=(3, 3))
conv("stride3_valid", (1, 10, 8, 2), 3, stride=(3, 3), pad=VALID)
conv("stride_uneven_1x2", (1, 6, 9, 2), 3, stride=(1, 2))
conv("stride_uneven_3x1_valid", (1, 9, 5, 2), 3, stride=(3, 1), pad=VALID, act=RELU)
conv("stride_larger_than_kernel", (1, 9, 9, 2), 3, k=(2, 2), stride=(4, 3), pad=VALID)
conv("dilation2_same", (1, 7, 7, 2), 3, dil=(2, 2))
conv("dilation2_valid", (1, 8, 7, 2), 3, dil=(2, 2), pad=VALID)
conv("dilation_uneven", (1, 8, 9, 2), 3, dil=(1, 3), act=RELU)
conv("dilation3_larger_than_input", (1, 4, 5, 2), 2, dil=(3, 3))
conv("kernel_larger_than_input", (1, 3, 2, 3), 4, k=(5, 5))
conv("kernel_larger_than_input_stride2", (1, 3, 3, 2), 3, k=(7, 4), stride=(2, 2))
conv("kernel_is_input", (1, 4, 5, 3), 6, k=(4, 5), pad=VALID)
conv("1d_rows", (1, 12, 1, 4), 5, k=(3, 1))
conv("1d_columns_stride2", (1, 1, 15, 3), 4, k=(1, 5), stride=(1, 2))
conv("1d_rows_valid_dilation2", (1, 12, 1, 3), 4, k=(3, 1), dil=(2, 1), pad=VALID, act=RELU)
conv("batch2", (2, 4, 5, 3), 4)
conv("batch3_stride2_valid", (3, 5, 5, 2), 3, stride=(2, 2), pad=VALID, act=RELU6)
conv("per_tensor", (1, 5, 6, 3), 4, per_channel=False)
conv("per_tensor_no_bias_relu", (1, 5, 6, 3), 4, per_channel=False, bias=False, act=RELU)
conv("no_bias", (1, 5, 5, 4), 3, bias=False)
conv("many_channels", (1, 3, 3, 17), 13)
conv("33_outputs_1x1", (1, 3, 3, 5), 33, k=(1, 1), act=RELU)
conv("groups2", (1, 5, 5, 4), 6, groups=2)
conv("groups3_1x1", (1, 4, 4, 9), 6, groups=3, k=(1, 1), act=RELU)
conv("groups_depthwise_like", (1, 5, 5, 4), 4, groups=4, stride=(2, 2), act=RELU6)
conv("groups2_valid_dilation2", (2, 7, 7, 6), 4, groups=2, dil=(2, 2), pad=VALID)
for act, code in ACTIVATIONS.items():
    conv("act_" + act, (1, 5, 4, 4), 5, act=code)
    # The clamp lies well inside the output's range here, so it is not the type's own saturation.
    if code:
        conv(f"act_{act}_inside_range", (1, 5, 4, 4), 5, act=code, out=q_range(-5.0, 7.5))
conv("act_relu_zero_point_above_min", (1, 4, 4, 3), 4, act=RELU, out=(0.02, -17))
conv("weights_minus_128", (1, 5, 5, 3), 4, w_edge=True)
conv("weights_all_minus_128", (1, 4, 4, 3), 2, w=np.full((2, 3, 3, 3), -128), w_scale=0.0007, per_channel=False)
conv("saturating", (1, 5, 5, 3), 4, gain=12.0)
conv("input_zero_point_min", (1, 5, 5, 3), 4, lo=0.0, hi=6.0)
conv("input_zero_point_max", (1, 5, 5, 3), 4, lo=-3.0, hi=0.0)
conv("scales_very_uneven", (1, 4, 5, 4), 7, jitter=5.0)


@model("conv_2d_multiplier_above_1")
def _(n):
    x = n.input((1, 4, 4, 2), q=(0.05, 3))
    return n.conv(x, 3, k=(1, 1), w=n.rng.integers(-1, 2, (3, 1, 1, 2)), w_scale=[0.5, 0.9, 1.7], out=(0.03, -5))


@model("conv_2d_multiplier_exactly_powers_of_two")
def _(n):
    x = n.input((1, 4, 4, 4), q=(0.5, -7))
    return n.conv(x, 4, k=(1, 1), w=n.rng.integers(-5, 6, (4, 1, 1, 4)), w_scale=[1.0, 0.5, 0.25, 0.125], out=(1.0, 4))


@model("conv_2d_multiplier_tiny")
def _(n):
    x = n.input((1, 4, 4, 16), q=(0.02, 10))
    w = n.rng.choice([-127, 127, 126], (3, 3, 3, 16))
    return n.conv(x, 3, w=w, w_scale=[1e-4, 3e-5, 6e-5], out=(0.02 * 1e-4 * 2**13, 0))


@model("conv_2d_multiplier_shifted_out")
def _(n):
    # Some channels' multipliers are below 2^-31: the result is the zero point whatever the sum.
    x = n.input((1, 4, 4, 4), q=(0.02, 10))
    w = np.clip(np.round(n.rng.normal(0, 60, (4, 3, 3, 4))), -127, 127)
    return n.conv(x, 4, w=w, w_scale=[0.002, 1e-12, 1e-30, 3e-10], out=(0.02, 20))


@model("conv_2d_bias_large")
def _(n):
    x = n.input((1, 4, 4, 3), -1.0, 1.0)
    y = n.conv(x, 4, act=NONE)
    bias = n.tensors[-2].data  # far beyond what the products reach
    bias[:] = bias + np.array([200000, -200000, 1 << 24, -(1 << 24)], np.int32)
    return y


@model("conv_2d_zero_channels")
def _(n):
    # Filters that are all zero: their outputs are constant.
    x = n.input((1, 5, 5, 3))
    w = np.clip(np.round(n.rng.normal(0, 45, (6, 3, 3, 3))), -127, 127)
    w[[1, 4]] = 0
    return n.conv(n.conv(x, 6, w=w, act=RELU), 4, act=RELU6)


# ---- DEPTHWISE_CONV_2D


def dw(name, shape, **more):
    unary("depthwise_" + name, "dwconv", shape, **more)


dw("3x3_same", (1, 6, 5, 4))
dw("3x3_valid", (1, 6, 5, 4), pad=VALID)
dw("mult2", (1, 5, 5, 3), mult=2)
dw("mult3_valid_relu", (1, 6, 5, 2), mult=3, pad=VALID, act=RELU)
dw("mult4_one_channel", (1, 6, 6, 1), mult=4)
dw("mult8_one_channel_stride2", (1, 9, 8, 1), mult=8, k=(5, 4), stride=(2, 2), act=RELU)
dw("one_channel", (1, 7, 6, 1))
dw("stride2_same", (1, 7, 8, 5), stride=(2, 2))
dw("stride2_valid_relu6", (1, 7, 8, 5), stride=(2, 2), pad=VALID, act=RELU6)
dw("stride3_mult2", (1, 8, 8, 3), mult=2, stride=(3, 3))
dw("stride_uneven", (1, 8, 9, 3), stride=(2, 1))
dw("dilation2_same", (1, 7, 8, 3), dil=(2, 2))
dw("dilation_uneven_valid_mult2", (1, 8, 9, 2), dil=(3, 2), mult=2, pad=VALID)
dw("1x1", (1, 4, 4, 6), k=(1, 1))
dw("5x2", (1, 7, 6, 3), k=(5, 2))
dw("1d_rows", (1, 14, 1, 4), k=(5, 1), stride=(2, 1))
dw("kernel_larger_than_input", (1, 2, 3, 3), k=(5, 5), act=RELU)
dw("kernel_is_input_valid", (1, 5, 4, 6), k=(5, 4), pad=VALID)
dw("batch2", (2, 5, 4, 3), act=RELU6)
dw("per_tensor", (1, 5, 5, 4), per_channel=False)
dw("per_tensor_mult2_no_bias", (1, 5, 5, 3), per_channel=False, mult=2, bias=False)
dw("no_bias", (1, 5, 6, 4), bias=False, act=RELU)
dw("17_channels", (1, 4, 4, 17))
for act, code in ACTIVATIONS.items():
    dw("act_" + act, (1, 5, 4, 5), act=code, out=q_range(-5.0, 7.5) if code else None)
dw("weights_minus_128", (1, 5, 5, 4), w_edge=True)
dw("saturating", (1, 5, 5, 4), gain=12.0)
dw("scales_very_uneven", (1, 5, 5, 7), jitter=5.0)
dw("input_zero_point_min", (1, 5, 5, 4), lo=0.0, hi=6.0)


@model("depthwise_multiplier_above_1")
def _(n):
    x = n.input((1, 4, 4, 3), q=(0.05, 3))
    w = np.zeros((1, 3, 3, 3))
    w[0, 1, 1] = [1, -1, 1]
    w[0, 0, 2] = [0, 1, 0]
    return n.dwconv(x, w=w, w_scale=[0.5, 1.0, 1.7], out=(0.03, -5))


@model("depthwise_zero_channels")
def _(n):
    x = n.input((1, 5, 5, 4))
    w = np.clip(np.round(n.rng.normal(0, 45, (1, 3, 3, 4))), -127, 127)
    w[..., [0, 2]] = 0
    return n.conv(n.dwconv(x, w=w, act=RELU), 3, k=(1, 1))


# ---- FULLY_CONNECTED


def fc(name, shape, units, **more):
    unary("fully_connected_" + name, "fc", shape, units, **more)


fc("basic", (1, 12), 5)
fc("odd", (1, 7), 3)
fc("one_input", (1, 1), 4)
fc("one_output", (1, 13), 1)
fc("one_by_one", (1, 1), 1)
fc("64_to_10", (1, 64), 10)
fc("no_bias", (1, 12), 5, bias=False)
fc("absent_bias", (1, 12), 5, bias=False, absent_bias=True)
fc("batch3", (3, 10), 4)
fc("batch4_relu", (4, 9), 5, act=RELU)
fc("per_channel", (1, 12), 6, per_channel=True)
fc("per_channel_no_bias", (1, 12), 6, per_channel=True, bias=False)
fc("per_channel_batch2", (2, 11), 5, per_channel=True, act=RELU)
fc("per_channel_scales_very_uneven", (1, 12), 9, per_channel=True, jitter=5.0)
fc("weight_zero_point", (1, 12), 5, w_zero=11)
fc("weight_zero_point_negative_batch2", (2, 9), 4, w_zero=-77, act=RELU6)
fc("weight_zero_point_no_bias", (1, 10), 4, w_zero=-128, bias=False)
fc("input_4d", (1, 2, 3, 4), 5, depth=24)
fc("input_4d_batch2", (2, 2, 2, 3), 5, depth=12)
fc("input_4d_last_axis", (1, 2, 3, 8), 4)
fc("input_1d", (10,), 4)
fc("keep_num_dims_2d", (2, 8), 3, keep=True)
fc("keep_num_dims_3d", (1, 5, 8), 3, keep=True)
fc("keep_num_dims_4d_relu", (1, 2, 3, 6), 4, keep=True, act=RELU)
fc("keep_num_dims_no_bias_batch2", (2, 3, 7), 3, keep=True, bias=False)
fc("keep_num_dims_per_channel", (1, 4, 7), 3, keep=True, per_channel=True)
fc("keep_num_dims_per_channel_2d", (1, 9), 4, keep=True, per_channel=True)
fc("keep_num_dims_per_channel_batch2", (2, 3, 5), 4, keep=True, per_channel=True)
fc("per_channel_3d", (1, 4, 7), 3, per_channel=True)
for act, code in ACTIVATIONS.items():
    fc("act_" + act, (2, 10), 6, act=code, out=q_range(-5.0, 7.5) if code else None)
fc("weights_minus_128", (1, 12), 5, w_edge=True)
fc("saturating", (1, 12), 8, gain=12.0)
fc("input_zero_point_min", (1, 12), 5, lo=0.0, hi=3.0)
fc("multiplier_above_1", (1, 2), 6, w=[[1, 0], [0, 1], [-1, 1], [1, 1], [0, -1], [2, -1]], w_scale=1.3, out=(0.04, 0), q=(0.05, 0), bias=False)
fc("multiplier_tiny", (1, 64), 4, w=np.tile([127, 126, -127, 127], (4, 16)), w_scale=2e-5, q=(0.02, -128), out=(0.02 * 2e-5 * 2**12, 0), bias=False)

# ---- pools

for kind, method in (("average_pool", "avg_pool"), ("max_pool", "max_pool")):
    for name, shape, more in (
        ("2x2", (1, 6, 6, 3), dict()),
        ("3x3_stride1_same", (1, 5, 6, 3), dict(k=(3, 3), stride=(1, 1), pad=SAME)),
        ("3x3_stride2_same", (1, 7, 6, 5), dict(k=(3, 3), pad=SAME)),
        ("2x3_stride1_valid", (1, 5, 6, 2), dict(k=(2, 3), stride=(1, 1))),
        ("stride_uneven", (1, 7, 9, 2), dict(k=(2, 3), stride=(1, 3))),
        ("stride3_window2_same", (1, 8, 7, 2), dict(stride=(3, 3), pad=SAME)),
        ("global", (1, 5, 4, 7), dict(k=(5, 4), stride=(5, 4))),
        ("larger_than_input_same", (1, 3, 2, 4), dict(k=(5, 5), stride=(1, 1), pad=SAME)),
        ("larger_than_input_same_stride2", (1, 4, 5, 3), dict(k=(7, 9), stride=(2, 2), pad=SAME)),
        ("1x1", (1, 4, 4, 3), dict(k=(1, 1), stride=(1, 1))),
        ("1x1_stride2", (1, 5, 4, 3), dict(k=(1, 1), stride=(2, 2))),
        ("1d", (1, 13, 1, 3), dict(k=(3, 1), stride=(2, 1))),
        ("batch2_17_channels", (2, 4, 4, 17), dict()),
    ):
        unary(f"{kind}_{name}", method, shape, **more)
    for act, code in ACTIVATIONS.items():
        if code:
            unary(f"{kind}_act_{act}", method, (1, 6, 6, 3), act=code, lo=-5.0, hi=8.0)
unary("average_pool_uint8", "avg_pool", (1, 6, 6, 3), dtype="uint8", k=(3, 3), stride=(1, 1), pad=SAME)

# ---- ADD, SUB, MUL


def two(name, method, a, b, qa=None, qb=None, **more):
    model(name)(lambda n: getattr(n, method)(n.input(a, q=qa), n.input(b, q=qb), **more))


BROADCASTS = {
    "same_shape": ((1, 4, 5, 3), (1, 4, 5, 3)),
    "channel": ((1, 3, 4, 5), (1, 1, 1, 5)),
    "channel_1d": ((1, 3, 4, 5), (5,)),
    "scalar_like": ((1, 3, 4, 5), (1, 1, 1, 1)),
    "column_and_row": ((1, 4, 1, 3), (1, 1, 5, 3)),
    "batch": ((2, 3, 2, 3), (1, 3, 2, 3)),
    "middle": ((2, 3, 4, 2), (2, 1, 4, 1)),
    "lower_rank_left": ((4, 3), (2, 3, 4, 3)),
}
for method in ("add", "sub", "mul"):
    for name, (a, b) in BROADCASTS.items():
        two(f"{method}_{name}", method, a, b)
    two(f"{method}_2d", method, (3, 17), (3, 17))
    two(f"{method}_1d", method, (64,), (64,))
    two(f"{method}_5d_same_shape", method, (1, 2, 3, 2, 3), (1, 2, 3, 2, 3))
    two(f"{method}_5d_broadcast", method, (1, 2, 3, 2, 3), (1, 1, 3, 1, 3))
    two(f"{method}_odd_scales", method, (1, 4, 4, 8), (1, 4, 4, 8), (0.3, -100), (0.0011, 57), out=(0.21, 17))
    two(f"{method}_equal_scales", method, (1, 4, 4, 8), (1, 4, 4, 8), (0.02, 5), (0.02, -9), out=(0.04, 1))
    two(f"{method}_saturating", method, (1, 4, 4, 4), (1, 4, 4, 4), gain=10.0)
    for act, code in ACTIVATIONS.items():
        if code:
            two(f"{method}_act_{act}", method, (1, 4, 4, 6), (1, 4, 4, 6), (0.05, -10), (0.04, 20), act=code, out=q_range(-5.0, 7.5))
    two(f"{method}_act_relu_broadcast", method, (1, 4, 3, 4), (1, 1, 3, 1), act=RELU)

    @model(f"{method}_itself")
    def _(n, method=method):
        x = n.input((1, 8, 8, 4))
        return getattr(n, method)(x, x)

    @model(f"{method}_const_right")
    def _(n, method=method):
        return getattr(n, method)(n.input((1, 4, 4, 5)), n.const_q((1, 1, 1, 5)))

    @model(f"{method}_const_left")
    def _(n, method=method):
        return getattr(n, method)(n.const_q((1, 4, 4, 5), -0.5, 2.0), n.input((1, 4, 4, 5)))

    @model(f"{method}_const_scalar")
    def _(n, method=method):
        return getattr(n, method)(n.input((1, 8, 8, 4), q=(0.03, 4)), n.const(77, "int8", (0.011, -30)))

    @model(f"{method}_scalar_left")
    def _(n, method=method):
        return getattr(n, method)(n.const(-90, "int8", (0.011, 12)), n.input((1, 8, 8, 4), q=(0.03, 4)))


two("mul_multiplier_above_1", "mul", (1, 4, 4, 4), (1, 4, 4, 4), (0.9, 0), (1.7, 3), out=(1.2, 2))
two("add_output_much_coarser", "add", (1, 4, 4, 4), (1, 4, 4, 4), (0.01, 0), (0.02, 3), out=(0.9, 2))
two("add_output_much_finer", "add", (1, 4, 4, 4), (1, 4, 4, 4), (0.5, 0), (0.7, 3), out=(0.02, 2))
two("sub_output_finer", "sub", (1, 4, 4, 4), (1, 4, 4, 4), (0.1, 0), (0.07, 3), out=(0.05, -128))

# ---- RESHAPE, SQUEEZE, EXPAND_DIMS

unary("reshape_tensor", "reshape", (1, 4, 6, 2), (1, 48))
unary("reshape_minus_1", "reshape", (1, 4, 6, 2), (2, 24), to=(2, -1))
unary("reshape_minus_1_first", "reshape", (1, 4, 6, 2), (6, 8), to=(-1, 8))
unary("reshape_options_only", "reshape", (1, 4, 6, 2), (4, 12), tensor=False)
unary("reshape_options_only_minus_1", "reshape", (1, 4, 6, 2), (4, 12), to=(4, -1), tensor=False)
unary("reshape_no_options", "reshape", (2, 3, 4), (2, 2, 2, 3), options=False)
unary("reshape_to_1d", "reshape", (2, 3, 4), (24,))
unary("reshape_to_5d", "reshape", (2, 12), (1, 2, 3, 2, 2))
unary("squeeze_all", "squeeze", (1, 4, 1, 6), [])
unary("squeeze_axes", "squeeze", (1, 4, 1, 6), [2])
unary("squeeze_negative", "squeeze", (1, 1, 1, 6), [-2, 1])
unary("expand_dims_0", "expand_dims", (4, 6), 0)
unary("expand_dims_2", "expand_dims", (4, 6, 2), 2)
unary("expand_dims_negative", "expand_dims", (4, 6), -1)

# ---- SOFTMAX, LOGISTIC, TANH

unary("softmax_2d", "softmax", (1, 10), lo=-6.0, hi=6.0)
unary("softmax_batch4", "softmax", (4, 7), lo=-4.0, hi=8.0)
unary("softmax_1d", "softmax", (12,), lo=-3.0, hi=3.0)
unary("softmax_3d", "softmax", (2, 3, 5), lo=-3.0, hi=3.0)
unary("softmax_4d", "softmax", (1, 3, 4, 6), lo=-5.0, hi=5.0)
unary("softmax_depth1", "softmax", (5, 1), lo=-3.0, hi=3.0)
unary("softmax_depth2", "softmax", (16, 2), lo=-4.0, hi=4.0)
unary("softmax_depth300", "softmax", (1, 300), lo=-3.0, hi=9.0)
unary("softmax_beta_half", "softmax", (6, 9), beta=0.5, lo=-6.0, hi=6.0)
unary("softmax_beta_3", "softmax", (6, 9), beta=3.0, lo=-2.0, hi=2.0)
unary("softmax_beta_tiny", "softmax", (4, 9), beta=0.01, lo=-2.0, hi=2.0)
unary("softmax_scale_tiny", "softmax", (4, 9), q=(0.0004, 5))
unary("softmax_scale_large", "softmax", (8, 12), q=(0.11, 40))
unary("softmax_scale_huge", "softmax", (4, 9), q=(3.0, 0))
for i, q in enumerate([(0.002, 0), (0.013, -7), (0.0235, -128), (0.031, 100), (0.05, 3), (0.1, -20), (0.4, 127)]):
    unary(f"logistic_scale_{i}", "logistic", (1, 8, 8, 4), q=q)
    unary(f"tanh_scale_{i}", "tanh", (1, 8, 8, 4), q=q)
unary("logistic_2d", "logistic", (2, 5), lo=-5.0, hi=5.0)
unary("tanh_2d", "tanh", (2, 5), lo=-3.0, hi=3.0)

# ---- PAD, PADV2


def pads(name, shape, by, **more):
    unary("pad_" + name, "pad", shape, by, **more)


pads("4d_spatial", (1, 4, 5, 3), [[0, 0], [1, 2], [2, 1], [0, 0]])
pads("4d_channels", (1, 3, 4, 3), [[0, 0], [0, 0], [0, 0], [1, 4]])
pads("4d_batch", (1, 3, 4, 3), [[1, 1], [0, 0], [0, 0], [0, 0]])
pads("4d_all_axes", (1, 3, 2, 3), [[1, 0], [0, 2], [3, 1], [1, 1]])
pads("4d_nothing", (1, 3, 4, 3), [[0, 0], [0, 0], [0, 0], [0, 0]])
pads("3d", (2, 4, 3), [[0, 1], [2, 0], [1, 1]])
pads("2d", (3, 5), [[1, 0], [2, 3]])
pads("1d", (9,), [[3, 2]])
pads("5d", (1, 2, 3, 2, 2), [[0, 0], [1, 0], [0, 1], [1, 1], [0, 2]])
pads("zero_point_min", (1, 4, 4, 2), [[0, 0], [1, 1], [1, 1], [0, 0]], lo=0.0, hi=6.0)
pads("int64_pads", (1, 4, 4, 2), [[0, 0], [1, 1], [0, 2], [0, 0]], pads_type="int64")
for name, shape, by, value in (
    ("4d_spatial", (1, 4, 5, 3), [[0, 0], [1, 2], [2, 1], [0, 0]], -128),
    ("4d_channels", (1, 3, 4, 3), [[0, 0], [0, 0], [0, 0], [2, 1]], 55),
    ("4d_all_axes", (1, 3, 2, 3), [[1, 0], [0, 2], [3, 1], [1, 1]], 127),
    ("2d", (3, 5), [[1, 0], [2, 3]], -3),
):
    unary("padv2_" + name, "pad", shape, by, value=value)

# ---- MEAN


def mean(name, shape, axes, **more):
    unary("mean_" + name, "mean", shape, axes, **more)


mean("4d_spatial", (1, 5, 4, 6), [1, 2])
mean("4d_spatial_keep", (1, 5, 4, 6), [1, 2], keep=True)
mean("4d_spatial_keep_same_q", (1, 7, 7, 5), [1, 2], keep=True, same=True)
mean("4d_spatial_same_q", (1, 5, 4, 6), [1, 2], same=True)
mean("4d_spatial_reversed_axes", (1, 5, 4, 6), [2, 1], keep=True)
mean("4d_negative_axes", (2, 3, 4, 5), [-3, -2])
mean("4d_height", (1, 7, 3, 4), [1])
mean("4d_width_keep", (1, 3, 7, 4), [2], keep=True)
mean("4d_channels", (1, 4, 4, 7), [3])
mean("4d_channels_same_q", (1, 4, 4, 7), [-1], same=True, keep=True)
mean("4d_batch", (3, 2, 3, 4), [0])
mean("4d_all_but_batch", (2, 3, 4, 5), [1, 2, 3])
mean("4d_all", (1, 3, 4, 5), [0, 1, 2, 3])
mean("4d_spatial_batch2", (2, 6, 3, 4), [1, 2], keep=True)
mean("4d_duplicate_axes", (1, 3, 4, 5), [1, 2, 1])
mean("3d_middle", (2, 6, 5), [1])
mean("3d_middle_same_q", (1, 10, 8), [1], same=True)
mean("2d_last", (6, 9), [1])
mean("2d_last_keep_same_q", (6, 9), [-1], keep=True, same=True)
mean("2d_first", (6, 9), [0])
mean("1d", (31,), [0])
mean("scalar_axis", (4, 9), 1)
mean("of_one", (1, 1, 1, 7), [1, 2])
mean("of_one_same_q", (1, 1, 1, 7), [1, 2], keep=True, same=True)
mean("of_two_same_q", (1, 2, 1, 96), [1, 2], same=True)
mean("of_1000", (1, 25, 40, 1), [1, 2], same=True)
mean("finer_output", (1, 5, 5, 8), [1, 2], out=(0.0011, 0), q=(0.03, 10))
mean("coarser_output", (1, 3, 1, 40), [1, 2], out=(0.1, -12), q=(0.03, 10))
mean("output_twice_as_coarse", (1, 2, 2, 40), [1, 2], keep=True, out=(0.06, 3), q=(0.03, -3))

# ---- RELU, RELU6, RELU_N1_TO_1, LEAKY_RELU, HARD_SWISH

for kind in ("RELU", "RELU6", "RELU_N1_TO_1"):
    name = kind.lower()
    unary(f"{name}_same_q", "relu", (1, 8, 8, 4), kind, same=True, q=(0.061, -13))
    unary(f"{name}_same_q_zero_point_min", "relu", (1, 8, 8, 4), kind, same=True, q=(0.05, -128))
    unary(f"{name}_same_q_zero_point_max", "relu", (1, 8, 8, 4), kind, same=True, q=(0.05, 127))
    unary(f"{name}_diff_q", "relu", (1, 8, 8, 4), kind, q=(0.061, -13))
    unary(f"{name}_diff_q_finer", "relu", (1, 8, 8, 4), kind, q=(0.061, 30), out=(0.0235, -128))
    unary(f"{name}_diff_q_coarser", "relu", (1, 8, 8, 4), kind, q=(0.061, 3), out=(0.083, -60))
    unary(f"{name}_diff_q_half", "relu", (1, 8, 8, 4), kind, q=(0.0625, 3), out=(0.125, -60))
    unary(f"{name}_diff_zero_point", "relu", (1, 8, 8, 4), kind, q=(0.05, 0), out=(0.05, -128))
    unary(f"{name}_2d", "relu", (3, 5), kind)
for alpha in ("0.1", "0.3", "0.01", "1.0", "1.7", "-0.4", "-1.3", "0.0"):
    name = "leaky_relu_alpha_" + alpha.replace("-", "minus_").replace(".", "_")
    unary(name, "leaky_relu", (1, 8, 8, 4), float(alpha), q=(0.043, 21))
unary("leaky_relu_same_q", "leaky_relu", (1, 8, 8, 4), 0.2, q=(0.043, 21), out=(0.043, 21))
unary("leaky_relu_output_half", "leaky_relu", (1, 8, 8, 4), 0.25, q=(0.0625, 1), out=(0.125, -20))
unary("leaky_relu_output_finer", "leaky_relu", (1, 8, 8, 4), 0.1, q=(0.05, -40), out=(0.021, -100))
unary("leaky_relu_2d", "leaky_relu", (3, 5), 0.1)
unary("prelu_slope_positive", "prelu", (1, 8, 8, 4), 43, q=(0.043, 21))
unary("prelu_slope_negative", "prelu", (1, 8, 8, 4), -90, q=(0.043, 21))
unary("prelu_slope_over_one", "prelu", (1, 8, 8, 4), 120, (0.013, 3), q=(0.043, 21))
unary("prelu_by_channel_all_equal", "prelu", (1, 8, 8, 4), 11, (0.02, 0), (1, 1, 4), q=(0.05, -40))
unary("prelu_output_half", "prelu", (1, 8, 8, 4), 32, (1 / 128, 0), q=(0.0625, 1), out=(0.125, -20))
unary("prelu_output_finer", "prelu", (1, 8, 8, 4), 13, (1 / 128, 0), q=(0.05, -40), out=(0.021, -100))
for i, (q, out) in enumerate([((0.05, 0), None), ((0.03, -20), None), ((0.0235, -128), None), ((0.1, 40), None),
                              ((0.01, 5), (0.008, -100)), ((0.2, 0), (0.05, -100)), ((0.047, 3), (0.047, 3))]):
    unary(f"hard_swish_{i}", "hard_swish", (1, 8, 8, 4), q=q, out=out)

# ---- QUANTIZE, DEQUANTIZE

for name, dtype, q in (("int8", "int8", (0.037, -9)), ("int8_power_of_two", "int8", (0.0625, 0)), ("uint8", "uint8", (0.037, 119)), ("int16", "int16", (0.0003, 0))):
    @model(f"quantize_float_to_{name}")
    def _(n, q=q, dtype=dtype):
        return n.quantize(n.input((1, 12, 23), -4.0, 4.0, "float32"), q, dtype)


for name, a, qa, b, qb in (
    ("int8_to_int8", "int8", (0.031, -5), "int8", (0.047, 17)),
    ("int8_to_int8_finer", "int8", (0.031, -5), "int8", (0.0123, -100)),
    ("int8_to_int8_half", "int8", (0.0625, 3), "int8", (0.125, -2)),
    ("int8_to_int8_same", "int8", (0.05, 3), "int8", (0.05, 3)),
    ("int8_to_int8_zero_point_only", "int8", (0.05, 3), "int8", (0.05, -50)),
    ("int8_to_int8_much_coarser", "int8", (0.01, 3), "int8", (0.9, -50)),
    ("int8_to_int8_much_finer", "int8", (0.4, 3), "int8", (0.03, 0)),
    ("uint8_to_int8", "uint8", (0.05, 131), "int8", (0.05, 3)),
    ("uint8_to_int8_rescaled", "uint8", (0.05, 131), "int8", (0.07, -3)),
    ("int8_to_uint8", "int8", (0.05, 3), "uint8", (0.05, 131)),
    ("int8_to_uint8_rescaled", "int8", (0.05, 3), "uint8", (0.033, 111)),
    ("uint8_to_uint8", "uint8", (0.05, 131), "uint8", (0.07, 111)),
    ("int8_to_int16", "int8", (0.05, 3), "int16", (0.0003, 0)),
    ("int16_to_int8", "int16", (0.0003, 0), "int8", (0.08, 3)),
    ("int16_to_int16", "int16", (0.0003, 0), "int16", (0.0007, 0)),
):
    @model("quantize_" + name)
    def _(n, a=a, qa=qa, b=b, qb=qb):
        return n.quantize(n.input((1, 8, 8, 4), q=qa, dtype=a), qb, b)


unary("dequantize_int8", "dequantize", (1, 8, 8, 4), q=(0.0371, -11))
unary("dequantize_int8_zero_point_min", "dequantize", (1, 8, 8, 4), q=(1 / 256, -128))
unary("dequantize_uint8", "dequantize", (1, 8, 8, 4), q=(0.0371, 117), dtype="uint8")
unary("dequantize_int16", "dequantize", (1, 30), q=(0.00031, 0), dtype="int16")

# ---- CONCATENATION


def concat(name, shapes, axis):
    q = (0.04, -3)
    model("concat_" + name)(lambda n: n.concat([n.input(s, q=q) for s in shapes], axis))


concat("channels", [(1, 3, 4, 2), (1, 3, 4, 5)], 3)
concat("negative_axis", [(1, 3, 4, 2), (1, 3, 4, 5)], -1)
concat("height", [(1, 2, 4, 3), (1, 3, 4, 3)], 1)
concat("width_negative", [(1, 3, 1, 3), (1, 3, 5, 3)], -2)
concat("batch", [(1, 3, 2, 3), (2, 3, 2, 3)], 0)
concat("three", [(1, 3, 3, 1), (1, 3, 3, 4), (1, 3, 3, 2)], 3)
concat("five_2d", [(1, 3), (1, 1), (1, 7), (1, 2), (1, 4)], 1)
concat("1d", [(5,), (9,)], 0)
concat("3d", [(2, 3, 4), (2, 1, 4)], 1)
concat("5d", [(1, 2, 2, 2, 3), (1, 2, 2, 2, 1)], 4)


@model("concat_same_twice")
def _(n):
    x = n.input((1, 3, 3, 4))
    return n.concat([x, x], 3)


@model("concat_with_constant")
def _(n):
    x = n.input((1, 3, 3, 4), q=(0.04, -3))
    return n.concat([x, n.const(n.rng.integers(-128, 128, (1, 3, 3, 2)), "int8", x.q)], 3)


@model("concat_different_q")
def _(n):
    return n.concat([n.input((1, 3, 3, 4), q=(0.04, -3)), n.input((1, 3, 3, 2), q=(0.07, 11))], 3, out=(0.06, 5))


# ---- TRANSPOSE, STRIDED_SLICE

for shape, perm in (((4, 6), [1, 0]), ((2, 3, 4), [2, 0, 1]), ((2, 3, 4), [0, 2, 1]), ((2, 3, 4), [1, 0, 2]),
                    ((1, 3, 4, 5), [0, 3, 1, 2]), ((1, 4, 5, 3), [0, 2, 1, 3]), ((2, 3, 4, 5), [3, 2, 1, 0]),
                    ((1, 2, 3, 4), [0, 1, 2, 3]), ((1, 2, 3, 2, 4), [0, 4, 1, 2, 3]), ((2, 1, 3, 2, 4), [4, 2, 0, 3, 1]),
                    ((1, 2, 2, 3, 2, 2), [0, 3, 1, 5, 2, 4])):
    unary(f"transpose_{len(shape)}d_{''.join(map(str, perm))}", "transpose", shape, perm)


def sslice(name, shape, begin, end, strides, **more):
    unary("strided_slice_" + name, "strided_slice", shape, begin, end, strides, **more)


sslice("4d", (1, 6, 7, 3), [0, 1, 2, 0], [1, 5, 6, 3], [1, 1, 1, 1])
sslice("4d_strides", (1, 8, 7, 3), [0, 0, 1, 0], [1, 8, 7, 3], [1, 2, 3, 1])
sslice("4d_channels", (1, 3, 4, 7), [0, 0, 0, 2], [1, 3, 4, 7], [1, 1, 1, 2])
sslice("negative_stride", (1, 5, 6, 2), [0, 4, 5, 0], [1, 0, 1, 2], [1, -1, -2, 1])
sslice("negative_stride_to_start", (2, 7), [0, 6], [2, 0], [1, -1], end_mask=2)
sslice("reverse_all", (4, 5), [0, 0], [0, 0], [-1, -1], begin_mask=3, end_mask=3)
sslice("negative_indices", (1, 6, 7, 3), [0, -4, -5, 0], [1, -1, -2, 3], [1, 1, 1, 1])
sslice("begin_end_masks", (1, 6, 7, 3), [5, 2, 9, 1], [0, 5, 0, 0], [1, 1, 2, 1], begin_mask=5, end_mask=13)
sslice("shrink_batch", (1, 6, 7, 3), [0, 0, 0, 0], [1, 6, 7, 3], [1, 1, 1, 1], shrink=1)
sslice("shrink_last", (2, 6, 7), [0, 0, -1], [2, 6, 0], [1, 1, 1], shrink=4)
sslice("shrink_middle", (1, 6, 7, 3), [0, 3, 0, 0], [0, 4, 0, 0], [1, 1, 1, 1], begin_mask=13, end_mask=13, shrink=2)
sslice("shrink_two", (2, 4, 5, 3), [1, 0, 2, 0], [2, 4, 3, 3], [1, 1, 1, 1], shrink=5)
sslice("out_of_range_end", (1, 5, 6), [0, 2, 1], [4, 99, 50], [1, 1, 1])
sslice("fewer_axes", (2, 5, 6), [0, 1], [1, 4], [1, 2])
sslice("1d", (12,), [1], [11], [3])
sslice("5d", (1, 2, 4, 3, 2), [0, 0, 1, 0, 0], [1, 2, 4, 3, 2], [1, 1, 2, 1, 1])
sslice("ellipsis", (2, 3, 4, 5), [0, 0, 1], [1, 0, 4], [1, 1, 1], ellipsis=2)
sslice("new_axis", (3, 4, 5), [0, 0, 1], [3, 0, 4], [1, 1, 1], new_axis=2)
sslice("whole", (1, 3, 4, 2), [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], begin_mask=15, end_mask=15)

# ---- RESIZE_NEAREST_NEIGHBOR

for name, shape, size in (("up2", (1, 3, 4, 3), (6, 8)), ("up_uneven", (1, 3, 4, 2), (7, 5)), ("down2", (1, 6, 8, 2), (3, 4)),
                          ("down_uneven", (1, 7, 5, 2), (3, 4)), ("to_one", (1, 5, 4, 3), (1, 1)), ("from_one", (1, 1, 1, 3), (4, 3)),
                          ("same_batch2", (2, 3, 4, 2), (3, 4)), ("up_down", (1, 4, 9, 2), (10, 4))):
    for mode, more in (("", {}), ("_align", dict(align=True)), ("_half", dict(half=True))):
        unary(f"resize_nearest_{name}{mode}", "resize_nearest", shape, size, **more)
unary("resize_nearest_up_align_half", "resize_nearest", (1, 3, 4, 2), (7, 9), align=True, half=True)

# ---- ties: scales whose ratio lies so close to n + 1/2 that it shows how the multiplier was computed.
# RELU, RELU6, LEAKY_RELU, PRELU, MUL: in float32. QUANTIZE, CONV_2D, per-channel FULLY_CONNECTED: in float64.
# FULLY_CONNECTED per tensor: the product of the two scales in float32, the division in float64.

unary("relu_ties", "relu", (1, 8, 8, 4), "RELU", q=(0.007324473466724157, 30), out=(0.004882982466369867, 27))
unary("relu6_ties", "relu", (1, 8, 8, 4), "RELU6", q=(0.07324473466724157, 30), out=(0.04882982466369867, -99))
unary("leaky_relu_ties", "leaky_relu", (1, 8, 8, 4), 0.20000000298023224, q=(0.1515149027109146, 108), out=(0.060605961829423904, 23))
unary("leaky_relu_ties_positive", "leaky_relu", (1, 8, 8, 4), 0.3, q=(0.007324473466724157, -20), out=(0.004882982466369867, -90))


@model("quantize_ties")
def _(n):
    return n.quantize(n.input((1, 8, 8, 4), q=(0.013823569752275944, -50)), (0.00921571347862482, -52))


@model("mul_ties")
def _(n):
    x = n.input((1, 16, 16, 1), q=(0.048395294696092606, -45))
    return n.mul(x, n.const([-7, -38], "int8", (0.009619033895432949, 8)), out=(0.0053201825357973576, 29))


for suffix, more in (("", dict(per_channel=False)), ("_per_channel", dict(per_channel=True))):
    q, w, s, out = (0.09447459876537323, 42), [2, 4, -1], 0.18901090323925018, (0.023808972910046577, 13)
    unary("fully_connected_ties" + suffix, "fc", (256, 1), 3, q=q, w=np.reshape(w, (3, 1)), w_scale=s, out=out, **more)
    unary("conv_2d_ties" + suffix, "conv", (1, 16, 16, 1), 3, k=(1, 1), q=q, w=np.reshape(w, (3, 1, 1, 1)), w_scale=s, out=out, **more)

# LOGISTIC, TANH: a table, each step of it in float32. Some codes here fall on the other side of n + 1/2 in float64,
# or with an exp that is off by one float32 step.
for i, q in enumerate([(0.0078125, 0), (0.00390625, 50), (0.0001887310791062191, -128), (0.0018862435827031732, -27), (0.011599646881222725, 127), (0.2727649509906769, -128)]):
    unary(f"logistic_ties_{i}", "logistic", (1, 8, 8, 4), q=q)
for i, q in enumerate([(0.001953125, 116), (0.00390625, 50), (0.00033854503999464214, -121)]):
    unary(f"tanh_ties_{i}", "tanh", (1, 8, 8, 4), q=q)

# Left out of the repository's folder (`make.py extra` writes them): near relatives of what is there.
EXTRA = """
conv_2d_1x1_pixel conv_2d_2x4_valid conv_2d_3x3_one_out conv_2d_stride3_valid conv_2d_stride_uneven_1x2
conv_2d_kernel_larger_than_input_stride2 conv_2d_1d_columns_stride2 conv_2d_batch3_stride2_valid conv_2d_33_outputs_1x1
conv_2d_groups3_1x1 conv_2d_act_relu conv_2d_act_relu6 conv_2d_act_relu_n1_to_1 conv_2d_input_zero_point_max conv_2d_dilation2_valid
depthwise_1x1 depthwise_per_tensor_mult2_no_bias depthwise_17_channels depthwise_input_zero_point_min depthwise_kernel_is_input_valid
depthwise_mult8_one_channel_stride2 depthwise_act_none
fully_connected_odd fully_connected_one_input fully_connected_one_by_one fully_connected_batch3 fully_connected_act_none fully_connected_input_1d
fully_connected_per_channel_no_bias fully_connected_weight_zero_point_no_bias fully_connected_keep_num_dims_2d
fully_connected_keep_num_dims_per_channel_2d fully_connected_input_zero_point_min fully_connected_input_4d_batch2
average_pool_uint8 average_pool_1x1_stride2 average_pool_stride3_window2_same average_pool_larger_than_input_same_stride2
max_pool_1x1* max_pool_stride3* max_pool_larger_than_input_same max_pool_2x3* max_pool_1d max_pool_3x3_stride1_same max_pool_act_relu
sub_channel sub_scalar_like sub_batch sub_middle sub_2d sub_1d sub_saturating sub_act_relu sub_act_relu6 sub_act_relu_n1_to_1 sub_const_scalar
sub_5d_same_shape sub_equal_scales
mul_channel_1d mul_scalar_like mul_batch mul_middle mul_2d mul_1d mul_act_relu mul_act_relu_n1_to_1 mul_const_left mul_scalar_left
mul_5d_same_shape mul_equal_scales
add_1d add_act_relu_broadcast add_5d_same_shape add_batch
squeeze_all expand_dims_2 reshape_no_options reshape_to_1d softmax_1d softmax_scale_tiny softmax_depth2
logistic_scale_[025] logistic_2d tanh_scale_[025] tanh_2d
pad_1d pad_3d pad_4d_nothing padv2_2d
mean_4d_height mean_4d_spatial_batch2 mean_2d_first mean_of_one mean_3d_middle mean_4d_spatial_reversed_axes mean_scalar_axis
relu_n1_to_1_same_q_zero_point_m* relu_n1_to_1_diff_q_finer relu_n1_to_1_diff_zero_point *relu*_2d relu6_same_q_zero_point_max relu6_diff_q_coarser
leaky_relu_alpha_1_0 leaky_relu_alpha_0_0 leaky_relu_alpha_0_01 hard_swish_1 hard_swish_3
quantize_int16_to_int16 quantize_uint8_to_uint8 quantize_int8_to_int8_same quantize_int8_to_int8_much_coarser
concat_1d concat_width_negative concat_3d transpose_3d_021 transpose_5d_04123 transpose_6d_* concat_different_q
strided_slice_shrink_batch strided_slice_negative_stride_to_start strided_slice_1d strided_slice_whole
resize_nearest_up2_align resize_nearest_up_uneven resize_nearest_down2* resize_nearest_down_uneven resize_nearest_to_one resize_nearest_to_one_half
resize_nearest_from_one_* resize_nearest_same* resize_nearest_up_down
conv_2d_3x3_even_channels conv_2d_stride2_same conv_2d_groups2_valid_dilation2 conv_2d_act_none conv_2d_input_zero_point_min
depthwise_3x3_valid depthwise_5x2 depthwise_stride2_same depthwise_batch2 depthwise_act_relu
fully_connected_64_to_10 fully_connected_per_channel_batch2 fully_connected_keep_num_dims_no_bias_batch2 fully_connected_act_relu fully_connected_per_channel_3d
average_pool_1x1 average_pool_2x3* average_pool_act_relu average_pool_stride_uneven max_pool_stride_uneven max_pool_act_relu_n1_to_1
add_2d add_middle add_scalar_like add_act_relu add_channel_1d sub_channel_1d sub_lower_rank_left sub_const_left mul_lower_rank_left mul_saturating
concat_height concat_batch hard_swish_2 leaky_relu_alpha_0_3 leaky_relu_alpha_minus_1_3 logistic_scale_6 tanh_scale_6
mean_4d_spatial_keep mean_2d_last mean_4d_spatial_same_q mean_coarser_output mean_1d
relu_same_q_zero_point_max relu_diff_q_coarser relu6_diff_q_half relu_n1_to_1_diff_q_half reshape_minus_1_first
resize_nearest_to_one_align resize_nearest_up_down_half resize_nearest_up_down_align softmax_4d softmax_beta_tiny
strided_slice_out_of_range_end strided_slice_shrink_two transpose_3d_102 quantize_int8_to_int8_finer
net_conv_relu_n1_to_1_same_q net_depthwise_relu_diff_q net_pool_reshape_fc_softmax net_pad_conv_same net_three_inputs net_temporal_gated net_reverse_and_subtract
"""
