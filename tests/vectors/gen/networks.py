"""Small networks: what fusing, folding and memory planning must get right. MODELS as in operators.py."""

from . import operators
from .net import RELU, RELU6, SAME, VALID, q_range

MODELS = {}


def model(name):
    return operators.model("net_" + name, MODELS)


# ---- shapes of graphs


@model("residual")
def _(n):
    y = n.conv(n.input((1, 6, 6, 4)), 6, act=RELU)
    z = n.conv(n.conv(y, 6, act=RELU), 6)
    return n.add(y, z, act=RELU)


@model("residual_projected")
def _(n):
    x = n.conv(n.input((1, 7, 7, 3)), 4, act=RELU6)
    a = n.conv(n.conv(x, 5, stride=(2, 2), act=RELU6), 5)
    return n.relu(n.add(a, n.conv(x, 5, k=(1, 1), stride=(2, 2))), same=True)


@model("residual_input_is_kept")
def _(n):
    x = n.input((1, 5, 5, 4))
    return n.add(n.dwconv(n.dwconv(x)), x)


@model("residual_nested")
def _(n):
    x = n.input((1, 5, 5, 4))
    a = n.conv(x, 4, k=(1, 1), act=RELU)
    b = n.add(n.conv(a, 4, k=(1, 1)), a)
    c = n.add(n.conv(b, 4), x)
    return n.add(c, b)


@model("output_is_intermediate")
def _(n):
    y = n.conv(n.input((1, 5, 5, 3)), 4, act=RELU)
    return y, n.dwconv(y)


@model("output_is_intermediate_before_relu")
def _(n):
    y = n.conv(n.input((1, 5, 5, 3)), 4)
    return y, n.relu(y)


@model("input_reshaped_is_output")
def _(n):
    x = n.input((1, 4, 5, 3))
    return n.reshape(x, (1, 60)), n.conv(x, 4)


@model("input_is_output")
def _(n):
    x = n.input((1, 4, 5, 3))
    return x, n.conv(x, 4)


@model("same_output_twice")
def _(n):
    y = n.conv(n.input((1, 4, 5, 3)), 4)
    return y, y


@model("one_tensor_two_outputs")
def _(n):
    y = n.conv(n.input((1, 6, 6, 3)), 4)
    return n.relu(y, same=True), n.avg_pool(y)


@model("reshape_and_original_are_outputs")
def _(n):
    y = n.conv(n.input((1, 4, 4, 3)), 4, act=RELU)
    return y, n.reshape(y, (1, 64)), n.fc(n.reshape(y, (4, 16)), 3)


@model("two_inputs_two_outputs")
def _(n):
    a, b = n.input((1, 5, 5, 3)), n.input((1, 8))
    p = n.conv(a, 4, act=RELU)
    gate = n.reshape(n.logistic(n.fc(b, 4)), (1, 1, 1, 4))
    return n.mul(p, gate), n.fc(b, 3)


@model("three_inputs")
def _(n):
    a, b, c = (n.input((1, 4, 4, 3)) for _ in range(3))
    return n.sub(n.add(a, b), n.mul(b, c))


@model("inputs_swapped")
def _(n):
    a, b = n.input((1, 6)), n.input((1, 9))
    return n.fc(b, 4), n.fc(a, 5)


@model("input_unused")
def _(n):
    x = n.input((1, 4, 4, 2))
    n.input((1, 3))
    return n.conv(x, 3)


@model("result_unused")
def _(n):
    x = n.input((1, 5, 5, 2))
    y = n.conv(x, 3, act=RELU)
    n.max_pool(n.dwconv(y))  # nobody reads it
    return n.avg_pool(y)


@model("constant_output")
def _(n):
    x = n.input((1, 4, 4, 2))
    return n.conv(x, 3), n.const_q((1, 6))


@model("constant_only")
def _(n):
    return n.add(n.const_q((1, 3, 4, 2)), n.const_q((1, 1, 1, 2)))


@model("constants_folded")
def _(n):
    x = n.input((1, 3, 4, 2))
    c = n.relu(n.mul(n.const_q((1, 3, 4, 2)), n.const_q((1, 1, 1, 2))))
    return n.add(x, c)


@model("shared_weights")
def _(n):
    a, b = n.input((1, 4, 4, 3), q=(0.03, 5)), n.input((1, 4, 4, 3), q=(0.03, 5))
    p = n.conv(a, 4)
    code, version, ins, _, table, fields = n.ops[-1]
    r = n.like(p, p.shape)
    n.op(code, [b, *ins[1:]], [r], table, version, **fields)
    return n.sub(p, r)


@model("shared_constant")
def _(n):
    c = n.const_q((1, 1, 1, 4))
    x = n.input((1, 4, 4, 4))
    return n.mul(n.add(x, c), c)


