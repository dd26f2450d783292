"""Cases at the edges: awkward windows, extreme scales and weights, missing biases, and encodings that are legal but rare."""

import numpy as np

import parameters
from builder import Model


def _linear(rng, name, table, shape, kernel_shape, axis, output_shape, dtype="int8", bits=8, **options):
    """A weighted operator whose scales, zero points, weights and biases are drawn from the ends of their ranges."""
    wide = dtype == "int16"
    channels = kernel_shape[axis]
    products = int(np.prod(kernel_shape)) // channels
    model = Model()
    source = {"scale": parameters.scale(rng, 1e-4, 2.0), "zero_point": 0 if wide else int(rng.choice([-128, 127, 0, 5]))}
    top = 2 ** (bits - 1) - 1
    weights = [
        lambda: np.full(kernel_shape, -128 if bits == 8 else -top, np.int8),
        lambda: np.full(kernel_shape, top, np.int8),
        lambda: rng.choice([-top, top], kernel_shape).astype(np.int8),
        lambda: rng.integers(-128 if bits == 8 else -top, top + 1, kernel_shape).astype(np.int8),
        lambda: np.zeros(kernel_shape, np.int8),
    ][rng.choice(5, p=[0.15, 0.15, 0.2, 0.45, 0.05])]()
    per_tensor = bool(rng.integers(0, 2))
    factors = np.exp2(rng.uniform(-6, 6, 1 if per_tensor else channels))
    weight_scales = (np.float32(parameters.scale(rng, 1e-4, 0.02)) * factors).astype(np.float32)
    # From multipliers far above one, where every sum saturates, to those that leave nothing of a sum.
    typical = float(source["scale"]) * float(np.mean(weight_scales)) * np.sqrt(products) * 73.0 * 73.0
    exponent = rng.uniform(-3, 3) if rng.integers(0, 3) else rng.uniform(-9, 20)
    output_scale = np.float32(typical / (50.0 if not wide else 0.5) * np.exp2(exponent))
    x = model.tensor(dtype, shape, **source)
    kernel = model.tensor("int4" if bits == 4 else "int8", kernel_shape, weight_scales, 0, axis, data=weights)
    inputs = [x, kernel]
    kind = int(rng.integers(0, 3))
    if kind == 1 and name != "DEPTHWISE_CONV_2D":  # where TensorFlow Lite Micro crashes
        inputs.append(-1)
    elif kind == 2:
        reach = int(rng.choice([1, 1000, 2**29 if not wide else 2**38]))
        bias_scales = (source["scale"] * weight_scales).astype(np.float32)
        values = rng.integers(-reach, reach + 1, channels)
        inputs.append(model.tensor("int64" if wide else "int32", [channels], bias_scales, data=values))
    y = model.tensor(dtype, output_shape, output_scale, parameters.zero_point(rng, dtype))
    model.operator(name, inputs, [y], 3, table=table,
                   fusedActivationFunction=int(rng.choice(parameters.ACTIVATIONS)), **options)
    return model.finish(x, y)


def _window(rng, shape):
    """A window that may be larger than the input, move by more than its size, or have gaps."""
    while True:
        kernel = rng.integers(1, 10, 2)
        stride = rng.integers(1, 8, 2)
        dilation = rng.choice([1, 1, 2, 4, 5], 2)
        same = bool(rng.integers(0, 3))
        size = [parameters.output_length(shape[i + 1], kernel[i], stride[i], dilation[i], same) for i in range(2)]
        if min(size) >= 1:
            options = dict(padding=0 if same else 1, strideH=int(stride[0]), strideW=int(stride[1]),
                           dilationHFactor=int(dilation[0]), dilationWFactor=int(dilation[1]))
            return [int(n) for n in kernel], [int(n) for n in size], options


def convolution(rng, dtype="int8", bits=8):
    """A convolution; one of 1x1 with strides at times."""
    shape = parameters.image(rng, largest=14, channels=9)
    channels = int(rng.integers(1, 11))
    kernel, size, options = _window(rng, shape)
    if rng.integers(0, 4) == 0:
        kernel = [1, 1]
        size = [parameters.output_length(shape[i + 1], 1, options["stride" + "HW"[i]], 1, True) for i in range(2)]
    return _linear(rng, "CONV_2D", "Conv2DOptions", shape, [channels, *kernel, shape[3]], 0, [1, *size, channels],
                   dtype, bits, **options)


