"""Random networks: operators drawn one after the other, on tensors that exist already."""

import numpy as np

from .net import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Net


class Limits:
    def __init__(self, small):
        self.elements = 260 if small else 1500
        self.weights = 500 if small else 2500
        self.operators = (4, 8) if small else (4, 12)


def build(name, seed, small=False):
    return Maker(name, seed, Limits(small)).make()


class Maker:
    def __init__(self, name, seed, limits):
        self.n, self.limits = Net(name, seed), limits
        self.r = self.n.rng
        self.live = []  # tensors to choose from, oldest first
        self.read = set()  # ids of tensors that some operator reads

    # ---- choices

    def chance(self, p):
        return self.r.random() < p

    def pick(self, items):
        return items[int(self.r.integers(len(items)))]

    def num(self, lo, hi):
        return int(self.r.integers(lo, hi + 1))

    def source(self, rank=None):
        """A tensor to go on from: mostly a recent one that nobody reads yet."""
        fits = [t for t in self.live if rank is None or len(t.shape) == rank]
        if not fits:
            return None
        unread = [t for t in fits if id(t) not in self.read]
        if unread and self.chance(0.75):
            return unread[-1]
        return self.pick(fits)

    def act(self):
        return self.pick([NONE, NONE, RELU, RELU, RELU6, RELU6, RELU_N1_TO_1])

    # ---- the network

    def make(self):
        n = self.n
        float_io, uint8_io = self.chance(0.1), self.chance(0.1)
        for _ in range(self.pick([1, 1, 1, 2])):
            shape = self.first_shape()
            if float_io:
                x = n.quantize(n.input(shape, -2.0, 2.0, "float32"))
            elif uint8_io:
                x = n.input(shape, dtype="uint8")
                x = n.quantize(x, (x.scale, x.zero - 128))
            else:
                x = n.input(shape)
            self.live.append(x)
        want = self.num(*self.limits.operators)
        start, tries = len(n.ops), 0
        while len(n.ops) - start < want and tries < 200:
            tries += 1
            self.step()
        ends = [t for t in self.live if id(t) not in self.read]
        if self.chance(0.15):
            inner = [t for t in self.live if id(t) in self.read and t not in n.inputs]
            ends += [self.pick(inner)] if inner else []
        if len(ends) > 3 and self.chance(0.5):
            ends = [self.join(ends)]
        for t in ends:
            if float_io and self.chance(0.7):
                t = n.dequantize(t)
            elif uint8_io:
                t = n.quantize(t, (t.scale, t.zero + 128), "uint8")
            n.output(t)
        return n

    def first_shape(self):
        kind = self.r.random()
        if kind < 0.75:
            while True:
                shape = (self.pick([1, 1, 1, 1, 2]), self.num(1, 9), self.num(1, 9), self.num(1, 9))
                if 4 <= np.prod(shape) <= self.limits.elements:
                    return shape
        if kind < 0.9:
            return (self.pick([1, 1, 1, 3]), self.num(3, 40))
        return (self.pick([1, 1, 2]), self.num(2, 10), self.num(1, 9))

    def join(self, tensors):
        """Everything flat, on one scale, side by side."""
        q = tensors[0].q
        flat = [self.n.reshape(t if t.q == q else self.n.quantize(t, q), (1, t.size)) for t in tensors]
        return self.n.concat(flat, 1)

    def step(self):
        ops, weights = zip(*STEPS)
        weights = np.array(weights, float)
        f = ops[int(self.r.choice(len(ops), p=weights / weights.sum()))]
        before = len(self.n.ops)
        y = f(self)
        if y is None:
            return
        for _, _, ins, _, _, _ in self.n.ops[before:]:
            self.read |= {id(t) for t in ins if t is not None}
        self.live.append(y)

    # ---- operators; None: does not fit here

    def window(self, x, most=5):
        k = (self.pick([1, 2, 3, 3, 3, most]), self.pick([1, 2, 3, 3, 3, most]))
        stride = self.pick([(1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (1, 2), (3, 3)])
        pad = self.pick([SAME, SAME, VALID])
        return k, stride, pad

    def fits(self, x, k, dil, pad):
        return pad == SAME or all((k[i] - 1) * dil[i] < x.shape[1 + i] for i in (0, 1))

    def conv(self):
        x = self.source(4)
        if x is None:
            return None
        k, stride, pad = ((1, 1), (1, 1), SAME) if self.chance(0.35) else self.window(x)
        dil = (2, 2) if stride == (1, 1) and self.chance(0.1) else (1, 1)
        cin, cout = x.shape[3], self.num(1, 10)
        groups = 1
        if cin > 1 and self.chance(0.12):
            groups = self.pick([g for g in range(2, cin + 1) if cin % g == 0])
            cout = groups * self.num(1, 3)
        if not self.fits(x, k, dil, pad) or cout * k[0] * k[1] * cin // groups > self.limits.weights:
            return None
        if cout * x.shape[0] * x.shape[1] * x.shape[2] > self.limits.elements:
            return None
        return self.n.conv(x, cout, k, stride, dil, pad, self.act(), per_channel=self.chance(0.8), groups=groups, w_edge=self.chance(0.05))

    def dwconv(self):
        x = self.source(4)
        if x is None:
            return None
        k, stride, pad = self.window(x)
        dil = (2, 2) if stride == (1, 1) and self.chance(0.1) else (1, 1)
        mult = self.pick([1, 1, 1, 2, 3])
        if not self.fits(x, k, dil, pad) or stride[0] != stride[1] and mult > 1 or x.size * mult > self.limits.elements:
            return None
        return self.n.dwconv(x, mult, k, stride, dil, pad, self.act(), per_channel=self.chance(0.8))

    def fc(self):
        x = self.source()
        units = self.num(1, 16)
        if not x.shape or x.shape[-1] * units > self.limits.weights:
            return None
        if len(x.shape) == 2:
            return self.n.fc(x, units, self.act(), per_channel=self.chance(0.3))
        if self.chance(0.4):
            return self.n.fc(x, units, self.act(), keep=True)
        depth = x.size // x.shape[0]
        if depth * units > self.limits.weights:
            return None
        return self.n.fc(x, units, self.act(), depth=depth, per_channel=self.chance(0.2))

    def pool(self):
        x = self.source(4)
        if x is None:
            return None
        k, stride, pad = self.window(x)
        if self.chance(0.2):
            k, stride, pad = x.shape[1:3], x.shape[1:3], VALID
        if not self.fits(x, k, (1, 1), pad):
            return None
        f = self.pick([self.n.avg_pool, self.n.max_pool])
        return f(x, k=k, stride=stride, pad=pad, act=self.pick([NONE, NONE, NONE, RELU, RELU6]))

    def binary(self):
        a = self.source()
        f = self.pick([self.n.add, self.n.add, self.n.sub, self.n.mul])
        kind = self.r.random()
        if kind < 0.3 or len(a.shape) > 4:
            b = self.n.const_q(self.pick([a.shape, (1,), a.shape[-1:] or (1,)]), -self.num(0, 2), self.num(1, 3))
        elif kind < 0.4:
            b = a
        else:
            others = [t for t in self.live if t is not a and t.shape == a.shape]
            others += [t for t in self.live if len(t.shape) == len(a.shape) <= 4 and t.shape != a.shape and self.stretches(t, a)]
            if not others:
                return None
            b = others[-1]
        if self.chance(0.3):
            a, b = b, a
        return f(a, b, act=self.act() if self.chance(0.5) else NONE)

    @staticmethod
    def stretches(b, a):
        return all(y in (1, x) for x, y in zip(a.shape, b.shape))

    def relu(self):
        return self.n.relu(self.source(), self.pick(["RELU", "RELU", "RELU6", "RELU_N1_TO_1"]), same=self.chance(0.4))

    def table(self):
        x, kind = self.source(), self.num(0, 3)
        if kind == 0:
            return self.n.logistic(x)
        if kind == 1:
            return self.n.tanh(x)
        if kind == 2:
            return self.n.hard_swish(x)
        return self.n.leaky_relu(x, self.pick([0.1, 0.2, 0.3, 0.01, 1.5, -0.5]))

    def softmax(self):
        x = self.source()
        return self.n.softmax(x, self.pick([1.0, 1.0, 0.5, 2.0])) if 1 <= len(x.shape) <= 4 else None

    def quantize(self):
        return self.n.quantize(self.source())

    def pad(self):
        x = self.source()
        if not 1 <= len(x.shape) <= 4:
            return None
        pads = [[self.num(0, 2), self.num(0, 2)] if self.chance(0.5) else [0, 0] for _ in x.shape]
        if len(pads) == 4:
            pads[0] = [0, 0]
        if np.prod([d + a + b for d, (a, b) in zip(x.shape, pads)]) > self.limits.elements:
            return None
        return self.n.pad(x, pads, self.num(-128, 127) if self.chance(0.3) else None)

    def mean(self):
        x = self.source()
        if not 2 <= len(x.shape) <= 4:
            return None
        axes = self.pick([[1], [-1], [1, 2], [2, 1]] if len(x.shape) > 2 else [[1], [-1]])
        return self.n.mean(x, axes, keep=self.chance(0.5), same=self.chance(0.4))

    def reshape(self):
        x = self.source()
        d = [i for i in range(1, x.size + 1) if x.size % i == 0]
        a = self.pick(d)
        shape = self.pick([(1, x.size), (a, x.size // a), (1, a, 1, x.size // a), (1, 1, x.size // a, a), (x.size,)])
        if len(x.shape) == 4 and x.shape[0] == 1 and self.chance(0.15):
            return self.n.reshape_dynamic(x, (1, x.size))
        return self.n.reshape(x, shape, tensor=self.chance(0.7))

    def squeeze(self):
        x = self.source()
        ones = [i for i, d in enumerate(x.shape) if d == 1]
        if ones and len(x.shape) > 2 and self.chance(0.6):
            return self.n.squeeze(x, [self.pick(ones)])
        if len(x.shape) >= 4:
            return None
        return self.n.expand_dims(x, self.num(-1, len(x.shape)))

    def concat(self):
        x = self.source()
        if not x.shape or len(x.shape) > 4:
            return None
        axis = self.num(-len(x.shape), len(x.shape) - 1)
        at = axis % len(x.shape)
        others = [t for t in self.live if len(t.shape) == len(x.shape)
                  and all(i == at or d == e for i, (d, e) in enumerate(zip(x.shape, t.shape)))]
        parts = [x] + [self.pick(others) for _ in range(self.num(1, 2))]
        if sum(p.size for p in parts) > self.limits.elements:
            return None
        return self.n.concat([p if p.q == x.q else self.n.quantize(p, x.q) for p in parts], axis)

    def transpose(self):
        x = self.source()
        if not 2 <= len(x.shape) <= 5:
            return None
        perm = [int(i) for i in self.r.permutation(len(x.shape))]
        if len(perm) == 4 and self.chance(0.7):
            perm = [0] + [int(i) + 1 for i in self.r.permutation(3)]
        return self.n.transpose(x, perm)

    def slice(self):
        x = self.source()
        if not 1 <= len(x.shape) <= 4:
            return None
        begin, end, strides, shrink = [], [], [], 0
        for i, d in enumerate(x.shape):
            b = self.num(0, d - 1)
            if len(x.shape) > 2 and self.chance(0.1):
                shrink |= 1 << i
                begin, end, strides = begin + [b], end + [b + 1], strides + [1]
            elif d > 1 and self.chance(0.5):
                begin, end, strides = begin + [b], end + [self.num(b + 1, d)], strides + [self.pick([1, 1, 2, 3])]
            elif self.chance(0.15):
                begin, end, strides = begin + [d - 1], end + [-d - 1], strides + [-1]
            else:
                begin, end, strides = begin + [0], end + [d], strides + [1]
        return self.n.strided_slice(x, begin, end, strides, shrink=shrink)

    def resize(self):
        x = self.source(4)
        if x is None:
            return None
        size = (self.num(1, 9), self.num(1, 9))
        if x.shape[0] * x.shape[3] * size[0] * size[1] > self.limits.elements:
            return None
        mode = self.num(0, 2)
        return self.n.resize_nearest(x, size, align=mode == 1, half=mode == 2)


STEPS = [(Maker.conv, 16), (Maker.dwconv, 9), (Maker.fc, 6), (Maker.pool, 6), (Maker.binary, 10), (Maker.relu, 6), (Maker.table, 5),
         (Maker.softmax, 1), (Maker.quantize, 3), (Maker.pad, 4), (Maker.mean, 3), (Maker.reshape, 3), (Maker.squeeze, 2),
         (Maker.concat, 4), (Maker.transpose, 3), (Maker.slice, 4), (Maker.resize, 2)]
