#!/usr/bin/env python3
"""Makes the trained models of this folder and their golden vectors.

    make.py train [NAME...]    digits_test.bin, NAME.tflite, training.json  (requirements.txt)
    make.py golden [NAME...]   NAME.json, NAME.layers.json                  (requirements-oracle.txt)

`golden` reads only what is checked in, and gives the same bytes every time.
`train` writes all files of a network together, also those not named.
"""

import hashlib
import json
import os
import platform
import sys
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SEED = 20261123
TEST_IMAGES = 360
PIXEL_MAX = 16.0  # scikit-learn's digits hold 0..16; the models see 0..1

# Files that share a network differ only in the type at their border.
MODELS = {
    "digits_conv": ("conv", "int8"),
    "digits_separable": ("separable", "int8"),
    "digits_residual": ("residual", "int8"),
    "digits_autoencoder": ("autoencoder", "int8"),
    "digits_float_io": ("conv", "float32"),
    "digits_uint8_io": ("conv", "uint8"),
}


def score(network, outputs, images, labels):
    """`outputs` and `images` in real numbers, one row per image."""
    if network == "autoencoder":
        return float(np.mean((outputs - images) ** 2))
    return float(np.mean(outputs.argmax(axis=1) == labels))


def metric(network):
    return "mean squared error" if network == "autoencoder" else "top-1 accuracy"


def load_test():
    rows = np.fromfile(HERE / "digits_test.bin", np.uint8).reshape(-1, 65)
    return (rows[:, :64] / PIXEL_MAX).astype(np.float32), rows[:, 64]


# ---- training ----------------------------------------------------------------


def build(network, keras):
    L = keras.layers

    def batch_norm_relu(x, relu=True, max_value=None):
        x = L.BatchNormalization()(x)
        return L.ReLU(max_value=max_value)(x) if relu else x

    def conv(x, channels, size, strides=1, **relu):
        x = L.Conv2D(channels, size, strides, padding="same", use_bias=False)(x)
        return batch_norm_relu(x, **relu)

    def separable(x, channels, strides=1, padding="same"):
        x = L.DepthwiseConv2D(3, strides, padding=padding, use_bias=False)(x)
        x = batch_norm_relu(x, max_value=6.0)
        return conv(x, channels, 1, max_value=6.0)

    def residual(x, channels, strides):
        shortcut = x if strides == 1 else conv(x, channels, 1, strides, relu=False)
        x = conv(x, channels, 3, strides)
        x = conv(x, channels, 3, relu=False)
        return L.ReLU()(L.Add()([x, shortcut]))

    if network == "autoencoder":
        x = image = L.Input([64])
        for units in (48, 24, 12, 24, 48):
            x = L.Dense(units, activation="relu")(x)
        return keras.Model(image, L.Dense(64)(x))

    x = image = L.Input([8, 8, 1])
    if network == "conv":
        x = L.Conv2D(16, 3, padding="same", activation="relu")(x)
        x = L.MaxPooling2D(2)(x)
        x = L.Conv2D(32, 3, padding="valid", activation="relu")(x)
        x = L.Flatten()(x)
        x = L.Dense(32, activation="relu")(x)
    elif network == "separable":
        x = conv(x, 16, 3, max_value=6.0)
        # MobileNet's way to stride: pad by hand, then "valid"; it leaves a PAD.
        x = L.ZeroPadding2D(((0, 1), (0, 1)))(x)
        x = separable(x, 32, strides=2, padding="valid")
        x = separable(x, 32)
        x = separable(x, 64, strides=2)
        x = L.GlobalAveragePooling2D()(x)
    elif network == "residual":
        x = conv(x, 16, 3)
        x = residual(x, 16, strides=1)
        x = residual(x, 32, strides=2)
        x = L.AveragePooling2D(4)(x)
        x = L.Flatten()(x)
    return keras.Model(image, L.Dense(10, activation="softmax")(x))


def train_network(network, tf, tfmot, train, test):
    keras = tf.keras
    keras.utils.set_random_seed(SEED)
    autoencoder = network == "autoencoder"
    shape = [-1, 64] if autoencoder else [-1, 8, 8, 1]
    images, labels = train[0].reshape(shape), train[1]
    test_images = test[0].reshape(shape)

    def fit(model, epochs, batch, rate):
        data = tf.data.Dataset.from_tensor_slices((images, images if autoencoder else labels))
        data = data.shuffle(len(images), seed=SEED).batch(batch, drop_remainder=True)
        steps = epochs * (len(images) // batch)
        model.compile(
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.02)),
            "mse" if autoencoder else "sparse_categorical_crossentropy",
        )
        model.fit(data, epochs=epochs, verbose=0)
        return score(network, model.predict(test_images, verbose=0), test[0], test[1])

    model = build(network, keras)
    float_score = fit(model, 250 if autoencoder else 40, 32, 2e-3)
    aware = tfmot.quantization.keras.quantize_model(model)
    # Small batches: the ranges start at -6..6 and are moving averages with a decay
    # of 0.999, so they need some 6000 steps to forget where they started.
    aware_score = fit(aware, 35, 8, 3e-4)
    print(f"{network}: float {float_score:.5f}, quantization-aware {aware_score:.5f}", flush=True)
    return aware, {"float": round(float_score, 6), "quantization_aware": round(aware_score, 6)}


