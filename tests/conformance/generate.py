#!/usr/bin/env python3
"""Records what TensorFlow Lite Micro computes for random models, most of them of a single operator.

For each case two files appear in the output folder: NAME.tflite, and NAME.npz with `input` and
`output`, one inference a row. Everything follows from the seed and the case's number. If the
output is named *.zip, one archive holds them all (`recorded.zip` was made with --cases 146 --seed 7 --rows 1).

    python3 -m venv target/conformance-venv
    target/conformance-venv/bin/pip install -r tests/conformance/requirements.txt
    target/conformance-venv/bin/python tests/conformance/generate.py --cases 500 target/conformance
"""

import argparse
import io
import pathlib
import sys
import zipfile

import numpy as np
from tflite_micro.python.tflite_micro import runtime

import elementwise_cases
import network_cases
import odd_cases
import shape_cases
import weighted_cases

CASES = {**weighted_cases.CASES, **elementwise_cases.CASES, **shape_cases.CASES, **network_cases.CASES,
         **odd_cases.CASES}


def inputs_for(rng, shape, dtype, random_rows):
    """Random rows, then a row of values near the middle, then all-low and all-high."""
    info = np.iinfo(dtype)
    rows = [rng.integers(info.min, info.max + 1, shape).astype(dtype) for _ in range(random_rows)]
    middle = (info.min + info.max) // 2
    spread = (info.max - info.min) // 16
    rows.append(rng.integers(middle - spread, middle + spread, shape).astype(dtype))
    rows.append(np.full(shape, info.min, dtype))
    rows.append(np.full(shape, info.max, dtype))
    return rows


def record(model, rng, random_rows):
    """Runs `model` on inputs of its own; returns inputs and outputs, one inference a row."""
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    details = interpreter.get_input_details(0)
    rows = inputs_for(rng, tuple(details["shape"]), details["dtype"], random_rows)
    outputs = []
    for row in rows:
        interpreter.set_input(row, 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
    return np.concatenate(rows), np.concatenate(outputs)


class Folder:
    """Writes files into a folder."""

    def __init__(self, path):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def write(self, name, contents):
        (self.path / name).write_bytes(contents)


class Archive:
    """Writes files into a zip archive, which comes out the same whenever it is made."""

    def __init__(self, path):
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9)

    def write(self, name, contents):
        self.archive.writestr(zipfile.ZipInfo(name), contents, zipfile.ZIP_DEFLATED, 9)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path, help="folder, or archive *.zip, where the cases go")
    parser.add_argument("--cases", type=int, default=500, help="how many cases (default 500)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers (default 1)")
    parser.add_argument("--rows", type=int, default=3, help="random inferences a case, besides three fixed ones")
    parser.add_argument("--only", help="comma-separated kinds of case: " + ", ".join(CASES))
    arguments = parser.parse_args()
    kinds = arguments.only.split(",") if arguments.only else list(CASES)
    unknown = [kind for kind in kinds if kind not in CASES]
    if unknown:
        sys.exit(f"no such kind of case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    output = (Archive if arguments.output.suffix == ".zip" else Folder)(arguments.output)
    for number in range(arguments.cases):
        kind = kinds[number % len(kinds)]
        rng = np.random.default_rng([arguments.seed, number])
        model = CASES[kind](rng)
        name = f"{number:04}_{kind}"
        output.write(f"{name}.tflite", model)
        try:
            inputs, outputs = record(model, rng, arguments.rows)
        except Exception as error:
            sys.exit(f"{name}: TensorFlow Lite Micro does not run it: {error}")
        arrays = io.BytesIO()
        np.savez(arrays, input=inputs, output=outputs)
        output.write(f"{name}.npz", arrays.getvalue())
    print(f"{arguments.cases} cases in {arguments.output}")


if __name__ == "__main__":
    main()
