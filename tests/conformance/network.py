"""Counts the inferences of a network whose output is, byte for byte, what TensorFlow Lite Micro computes.

    network.py model.tflite inputs.npy outputs.npy

The arrays are int8, one inference a row, as `sepconv inputs` and `sepconv run` write them; where the network has uint8 inputs
or outputs, these are 128 more.
"""

import json
import sys

import numpy as np
from tflite_micro.python.tflite_micro import runtime

# Of an image of 224 by 224 pixels in MobileNetV2 the activations take 2 MB.
ARENA = 64 << 20


def main():
    model, inputs, outputs = sys.argv[1:]
    interpreter = runtime.Interpreter.from_file(model, arena_size=ARENA)
    kinds = [interpreter.get_input_details(0)["dtype"], interpreter.get_output_details(0)["dtype"]]
    inputs, outputs = [
        (array ^ -128).view(np.uint8) if kind == np.uint8 else array
        for array, kind in zip([np.load(inputs), np.load(outputs)], kinds)
    ]
    equal = 0
    for row, expected in zip(inputs, outputs, strict=True):
        interpreter.set_input(row[None], 0)
        interpreter.invoke()
        equal += bool((interpreter.get_output(0).ravel() == expected.ravel()).all())
    print(json.dumps({"count": len(inputs), "equal": equal}))


if __name__ == "__main__":
    main()