@model("parallel_branches")
def _(n):
    x = n.conv(n.input((1, 6, 6, 2)), 4, act=RELU)
    ys = [n.conv(x, 3, k=(1, 1)), n.conv(x, 3), n.max_pool(x, k=(3, 3), stride=(1, 1), pad=SAME), n.avg_pool(x, k=(3, 3), stride=(1, 1), pad=SAME)]
    q = ys[2].q
    return n.concat([y if y.q == q else n.quantize(y, q) for y in ys], 3)


@model("concat_part_used_again")
def _(n):
    x = n.input((1, 4, 4, 3), q=(0.03, -5))
    a = n.conv(x, 3, out=(0.03, -5))
    c = n.concat([x, a], -1)
    return n.conv(c, 3), n.dwconv(a), n.max_pool(x)


@model("dense_block")
def _(n):
    x = n.input((1, 5, 5, 3), 0.0, 4.0)
    for _ in range(3):
        x = n.concat([x, n.conv(x, 2, act=RELU, out=x.q)], 3)
    return n.mean(x, [1, 2])


# ---- activations and requantizations that compilers like to fuse

for kind in ("relu", "relu6", "relu_n1_to_1"):
    for q in ("same", "diff"):

        @model(f"conv_{kind}_{q}_q")
        def _(n, kind=kind, q=q):
            y = n.conv(n.input((1, 5, 5, 3)), 4, out=q_range(-5.0, 7.0))
            y.std = 3.0
            return n.conv(n.relu(y, kind.upper(), same=q == "same"), 3, k=(1, 1))


@model("depthwise_relu_diff_q")
def _(n):
    return n.relu(n.dwconv(n.input((1, 5, 5, 3))))


@model("fc_relu_diff_q")
def _(n):
    return n.relu(n.fc(n.input((1, 20)), 12))


@model("add_relu_diff_q")
def _(n):
    return n.relu(n.add(n.input((1, 4, 4, 5)), n.input((1, 4, 4, 5))))


@model("pool_relu")
def _(n):
    x = n.conv(n.input((1, 6, 6, 3)), 4)
    return n.relu(n.max_pool(x), same=True), n.relu(n.avg_pool(x))


@model("reshape_relu")
def _(n):
    y = n.reshape(n.conv(n.input((1, 4, 4, 3)), 4), (1, 64))
    return n.fc(n.relu(y), 5)


@model("relu_two_uses")
def _(n):
    y = n.conv(n.input((1, 5, 5, 3)), 4)
    r = n.relu(y)
    return n.add(r, y), n.max_pool(r)


@model("relu_of_relu6")
def _(n):
    return n.relu(n.relu(n.conv(n.input((1, 5, 5, 3)), 4), "RELU6", same=True))


@model("fused_relu6_then_relu_diff_q")
def _(n):
    return n.relu(n.conv(n.input((1, 5, 5, 3)), 4, act=RELU6), out=(0.031, -100))


@model("conv_quantize_conv")
def _(n):
    y = n.conv(n.input((1, 5, 5, 3)), 4)
    return n.conv(n.quantize(y), 3)


@model("conv_quantize_two_uses")
def _(n):
    y = n.conv(n.input((1, 5, 5, 3)), 4)
    z = n.quantize(y, (0.021, 9))
    return n.add(y, z), n.conv(z, 2)


@model("quantize_chain")
def _(n):
    x = n.input((1, 8, 8, 4), q=(0.05, 3))
    return n.quantize(n.quantize(n.quantize(x, (0.071, -4)), (0.043, 12)), (0.05, 3))


@model("relu_quantize_relu")
def _(n):
    x = n.input((1, 8, 8, 4), q=(0.05, 3))
    return n.relu(n.quantize(n.relu(x, out=(0.031, -90)), (0.047, -70)), out=(0.029, -128))


@model("tables_chain")
def _(n):
    x = n.input((1, 8, 8, 4), q=(0.05, 3))
    return n.leaky_relu(n.tanh(n.hard_swish(n.logistic(x))), 0.2)


@model("conv_tables")
def _(n):
    y = n.conv(n.input((1, 5, 5, 3)), 4)
    return n.logistic(y), n.tanh(y), n.hard_swish(y), n.leaky_relu(y, 0.1)


@model("swish")
def _(n):
    y = n.conv(n.input((1, 5, 5, 3)), 4)
    return n.mul(y, n.logistic(y))


@model("squeeze_and_excite")
def _(n):
    x = n.conv(n.input((1, 5, 5, 3)), 6, act=RELU)
    s = n.mean(x, [1, 2], keep=True)
    s = n.conv(s, 2, k=(1, 1), act=RELU)
    s = n.logistic(n.conv(s, 6, k=(1, 1)))
    return n.mul(x, s)


