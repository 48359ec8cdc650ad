"""Golden inputs and outputs of a .tflite file, from its bytes and name alone."""

import hashlib
import json
import zlib
from dataclasses import dataclass

import numpy as np
from tflite.BuiltinOperator import BuiltinOperator
from tflite.FullyConnectedOptions import FullyConnectedOptions
from tflite.Model import Model
from tflite.TensorType import TensorType

from .net import LIMITS, TYPES
from .oracle import ORACLES, Oracle

DTYPES = {value: name for name, value in TYPES.items()}
OPERATORS = {v: k for k, v in vars(BuiltinOperator).items() if isinstance(v, int)}


KEEP_NUM_DIMS = "tflite 2.14 takes the output's first two dimensions for rows and columns"


@dataclass
class Port:
    """A model's input or output."""

    name: str
    shape: tuple
    dtype: str
    scale: object
    zero: int
    grid: tuple  # what a float input is quantized with: (scale, zero point, type)


class Parsed:
    def __init__(self, data):
        model = Model.GetRootAsModel(data, 0)
        graph = model.Subgraphs(0)
        self.graph = graph
        self.codes = []
        for i in range(graph.OperatorsLength()):
            code = model.OperatorCodes(graph.Operators(i).OpcodeIndex())
            self.codes.append(OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())])
        self.inputs = [self.port(graph.Inputs(i)) for i in range(graph.InputsLength())]
        self.outputs = [self.port(graph.Outputs(i)) for i in range(graph.OutputsLength())]

    def quantization(self, t):
        q = t.Quantization()
        if q is None or q.ScaleLength() == 0:
            return None, 0, 0
        return float(q.Scale(0)), int(q.ZeroPoint(0)), q.ScaleLength()

    def port(self, index):
        t = self.graph.Tensors(index)
        scale, zero, _ = self.quantization(t)
        shape = tuple(t.Shape(i) for i in range(t.ShapeLength()))
        dtype = DTYPES[t.Type()]
        return Port(t.Name().decode(), shape, dtype, scale, zero, self.grid(index) if dtype == "float32" else None)

    def grid(self, index):
        for i, code in enumerate(self.codes):
            op = self.graph.Operators(i)
            if code == "QUANTIZE" and op.Inputs(0) == index:
                t = self.graph.Tensors(op.Outputs(0))
                scale, zero, _ = self.quantization(t)
                return scale, zero, DTYPES[t.Type()]
        return 0.05, 0, "int8"

    def doubts(self):
        """Where the two references are known to part: {operator: how}. See the README's table."""
        found = {}
        for i, code in enumerate(self.codes):
            op = self.graph.Operators(i)
            ends = op.Inputs(0), op.Outputs(0)
            if code == "RELU6" and len({self.quantization(self.graph.Tensors(t))[:2] for t in ends}) == 2:
                found[code] = "TFLM does not rescale"
            elif code in ("RELU", "LEAKY_RELU", "PRELU", "MUL"):
                found[code] = "a tie; TFLM computes the multiplier in float64"
            elif code in ("LOGISTIC", "TANH"):
                found[code] = "a tie; TFLM uses fixed point"
            elif code == "FULLY_CONNECTED":
                options = FullyConnectedOptions()
                table = op.BuiltinOptions()
                options.Init(table.Bytes, table.Pos)
                weights = self.graph.Tensors(op.Inputs(1))
                if self.quantization(weights)[2] <= 1:
                    found.setdefault(code, "a tie; TFLM multiplies the scales in float64")
                elif options.KeepNumDims():
                    found[code] = KEEP_NUM_DIMS
        return found


def fill(port, kind, rng):
    """One input. Codes first; a float input takes its values from the grid that it is quantized with."""
    n = int(np.prod(port.shape, dtype=np.int64))
    if port.dtype == "float32":
        scale, zero, grid = port.grid
        lo, hi = LIMITS[grid]
        if kind in ("all_min", "all_max"):  # beyond the range
            codes = np.full(n, lo - 20.0 if kind == "all_min" else hi + 20.0)
        elif kind == "all_zero_point":
            codes = np.full(n, float(zero))
        elif kind == "ramp":  # every tie, and some beyond both ends
            codes = np.arange(n) * 127 % 276 + lo - 9.5
        if hi - lo > 255:
            codes = rng.integers(lo - 10, hi + 10, n) + 0.5
        else:
            codes = rng.uniform(lo - 3, hi + 3, n)
        return ((codes - zero) * np.float64(scale)).astype(np.float32).reshape(port.shape)
    if port.dtype == "bool":
        return rng.random(port.shape) < 0.5
    if port.dtype not in LIMITS:
        return rng.integers(-1000, 1000, port.shape).astype(port.dtype)
    lo, hi = LIMITS[port.dtype]
    if kind == "all_min":
        codes = np.full(n, lo)
    elif kind == "all_max":
        codes = np.full(n, hi)
    elif kind == "all_zero_point":
        codes = np.full(n, port.zero)
    elif kind == "ramp":
        codes = lo + np.arange(n) % (hi - lo + 1) if n >= hi - lo else np.linspace(lo, hi, n).round()
    elif kind == "random_near":
        codes = np.clip(np.round(rng.normal(port.zero, (hi - lo) / 8, n)), lo, hi)
    elif kind == "random_sparse":
        codes = np.where(rng.random(n) < 0.5, port.zero, rng.integers(lo, hi + 1, n))
    else:
        codes = rng.integers(lo, hi + 1, n)
    return np.asarray(codes).astype(port.dtype).reshape(port.shape)


