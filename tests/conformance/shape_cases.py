"""Cases that move or summarize: pools, mean, pad, concatenation, reshape, resize, transpose, argmax."""

import numpy as np

import parameters
from builder import Model


def pool(rng, name, dtype="int8"):
    """Average or max pool; the scale stays."""
    shape = parameters.image(rng)
    while True:
        window, stride = rng.integers(1, 6, 2), rng.integers(1, 4, 2)
        same = bool(rng.integers(0, 2))
        if rng.integers(0, 5) == 0:
            window, same = shape[1:3], False
        size = [parameters.output_length(shape[i + 1], window[i], stride[i], 1, same) for i in range(2)]
        if min(size) >= 1:
            break
    model = Model()
    quantization = parameters.quantization(rng, dtype)
    x = model.tensor(dtype, shape, **quantization)
    y = model.tensor(dtype, [1, int(size[0]), int(size[1]), shape[3]], **quantization)
    model.operator(name, [x], [y], 3, table="Pool2DOptions", padding=0 if same else 1,
                   strideH=int(stride[0]), strideW=int(stride[1]),
                   filterHeight=int(window[0]), filterWidth=int(window[1]),
                   fusedActivationFunction=int(rng.choice(parameters.ACTIVATIONS)))
    return model.finish(x, y)


def mean(rng):
    """Mean over height and width, with equal and with different scales."""
    shape = parameters.image(rng, largest=12, channels=20)
    keep = bool(rng.integers(0, 2))
    model = Model()
    source = parameters.quantization(rng)
    x = model.tensor("int8", shape, **source)
    target = dict(source)
    if rng.integers(0, 3):
        factor = np.exp(rng.uniform(-1.5, 0.5))
        target = {"scale": np.float32(source["scale"] * factor), "zero_point": parameters.zero_point(rng)}
    axes = model.tensor("int32", [2], data=np.array([[1, 2], [2, 1]][rng.integers(0, 2)]))
    y = model.tensor("int8", [1, 1, 1, shape[3]] if keep else [1, shape[3]], **target)
    model.operator("MEAN", [x, axes], [y], 2, table="ReducerOptions", keepDims=keep)
    return model.finish(x, y)


def pad(rng, with_value=False):
    """Pad of height, width and sometimes channels, by different amounts on each side."""
    shape = parameters.image(rng, largest=7)
    amounts = np.zeros((4, 2), np.int32)
    amounts[1:3] = rng.integers(0, 4, (2, 2))
    if rng.integers(0, 3) == 0:
        amounts[3] = rng.integers(0, 4, 2)
    model = Model()
    quantization = parameters.quantization(rng)
    x = model.tensor("int8", shape, **quantization)
    inputs = [x, model.tensor("int32", [4, 2], data=amounts)]
    if with_value:
        inputs.append(model.tensor("int8", [1], **quantization, data=rng.integers(-128, 128, [1])))
    y = model.tensor("int8", [int(n) for n in np.array(shape) + amounts.sum(1)], **quantization)
    name = "PADV2" if with_value else "PAD"
    model.operator(name, inputs, [y], 2, table="PadV2Options" if with_value else "PadOptions")
    return model.finish(x, y)


def concatenation(rng):
    """Two to six pieces along any axis but the batch; the pieces are padded or pooled copies of the input."""
    shape = parameters.image(rng, largest=6, channels=8)
    axis = int(rng.choice([1, 2, 3, 3, 3]))
    model = Model()
    quantization = parameters.quantization(rng)
    x = model.tensor("int8", shape, **quantization)
    pieces = [x]
    for _ in range(rng.integers(1, 6)):
        kind = rng.integers(0, 3)
        if kind == 0:
            piece = model.tensor("int8", shape, **quantization)
            model.operator("MAX_POOL_2D", [x], [piece], 2, table="Pool2DOptions", padding=0, strideH=1, strideW=1,
                           filterHeight=3, filterWidth=3)
        elif kind == 1:
            amounts = np.zeros((4, 2), np.int32)
            amounts[axis] = rng.integers(0, 3, 2)
            grown = list(shape)
            grown[axis] += int(amounts[axis].sum())
            piece = model.tensor("int8", grown, **quantization)
            model.operator("PAD", [x, model.tensor("int32", [4, 2], data=amounts)], [piece], 2, table="PadOptions")
        else:
            piece = x
        pieces.insert(int(rng.integers(0, len(pieces) + 1)), piece)
    length = sum(int(model.graph.tensors[piece].shape[axis]) for piece in pieces)
    y = model.tensor("int8", [length if i == axis else n for i, n in enumerate(shape)], **quantization)
    model.operator("CONCATENATION", pieces, [y], 2, table="ConcatenationOptions",
                   axis=axis if rng.integers(0, 2) else axis - 4)
    return model.finish(x, y)