def depthwise(rng, dtype="int8", bits=8):
    """A depthwise convolution, with a multiplier of up to 9 on few channels."""
    shape = parameters.image(rng, largest=14, channels=int(rng.choice([1, 2, 20])))
    multiplier = int(rng.choice([1, 1, 2, 5, 8, 9]))
    channels = shape[3] * multiplier
    kernel, size, options = _window(rng, shape)
    return _linear(rng, "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", shape, [1, *kernel, channels], 3,
                   [1, *size, channels], dtype, bits, depthMultiplier=multiplier, **options)


def fully_connected(rng, dtype="int8", bits=8):
    """A fully connected layer on a vector, or on an image, of which it takes all values or each pixel."""
    channels = int(rng.integers(1, 30))
    kind = rng.integers(0, 3)
    shape = [1, int(rng.integers(1, 300))] if kind == 0 else parameters.image(rng, largest=5, channels=17)
    if kind == 2:
        output, depth, keep = [*shape[:-1], channels], shape[-1], True
    else:
        output, depth, keep = [1, channels], int(np.prod(shape)), False
    return _linear(rng, "FULLY_CONNECTED", "FullyConnectedOptions", shape, [channels, depth], 0, output,
                   dtype, bits, keepNumDims=keep)


def pool(rng, name, dtype="int8"):
    """A pool whose window is larger than the input, or moves by more than its size."""
    shape = parameters.image(rng, largest=13, channels=40)
    kernel, size, options = _window(rng, shape)
    same = options["padding"] == 0
    size = [parameters.output_length(shape[i + 1], kernel[i], options["stride" + "HW"[i]], 1, same) for i in range(2)]
    model = Model()
    quantization = parameters.quantization(rng, dtype)
    x = model.tensor(dtype, shape, **quantization)
    y = model.tensor(dtype, [1, *size, shape[3]], **quantization)
    model.operator(name, [x], [y], 3, table="Pool2DOptions", padding=options["padding"], strideH=options["strideH"],
                   strideW=options["strideW"], filterHeight=kernel[0], filterWidth=kernel[1],
                   fusedActivationFunction=int(rng.choice(parameters.ACTIVATIONS)))
    return model.finish(x, y)


def binary(rng, name, dtype="int8"):
    """A sum or product with itself, or with a constant of one value, of the channels, or of the whole shape."""
    shape = parameters.image(rng, largest=6, channels=17)
    factor = 1 / 256 if dtype == "int16" else 1
    scale = lambda: np.float32(parameters.scale(rng, 1e-4, 3.0) * factor)
    low, high = parameters.RANGE[dtype]
    model = Model()
    x = model.tensor(dtype, shape, scale(), parameters.zero_point(rng, dtype))
    kind = rng.integers(0, 4)
    if kind == 0:
        other = x
    else:
        of = [[1], [1, 1, 1, shape[3]], shape][kind - 1]
        other = model.tensor(dtype, of, scale(), parameters.zero_point(rng, dtype), data=rng.integers(low, high + 1, of))
    scales = [float(model.graph.tensors[tensor].quantization.scale[0]) for tensor in (x, other)]
    spread = np.exp2(rng.uniform(-2, 6))
    if name == "ADD":
        output, options = max(scales) * spread, {"table": "AddOptions", "potScaleInt16": False}
    else:
        output, options = scales[0] * scales[1] * (3000 if dtype == "int16" else 30) * spread, {"table": "MulOptions"}
    y = model.tensor(dtype, shape, np.float32(output), parameters.zero_point(rng, dtype))
    model.operator(name, [x, other] if rng.integers(0, 2) else [other, x], [y], 2,
                   fusedActivationFunction=int(rng.choice(parameters.ACTIVATIONS)), **options)
    return model.finish(x, y)


