#!/usr/bin/env python3
"""Makes `recorded_float.zip`: float models with what TensorFlow Lite Micro computes for them.

    target/conformance-venv/bin/python tests/conformance/float_cases.py tests/conformance/recorded_float.zip

Files are named and arranged as those of `generate.py`; the arrays hold the bits of float32 values as int32.
"""

import io
import pathlib
import sys

import numpy as np
from tflite_micro.python.tflite_micro import runtime

import parameters
from builder import Model
from generate import Archive
from weighted_cases import _window as random_window


def _constant(rng, model, shape):
    return model.tensor("float32", shape, data=rng.normal(size=shape))


def convolution(rng, depthwise=False):
    """A convolution, or a depthwise one with a random multiplier."""
    shape = parameters.image(rng)
    channels = shape[3] * int(rng.integers(1, 3)) if depthwise else int(rng.integers(1, 9))
    kernel, stride, dilation, same, size = random_window(rng, shape)
    model = Model()
    x = model.tensor("float32", shape)
    kernel_shape = [1, *kernel, channels] if depthwise else [channels, *kernel, shape[3]]
    inputs = [x, _constant(rng, model, [int(n) for n in kernel_shape]), _constant(rng, model, [channels])]
    y = model.tensor("float32", [1, *size, channels])
    options = {"padding": 0 if same else 1, "strideH": int(stride[0]), "strideW": int(stride[1]),
               "dilationHFactor": int(dilation[0]), "dilationWFactor": int(dilation[1]),
               "fusedActivationFunction": int(rng.choice(parameters.ACTIVATIONS))}
    if depthwise:
        model.operator("DEPTHWISE_CONV_2D", inputs, [y], 1, table="DepthwiseConv2DOptions",
                       depthMultiplier=channels // shape[3], **options)
    else:
        model.operator("CONV_2D", inputs, [y], 1, table="Conv2DOptions", **options)
    return model.finish(x, y)


def fully_connected(rng):
    """A fully connected layer of a whole image."""
    shape, outputs = parameters.image(rng, largest=4), int(rng.integers(1, 9))
    model = Model()
    x = model.tensor("float32", shape)
    inputs = [x, _constant(rng, model, [outputs, int(np.prod(shape))]), _constant(rng, model, [outputs])]
    y = model.tensor("float32", [1, outputs])
    model.operator("FULLY_CONNECTED", inputs, [y], 1, table="FullyConnectedOptions", fusedActivationFunction=1)
    return model.finish(x, y)


def binary(rng, name, constant):
    """A sum or product with a vector over channels, or with the input's own maximum in 3x3 windows."""
    shape = parameters.image(rng)
    model = Model()
    x = model.tensor("float32", shape)
    if constant:
        other = _constant(rng, model, [shape[3]])
    else:
        other = model.tensor("float32", shape)
        model.operator("MAX_POOL_2D", [x], [other], 1, table="Pool2DOptions", padding=0, strideH=1, strideW=1,
                       filterHeight=3, filterWidth=3)
    y = model.tensor("float32", shape)
    model.operator(name, [x, other], [y], 1, table="AddOptions" if name == "ADD" else "MulOptions",
                   fusedActivationFunction=3)
    return model.finish(x, y)


def pool(rng, name):
    """Pooling with SAME padding."""
    shape = parameters.image(rng)
    window, stride = rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    size = [parameters.output_length(shape[i + 1], window[i], stride[i], 1, True) for i in range(2)]
    model = Model()
    x = model.tensor("float32", shape)
    y = model.tensor("float32", [1, *(int(n) for n in size), shape[3]])
    model.operator(name, [x], [y], 1, table="Pool2DOptions", padding=0, strideH=int(stride[0]), strideW=int(stride[1]),
                   filterHeight=int(window[0]), filterWidth=int(window[1]))
    return model.finish(x, y)


def moved(rng, name):
    """Mean, pad, concatenation, transpose or enlargement."""
    shape = parameters.image(rng)
    model = Model()
    x = model.tensor("float32", shape)
    inputs, options = [x], {}
    if name == "MEAN":
        inputs.append(model.tensor("int32", [2], data=np.array([1, 2])))
        target, options = [1, shape[3]], {"table": "ReducerOptions"}
    elif name == "PAD":
        amounts = np.array([[0, 0], [1, 2], [0, 3], [0, 0]])
        inputs.append(model.tensor("int32", [4, 2], data=amounts))
        target = [int(n) for n in np.array(shape) + amounts.sum(1)]
    elif name == "CONCATENATION":
        inputs.append(x)
        target, options = [*shape[:3], 2 * shape[3]], {"table": "ConcatenationOptions", "axis": 3}
    elif name == "TRANSPOSE":
        order = [0, *(int(n) + 1 for n in rng.permutation(3))]
        inputs.append(model.tensor("int32", [4], data=np.array(order)))
        target = [shape[i] for i in order]
    else:
        target = [1, shape[1] * 2, shape[2] * 3, shape[3]]
        inputs.append(model.tensor("int32", [2], data=np.array(target[1:3])))
        options = {"table": "ResizeNearestNeighborOptions"}
    y = model.tensor("float32", target)
    model.operator(name, inputs, [y], 1, **options)
    return model.finish(x, y)


def unary(rng, name, **options):
    """A function of each value, or softmax."""
    shape = parameters.image(rng)
    model = Model()
    x, y = model.tensor("float32", shape), model.tensor("float32", shape)
    model.operator(name, [x], [y], 1, **options)
    return model.finish(x, y)


CASES = {
    "convolution": convolution,
    "depthwise": lambda rng: convolution(rng, depthwise=True),
    "fully_connected": fully_connected,
    "add": lambda rng: binary(rng, "ADD", False),
    "mul": lambda rng: binary(rng, "MUL", False),
    "add_constant": lambda rng: binary(rng, "ADD", True),
    "mul_constant": lambda rng: binary(rng, "MUL", True),
    "average_pool": lambda rng: pool(rng, "AVERAGE_POOL_2D"),
    "max_pool": lambda rng: pool(rng, "MAX_POOL_2D"),
    "mean": lambda rng: moved(rng, "MEAN"),
    "pad": lambda rng: moved(rng, "PAD"),
    "concatenation": lambda rng: moved(rng, "CONCATENATION"),
    "transpose": lambda rng: moved(rng, "TRANSPOSE"),
    "resize": lambda rng: moved(rng, "RESIZE_NEAREST_NEIGHBOR"),
    "softmax": lambda rng: unary(rng, "SOFTMAX", table="SoftmaxOptions", beta=0.5),
    "relu": lambda rng: unary(rng, "RELU"),
    "relu6": lambda rng: unary(rng, "RELU6"),
    "leaky_relu": lambda rng: unary(rng, "LEAKY_RELU", table="LeakyReluOptions", alpha=0.2),
    "elu": lambda rng: unary(rng, "ELU"),
    "hard_swish": lambda rng: unary(rng, "HARD_SWISH", table="HardSwishOptions"),
    "logistic": lambda rng: unary(rng, "LOGISTIC"),
    "tanh": lambda rng: unary(rng, "TANH"),
}


def main():
    archive = Archive(pathlib.Path(sys.argv[1]))
    for number, kind in enumerate(kind for kind in CASES for _ in range(2)):
        rng = np.random.default_rng([1, number])
        model = CASES[kind](rng)
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
        shape = interpreter.get_input_details(0)["shape"]
        rows = [rng.normal(scale=3, size=shape).astype(np.float32)]
        outputs = []
        for row in rows:
            interpreter.set_input(row, 0)
            interpreter.invoke()
            outputs.append(interpreter.get_output(0).copy())
        arrays = io.BytesIO()
        bits = [np.concatenate(values).view(np.int32) for values in (rows, outputs)]
        np.savez(arrays, input=bits[0], output=bits[1])
        name = f"{number:04}_{kind}"
        archive.write(f"{name}.tflite", model)
        archive.write(f"{name}.npz", arrays.getvalue())


if __name__ == "__main__":
    main()
