#!/usr/bin/env python3
"""Prints the memory that TensorFlow Lite Micro takes for a model: its arena, and of it the activations.

A model is a `.tflite` file, or what `sepconv inspect M.sepc --json` prints: then a `.tflite` model with the same operators
and shapes, and weights that mean nothing, is measured in its place, since memory depends on nothing else.

    target/conformance-venv/bin/python tests/conformance/arena.py model.tflite inspected.json
"""

import json
import os
import re
import sys
import tempfile

import numpy as np
from tflite_micro.python.tflite_micro import runtime

from builder import Model

WINDOWED = {
    "convolution": ("CONV_2D", "Conv2DOptions"),
    "pointwise": ("CONV_2D", "Conv2DOptions"),
    "depthwise": ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"),
    "max pool": ("MAX_POOL_2D", "Pool2DOptions"),
    "average pool": ("AVERAGE_POOL_2D", "Pool2DOptions"),
}
SCALE = np.float32(0.05)


def equivalent(inspected):
    """A `.tflite` model with the operators and shapes of an inspected one."""
    model = Model()
    shapes = [[1, *tensor["shape"]] for tensor in inspected["tensors"]]
    tensors = [model.tensor("int8", shape, SCALE) for shape in shapes]
    # The input is the tensor that no operator computes.
    source = (set(range(len(shapes))) - {operator["output"] for operator in inspected["ops"]}).pop()
    for operator in inspected["ops"]:
        x, y = operator["inputs"][0], operator["output"]
        (_, height, width, channels), out = shapes[x], shapes[y]
        inputs, kind = [tensors[tensor] for tensor in operator["inputs"]], operator["kind"]

        def weigh(shape, axis):
            scales = np.full(out[3], 0.01, np.float32)
            kernel = model.tensor("int8", shape, scales, 0, axis, data=np.ones(shape))
            return [kernel, model.tensor("int32", [out[3]], scales * SCALE, data=np.ones(out[3]))]

        if kind in WINDOWED:
            name, table = WINDOWED[kind]
            window, stride = operator["window"], [round(height / out[1]), round(width / out[2])]
            valid = [(height - window[0]) // stride[0] + 1, (width - window[1]) // stride[1] + 1] == out[1:3]
            options = {"padding": int(valid), "strideH": stride[0], "strideW": stride[1]}
            if kind == "depthwise":
                inputs += weigh([1, *window, out[3]], 3)
                options["depthMultiplier"] = out[3] // channels
            elif "pool" in kind:
                options |= {"filterHeight": window[0], "filterWidth": window[1]}
            else:
                inputs += weigh([out[3], *window, channels], 0)
            model.operator(name, inputs, [tensors[y]], 3, table=table, **options)
        elif kind == "add":
            model.operator("ADD", inputs, [tensors[y]], 2, table="AddOptions")
        elif kind == "requantize":
            model.operator("QUANTIZE", inputs, [tensors[y]], 2, table="QuantizeOptions")
        elif kind == "reshape":
            model.operator("RESHAPE", [*inputs, model.tensor("int32", [4], data=np.array(out))], [tensors[y]], 1,
                           table="ReshapeOptions", newShape=np.array(out, np.int32))
        elif kind == "softmax":
            model.graph.tensors[tensors[y]].quantization.scale = [np.float32(1 / 256)]
            model.graph.tensors[tensors[y]].quantization.zeroPoint = [-128]
            model.operator("SOFTMAX", inputs, [tensors[y]], 2, table="SoftmaxOptions", beta=1.0)
        elif kind == "mean":
            inputs.append(model.tensor("int32", [2], data=np.array([1, 2])))
            model.operator("MEAN", inputs, [tensors[y]], 2, table="ReducerOptions", keepDims=True)
        elif kind == "fully connected":
            model.graph.tensors[tensors[y]].shape = np.array([1, out[3]], np.int32)
            depth = height * width * channels
            weights = weigh([out[3], depth], 0)
            model.operator("FULLY_CONNECTED", inputs + weights, [tensors[y]], 4, table="FullyConnectedOptions")
        else:
            sys.exit(f"no equivalent of the operator {kind} is known here")
    return model.finish(tensors[source], tensors[inspected["ops"][-1]["output"]])


def allocations(model):
    """Bytes of the arena, and of its activations. The package prints them on the standard error stream only."""
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=8 << 20)
    with tempfile.TemporaryFile() as log:
        saved = os.dup(2)
        os.dup2(log.fileno(), 2)
        interpreter.print_allocations()
        os.dup2(saved, 2)
        log.seek(0)
        text = log.read().decode()
    return [int(re.search(rf"Arena allocation {part} (\d+)", text)[1]) for part in ("total", "head")]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            contents = file.read()
        model = contents if contents[4:8] == b"TFL3" else equivalent(json.loads(contents))
        arena, activations = allocations(model)
        print(f"{path}: arena {arena} bytes, of it activations {activations}")


if __name__ == "__main__":
    main()
