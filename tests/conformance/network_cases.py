"""Cases of many operators: small networks of separable convolutions with residual connections."""

import numpy as np

import parameters
from builder import Model
from weighted_cases import add_weighted


def _convolution(rng, model, x, channels, kernel, stride, depthwise=False):
    """Adds a convolution with SAME padding; depthwise keeps the number of channels."""
    shape = [int(n) for n in model.graph.tensors[x].shape]
    size = [parameters.output_length(n, kernel, stride, 1, True) for n in shape[1:3]]
    options = {"padding": 0, "strideH": stride, "strideW": stride, "fusedActivationFunction": int(rng.choice([0, 1, 3]))}

    def add(model, inputs, y):
        if depthwise:
            model.operator("DEPTHWISE_CONV_2D", inputs, [y], 3, table="DepthwiseConv2DOptions", depthMultiplier=1, **options)
        else:
            model.operator("CONV_2D", inputs, [y], 3, table="Conv2DOptions", **options)

    if depthwise:
        return add_weighted(rng, model, x, [1, kernel, kernel, shape[3]], 3, [1, *size, shape[3]], add)
    return add_weighted(rng, model, x, [channels, kernel, kernel, shape[3]], 0, [1, *size, channels], add)


def separable_network(rng):
    """A convolution, separable blocks with residual connections around some, mean, fully connected, softmax."""
    model = Model()
    shape = [1, *(int(n) for n in rng.integers(9, 25, 2)), int(rng.integers(1, 4))]
    source = model.tensor("int8", shape, **parameters.quantization(rng))
    x = _convolution(rng, model, source, int(rng.integers(3, 9)), 3, int(rng.integers(1, 3)))
    for _ in range(rng.integers(1, 5)):
        before = x
        residual = bool(rng.integers(0, 2))
        shape = [int(n) for n in model.graph.tensors[x].shape]
        channels = shape[3] if residual else int(rng.integers(3, 17))
        x = _convolution(rng, model, x, None, int(rng.choice([3, 5])), 1 if residual else int(rng.integers(1, 3)), True)
        x = _convolution(rng, model, x, channels, 1, 1)
        if residual:
            scale = max(float(model.graph.tensors[t].quantization.scale[0]) for t in (before, x))
            y = model.tensor("int8", shape, np.float32(scale * 1.2), parameters.zero_point(rng))
            model.operator("ADD", [before, x], [y], 2, table="AddOptions")
            x = y
    shape = [int(n) for n in model.graph.tensors[x].shape]
    quantization = model.graph.tensors[x].quantization
    mean = model.tensor("int8", [1, shape[3]], quantization.scale, int(quantization.zeroPoint[0]))
    model.operator("MEAN", [x, model.tensor("int32", [2], data=np.array([1, 2]))], [mean], 2, table="ReducerOptions")
    classes = int(rng.integers(2, 11))

    def add(model, inputs, y):
        model.operator("FULLY_CONNECTED", inputs, [y], 4, table="FullyConnectedOptions")

    logits = add_weighted(rng, model, mean, [classes, shape[3]], None, [1, classes], add)
    y = model.tensor("int8", [1, classes], np.float32(1 / 256), -128)
    model.operator("SOFTMAX", [logits], [y], 2, table="SoftmaxOptions", beta=1.0)
    return model.finish(source, y)


CASES = {"separable_network": separable_network}
