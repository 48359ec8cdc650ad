#!/usr/bin/env python3
"""Makes the models of this folder and their golden vectors: networks whose activations converters
leave as operators of their own after quantization-aware training.

    make_qat.py train [NETWORK...]   NAME.tflite, training.json       (requirements-tf*.txt)
    make_qat.py golden               NAME.json, NAME.layers.json      (../requirements-oracle.txt)

`train` makes those of the TensorFlow that it runs with; `make.sh` runs all of it.
"""

import copy
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import make  # noqa: E402

# ---- networks ----------------------------------------------------------------
#
# All see an image as one long column, (64, 1, 1), but for `dense`.


def convolution(x, channels, strides=1):
    return L.Conv2D(channels, (4, 1), (strides, 1), padding="same")(x)


def relu(x):
    return L.ReLU()(x)


def relu6(x):
    return L.ReLU(max_value=6.0)(x)


def classify(x):
    return L.Dense(10)(x)


def question(image, activation=relu, batch_norm=False):
    """The network that the question was about."""
    x = image
    for channels, strides in ((16, 1), (32, 2), (32, 2)):
        x = convolution(x, channels, strides)
        x = activation(L.BatchNormalization()(x) if batch_norm else x)
    return classify(activation(L.Dense(32)(L.Flatten()(x))))


def depthwise(image):
    x = relu6(convolution(image, 16, 2))
    x = relu6(L.DepthwiseConv2D((4, 1), 2, padding="same")(x))
    x = relu6(L.Conv2D(32, 1)(x))
    x = relu6(L.DepthwiseConv2D((4, 1), padding="same")(x))
    return classify(L.Flatten()(x))


def residual(image):
    x = relu(convolution(image, 16, 2))
    for _ in range(2):
        x = relu(L.Add()([x, convolution(relu(convolution(x, 16)), 16)]))
    return classify(L.Flatten()(x))


def dense(image):
    x = image
    for units in (48, 32):
        x = relu(L.Dense(units)(x))
    return classify(x)


def two_consumers(image):
    """A convolution that is read before its activation too."""
    x = convolution(relu(convolution(image, 16, 2)), 16)
    x = L.Add()([x, convolution(relu6(x), 16)])
    return classify(L.Flatten()(x))


def behind_reshape(image):
    x = relu(L.Reshape([16, 2, 16])(convolution(image, 16, 2)))
    x = relu6(L.Reshape([8, 2, 32])(convolution(x, 16)))
    return classify(L.Flatten()(x))


def behind_pool(image):
    x = relu(L.MaxPooling2D((2, 1))(convolution(image, 16)))
    x = relu6(L.MaxPooling2D((2, 1))(convolution(x, 16)))
    return classify(L.Flatten()(x))


def sum_of_two(image):
    """Sums that are read before and behind their activation, as in a pre-activation ResNet."""
    x = convolution(image, 16, 2)
    for _ in range(2):
        x = L.Add()([x, convolution(relu(convolution(x, 16)), 16)])
        x = L.Add()([x, convolution(relu(x), 16)])
    return classify(L.Flatten()(relu(x)))


def layers_twice(image):
    """A convolution and a dense layer that are read with and without an activation."""
    x = convolution(image, 8, 2)
    x = L.Concatenate()([x, relu(x)])
    x = L.Dense(16)(L.Flatten()(x))
    return classify(L.Concatenate()([x, relu(x)]))


# The TensorFlow that each is made with, and what builds it.
NETWORKS = {
    "old_relu": ("2.12", question),
    "old_relu6": ("2.12", lambda image: question(image, relu6)),
    "old_batch_norm": ("2.12", lambda image: question(image, batch_norm=True)),
    "old_depthwise": ("2.12", depthwise),
    "old_residual": ("2.12", residual),
    "old_dense": ("2.12", dense),
    "two_consumers": ("2.21", two_consumers),
    "behind_reshape": ("2.21", behind_reshape),
    "behind_pool": ("2.21", behind_pool),
    "sum_of_two": ("2.21", sum_of_two),
    "layers_twice": ("2.21", layers_twice),
    "inline_relu": ("2.21", question),
    "inline_relu6": ("2.21", lambda image: question(image, relu6)),
}


# ---- training ----------------------------------------------------------------


