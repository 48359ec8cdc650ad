"""The reference kernels: tflite-runtime (BUILTIN_REF) and TFLM, each in its own process.

A kernel's failed assertion ends its process; the parent says so and starts a new one.
"""

import os
import pickle
import re
import struct
import subprocess
import sys
import tempfile

ORACLES = ("tflite", "tflm")


class Oracle:
    def __init__(self, kind):
        self.kind, self.process = kind, None
        self.version = None

    def start(self):
        here = os.path.dirname(os.path.abspath(__file__))
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([sys.executable, os.path.join(here, "oracle.py"), self.kind],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.version = self.read()

    def read(self):
        head = self.process.stdout.read(4)
        if len(head) < 4:
            raise EOFError
        return pickle.loads(self.process.stdout.read(struct.unpack("<I", head)[0]))

    def said(self):
        """The kernels' complaints on stderr since the last question."""
        self.log.seek(0)
        text = self.log.read().decode(errors="replace")
        self.log.truncate(0)
        self.log.seek(0)
        return text

    def run(self, model, cases, outputs):
        """cases: lists of numpy arrays. Gives (results, None) or (None, why it was rejected)."""
        if self.process is None:
            self.start()
        self.said()
        message = pickle.dumps((model, cases, outputs))
        try:
            self.process.stdin.write(struct.pack("<I", len(message)) + message)
            self.process.stdin.flush()
            results, error = self.read()
        except (EOFError, BrokenPipeError):
            self.process.wait()
            self.process = None
            return None, "ends its process: " + brief(self.said())
        if error is not None:
            return None, brief(error + "\n" + self.said())
        return results, None

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


def brief(text):
    """A runtime's complaint without paths and addresses, on one line."""
    text = re.sub(r"\S*/", "", text)
    lines = [" ".join(l.split()) for l in text.splitlines()]
    lines = [l for l in lines if l and "XNNPACK" not in l and not l.startswith("INFO")]
    return " | ".join(dict.fromkeys(lines))[:240]


def tflite_runner():
    from importlib.metadata import version
    from tflite_runtime import interpreter as lib

    def run(model, cases, _):
        it = lib.Interpreter(model_content=model, num_threads=1,
                             experimental_op_resolver_type=lib.OpResolverType.BUILTIN_REF)
        it.allocate_tensors()
        ins = [d["index"] for d in it.get_input_details()]
        results = []
        for case in cases:
            for i, x in zip(ins, case):
                it.set_tensor(i, x)
            it.invoke()
            results.append([it.get_tensor(d["index"]) for d in it.get_output_details()])
        return results

    return f"tflite-runtime {version('tflite-runtime')} BUILTIN_REF", run


def tflm_runner():
    from importlib.metadata import version
    from tflite_micro.python.tflite_micro import runtime

    def run(model, cases, outputs):
        it = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
        results = []
        for case in cases:
            for i, x in enumerate(case):
                it.set_input(x, i)
            it.invoke()
            results.append([it.get_output(i).copy() for i in range(outputs)])
        return results

    return f"tflite-micro {version('tflite-micro')} (portable reference kernels)", run


def serve(kind):
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the libraries print must not get between the answers
    version, run = {"tflite": tflite_runner, "tflm": tflm_runner}[kind]()

    def answer(value):
        data = pickle.dumps(value)
        out.write(struct.pack("<I", len(data)) + data)
        out.flush()

    answer(version)
    while head := sys.stdin.buffer.read(4):
        model, cases, outputs = pickle.loads(sys.stdin.buffer.read(struct.unpack("<I", head)[0]))
        try:
            answer((run(model, cases, outputs), None))
        except Exception as e:
            answer((None, str(e)))


if __name__ == "__main__":
    serve(sys.argv[1])
