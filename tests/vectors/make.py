#!/usr/bin/env python3
"""Makes the operator test vectors: small .tflite models and golden outputs of the reference kernels.

  make.py                    everything: the models of gen/operators.py and gen/networks.py, and 30 random ones
  make.py NAME...            only the models whose name begins with one of these
  make.py goldens [FILE...]  only the JSON, from existing .tflite files (default: all beside this script)
  make.py extra --out DIR    the models that operators.EXTRA leaves out of this folder
  make.py random --seed A --count N --out DIR
                             N random networks of 4 to 12 operators with goldens, for soak tests
"""

import argparse
import collections
import fnmatch
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from gen import golden as goldens, networks, operators, randomnet  # noqa: E402

RANDOM_IN_FOLDER = 30


def write(path, data):
    """Leaves a file alone that is right already, so that its time says when it changed."""
    data = data if isinstance(data, bytes) else data.encode()
    if not os.path.exists(path) or open(path, "rb").read() != data:
        with open(path, "wb") as f:
            f.write(data)


class Run:
    def __init__(self, out):
        self.out, self.oracles = out, goldens.Goldens()
        self.rejected, self.noted, self.odd, self.weak, self.made = {}, {}, [], [], []

    def model(self, name, data, also_tflite=True):
        golden, errors = self.oracles.make(name, data)
        if golden is None:
            self.rejected[name] = errors
            for ext in (".tflite", ".json"):
                if also_tflite and os.path.exists(os.path.join(self.out, name + ext)):
                    os.remove(os.path.join(self.out, name + ext))
            return False
        if also_tflite:
            write(os.path.join(self.out, name + ".tflite"), data)
        write(os.path.join(self.out, name + ".json"), goldens.to_json(golden))
        self.made.append((name, golden["ops"], len(data)))
        note = golden["oracle"]["note"]
        if "unexplained" in note or "depends on" in note:
            self.odd.append(name)
        if note:
            self.noted[name] = golden["oracle"]
        if goldens.all_saturated(golden):
            self.weak.append(name)
        return True

    def report(self):
        self.oracles.close()
        count = collections.Counter(op for _, ops, _ in self.made for op in set(ops))
        print(f"{len(self.made)} models, the largest {max((n for *_, n in self.made), default=0)} bytes")
        print("models with each operator:", ", ".join(f"{op} {n}" for op, n in sorted(count.items())))
        for name, oracle in self.noted.items():
            print(f"NOTE {name}: {oracle['primary']} decides; {oracle['note']}")
        for name, errors in self.rejected.items():
            print(f"REJECTED {name}: {errors}")
        if self.odd:
            print("LOOK AT:", ", ".join(self.odd))
        if self.weak:
            print("outputs mostly on one value:", ", ".join(self.weak))


def split_models():
    """The models of this folder, and the extra ones."""
    ours, extra = {}, {}
    patterns = operators.EXTRA.split()
    for name, build in (operators.MODELS | networks.MODELS).items():
        (extra if any(fnmatch.fnmatchcase(name, p) for p in patterns) else ours)[name] = build
    for p in patterns:
        assert fnmatch.filter(extra, p), f"EXTRA names no model: {p}"
    return ours, extra


def make_all(prefixes):
    run = Run(HERE)
    names = set()
    for name, build in split_models()[0].items():
        names.add(name)
        if not prefixes or name.startswith(tuple(prefixes)):
            run.model(name, build(name).build())
    if not prefixes or any(p.startswith("random_") for p in prefixes):
        make_random(run, 0, RANDOM_IN_FOLDER, small=True, names=names)
    if not prefixes:
        for file in sorted(os.listdir(HERE)):
            stem, ext = os.path.splitext(file)
            if ext in (".tflite", ".json") and stem not in names:
                print("removing", file)
                os.remove(os.path.join(HERE, file))
    run.report()


def make_random(run, seed, count, small=False, names=None):
    for i in range(seed, seed + count):
        name = f"random_{i:03d}" if small else f"soak_{i:06d}"
        if names is not None:
            names.add(name)
        run.model(name, randomnet.build(name, i, small).build())


def command(name, *options):
    p = argparse.ArgumentParser(prog=f"make.py {name}")
    for option in options:
        p.add_argument(option, type=str if option == "--out" else int, required=True)
    args = p.parse_args(sys.argv[2:])
    os.makedirs(args.out, exist_ok=True)
    return args, Run(args.out)


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "goldens":
        files = sys.argv[2:] or [os.path.join(HERE, f) for f in sorted(os.listdir(HERE)) if f.endswith(".tflite")]
        run = Run(HERE)
        for file in files:
            run.out = os.path.dirname(os.path.abspath(file))
            with open(file, "rb") as f:
                run.model(os.path.basename(file).removesuffix(".tflite"), f.read(), also_tflite=False)
        run.report()
    elif len(sys.argv) > 1 and sys.argv[1] == "random":
        args, run = command("random", "--seed", "--count", "--out")
        make_random(run, args.seed, args.count)
        run.report()
    elif len(sys.argv) > 1 and sys.argv[1] == "extra":
        args, run = command("extra", "--out")
        for name, build in split_models()[1].items():
            run.model(name, build(name).build())
        run.report()
    elif any(a.startswith("-") for a in sys.argv[1:]):
        print(__doc__)
    else:
        make_all(sys.argv[1:])


if __name__ == "__main__":
    main()