def function(rng, name, output=None, **options):
    """A function of each value, with scales from tiny to huge."""
    shape = parameters.image(rng, largest=6, channels=30)
    model = Model()
    scale = parameters.scale(rng, 1e-4, 8.0)
    x = model.tensor("int8", shape, scale, parameters.zero_point(rng))
    if output is None:
        output = (np.float32(scale * np.exp2(rng.uniform(-3, 3))), parameters.zero_point(rng))
    y = model.tensor("int8", shape, *output)
    model.operator(name, [x], [y], 2, **options)
    return model.finish(x, y)


def softmax(rng):
    """Softmax with a steep or flat exponent, over one channel or many."""
    shape = [1, int(rng.choice([1, 2, 3, 300]))] if rng.integers(0, 2) else parameters.image(rng, 5, 20)
    output = {"int8": (np.float32(1 / 256), -128), "int16": (np.float32(1 / 65536), -32768)}
    dtype = str(rng.choice(["int8", "int8", "int16"]))
    model = Model()
    x = model.tensor("int8", shape, parameters.scale(rng, 1e-4, 40.0), parameters.zero_point(rng))
    y = model.tensor(dtype, shape, *output[dtype])
    model.operator("SOFTMAX", [x], [y], 2, table="SoftmaxOptions", beta=float(rng.choice([0.01, 0.5, 1.0, 10.0])))
    return model.finish(x, y)


def requantize(rng):
    """Between any two types, by factors far from one."""
    source, target = (str(n) for n in rng.choice(["int8", "int16", "uint8"], 2))
    if "uint8" in (source, target) and "int8" not in (source, target):
        target = source = "int8"
    shape = parameters.image(rng, largest=6, channels=30)
    scale = parameters.scale(rng, 1e-3, 1.0)
    model = Model()
    x = model.tensor(source, shape, scale, parameters.zero_point(rng, source))
    y = model.tensor(target, shape, np.float32(scale * np.exp2(rng.uniform(-9, 9))), parameters.zero_point(rng, target))
    model.operator("QUANTIZE", [x], [y], 1, table="QuantizeOptions")
    return model.finish(x, y)


def mean(rng, dtype="int8"):
    """The mean of images from one pixel to many, with axes counted from either end."""
    shape = [1, int(rng.choice([1, 2, 7, 40])), int(rng.choice([1, 3, 31])), int(rng.integers(1, 40))]
    model = Model()
    source = parameters.quantization(rng, dtype)
    x = model.tensor(dtype, shape, **source)
    target = dict(source)
    if rng.integers(0, 3):
        target = {"scale": np.float32(source["scale"] * np.exp2(rng.uniform(-4, 3))),
                  "zero_point": parameters.zero_point(rng, dtype)}
    axes = model.tensor("int32", [2], data=np.array([[1, 2], [-3, -2], [2, -3]][rng.integers(0, 3)]))
    keep = bool(rng.integers(0, 2))
    y = model.tensor(dtype, [1, 1, 1, shape[3]] if keep else [1, shape[3]], **target)
    model.operator("MEAN", [x, axes], [y], 2, table="ReducerOptions", keepDims=keep)
    return model.finish(x, y)


def moved(rng, name, dtype="int16"):
    """Operators that move values, on int16."""
    shape = parameters.image(rng, largest=7)
    quantization = parameters.quantization(rng, dtype)
    model = Model()
    x = model.tensor(dtype, shape, **quantization)
    if name == "PAD":
        amounts = np.zeros((4, 2), np.int32)
        amounts[1:] = rng.integers(0, 4, (3, 2))
        other, output = model.tensor("int32", [4, 2], data=amounts), np.array(shape) + amounts.sum(1)
        table = {"table": "PadOptions"}
    elif name == "TRANSPOSE":
        order = [0, *(int(n) + 1 for n in rng.permutation(3))]
        other, output = model.tensor("int32", [4], data=np.array(order)), [shape[i] for i in order]
        table = {"table": "TransposeOptions"}
    elif name == "CONCATENATION":
        other, output, table = x, [*shape[:3], 2 * shape[3]], {"table": "ConcatenationOptions", "axis": -1}
    else:
        size = [int(n) for n in rng.integers(1, 15, 2)]
        other, output = model.tensor("int32", [2], data=np.array(size)), [1, *size, shape[3]]
        table = {"table": "ResizeNearestNeighborOptions"}
    y = model.tensor(dtype, [int(n) for n in output], **quantization)
    model.operator(name, [x, other], [y], 2, **table)
    return model.finish(x, y)