def load_tensorflow():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # the toolkit knows no other
    # The old converter is a program beside the interpreter.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    import tensorflow as tf

    if version("tensorflow-model-optimization").startswith("0.5."):
        # It names two things that this TensorFlow no longer has: a key of a table that isn't looked
        # up here, and the old module of batch normalization.
        from tensorflow.python.keras import layers

        for api in (tf.compat.v1, tf.compat.v2):
            api.keras.experimental.PeepholeLSTMCell = type("PeepholeLSTMCell", (), {})
        layers.normalization = tf.keras.layers
    import tensorflow_model_optimization as tfmot

    tf.config.experimental.enable_op_determinism()
    return tf, tfmot


def training_images():
    """scikit-learn's digits but for those that are tested with."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    tested = {row.tobytes() for row in np.fromfile(HERE.parent / "digits_test.bin", np.uint8).reshape(-1, 65)}
    rows = np.column_stack([pixels, labels]).astype(np.uint8)
    kept = [row.tobytes() not in tested for row in rows]
    return (pixels[kept] / make.PIXEL_MAX).astype(np.float32), labels[kept]


def train_network(build, shape, tf, tfmot, images, labels):
    keras = tf.keras
    keras.backend.clear_session()  # or layers' names would depend on the networks before
    keras.utils.set_random_seed(make.SEED)
    images = images.reshape([-1, *shape])
    test_images, test_labels = make.load_test()

    def fit(model, epochs, batch, rate):
        data = tf.data.Dataset.from_tensor_slices((images, labels))
        data = data.shuffle(len(images), seed=make.SEED).batch(batch, drop_remainder=True)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss)
        model.fit(data, epochs=epochs, verbose=0)
        outputs = model.predict(test_images.reshape([-1, *shape]), verbose=0)
        return round(make.score("classifier", outputs, test_images, test_labels), 6)

    image = keras.layers.Input(shape)
    model = keras.Model(image, build(image))
    scores = {"float": fit(model, 30, 32, 2e-3)}
    aware = tfmot.quantization.keras.quantize_model(model)
    # Small batches, as in ../make.py: the ranges are slow moving averages.
    scores["quantization_aware"] = fit(aware, 35, 8, 2e-4)
    return aware, scores


def ranges_before_activation(model, images, keras):
    """The least and the greatest output of each convolution and dense layer, but for the last."""
    layers = [layer for layer in model.layers if layer.name.startswith(("quant_conv2d", "quant_dense"))]
    outputs = keras.Model(model.inputs, [layer.output for layer in layers[:-1]]).predict(images, verbose=0)
    return [(float(values.min()), float(values.max())) for values in outputs]


# ---- what is changed in converted models ---------------------------------------


class Edit:
    """A converted model as objects, to be changed."""

    def __init__(self, data):
        from tensorflow.lite.python import schema_py_generated as schema
        from tensorflow.lite.tools import flatbuffer_utils

        self.schema, self.utils = schema, flatbuffer_utils
        self.model = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
        self.graph = self.model.subgraphs[0]

    def bytes(self):
        return bytes(self.utils.convert_object_to_bytearray(self.model))

    def kind(self, operator):
        return self.model.operatorCodes[operator.opcodeIndex].builtinCode

    def code(self, kind):
        """The index of an operator's code, which is added where it is missing."""
        codes = self.model.operatorCodes
        for i, code in enumerate(codes):
            if code.builtinCode == kind:
                return i
        code = self.schema.OperatorCodeT()
        # Operators above 127 would need the other field alone.
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1 if kind == self.schema.BuiltinOperator.QUANTIZE else 2
        codes.append(code)
        return len(codes) - 1

    def requantize_fake(self):
        """FAKE_QUANT between int8 codes, which no kernel computes, becomes QUANTIZE."""
        builtin = self.schema.BuiltinOperator
        for operator in self.graph.operators:
            if self.kind(operator) == builtin.FAKE_QUANT:
                operator.opcodeIndex = self.code(builtin.QUANTIZE)
                operator.builtinOptionsType = self.schema.BuiltinOptions.QuantizeOptions
                operator.builtinOptions = self.schema.QuantizeOptionsT()
        return self

    def drop_fake(self):
        """FAKE_QUANT between int8 codes goes: what stands before it computes its result."""
        fake = self.schema.BuiltinOperator.FAKE_QUANT
        operators, kept = self.graph.operators, []
        for operator in operators:
            if self.kind(operator) != fake:
                kept.append(operator)
                continue
            before, after = int(operator.inputs[0]), int(operator.outputs[0])
            if before in self.graph.inputs:
                for reader in operators:
                    reader.inputs = [before if i == after else i for i in reader.inputs]
            else:
                producer = next(o for o in kept if before in o.outputs)
                assert sum(before in o.inputs for o in operators) == 1
                producer.outputs = [after]
        self.graph.operators = kept
        return self

    def split_activations(self, ranges=None):
        """Each fused activation becomes an operator of its own: between tensors of the same
        quantization, or behind one that holds `ranges`, one for each, instead."""
        builtin, function = self.schema.BuiltinOperator, self.schema.ActivationFunctionType
        kinds = {function.RELU: builtin.RELU, function.RELU6: builtin.RELU6}
        ranges, operators = iter(ranges or []), []
        for operator in self.graph.operators:
            operators.append(operator)
            kind = kinds.get(getattr(operator.builtinOptions, "fusedActivationFunction", function.NONE))
            if kind is None:
                continue
            after = int(operator.outputs[0])
            before = copy.deepcopy(self.graph.tensors[after])
            before.name += b"/before_activation"
            if spread := next(ranges, None):
                quantize(before.quantization, *spread)
            self.graph.tensors.append(before)
            operator.outputs = [len(self.graph.tensors) - 1]
            operator.builtinOptions.fusedActivationFunction = function.NONE
            activation = self.schema.OperatorT()
            activation.opcodeIndex = self.code(kind)
            activation.inputs, activation.outputs = list(operator.outputs), [after]
            operators.append(activation)
        self.graph.operators = operators
        return self