def reshape(rng):
    """To a vector, or to another image of as many elements."""
    shape = parameters.image(rng)
    count = int(np.prod(shape))
    divisors = [n for n in range(1, count + 1) if count % n == 0]
    height = int(rng.choice(divisors))
    width = int(rng.choice([n for n in divisors if (count // height) % n == 0]))
    target = [1, height, width, count // height // width] if rng.integers(0, 2) else [1, count]
    model = Model()
    quantization = parameters.quantization(rng)
    x = model.tensor("int8", shape, **quantization)
    written = list(target)
    if rng.integers(0, 2):
        written[-1] = -1
    shape_tensor = model.tensor("int32", [len(target)], data=np.array(written))
    y = model.tensor("int8", target, **quantization)
    model.operator("RESHAPE", [x, shape_tensor], [y], table="ReshapeOptions", newShape=np.array(written, np.int32))
    return model.finish(x, y)


def flatten(rng):
    """To a vector whose shape is computed from the input's, as Keras writes it for a batch of any size."""
    shape = parameters.image(rng)
    model = Model()
    quantization = parameters.quantization(rng)
    x = model.tensor("int8", shape, **quantization)
    sizes, batch, target = model.tensor("int32", [4]), model.tensor("int32", []), model.tensor("int32", [2])
    first, second = (model.tensor("int32", [1], data=np.array([n])) for n in (0, 1))
    rest = model.tensor("int32", [], data=np.array(-1))
    y = model.tensor("int8", [1, int(np.prod(shape))], **quantization)
    model.operator("SHAPE", [x], [sizes], table="ShapeOptions", outType=2)
    model.operator("STRIDED_SLICE", [sizes, first, second, second], [batch], table="StridedSliceOptions",
                   shrinkAxisMask=1)
    model.operator("PACK", [batch, rest], [target], table="PackOptions", valuesCount=2)
    model.operator("RESHAPE", [x, target], [y], table="ReshapeOptions")
    return model.finish(x, y)


def resize_nearest(rng):
    """Up and down, in the three coordinate conventions."""
    shape = parameters.image(rng, largest=7)
    size = [int(n) for n in rng.integers(1, 15, 2)]
    if rng.integers(0, 2):
        factor = int(rng.integers(2, 4))
        size = [shape[1] * factor, shape[2] * factor]
    corners, centers = [(False, False), (True, False), (False, True)][rng.integers(0, 3)]
    model = Model()
    quantization = parameters.quantization(rng)
    x = model.tensor("int8", shape, **quantization)
    y = model.tensor("int8", [1, *size, shape[3]], **quantization)
    size_tensor = model.tensor("int32", [2], data=np.array(size))
    model.operator("RESIZE_NEAREST_NEIGHBOR", [x, size_tensor], [y], 3, table="ResizeNearestNeighborOptions",
                   alignCorners=corners, halfPixelCenters=centers)
    return model.finish(x, y)


def transpose(rng):
    """Any order of height, width and channels."""
    shape = parameters.image(rng)
    order = [0, *(int(n) + 1 for n in rng.permutation(3))]
    model = Model()
    quantization = parameters.quantization(rng)
    x = model.tensor("int8", shape, **quantization)
    y = model.tensor("int8", [shape[i] for i in order], **quantization)
    model.operator("TRANSPOSE", [x, model.tensor("int32", [4], data=np.array(order))], [y], 2,
                   table="TransposeOptions")
    return model.finish(x, y)


def argmax(rng):
    """Index of the largest channel, the first among equals, as int32."""
    shape = [1, int(rng.integers(2, 60))]
    model = Model()
    x = model.tensor("int8", shape, **parameters.quantization(rng))
    y = model.tensor("int32", [1])
    axis = model.tensor("int32", [1], data=np.array([1 if rng.integers(0, 2) else -1]))
    model.operator("ARG_MAX", [x, axis], [y], 2, table="ArgMaxOptions", outputType=2)
    return model.finish(x, y)


CASES = {
    "average_pool": lambda rng: pool(rng, "AVERAGE_POOL_2D"),
    "max_pool": lambda rng: pool(rng, "MAX_POOL_2D"),
    "average_pool_16": lambda rng: pool(rng, "AVERAGE_POOL_2D", "int16"),
    "max_pool_16": lambda rng: pool(rng, "MAX_POOL_2D", "int16"),
    "mean": mean,
    "pad": pad,
    "padv2": lambda rng: pad(rng, with_value=True),
    "concatenation": concatenation,
    "reshape": reshape,
    "flatten": flatten,
    "resize_nearest": resize_nearest,
    "transpose": transpose,
    "argmax": argmax,
}