def convert(model, border, tf, images):
    # A fixed batch of 1: an open batch makes the converter compute shapes at run time.
    shape = (1,) + model.input_shape[1:]
    call = tf.function(lambda image: model(image, training=False))
    concrete = call.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([i.reshape(shape)] for i in images[:200])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.dtypes.as_dtype(border)
    converter.inference_output_type = tf.dtypes.as_dtype(border)
    return converter.convert()


def train(names):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    tf.config.experimental.enable_op_determinism()
    pixels, labels = load_digits(return_X_y=True)
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        pixels, labels, test_size=TEST_IMAGES, stratify=labels, random_state=SEED
    )
    np.column_stack([test_pixels, test_labels]).astype(np.uint8).tofile(HERE / "digits_test.bin")
    images = (train_pixels / PIXEL_MAX).astype(np.float32)

    record_path = HERE / "training.json"
    record = json.loads(record_path.read_text()) if record_path.exists() else {}
    record["versions"] = {"python": platform.python_version()} | {
        package: version(package)
        for package in ("tensorflow", "tf_keras", "tensorflow-model-optimization", "scikit-learn", "numpy")
    }
    record["seed"] = SEED
    scores = record.setdefault("networks", {})

    for network in dict.fromkeys(MODELS[name][0] for name in names):
        model, scores[network] = train_network(network, tf, tfmot, (images, train_labels), load_test())
        # All files of a network come from one training, or they would not be comparable.
        for name, (_, border) in ((n, m) for n, m in MODELS.items() if m[0] == network):
            data = convert(model, border, tf, images)
            (HERE / f"{name}.tflite").write_bytes(data)
            print(f"  {name}.tflite: {len(data)} bytes")
    record_path.write_text(json.dumps(record, indent=1) + "\n")


# ---- golden vectors ----------------------------------------------------------


