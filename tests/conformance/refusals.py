#!/usr/bin/env python3
"""Makes `refused.zip`: models that the importer must refuse, each with one thing that is not supported.

    target/conformance-venv/bin/python tests/conformance/refusals.py tests/conformance/refused.zip
"""

import pathlib
import sys

import numpy as np

from builder import Model
from generate import Archive

INT8 = {"scale": np.float32(0.1), "zero_point": 3}


def unary(name, shape=(1, 4, 4, 3), dtype="int8", output_shape=None, quantization=INT8, output=INT8, **options):
    """A model of one operator of one input."""
    model = Model()
    x = model.tensor(dtype, list(shape), **quantization)
    y = model.tensor(dtype, list(output_shape or shape), **output)
    model.operator(name, [x], [y], **options)
    return model, x, y


def convolution(weights=(2, 1, 1, 3), dtype="int8", zero_point=0, activation=0):
    """A model of one pointwise convolution to two channels."""
    model = Model()
    x = model.tensor(dtype, [1, 4, 4, 3], **INT8)
    kernel = model.tensor("int8", list(weights), np.float32(0.01), zero_point, data=np.ones(weights))
    bias = model.tensor("int32", [2], np.float32(0.001), data=np.zeros(2))
    y = model.tensor(dtype, [1, 4, 4, 2], **INT8)
    model.operator("CONV_2D", [x, kernel, bias], [y], 3, table="Conv2DOptions", strideH=1, strideW=1,
                   fusedActivationFunction=activation)
    return model, x, y


def large_bias():
    model, x, y = convolution()
    bias = model.graph.tensors[2].buffer
    model.model.buffers[bias].data = np.frombuffer(np.full(2, 2**31 - 1, np.int32).tobytes(), np.uint8)
    return model, x, y


def custom():
    model, x, y = unary("CUSTOM")
    model.model.operatorCodes[0].customCode = "MyDetector"
    return model, x, y


def concatenation_of_scales():
    model = Model()
    x = model.tensor("int8", [1, 4], **INT8)
    other = model.tensor("int8", [1, 4], np.float32(0.2), 3)
    model.operator("QUANTIZE", [x], [other])
    y = model.tensor("int8", [1, 8], **INT8)
    model.operator("CONCATENATION", [x, other], [y], table="ConcatenationOptions", axis=1)
    return model, x, y


def mean_over_channels():
    model = Model()
    x = model.tensor("int8", [1, 4, 4, 3], **INT8)
    y = model.tensor("int8", [1, 4, 4], **INT8)
    model.operator("MEAN", [x, model.tensor("int32", [1], data=np.array([3]))], [y], table="ReducerOptions")
    return model, x, y


def two(inputs):
    model, x, y = unary("RELU")
    model.graph.inputs = np.array([x, x] if inputs else [x], np.int32)
    model.graph.outputs = np.array([y] if inputs else [y, x], np.int32)
    return model, None, None


MODELS = {
    "custom": custom,
    "unknown_operator": lambda: unary("L2_NORMALIZATION", table="L2NormOptions"),
    "float": lambda: unary("RELU", dtype="float32", quantization={}, output={}),
    "batch": lambda: unary("RELU", shape=(2, 4, 4, 3)),
    "dynamic": lambda: unary("RELU", shape=(1, -1, -1, 3)),
    "five_dimensions": lambda: unary("RELU", shape=(1, 2, 2, 2, 3)),
    "no_scale": lambda: unary("RELU", quantization={}),
    "negative_scale": lambda: unary("RELU", quantization={"scale": np.float32(-1)}),
    "zero_point": lambda: unary("RELU", quantization={"scale": np.float32(1), "zero_point": 200}),
    "int16_relu": lambda: unary("RELU", dtype="int16", quantization={"scale": np.float32(1)}, output={"scale": np.float32(1)}),
    "grouped": lambda: convolution(weights=(2, 1, 1, 1)),
    "uint8": lambda: convolution(dtype="uint8"),
    "weight_zero_point": lambda: convolution(zero_point=4),
    "fused_tanh": lambda: convolution(activation=4),
    "large_bias": large_bias,
    "output_size": lambda: unary("MAX_POOL_2D", output_shape=(1, 3, 4, 3), table="Pool2DOptions", strideH=1, strideW=1,
                                 filterHeight=1, filterWidth=1),
    "pool_of_scales": lambda: unary("MAX_POOL_2D", output={"scale": np.float32(1)}, table="Pool2DOptions", strideH=1,
                                    strideW=1, filterHeight=1, filterWidth=1),
    "concatenation_of_scales": concatenation_of_scales,
    "mean_over_channels": mean_over_channels,
    "two_inputs": lambda: two(True),
    "two_outputs": lambda: two(False),
}


def main():
    archive = Archive(pathlib.Path(sys.argv[1]))
    for name, make in MODELS.items():
        model, x, y = make()
        archive.write(f"{name}.tflite", model.finish(x, y) if x is not None else model.pack())


if __name__ == "__main__":
    main()