def quantize(quantization, low, high):
    """The int8 quantization that holds a range, as converters choose it."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    quantization.scale = [scale]
    quantization.zeroPoint = [round(-128 - low / scale)]


def convert(model, tf, images):
    """As in the question: int8 throughout, by the old converter where it is there."""
    shape = (1,) + model.input_shape[1:]
    call = tf.function(lambda image: model(image, training=False))
    concrete = call.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    converter.experimental_new_converter = not tf.__version__.startswith("2.12.")
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([i.reshape(shape)] for i in images[:200])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def files(network, data, ranges):
    """The models that a converted network becomes: (name, bytes)."""
    if network.startswith("old_"):
        yield network, Edit(data).drop_fake().bytes()
        if network == "old_relu":
            yield "old_quantize", Edit(data).requantize_fake().bytes()
        return
    yield network, data
    if network.startswith("inline_"):
        activation = network.removeprefix("inline_")
        yield f"same_{activation}", Edit(data).split_activations().bytes()
        yield f"different_{activation}", Edit(data).split_activations(ranges).bytes()


def train(networks):
    global L
    tf, tfmot = load_tensorflow()
    L = tf.keras.layers
    images, labels = training_images()
    record_path = HERE / "training.json"
    record = json.loads(record_path.read_text()) if record_path.exists() else {}
    ours = tf.__version__.rsplit(".", 1)[0]
    for network in networks:
        needed, build = NETWORKS[network]
        if needed != ours:
            continue
        shape = [64] if network == "old_dense" else [64, 1, 1]
        model, scores = train_network(build, shape, tf, tfmot, images, labels)
        data = convert(model, tf, images)
        ranges = None
        if network.startswith("inline_"):
            ranges = ranges_before_activation(model, images.reshape([-1, *shape]), tf.keras)
        for name, data in files(network, data, ranges):
            (HERE / f"{name}.tflite").write_bytes(data)
            record[name] = scores
            print(f"{name}.tflite: {len(data)} bytes, {scores}", flush=True)
        record_path.write_text(json.dumps(dict(sorted(record.items())), indent=1) + "\n")


def golden():
    images, labels = make.load_test()
    training = json.loads((HERE / "training.json").read_text())
    for path in sorted(HERE.glob("*.tflite")):
        make.write_golden(path, "classifier", training[path.stem], images, labels)


def main():
    match sys.argv[1:]:
        case ["train", *networks] if not set(networks) - set(NETWORKS):
            train(networks or list(NETWORKS))
        case ["golden"]:
            golden()
        case _:
            sys.exit(f"{__doc__}\nNETWORK: {', '.join(NETWORKS)}")


if __name__ == "__main__":
    main()