def make_cases(name, inputs):
    if not inputs:
        return [("random", [])]
    rng = np.random.default_rng(zlib.crc32(b"cases " + name.encode()))
    size = max(int(np.prod(p.shape, dtype=np.int64)) for p in inputs)
    ramp = len(inputs) == 1 and size >= 256 and inputs[0].dtype != "int16" or inputs[0].dtype == "float32"
    kinds = ["random", "random_near", "ramp" if ramp else "random_sparse", "all_min", "all_max", "all_zero_point"]
    cases = []
    for kind in kinds:
        cases.append(("random" if kind.startswith("random") else kind, [fill(p, kind, rng) for p in inputs]))
    if len(inputs) > 1:  # opposite extremes
        cases[4] = ("min_and_max", [fill(p, "all_max" if i else "all_min", rng) for i, p in enumerate(inputs)])
    return cases


def encode(array):
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes().hex()


class Goldens:
    """Asks both oracles and decides between them."""

    def __init__(self):
        self.oracles = {kind: Oracle(kind) for kind in ORACLES}

    def close(self):
        for oracle in self.oracles.values():
            oracle.close()

    def make(self, name, data):
        """(what goes into the JSON, None) or (None, why both oracles reject the model)."""
        parsed = Parsed(data)
        cases = make_cases(name, parsed.inputs)
        arrays = [arrays for _, arrays in cases]
        bytes_of, errors, unsteady = {}, {}, []
        for kind, oracle in self.oracles.items():
            results, error = oracle.run(data, arrays, len(parsed.outputs))
            if error is None:
                # The same cases backwards: what depends on the order is no function of the inputs.
                again, _ = oracle.run(data, arrays[::-1], len(parsed.outputs))
                bytes_of[kind] = [[encode(x) for x in case] for case in results]
                if [[encode(x) for x in case] for case in reversed(again)] != bytes_of[kind]:
                    unsteady.append(kind)
            else:
                errors[kind] = error
        if not bytes_of:
            return None, errors
        doubts = parsed.doubts()
        broken = KEEP_NUM_DIMS in doubts.values()
        order = ("tflm", "tflite") if broken else ORACLES
        order = [k for k in order if k in bytes_of and k not in unsteady] or [k for k in order if k in bytes_of]
        primary = order[0]
        chosen = bytes_of[primary]

        notes = [f"{kind} depends on what ran before" for kind in unsteady if not broken]
        agrees = []
        for kind in ORACLES:
            if kind in errors:
                notes.append(f"{kind} rejects the model: {errors[kind]}")
            elif bytes_of[kind] == chosen:
                agrees.append(kind)
            elif broken:  # what it leaves unwritten differs from run to run: no counts
                notes.append(f"{kind} differs: {KEEP_NUM_DIMS}")
            else:
                why = ", ".join(f"{op}: {text}" for op, text in doubts.items()) or "unexplained"
                notes.append(f"{kind} differs: {difference(parsed.outputs, chosen, bytes_of[kind])} ({why})")
        for port, text in zip(parsed.outputs, chosen[0]):
            want = int(np.prod(port.shape, dtype=np.int64)) * np.dtype(port.dtype).itemsize
            assert len(text) == 2 * want, f"{name}: {port.name} has {len(text) // 2} bytes, declared {want}"
        golden = {
            "model": name + ".tflite",
            "sha256": hashlib.sha256(data).hexdigest(),
            "ops": list(dict.fromkeys(parsed.codes)),
            "oracle": {
                "primary": primary,
                "version": self.oracles[primary].version,
                "agrees": agrees,
                "note": "; ".join(notes),
            },
            "encoding": "hex, little-endian, row-major (NHWC)",
            "inputs": [describe(p) for p in parsed.inputs],
            "outputs": [describe(p) for p in parsed.outputs],
            "cases": [
                {"kind": kind, "inputs": [encode(x) for x in ins], "outputs": outs}
                for (kind, ins), outs in zip(cases, chosen)
            ],
        }
        return golden, None


def describe(port):
    return {"name": port.name, "shape": list(port.shape), "dtype": port.dtype, "scale": port.scale, "zero_point": port.zero}


def difference(ports, ours, theirs):
    count, total, most = 0, 0, 0.0
    for a_case, b_case in zip(ours, theirs):
        for port, a, b in zip(ports, a_case, b_case):
            dtype = np.dtype(port.dtype).newbyteorder("<")
            a, b = np.frombuffer(bytes.fromhex(a), dtype), np.frombuffer(bytes.fromhex(b), dtype)
            if a.size != b.size:
                return f"{b.size} values instead of {a.size}"
            d = np.abs(a.astype(np.float64) - b.astype(np.float64))
            count, total, most = count + int((d > 0).sum()), total + d.size, max(most, float(d.max(initial=0)))
    return f"{count} of {total} values, by at most {most:g}"


def to_json(golden):
    """One line per tensor and case: short, and readable in a diff."""
    lines = []
    for key, value in golden.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            items = ",\n".join("  " + json.dumps(v) for v in value)
            lines.append(f" {json.dumps(key)}: [\n{items}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def all_saturated(golden):
    """Whether the random cases' 8-bit outputs lie almost all at an end or on one value: a weak test."""
    values = []
    for case in golden["cases"]:
        if case["kind"] == "random":
            for port, text in zip(golden["outputs"], case["outputs"]):
                if port["dtype"] in ("int8", "uint8"):
                    values.append(np.frombuffer(bytes.fromhex(text), port["dtype"]))
    if not values:
        return False
    values = np.concatenate(values)
    if values.size == 0:
        return False
    counts = np.unique(values, return_counts=True)[1]
    lo, hi = np.isin(values, (-128, 0)).mean(), np.isin(values, (127, 255)).mean()
    return counts.max() / values.size > 0.75 or max(lo, hi) > 0.75
