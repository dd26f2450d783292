#!/usr/bin/env python3
"""Records what TensorFlow Lite Micro computes for random single-operator models.

For each case two files appear in the output folder: NAME.tflite, and NAME.npz with `input` and
`output`, one inference a row. Everything follows from the seed and the case's number.

    python3 -m venv target/conformance-venv
    target/conformance-venv/bin/pip install -r tests/conformance/requirements.txt
    target/conformance-venv/bin/python tests/conformance/generate.py --cases 500 target/conformance
"""

import argparse
import pathlib
import sys

import numpy as np
from tflite_micro.python.tflite_micro import runtime

import elementwise_cases
import shape_cases
import weighted_cases

CASES = {**weighted_cases.CASES, **elementwise_cases.CASES, **shape_cases.CASES}


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where the cases go")
    parser.add_argument("--cases", type=int, default=500, help="how many cases (default 500)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers (default 1)")
    parser.add_argument("--rows", type=int, default=3, help="random inferences a case, besides three fixed ones")
    parser.add_argument("--only", help="comma-separated kinds of case: " + ", ".join(CASES))
    arguments = parser.parse_args()
    kinds = arguments.only.split(",") if arguments.only else list(CASES)
    unknown = [kind for kind in kinds if kind not in CASES]
    if unknown:
        sys.exit(f"no such kind of case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.cases):
        kind = kinds[number % len(kinds)]
        rng = np.random.default_rng([arguments.seed, number])
        model = CASES[kind](rng)
        name = f"{number:04}_{kind}"
        try:
            inputs, outputs = record(model, rng, arguments.rows)
        except Exception as error:
            (arguments.folder / f"{name}.refused.tflite").write_bytes(model)
            sys.exit(f"{name}: TensorFlow Lite Micro does not run it: {error}")
        (arguments.folder / f"{name}.tflite").write_bytes(model)
        np.savez_compressed(arguments.folder / f"{name}.npz", input=inputs, output=outputs)
    print(f"{arguments.cases} cases in {arguments.folder}")


if __name__ == "__main__":
    main()