def argmax_of_pixels(rng):
    """The index of the greatest channel of each pixel, ties being common."""
    shape = parameters.image(rng, largest=6, channels=30)
    model = Model()
    x = model.tensor("int8", shape, **parameters.quantization(rng))
    low = model.tensor("int8", shape, *[np.float32(60.0), 0])
    model.operator("QUANTIZE", [x], [low], table="QuantizeOptions")
    y = model.tensor("int32", shape[:3])
    axis = model.tensor("int32", [1], data=np.array([3]))
    model.operator("ARG_MAX", [low, axis], [y], 2, table="ArgMaxOptions", outputType=2)
    return model.finish(x, y)


def reshape_without_shape(rng):
    """Reshape whose shape is in its options only, squeeze, and expand dims."""
    shape = [1, 1, int(rng.integers(1, 9)), int(rng.integers(1, 9))]
    quantization = parameters.quantization(rng)
    model = Model()
    x = model.tensor("int8", shape, **quantization)
    kind = rng.integers(0, 2)
    target = [1, shape[2] * shape[3]] if kind == 0 else [1, *shape[2:]]
    y = model.tensor("int8", target, **quantization)
    if kind == 0:
        model.operator("RESHAPE", [x], [y], table="ReshapeOptions", newShape=np.array(target, np.int32))
    else:
        model.operator("SQUEEZE", [x], [y], table="SqueezeOptions", squeezeDims=np.array([1], np.int32))
    return model.finish(x, y)


UNIT = (np.float32(1 / 256), -128)
SIGNED_UNIT = (np.float32(1 / 128), 0)

CASES = {
    "odd_convolution": convolution,
    "odd_depthwise": depthwise,
    "odd_fully_connected": fully_connected,
    "odd_convolution_16x8": lambda rng: convolution(rng, "int16"),
    "odd_depthwise_16x8": lambda rng: depthwise(rng, "int16"),
    "odd_fully_connected_16x8": lambda rng: fully_connected(rng, "int16"),
    "odd_convolution_int4": lambda rng: convolution(rng, bits=4),
    "depthwise_int4": lambda rng: depthwise(rng, bits=4),
    "odd_average_pool": lambda rng: pool(rng, "AVERAGE_POOL_2D"),
    "odd_max_pool": lambda rng: pool(rng, "MAX_POOL_2D"),
    "odd_average_pool_16": lambda rng: pool(rng, "AVERAGE_POOL_2D", "int16"),
    "odd_max_pool_16": lambda rng: pool(rng, "MAX_POOL_2D", "int16"),
    "odd_add": lambda rng: binary(rng, "ADD"),
    "odd_mul": lambda rng: binary(rng, "MUL"),
    "odd_add_16": lambda rng: binary(rng, "ADD", "int16"),
    "mul_16": lambda rng: binary(rng, "MUL", "int16"),
    "odd_logistic": lambda rng: function(rng, "LOGISTIC", UNIT),
    "odd_tanh": lambda rng: function(rng, "TANH", SIGNED_UNIT),
    "odd_relu": lambda rng: function(rng, "RELU"),
    "odd_elu": lambda rng: function(rng, "ELU"),
    "odd_hard_swish": lambda rng: function(rng, "HARD_SWISH", table="HardSwishOptions"),
    "odd_leaky_relu": lambda rng: function(rng, "LEAKY_RELU", table="LeakyReluOptions",
                                           alpha=float(np.float32(rng.choice([-1.5, -0.2, 0.0, 1e-6, 1.0, 3.0])))),
    "odd_softmax": softmax,
    "odd_quantize": requantize,
    "odd_mean": mean,
    "mean_16": lambda rng: mean(rng, "int16"),
    "pad_16": lambda rng: moved(rng, "PAD"),
    "transpose_16": lambda rng: moved(rng, "TRANSPOSE"),
    "concatenation_16": lambda rng: moved(rng, "CONCATENATION"),
    "resize_nearest_16": lambda rng: moved(rng, "RESIZE_NEAREST_NEIGHBOR"),
    "argmax_of_pixels": argmax_of_pixels,
    "reshape_without_shape": reshape_without_shape,
}
