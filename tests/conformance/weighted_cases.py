"""Cases with weights: convolution, depthwise and pointwise convolution, fully connected."""

import numpy as np

import parameters
from builder import Model


def _weighted(rng, dtype, bits, shape, kernel_shape, axis, output_shape, products, channels, operator, bias_optional=False):
    """One weighted operator from a `dtype` activation to a `dtype` activation; `operator` adds it."""
    wide = dtype == "int16"
    model = Model()
    source = parameters.quantization(rng, dtype)
    per_channel = axis is not None
    weight_scales, output_scale = parameters.requantization(
        rng, products, source["scale"], channels, per_channel, wide)
    if bits == 4:
        output_scale = np.float32(output_scale / 16)
    x = model.tensor(dtype, shape, **source)
    kernel = model.tensor("int4" if bits == 4 else "int8", kernel_shape, weight_scales, 0, axis or 0,
                          data=parameters.weights(rng, kernel_shape, bits))
    inputs = [x, kernel]
    if bias_optional and rng.integers(0, 3) == 0:
        inputs.append(-1)
    else:
        bias_scales = (source["scale"] * weight_scales).astype(np.float32)
        values = parameters.bias(rng, channels, products, wide) // (16 if bits == 4 else 1)
        inputs.append(model.tensor("int64" if wide else "int32", [channels], bias_scales, data=values))
    y = model.tensor(dtype, output_shape, output_scale, parameters.zero_point(rng, dtype))
    operator(model, inputs, y)
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
    return _weighted(rng, dtype, bits, shape, kernel_shape, 0, [1, *size, channels],
                     int(np.prod(kernel_shape[1:])), channels, add)


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
    return _weighted(rng, dtype, bits, shape, kernel_shape, 3, [1, *size, channels],
                     int(kernel[0] * kernel[1]), channels, add)


def fully_connected(rng, dtype="int8", bits=8):
    """A fully connected layer, per tensor or per channel, with or without a bias."""
    inputs, outputs = int(rng.integers(1, 80)), int(rng.integers(1, 40))
    per_channel = bits == 8 and bool(rng.integers(0, 2))  # four bits: TensorFlow Lite Micro has per tensor only

    def add(model, operands, y):
        model.operator("FULLY_CONNECTED", operands, [y], 4, table="FullyConnectedOptions",
                       fusedActivationFunction=int(rng.choice(parameters.ACTIVATIONS)))

    return _weighted(rng, dtype, bits, [1, inputs], [outputs, inputs], 0 if per_channel else None,
                     [1, outputs], inputs, outputs, add, bias_optional=True)


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
