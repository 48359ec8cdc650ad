"""Small quantized networks: a builder that knows operators, scales and the .tflite schema.

Every tensor carries an estimate (mean, std) of the real values that random inputs give it. Output
scales follow from it, so that results spread over the int8 range instead of saturating.
"""

import importlib
import zlib
from dataclasses import dataclass

import flatbuffers
import numpy as np
from tflite.BuiltinOperator import BuiltinOperator
from tflite.BuiltinOptions import BuiltinOptions
from tflite.TensorType import TensorType

NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
ACTIVATIONS = {"none": NONE, "relu": RELU, "relu_n1_to_1": RELU_N1_TO_1, "relu6": RELU6}
SAME, VALID = 0, 1

TYPES = {
    "float32": TensorType.FLOAT32,
    "int32": TensorType.INT32,
    "uint8": TensorType.UINT8,
    "int64": TensorType.INT64,
    "bool": TensorType.BOOL,
    "int16": TensorType.INT16,
    "int8": TensorType.INT8,
}
LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


@dataclass
class Tensor:
    name: str
    shape: tuple
    dtype: str = "int8"
    scale: object = None  # a float, a list (per channel) or None
    zero: object = 0
    axis: int = 0
    data: object = None
    signature: object = None
    mean: float = 0.0
    std: float = 1.0

    @property
    def q(self):
        return (self.scale, self.zero)

    @property
    def size(self):
        return int(np.prod(self.shape, dtype=np.int64))


def f32(x):
    return float(np.float32(x))


def q_range(lo, hi, dtype="int8"):
    """Scale and zero point that cover lo..hi, the way converters choose them."""
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    if dtype == "int16":
        return f32(max(-lo, hi, 1e-6) / 32767), 0
    qmin, qmax = LIMITS[dtype]
    scale = f32(max(hi - lo, 1e-6) / 255)
    return scale, int(np.clip(np.round(qmin - lo / scale), qmin, qmax))


def span(x):
    """The real values that a tensor's codes stand for."""
    lo, hi = LIMITS[x.dtype]
    return (lo - x.zero) * x.scale, (hi - x.zero) * x.scale


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def broadcast(a, b):
    return tuple(np.broadcast_shapes(a, b))