class Tflite:
    """The primary oracle: TensorFlow Lite's reference kernels."""

    def __init__(self, path):
        from tflite_runtime.interpreter import Interpreter, OpResolverType

        self.interpreter = Interpreter(
            str(path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def run(self, image):
        self.interpreter.set_tensor(self.input["index"], image)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output["index"])

    def layers(self):
        """Every operator's output of the last run: (operator, name, tensor, values)."""
        for op in self.interpreter._get_ops_details():
            for tensor in op["outputs"]:
                yield op["index"], op["op_name"], int(tensor), self.interpreter.get_tensor(tensor)


class Micro:
    """The second opinion: TensorFlow Lite Micro's portable reference kernels."""

    def __init__(self, path):
        from tflite_micro import runtime

        self.interpreter = runtime.Interpreter.from_file(str(path))

    def run(self, image):
        self.interpreter.set_input(image, 0)
        self.interpreter.invoke()
        return self.interpreter.get_output(0)


def describe(tensor):
    scale, zero_point = tensor["quantization"]
    quantization = {"scale": float(scale), "zero_point": int(zero_point)} if scale else {}
    return {
        "name": tensor["name"],
        "tensor": int(tensor["index"]),
        "shape": [int(d) for d in tensor["shape"]],
        "dtype": np.dtype(tensor["dtype"]).name,
    } | quantization


def quantize(real, tensor):
    scale, zero_point = tensor["quantization"]
    dtype = np.dtype(tensor["dtype"])
    if dtype == np.float32:
        return real.astype(np.float32)
    info = np.iinfo(dtype)
    return np.clip(np.rint(real / np.float32(scale)) + zero_point, info.min, info.max).astype(dtype)


def dequantize(values, tensor):
    scale, zero_point = tensor["quantization"]
    if values.dtype == np.float32:
        return values
    return (values.astype(np.float32) - zero_point) * np.float32(scale)


def cases(tensor, images, labels):
    """(description, input) of each case."""
    shape = tuple(tensor["shape"])
    dtype = np.dtype(tensor["dtype"])

    # One image of each of eight digits, the first that the test set has.
    for digit in range(8):
        index = int(np.flatnonzero(labels == digit)[0])
        yield (
            {"kind": "image", "digits_test_index": index, "label": digit},
            quantize(images[index], tensor).reshape(shape),
        )

    for seed in (SEED, SEED + 1):
        rng = np.random.default_rng(seed)
        if dtype == np.float32:
            # Beyond 0..1 on both sides, so that QUANTIZE saturates.
            values = rng.uniform(-0.5, 1.5, shape).astype(dtype)
        else:
            info = np.iinfo(dtype)
            values = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
        yield {"kind": "random", "numpy_default_rng_seed": seed}, values

    if dtype == np.float32:
        # Far outside, yet not so far that the reference's cast to int32 overflows.
        extremes = {"all_min": -1000.0, "all_max": 1000.0, "all_zero_point": 0.0}
    else:
        info = np.iinfo(dtype)
        extremes = {"all_min": info.min, "all_max": info.max, "all_zero_point": tensor["quantization"][1]}
    for kind, value in extremes.items():
        yield {"kind": kind}, np.full(shape, value, dtype)


def hexed(values):
    values = np.ascontiguousarray(values)
    return values.astype(values.dtype.newbyteorder("<")).tobytes().hex()


def compare(ours, theirs):
    difference = np.concatenate(
        [np.abs(a.astype(np.float64) - b.astype(np.float64)).ravel() for a, b in zip(ours, theirs)]
    )
    return {
        "diff": int(np.count_nonzero(difference)),
        "total": int(difference.size),
        "max_abs": float(difference.max()),
    }


def layer_digests(oracle, name, label, inputs):
    ops = {}
    for values in inputs:
        oracle.run(values)
        for op, op_name, tensor, result in oracle.layers():
            entry = ops.setdefault(
                (op, tensor),
                {
                    "op": op,
                    "name": op_name,
                    "tensor": tensor,
                    "shape": list(result.shape),
                    "dtype": result.dtype.name.upper(),
                    "crc32": [],
                    "first16": [],
                },
            )
            data = bytes.fromhex(hexed(result))
            entry["crc32"].append(f"{zlib.crc32(data):08x}")
            entry["first16"].append(data[:16].hex())
    return {
        "model": f"{name}.tflite",
        "oracle": label,
        "cases": list(range(len(inputs))),
        "ops": list(ops.values()),
    }


def golden(names):
    images, labels = load_test()
    training = json.loads((HERE / "training.json").read_text())["networks"]
    for name in names:
        network, _ = MODELS[name]
        write_golden(HERE / f"{name}.tflite", network, training[network], images, labels)


def write_golden(path, network, scores, images, labels):
    """NAME.json and NAME.layers.json beside NAME.tflite; `scores` are the training's."""
    label = f"tflite-runtime {version('tflite-runtime')} BUILTIN_REF"
    micro_label = f"tflite-micro {version('tflite-micro')} (TFLM portable reference kernels)"
    oracle, micro = Tflite(path), Micro(path)
    described, inputs = zip(*cases(oracle.input, images, labels))
    expected = [oracle.run(i).copy() for i in inputs]
    cross = compare(expected, [micro.run(i).copy() for i in inputs])

    tests = [quantize(i, oracle.input).reshape(oracle.input["shape"]) for i in images]
    answers = [oracle.run(i).copy() for i in tests]
    cross["test_images"] = compare(answers, [micro.run(i).copy() for i in tests])
    agrees = cross["diff"] == 0 and cross["test_images"]["diff"] == 0
    outputs = dequantize(np.concatenate(answers).reshape(len(images), -1), oracle.output)

    document = {
        "model": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "oracle": {
            "primary": "t214ref",
            "version": label,
            # Without the patch level: it changes nothing, and the bytes must repeat.
            "python": ".".join(platform.python_version_tuple()[:2]),
            "numpy": np.__version__,
            "machine": platform.machine(),
            "agrees": ["t214ref"] + ["tflm"] * agrees,
        },
        "cross": {"tflm": {"version": micro_label, "status": "ok"} | cross},
        "encoding": "hex, little-endian, row-major",
        "stateful": False,
        "note": "each case starts from reset state",
        "accuracy": {
            "metric": metric(network),
            "float": scores["float"],
            "quantization_aware": scores["quantization_aware"],
            "int8_reference": round(score(network, outputs, images, labels), 6),
            "images": len(images),
        },
        "inputs": [describe(oracle.input)],
        "outputs": [describe(oracle.output)],
        "cases": [
            d | {"inputs": [hexed(i)], "outputs": [hexed(e)]}
            for d, i, e in zip(described, inputs, expected)
        ],
    }
    path.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    layers = layer_digests(oracle, path.stem, label, inputs[:2])
    path.with_suffix(".layers.json").write_text(json.dumps(layers, separators=(",", ":")) + "\n")
    print(f"{path.stem}: {document['accuracy']['int8_reference']}, tflm {'agrees' if agrees else cross}")


def main():
    commands = {"train": train, "golden": golden}
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in commands or set(arguments[1:]) - set(MODELS):
        sys.exit(f"{__doc__}\nNAME: {', '.join(MODELS)}")
    commands[arguments[0]](arguments[1:] or list(MODELS))


if __name__ == "__main__":
    main()