@model("batch_norm_left_over")
def _(n):
    x = n.conv(n.input((1, 5, 5, 3)), 4)
    return n.add(n.mul(x, n.const_q((4,), 0.3, 2.0)), n.const_q((1, 1, 1, 4)), act=RELU)


@model("zero_channels_into_add")
def _(n):
    from numpy import clip, round

    x = n.input((1, 5, 5, 3))
    w = clip(round(n.rng.normal(0, 45, (6, 3, 3, 3))), -127, 127)
    w[[0, 3, 5]] = 0
    y = n.conv(x, 6, w=w, act=RELU)
    return n.conv(n.add(n.dwconv(y, act=RELU6), y), 3, k=(1, 1))


# ---- padding

for name, pads, stride in (("symmetric", [[0, 0], [1, 1], [1, 1], [0, 0]], (1, 1)), ("keras_stride2", [[0, 0], [0, 1], [0, 1], [0, 0]], (2, 2)),
                           ("uneven", [[0, 0], [2, 0], [1, 3], [0, 0]], (1, 2))):

    @model(f"pad_conv_{name}")
    def _(n, pads=pads, stride=stride):
        return n.conv(n.pad(n.input((1, 6, 6, 3)), pads), 4, stride=stride, pad=VALID, act=RELU)


@model("pad_depthwise_keras_stride2")
def _(n):
    x = n.conv(n.input((1, 6, 6, 2)), 4, k=(1, 1), act=RELU6)
    return n.dwconv(n.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]), stride=(2, 2), pad=VALID, act=RELU6)


@model("pad_conv_same")
def _(n):
    return n.conv(n.pad(n.input((1, 5, 5, 2)), [[0, 0], [1, 1], [1, 1], [0, 0]]), 3)


@model("pad_wider_than_kernel")
def _(n):
    return n.conv(n.pad(n.input((1, 3, 3, 2)), [[0, 0], [4, 3], [3, 4], [0, 0]]), 3, pad=VALID)


@model("pad_two_uses")
def _(n):
    p = n.pad(n.input((1, 5, 5, 2)), [[0, 0], [1, 1], [1, 1], [0, 0]])
    return n.conv(p, 3, pad=VALID), n.max_pool(p)


@model("pad_channels_conv")
def _(n):
    return n.conv(n.pad(n.input((1, 5, 5, 2)), [[0, 0], [0, 0], [0, 0], [1, 2]]), 3, pad=VALID)


@model("pad_pool")
def _(n):
    p = n.pad(n.input((1, 5, 5, 2)), [[0, 0], [1, 1], [1, 1], [0, 0]])
    return n.max_pool(p, k=(3, 3)), n.avg_pool(p, k=(3, 3))


@model("padv2_conv_other_value")
def _(n):
    return n.conv(n.pad(n.input((1, 5, 5, 2)), [[0, 0], [1, 1], [1, 1], [0, 0]], value=-77), 3, pad=VALID)


@model("padv2_conv_zero_point")
def _(n):
    x = n.input((1, 5, 5, 2), q=(0.03, -14))
    return n.conv(n.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], value=-14), 3, pad=VALID)


# ---- moving data


@model("channel_shuffle")
def _(n):
    x = n.conv(n.input((1, 4, 4, 4)), 6, groups=2, act=RELU)
    y = n.reshape(n.transpose(n.reshape(x, (1, 4, 4, 2, 3)), [0, 1, 2, 4, 3]), (1, 4, 4, 6))
    return n.conv(y, 4, groups=2)


@model("nchw_wrapper")
def _(n):
    x = n.transpose(n.input((1, 3, 5, 6)), [0, 2, 3, 1])
    return n.transpose(n.conv(x, 4, act=RELU), [0, 3, 1, 2])


@model("split_and_concat")
def _(n):
    x = n.conv(n.input((1, 4, 4, 3)), 6)
    a = n.strided_slice(x, [0, 0, 0, 0], [1, 4, 4, 3], [1, 1, 1, 1])
    b = n.strided_slice(x, [0, 0, 0, 3], [1, 4, 4, 6], [1, 1, 1, 1])
    return n.concat([n.dwconv(b, out=x.q), a], 3)


@model("reshape_chain")
def _(n):
    x = n.input((1, 4, 6, 2))
    return n.expand_dims(n.squeeze(n.reshape(n.reshape(x, (2, 24)), (1, 1, 48)), [0, 1]), 0)


@model("add_transposed_self")
def _(n):
    x = n.reshape(n.conv(n.input((1, 4, 4, 2)), 4), (8, 8))
    return n.add(x, n.transpose(x, [1, 0]))


@model("reverse_and_subtract")
def _(n):
    x = n.input((4, 9))
    r = n.strided_slice(x, [0, 0], [0, 0], [1, -1], begin_mask=3, end_mask=3)
    return n.sub(x, r)


