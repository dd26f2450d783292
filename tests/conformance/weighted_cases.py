"""Cases with weights: convolution, depthwise and pointwise convolution, fully connected."""

import numpy as np

import parameters
from builder import TYPES, Model


def add_weighted(rng, model, x, kernel_shape, axis, output_shape, operator, bits=8, bias_optional=False):
    """Adds a weighted operator that reads tensor `x`; returns its output tensor.

    The weights have a scale for each index of `axis`, or only one where that is None. `operator` adds the operator to
    the model, given its inputs and its output.
    """
    source = model.graph.tensors[x]
    dtype = "int16" if source.type == TYPES["int16"][0] else "int8"
    wide = dtype == "int16"
    input_scale = source.quantization.scale[0]
    channels = output_shape[-1]
    products = int(np.prod(kernel_shape)) // channels
    weight_scales, output_scale = parameters.requantization(
        rng, products, input_scale, channels, axis is not None, wide)
    if bits == 4:
        output_scale = np.float32(output_scale / 16)
    kernel = model.tensor("int4" if bits == 4 else "int8", kernel_shape, weight_scales, 0, axis or 0,
                          data=parameters.weights(rng, kernel_shape, bits))
    inputs = [x, kernel]
    if bias_optional and rng.integers(0, 3) == 0:
        inputs.append(-1)
    else:
        bias_scales = (input_scale * weight_scales).astype(np.float32)
        values = parameters.bias(rng, channels, products, wide) // (16 if bits == 4 else 1)
        inputs.append(model.tensor("int64" if wide else "int32", [channels], bias_scales, data=values))
    y = model.tensor(dtype, output_shape, output_scale, parameters.zero_point(rng, dtype))
    operator(model, inputs, y)
    return y


def _weighted(rng, dtype, bits, shape, kernel_shape, axis, output_shape, operator, bias_optional=False):
    """A model of one weighted operator from a `dtype` activation to a `dtype` activation."""
    model = Model()
    x = model.tensor(dtype, shape, **parameters.quantization(rng, dtype))
    y = add_weighted(rng, model, x, kernel_shape, axis, output_shape, operator, bits, bias_optional)
    return model.finish(x, y)


def _window(rng, shape, largest_kernel=5):
    """A window that fits `shape`: kernel, stride, dilation, padding and the output's size."""
    while True:
        kernel = rng.integers(1, largest_kernel + 1, 2)
        stride = rng.choice([1, 1, 2, 3], 2)
        dilation = rng.choice([1, 1, 1, 2, 3], 2)
        if rng.integers(0, 2) == 0:  # square windows are what networks have
            kernel[1], stride[1], dilation[1] = kernel[0], stride[0], dilation[0]
        same = bool(rng.integers(0, 2))
        size = [parameters.output_length(shape[i + 1], kernel[i], stride[i], dilation[i], same) for i in range(2)]
        if min(size) >= 1:
            return kernel, stride, dilation, same, [int(n) for n in size]


def convolution(rng, dtype="int8", bits=8, pointwise=False):
    """A convolution with per-channel weight scales."""
    shape = parameters.image(rng, channels=24 if pointwise else 10)
    channels = int(rng.integers(1, 25 if pointwise else 11))
    kernel, stride, dilation, same, size = _window(rng, shape)
    if pointwise:
        kernel, stride, dilation, size = [1, 1], [1, 1], [1, 1], shape[1:3]

    def add(model, inputs, y):
        model.operator("CONV_2D", inputs, [y], 3, table="Conv2DOptions", padding=0 if same else 1,
                       strideH=int(stride[0]), strideW=int(stride[1]),
                       dilationHFactor=int(dilation[0]), dilationWFactor=int(dilation[1]),
                       fusedActivationFunction=int(rng.choice(parameters.ACTIVATIONS)))

    kernel_shape = [channels, int(kernel[0]), int(kernel[1]), shape[3]]
    return _weighted(rng, dtype, bits, shape, kernel_shape, 0, [1, *size, channels], add)


def pointwise(rng, dtype="int8", bits=8):
    """A 1x1 convolution of stride 1."""
    return convolution(rng, dtype, bits, pointwise=True)


def depthwise(rng, dtype="int8", bits=8):
    """A depthwise convolution with a random multiplier."""
    shape = parameters.image(rng)
    multiplier = int(rng.choice([1, 1, 1, 2, 3, 4]))
    channels = shape[3] * multiplier
    kernel, stride, dilation, same, size = _window(rng, shape)

    def add(model, inputs, y):
        model.operator("DEPTHWISE_CONV_2D", inputs, [y], 3, table="DepthwiseConv2DOptions",
                       padding=0 if same else 1, strideH=int(stride[0]), strideW=int(stride[1]),
                       dilationHFactor=int(dilation[0]), dilationWFactor=int(dilation[1]),
                       depthMultiplier=multiplier,
                       fusedActivationFunction=int(rng.choice(parameters.ACTIVATIONS)))

    kernel_shape = [1, int(kernel[0]), int(kernel[1]), channels]
    return _weighted(rng, dtype, bits, shape, kernel_shape, 3, [1, *size, channels], add)


def fully_connected(rng, dtype="int8", bits=8):
    """A fully connected layer, per tensor or per channel, with or without a bias; of a vector, of a whole image, or
    of each pixel."""
    inputs, outputs = int(rng.integers(1, 80)), int(rng.integers(1, 40))
    shape, output_shape, keep = [1, inputs], [1, outputs], False
    kind = rng.integers(0, 4) if dtype == "int8" else 0
    if kind == 2:
        shape = parameters.image(rng, largest=5)
        inputs = int(np.prod(shape))
    elif kind == 3:
        shape, keep = [1, int(rng.integers(1, 6)), inputs], True
        output_shape = [*shape[:2], outputs]
    per_channel = bits == 8 and bool(rng.integers(0, 2))  # four bits: TensorFlow Lite Micro has per tensor only

    def add(model, operands, y):
        model.operator("FULLY_CONNECTED", operands, [y], 5, table="FullyConnectedOptions", keepNumDims=keep,
                       fusedActivationFunction=int(rng.choice(parameters.ACTIVATIONS)))

    return _weighted(rng, dtype, bits, shape, [outputs, inputs], 0 if per_channel else None, output_shape, add,
                     bias_optional=True)


CASES = {
    "convolution": convolution,
    "pointwise": pointwise,
    "depthwise": depthwise,
    "fully_connected": fully_connected,
    "convolution_16x8": lambda rng: convolution(rng, "int16"),
    "pointwise_16x8": lambda rng: pointwise(rng, "int16"),
    "depthwise_16x8": lambda rng: depthwise(rng, "int16"),
    "fully_connected_16x8": lambda rng: fully_connected(rng, "int16"),
    "convolution_int4": lambda rng: convolution(rng, bits=4),
    "pointwise_int4": lambda rng: pointwise(rng, bits=4),
    "fully_connected_int4": lambda rng: fully_connected(rng, bits=4),
}