class Net:
    def __init__(self, name, seed=None):
        self.name = name
        self.rng = np.random.default_rng(zlib.crc32(name.encode()) if seed is None else seed)
        self.tensors, self.ops = [], []
        self.inputs, self.outputs = [], []

    # ---- tensors

    def tensor(self, shape, q=(None, 0), dtype="int8", name=None, **more):
        t = Tensor(name or f"t{len(self.tensors)}", tuple(shape), dtype, q[0], q[1], **more)
        self.tensors.append(t)
        return t

    def input(self, shape, lo=None, hi=None, dtype="int8", q=None, signature=None):
        r = self.rng
        if lo is None:
            hi = float(r.uniform(0.6, 4.0))
            lo = -hi * float(r.choice([0.0, r.uniform(0.2, 1.4), 1.0]))
        if dtype == "float32":
            x = self.tensor(shape, dtype=dtype, name=f"in{len(self.inputs)}", signature=signature)
            x.mean, x.std = (lo + hi) / 2, (hi - lo) / 3.5
        else:
            x = self.tensor(shape, q or q_range(lo, hi, dtype), dtype, f"in{len(self.inputs)}", signature=signature)
            a, b = span(x)
            x.mean, x.std = (a + b) / 2, (b - a) / 3.46
        self.inputs.append(x)
        return x

    def const(self, data, dtype="int32", q=(None, 0), axis=0, name=None):
        data = np.asarray(data, dtype)
        t = self.tensor(data.shape, q, dtype, name, axis=axis, data=data)
        if dtype in LIMITS and q[0] is not None and not isinstance(q[0], list):
            real = (data.astype(np.float64) - q[1]) * q[0]
            t.mean, t.std = float(real.mean()), float(real.std())
        return t

    def const_q(self, shape, lo=-1.0, hi=1.0, dtype="int8"):
        """A quantized constant with random contents."""
        a, b = LIMITS[dtype]
        return self.const(self.rng.integers(a, b + 1, shape), dtype, q_range(lo, hi, dtype))

    def output(self, *tensors):
        self.outputs += tensors

    # ---- operators

    def op(self, code, ins, outs, table=None, version=1, **fields):
        self.ops.append((code, version, list(ins), list(outs), table, fields))
        return outs[0]

    def like(self, x, shape, q=None, dtype=None):
        """An output tensor that holds x's values."""
        y = self.tensor(shape, q or x.q, dtype or x.dtype)
        y.mean, y.std = x.mean, x.std
        return y

    def result(self, shape, mean, std, act=NONE, out=None, dtype="int8", reach=2.4):
        """An output tensor for values of this spread, behind this activation."""
        lo, hi = mean - reach * std, mean + reach * std
        if act == RELU:
            lo, hi = 0.0, max(hi, 0.2 * std)
        elif act == RELU6:
            lo, hi = 0.0, min(max(hi, 0.5), 6.0)
        elif act == RELU_N1_TO_1:
            lo, hi = max(lo, -1.0), min(max(hi, 0.1), 1.0)
        y = self.tensor(shape, out or q_range(lo, hi, dtype), dtype)
        if act != NONE:
            mean, std = float(np.clip(mean, lo, hi)), min(std, (hi - lo) / 3)
            if act in (RELU, RELU6):
                mean, std = max(mean, 0.4 * std), 0.6 * std
        y.mean, y.std = mean, std
        return y

    def weights(self, x, shape, axis, taps_axes, channels, per_channel, bias, act, w, target, gain, w_zero, w_scale, jitter, w_edge, out_scale):
        """Weights, scales and bias that bring the sums to the wanted spread.

        With w_scale the multiplier is free to be odd; otherwise scales follow from `target`."""
        r = self.rng
        if w is None:
            w = np.clip(np.round(r.normal(0, 45, shape)), -127, 127).astype(int)
            if w_edge:
                w = np.where(r.random(shape) < 0.3, -128, w)
        w = np.asarray(w, int)
        moved = (w - w_zero).astype(np.float64)
        energy = np.sqrt((moved**2).sum(axis=taps_axes)) + 1e-9
        sums = moved.sum(axis=taps_axes)
        std = max(x.std, 1e-6)
        if w_scale is not None:
            scales = np.broadcast_to(np.asarray(w_scale, np.float64), (channels,)).copy()
        elif per_channel:
            factor = np.exp(r.uniform(-jitter, jitter, channels))
            scales = target * factor / (std * np.maximum(energy, 40.0))
        else:
            scales = np.full(channels, target / (std * np.maximum(energy, 40.0).mean()))
        scales = scales.astype(np.float32).astype(np.float64)
        if not per_channel:
            scales[:] = scales[0]
        q = ([float(s) for s in scales], [0] * channels) if per_channel else (float(scales[0]), w_zero)
        wt = self.const(w, "int8", q, axis=axis, name=f"w{len(self.tensors)}")
        spread = scales * std * energy
        mean = scales * x.mean * sums
        bt = None
        if bias:
            # Centre most of it: a trained network's biases do that too.
            shift = -mean * 0.9 + spread * r.normal(0, 0.3, channels)
            b = np.round(shift / (x.scale * scales))
            b = np.clip(b, -(2**30), 2**30).astype(np.int64)
            bq = ([f32(x.scale * s) for s in scales], [0] * channels) if per_channel else (f32(x.scale * scales[0]), 0)
            bt = self.const(b, "int32", bq, name=f"b{len(self.tensors)}")
            mean = mean + b * x.scale * scales
        lo, hi = float((mean - 2.2 * spread).min()), float((mean + 2.2 * spread).max())
        total_mean, total_std = (lo + hi) / 2, (hi - lo) / 4.6 / gain
        return wt, bt, total_mean, max(total_std, 1e-6)

    @staticmethod
    def target(act):
        return {NONE: 1.0, RELU: 1.0, RELU6: 3.2, RELU_N1_TO_1: 0.8}[act]

    def conv(self, x, cout, k=(3, 3), stride=(1, 1), dil=(1, 1), pad=SAME, act=NONE, per_channel=True, bias=True,
             groups=1, w=None, w_scale=None, w_edge=False, out=None, gain=1.0, jitter=0.6, version=None):
        n, h, wd, cin = x.shape
        fc = cin // groups
        wt, bt, mean, std = self.weights(x, (cout, *k, fc), 0, (1, 2, 3), cout, per_channel, bias, act, w,
                                         self.target(act), gain, 0, w_scale, jitter, w_edge, None)
        shape = (n, window(h, k[0], stride[0], dil[0], pad), window(wd, k[1], stride[1], dil[1], pad), cout)
        y = self.result(shape, mean, std, act, out)
        return self.op("CONV_2D", [x, wt] + ([bt] if bt else []), [y], "Conv2DOptions",
                       version or (6 if groups > 1 else 3), padding=pad, stride_h=stride[0], stride_w=stride[1],
                       dilation_h_factor=dil[0], dilation_w_factor=dil[1], fused_activation_function=act)

    def dwconv(self, x, mult=1, k=(3, 3), stride=(1, 1), dil=(1, 1), pad=SAME, act=NONE, per_channel=True, bias=True,
               w=None, w_scale=None, w_edge=False, out=None, gain=1.0, jitter=0.6):
        n, h, wd, cin = x.shape
        cout = cin * mult
        wt, bt, mean, std = self.weights(x, (1, *k, cout), 3, (0, 1, 2), cout, per_channel, bias, act, w,
                                         self.target(act), gain, 0, w_scale, jitter, w_edge, None)
        shape = (n, window(h, k[0], stride[0], dil[0], pad), window(wd, k[1], stride[1], dil[1], pad), cout)
        y = self.result(shape, mean, std, act, out)
        return self.op("DEPTHWISE_CONV_2D", [x, wt] + ([bt] if bt else []), [y], "DepthwiseConv2DOptions", 3,
                       padding=pad, stride_h=stride[0], stride_w=stride[1], depth_multiplier=mult,
                       dilation_h_factor=dil[0], dilation_w_factor=dil[1], fused_activation_function=act)

    def fc(self, x, units, act=NONE, per_channel=False, bias=True, w_zero=0, keep=False, depth=None, w=None,
           w_scale=None, w_edge=False, out=None, gain=1.0, jitter=0.6, absent_bias=False):
        depth = depth or x.shape[-1]
        wt, bt, mean, std = self.weights(x, (units, depth), 0, (1,), units, per_channel, bias, act, w,
                                         self.target(act), gain, w_zero, w_scale, jitter, w_edge, None)
        shape = (*x.shape[:-1], units) if keep else (x.size // depth, units)
        y = self.result(shape, mean, std, act, out)
        ins = [x, wt] + ([bt] if bt else [None] if absent_bias else [])
        version = 6 if len(ins) == 2 else 5 if keep else 4
        return self.op("FULLY_CONNECTED", ins, [y], "FullyConnectedOptions", version,
                       fused_activation_function=act, keep_num_dims=keep)

    def pool(self, kind, x, k=(2, 2), stride=(2, 2), pad=VALID, act=NONE):
        n, h, w, c = x.shape
        y = self.like(x, (n, window(h, k[0], stride[0], 1, pad), window(w, k[1], stride[1], 1, pad), c))
        return self.op(kind, [x], [y], "Pool2DOptions", 2, padding=pad, stride_h=stride[0], stride_w=stride[1],
                       filter_height=k[0], filter_width=k[1], fused_activation_function=act)

    def avg_pool(self, x, **more):
        return self.pool("AVERAGE_POOL_2D", x, **more)

    def max_pool(self, x, **more):
        return self.pool("MAX_POOL_2D", x, **more)

    def binary(self, code, a, b, act=NONE, out=None, gain=1.0):
        if code == "MUL":
            mean = a.mean * b.mean
            var = a.std**2 * b.std**2 + a.std**2 * b.mean**2 + b.std**2 * a.mean**2
        else:
            mean = a.mean + (b.mean if code == "ADD" else -b.mean)
            var = a.std**2 + b.std**2
        shape = broadcast(a.shape, b.shape)
        y = self.result(shape, mean, np.sqrt(var) / gain, act, out, reach=2.1)
        version = 2
        if code == "SUB" and a.shape != b.shape and len(shape) > 4:
            version = 3
        if code == "MUL" and a.scale * b.scale / y.scale >= 1:
            version = 3
        return self.op(code, [a, b], [y], camel(code) + "Options", version, fused_activation_function=act)

    def add(self, a, b, **more):
        return self.binary("ADD", a, b, **more)

    def sub(self, a, b, **more):
        return self.binary("SUB", a, b, **more)

    def mul(self, a, b, **more):
        return self.binary("MUL", a, b, **more)

    def reshape(self, x, shape, to=None, tensor=True, options=True):
        to = list(to or shape)
        y = self.like(x, shape)
        ins = [x] + ([self.const(to)] if tensor else [])
        if options:
            return self.op("RESHAPE", ins, [y], "ReshapeOptions", 1, new_shape=to)
        return self.op("RESHAPE", ins, [y], None, 1)

    def squeeze(self, x, axes):
        drop = {a % len(x.shape) for a in axes} or {i for i, d in enumerate(x.shape) if d == 1}
        y = self.like(x, [d for i, d in enumerate(x.shape) if i not in drop])
        return self.op("SQUEEZE", [x], [y], "SqueezeOptions", 1, squeeze_dims=list(axes))

    def expand_dims(self, x, axis):
        shape = list(x.shape)
        shape.insert(axis if axis >= 0 else axis + len(shape) + 1, 1)
        return self.op("EXPAND_DIMS", [x, self.const(axis)], [self.like(x, shape)], "ExpandDimsOptions", 1)

    def softmax(self, x, beta=1.0):
        y = self.tensor(x.shape, (1 / 256, -128))
        y.mean, y.std = 1 / x.shape[-1], 0.3
        return self.op("SOFTMAX", [x], [y], "SoftmaxOptions", 2, beta=beta)

    def logistic(self, x):
        y = self.tensor(x.shape, (1 / 256, -128))
        y.mean, y.std = 0.5, 0.25
        return self.op("LOGISTIC", [x], [y], None, 2)

    def tanh(self, x):
        y = self.tensor(x.shape, (1 / 128, 0))
        y.mean, y.std = 0.0, 0.6
        return self.op("TANH", [x], [y], None, 2)

    def pad(self, x, pads, value=None, pads_type="int32"):
        shape = [d + a + b for d, (a, b) in zip(x.shape, pads)]
        version = 4 if len(shape) > 4 else 2
        ins = [x, self.const(pads, pads_type)]
        if value is None:
            return self.op("PAD", ins, [self.like(x, shape)], "PadOptions", version)
        ins.append(self.const(value, x.dtype, x.q))
        return self.op("PADV2", ins, [self.like(x, shape)], "PadV2Options", version)

    def mean(self, x, axes, keep=False, out=None, same=False):
        drop = {a % len(x.shape) for a in (axes if isinstance(axes, list) else [axes])}
        n = int(np.prod([x.shape[a] for a in drop]))
        if keep:
            shape = [1 if i in drop else d for i, d in enumerate(x.shape)]
        else:
            shape = [d for i, d in enumerate(x.shape) if i not in drop]
        if same:
            y = self.like(x, shape)
        else:
            y = self.result(shape, x.mean, x.std / np.sqrt(n), out=out, reach=3.0)
        y.mean, y.std = x.mean, x.std / np.sqrt(n)
        return self.op("MEAN", [x, self.const(axes)], [y], "ReducerOptions", 2, keep_dims=keep)

    def relu(self, x, kind="RELU", out=None, same=False):
        act = {"RELU": RELU, "RELU6": RELU6, "RELU_N1_TO_1": RELU_N1_TO_1}[kind]
        y = self.like(x, x.shape) if same else self.result(x.shape, x.mean, x.std, act, out)
        return self.op(kind, [x], [y], None, 1 if kind == "RELU_N1_TO_1" else 2)

    def leaky_relu(self, x, alpha, out=None):
        lo, hi = x.mean - 2.2 * x.std, x.mean + 2.2 * x.std
        ends = [v if v >= 0 else v * alpha for v in (lo, hi)]
        y = self.tensor(x.shape, out or q_range(min(ends), max(ends)))
        y.mean, y.std = max(x.mean, 0.3 * x.std), 0.7 * x.std
        return self.op("LEAKY_RELU", [x], [y], "LeakyReluOptions", 1, alpha=alpha)

    def prelu(self, x, slope, q=(0.005, -7), shape=(1, 1, 1), out=None):
        """`slope` is the code of all slopes."""
        a = (slope - q[1]) * q[0]
        lo, hi = x.mean - 2.2 * x.std, x.mean + 2.2 * x.std
        ends = [v if v >= 0 else v * a for v in (lo, hi)]
        y = self.tensor(x.shape, out or q_range(min(ends), max(ends)))
        y.mean, y.std = max(x.mean, 0.3 * x.std), 0.7 * x.std
        slopes = self.const(np.full(shape, slope), "int8", q)
        return self.op("PRELU", [x, slopes], [y], None, 1)

    def hard_swish(self, x, out=None):
        hi = max(x.mean + 2.2 * x.std, 0.2)
        y = self.tensor(x.shape, out or q_range(-0.375, hi * min(1.0, (hi + 3) / 6)))
        y.mean, y.std = max(0.3 * x.std, 0.0), 0.6 * x.std
        return self.op("HARD_SWISH", [x], [y], "HardSwishOptions", 1)

    def quantize(self, x, out=None, dtype="int8", reach=2.0):
        y = self.like(x, x.shape, out or q_range(x.mean - reach * x.std, x.mean + reach * x.std, dtype), dtype)
        return self.op("QUANTIZE", [x], [y], "QuantizeOptions", 2 if dtype == "int16" else 1)

    def dequantize(self, x):
        y = self.like(x, x.shape, (None, 0), "float32")
        version = {"int8": 2, "uint8": 1, "int16": 3}[x.dtype]
        return self.op("DEQUANTIZE", [x], [y], "DequantizeOptions", version)

    def concat(self, xs, axis, out=None):
        shape = list(xs[0].shape)
        shape[axis] = sum(x.shape[axis] for x in xs)
        y = self.like(xs[0], shape, out)
        return self.op("CONCATENATION", xs, [y], "ConcatenationOptions", 2, axis=axis, fused_activation_function=NONE)

    def transpose(self, x, perm):
        version = 4 if len(perm) == 5 else 6 if len(perm) > 5 else 2
        y = self.like(x, [x.shape[p] for p in perm])
        return self.op("TRANSPOSE", [x, self.const(perm)], [y], "TransposeOptions", version)

    def strided_slice(self, x, begin, end, strides, begin_mask=0, end_mask=0, shrink=0, ellipsis=0, new_axis=0):
        index = []
        for i, (b, e, s) in enumerate(zip(begin, end, strides)):
            if ellipsis >> i & 1:
                index.append(Ellipsis)
            elif new_axis >> i & 1:
                index.append(None)
            elif shrink >> i & 1:
                index.append(b)
            else:
                index.append(slice(None if begin_mask >> i & 1 else b, None if end_mask >> i & 1 else e, s))
        y = self.like(x, np.empty(x.shape, np.int8)[tuple(index)].shape)
        # Converters write 6 for an ellipsis or a new axis, but tflite-runtime's reference resolver stops at 4.
        version = 4 if ellipsis or new_axis or len(x.shape) > 4 else 2 if x.dtype == "int8" else 1
        return self.op("STRIDED_SLICE", [x, self.const(begin), self.const(end), self.const(strides)], [y],
                       "StridedSliceOptions", version, begin_mask=begin_mask, end_mask=end_mask,
                       shrink_axis_mask=shrink, ellipsis_mask=ellipsis, new_axis_mask=new_axis)

    def shape_of(self, x):
        y = self.tensor((len(x.shape),), dtype="int32")
        return self.op("SHAPE", [x], [y], "ShapeOptions", 1, out_type=TensorType.INT32)

    def pack(self, xs, axis=0):
        shape = list(xs[0].shape)
        shape.insert(axis if axis >= 0 else axis + len(shape) + 1, len(xs))
        y = self.like(xs[0], shape)
        version = 2 if xs[0].dtype == "int8" else 1
        return self.op("PACK", xs, [y], "PackOptions", version, values_count=len(xs), axis=axis)

    def reshape_dynamic(self, x, shape, parts=None):
        """What converters leave of a Reshape with an unknown batch: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
        batch = self.strided_slice(self.shape_of(x), [0], [1], [1], shrink=1)
        target = self.pack([batch] + [self.const(d) for d in (parts or shape[1:])])
        y = self.like(x, shape)
        y.signature = (-1, *shape[1:])
        return self.op("RESHAPE", [x, target], [y], "ReshapeOptions", 1)

    def resize_nearest(self, x, size, align=False, half=False):
        y = self.like(x, (x.shape[0], *size, x.shape[3]))
        return self.op("RESIZE_NEAREST_NEIGHBOR", [x, self.const(size)], [y], "ResizeNearestNeighborOptions",
                       3 if align or half else 2, align_corners=align, half_pixel_centers=half)

    # ---- serialization

    def build(self):
        return Writer(self).bytes()


def window(size, k, stride, dil, pad):
    if pad == SAME:
        return -(-size // stride)
    return (size - (k - 1) * dil - 1) // stride + 1


class Writer:
    """Writes a Net with the schema's own builder functions."""

    def __init__(self, net):
        self.net = net
        self.b = flatbuffers.Builder(4096)

    def table(self, kind, **fields):
        """fields: ready values, or offsets made before."""
        module = importlib.import_module(f"tflite.{kind}")
        getattr(module, f"{kind}Start")(self.b)
        for name, value in fields.items():
            if value is not None:
                getattr(module, f"{kind}Add{camel(name)}")(self.b, value)
        return getattr(module, f"{kind}End")(self.b)

    def offsets(self, items):
        self.b.StartVector(4, len(items), 4)
        for o in reversed(items):
            self.b.PrependUOffsetTRelative(o)
        return self.b.EndVector()

    def vector(self, values, dtype):
        return self.b.CreateNumpyVector(np.asarray(values, dtype))

    def data(self, raw):
        # Kernels read buffers in place, so they must be aligned: 16, as converters do.
        self.b.StartVector(1, len(raw), 16)
        self.b.head -= len(raw)
        self.b.Bytes[self.b.head : self.b.head + len(raw)] = raw
        return self.b.EndVector()

    def quantization(self, t):
        if t.scale is None:
            return self.table("QuantizationParameters")
        many = isinstance(t.scale, list)
        scale = self.vector(t.scale if many else [t.scale], np.float32)
        zero = self.vector(t.zero if many else [t.zero], np.int64)
        return self.table("QuantizationParameters", scale=scale, zero_point=zero,
                          quantized_dimension=t.axis if many else None)

    def tensor(self, t, buffer):
        name = self.b.CreateString(t.name)
        shape = self.vector(t.shape, np.int32)
        signature = None if t.signature is None else self.vector(t.signature, np.int32)
        q = self.quantization(t)
        return self.table("Tensor", shape=shape, type=TYPES[t.dtype], buffer=buffer, name=name, quantization=q,
                          shape_signature=signature, has_rank=True)

    def bytes(self):
        net = self.net
        number = {id(t): i for i, t in enumerate(net.tensors)}
        raws = [b""] + [t.data.tobytes() for t in net.tensors if t.data is not None]
        buffers = [self.table("Buffer", data=self.data(raw) if raw else None) for raw in raws]
        buffers = self.offsets(buffers)

        tensors, used = [], 0
        for t in net.tensors:
            used += t.data is not None
            tensors.append(self.tensor(t, used if t.data is not None else 0))
        tensors = self.offsets(tensors)

        codes = sorted({(code, version) for code, version, *_ in net.ops})
        operators = []
        for code, version, ins, outs, kind, fields in net.ops:
            i = self.vector([-1 if t is None else number[id(t)] for t in ins], np.int32)
            o = self.vector([number[id(t)] for t in outs], np.int32)
            options = None
            if kind:
                ready = {k: self.vector(v, np.int32) if isinstance(v, list) else v for k, v in fields.items()}
                options = self.table(kind, **ready)
            operators.append(self.table(
                "Operator", opcode_index=codes.index((code, version)), inputs=i, outputs=o,
                builtin_options_type=getattr(BuiltinOptions, kind) if kind else 0, builtin_options=options))
        operators = self.offsets(operators)

        ins = self.vector([number[id(t)] for t in net.inputs], np.int32)
        outs = self.vector([number[id(t)] for t in net.outputs], np.int32)
        name = self.b.CreateString("main")
        graph = self.offsets([self.table("SubGraph", tensors=tensors, inputs=ins, outputs=outs, operators=operators, name=name)])
        opcodes = []
        for code, version in codes:
            value = getattr(BuiltinOperator, code)
            opcodes.append(self.table("OperatorCode", deprecated_builtin_code=min(value, 127), version=version, builtin_code=value))
        opcodes = self.offsets(opcodes)
        description = self.b.CreateString("tflc test vector")
        model = self.table("Model", version=3, operator_codes=opcodes, subgraphs=graph, description=description, buffers=buffers)
        self.b.Finish(model, b"TFL3")
        return bytes(self.b.Output())