@model("flatten_dynamic_batch")
def _(n):
    x = n.conv(n.input((1, 4, 4, 3), signature=(-1, 4, 4, 3)), 4, act=RELU)
    return n.fc(n.reshape_dynamic(x, (1, 64)), 5)


@model("flatten_dynamic_batch_minus_1")
def _(n):
    x = n.avg_pool(n.input((1, 4, 6, 3), signature=(-1, 4, 6, 3)))
    return n.softmax(n.fc(n.reshape_dynamic(x, (1, 18), parts=[-1]), 4))


@model("reshape_dynamic_batch_4d")
def _(n):
    x = n.fc(n.input((1, 10), signature=(-1, 10)), 24, act=RELU)
    return n.conv(n.reshape_dynamic(x, (1, 3, 4, 2)), 3)


@model("upsample_and_skip")
def _(n):
    x = n.conv(n.input((1, 6, 6, 2)), 3, act=RELU)
    d = n.conv(n.max_pool(x), 3, act=RELU, out=x.q)
    u = n.resize_nearest(d, (6, 6), half=True)
    return n.conv(n.concat([u, x], 3), 2)


# ---- wrappers


@model("uint8_wrapper")
def _(n):
    x = n.quantize(n.input((1, 6, 6, 3), dtype="uint8", q=(0.02, 128)), (0.02, 0))
    y = n.conv(x, 4, act=RELU)
    return n.quantize(y, (y.scale, y.zero + 128), "uint8")


@model("float_wrapper")
def _(n):
    x = n.quantize(n.input((1, 6, 6, 3), -2.0, 2.0, "float32"))
    return n.dequantize(n.softmax(n.fc(n.reshape(n.conv(x, 3, stride=(2, 2), act=RELU), (1, 27)), 5)))


@model("float_in_int8_out_two_inputs")
def _(n):
    a, b = n.quantize(n.input((1, 12), -2.0, 2.0, "float32")), n.input((1, 12))
    return n.add(a, b), n.dequantize(n.mul(a, b))


# ---- heads and miniatures of known networks


@model("mean_fc_softmax")
def _(n):
    x = n.conv(n.input((1, 6, 5, 3)), 8, act=RELU6)
    return n.softmax(n.fc(n.mean(x, [1, 2]), 6))


@model("pool_reshape_fc_softmax")
def _(n):
    x = n.avg_pool(n.conv(n.input((1, 6, 5, 3)), 8, act=RELU), k=(6, 5), stride=(6, 5))
    return n.softmax(n.fc(n.reshape(x, (1, 8), to=(-1, 8)), 6))


@model("ds_cnn")
def _(n):
    x = n.conv(n.input((1, 13, 10, 1)), 8, k=(6, 4), stride=(2, 2), act=RELU)
    for _ in range(2):
        x = n.conv(n.dwconv(x, act=RELU), 8, k=(1, 1), act=RELU)
    x = n.reshape(n.avg_pool(x, k=(7, 5), stride=(7, 5)), (1, 8))
    return n.softmax(n.fc(x, 4))


@model("mobilenet_v2")
def _(n):
    x = n.conv(n.input((1, 8, 8, 3)), 4, stride=(2, 2), act=RELU6)
    for cout, stride in ((4, 1), (6, 2)):
        y = n.conv(n.dwconv(n.conv(x, 12, k=(1, 1), act=RELU6), stride=(stride, stride), act=RELU6), cout, k=(1, 1))
        x = n.add(x, y) if cout == 4 else y
    return n.fc(n.mean(x, [1, 2], keep=False), 3)


@model("autoencoder")
def _(n):
    x = n.input((1, 24))
    for units in (12, 4, 12):
        x = n.fc(x, units, act=RELU)
    return n.fc(x, 24)


@model("conv_1d")
def _(n):
    x = n.expand_dims(n.input((1, 20, 3)), 1)
    x = n.squeeze(n.conv(x, 6, k=(1, 5), stride=(1, 2), act=RELU), [1])
    x = n.squeeze(n.conv(n.expand_dims(x, 1), 4, k=(1, 3), pad=VALID, act=RELU), [1])
    return n.fc(n.mean(x, [1]), 3)


@model("temporal_gated")
def _(n):
    x = n.input((1, 16, 1, 4))
    a = n.tanh(n.conv(x, 4, k=(3, 1), dil=(2, 1)))
    b = n.logistic(n.conv(x, 4, k=(3, 1), dil=(2, 1)))
    return n.add(n.conv(n.mul(a, b), 4, k=(1, 1)), x)


@model("fc_keep_dims_attention_like")
def _(n):
    x = n.input((1, 6, 8))
    h = n.fc(x, 8, act=RELU, keep=True)
    return n.add(n.fc(h, 8, keep=True), x)
