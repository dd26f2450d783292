"""Cases that treat each element by itself: add, mul, activation functions, requantization."""

import numpy as np

import parameters
from builder import Model


def _second_operand(rng, model, dtype, x, shape):
    """A second activation tensor made from the first: requantized, or pooled in a 3x3 window."""
    if rng.integers(0, 2) == 0 and dtype == "int8":
        y = model.tensor(dtype, shape, **parameters.quantization(rng, dtype))
        model.operator("QUANTIZE", [x], [y], table="QuantizeOptions")
        return y
    source = model.graph.tensors[x].quantization
    y = model.tensor(dtype, shape, source.scale, int(source.zeroPoint[0]))
    model.operator("MAX_POOL_2D", [x], [y], 3, table="Pool2DOptions", padding=0, strideH=1, strideW=1,
                   filterHeight=3, filterWidth=3)
    return y


def _constant(rng, model, dtype, shape):
    low, high = parameters.RANGE[dtype]
    return model.tensor(dtype, shape, **parameters.quantization(rng, dtype),
                        data=rng.integers(low, high + 1, shape))


def _scale_of(model, tensor):
    return float(model.graph.tensors[tensor].quantization.scale[0])


def binary(rng, name, dtype="int8"):
    """Add or multiply: two activations, or an int8 one and a constant (per channel or scalar)."""
    shape = parameters.image(rng, largest=6, channels=17)
    model = Model()
    x = model.tensor(dtype, shape, **parameters.quantization(rng, dtype))
    kind = rng.integers(0, 4) if dtype == "int8" else 0
    if kind <= 1:
        other = _second_operand(rng, model, dtype, x, shape)
    elif kind == 2:
        other = _constant(rng, model, dtype, [[shape[3]], [1, 1, 1, shape[3]]][rng.integers(0, 2)])
    else:
        other = _constant(rng, model, dtype, [[1], [1, 1, 1, 1]][rng.integers(0, 2)])
    operands = [x, other] if rng.integers(0, 2) else [other, x]
    factor = np.exp(rng.uniform(-1.2, 1.2))
    if name == "ADD":
        output_scale = max(_scale_of(model, x), _scale_of(model, other)) * factor
    else:
        output_scale = _scale_of(model, x) * _scale_of(model, other) * (8000 if dtype == "int16" else 90) * factor
    y = model.tensor(dtype, shape, np.float32(output_scale), parameters.zero_point(rng, dtype))
    options = {"potScaleInt16": False} if name == "ADD" else {}
    table = "AddOptions" if name == "ADD" else "MulOptions"
    model.operator(name, operands, [y], 2, table=table,
                   fusedActivationFunction=int(rng.choice(parameters.ACTIVATIONS)), **options)
    return model.finish(x, y)


def gate(rng):
    """Squeeze and excite: an activation times its own mean, broadcast over height and width."""
    shape = parameters.image(rng, largest=6, channels=17)
    model = Model()
    x = model.tensor("int8", shape, **parameters.quantization(rng))
    axes = model.tensor("int32", [2], data=np.array([1, 2]))
    mean = model.tensor("int8", [1, 1, 1, shape[3]], **parameters.quantization(rng))
    model.operator("MEAN", [x, axes], [mean], 2, table="ReducerOptions", keepDims=True)
    scale = _scale_of(model, x) * _scale_of(model, mean) * 90
    y = model.tensor("int8", shape, np.float32(scale), parameters.zero_point(rng))
    model.operator("MUL", [x, mean] if rng.integers(0, 2) else [mean, x], [y], 2, table="MulOptions")
    return model.finish(x, y)


def unary(rng, name, dtype="int8", output_dtype=None, output=None, version=1, **options):
    """An operator of one input; `output` fixes the output's scale and zero point."""
    shape = parameters.image(rng, largest=6, channels=12)
    model = Model()
    source = parameters.quantization(rng, dtype)
    x = model.tensor(dtype, shape, **source)
    if output is None:
        factor = np.exp(rng.uniform(-1.2, 1.2))
        output = {"scale": np.float32(source["scale"] * factor), "zero_point": parameters.zero_point(rng, output_dtype or dtype)}
    y = model.tensor(output_dtype or dtype, shape, **output)
    model.operator(name, [x], [y], version, **options)
    return model.finish(x, y)


def relu(rng, name):
    """ReLU or ReLU6, with equal and with different scales."""
    if rng.integers(0, 2):
        return unary(rng, name, version=2)
    return unary(rng, name, version=2, output={"scale": np.float32(6 / 255), "zero_point": -128})


def softmax(rng, output_dtype="int8"):
    """Softmax over the last axis."""
    shape = [1, int(rng.integers(2, 40))]
    if rng.integers(0, 3) == 0:
        shape = parameters.image(rng, largest=4, channels=12)
    model = Model()
    x = model.tensor("int8", shape, np.float32(parameters.scale(rng, 0.002, 0.6)), parameters.zero_point(rng))
    output = {"int8": (np.float32(1 / 256), -128), "int16": (np.float32(1 / 32768), 0)}[output_dtype]
    if output_dtype == "int16":
        output = (np.float32(1 / 65536), -32768)
    y = model.tensor(output_dtype, shape, *output)
    beta = float(rng.choice([1.0, 1.0, 0.5, 2.0]))
    model.operator("SOFTMAX", [x], [y], 2, table="SoftmaxOptions", beta=beta)
    return model.finish(x, y)


UNIT = {"scale": np.float32(1 / 256), "zero_point": -128}
SIGNED_UNIT = {"scale": np.float32(1 / 128), "zero_point": 0}

CASES = {
    "add": lambda rng: binary(rng, "ADD"),
    "mul": lambda rng: binary(rng, "MUL"),
    "add_16": lambda rng: binary(rng, "ADD", "int16"),
    "gate": gate,
    "relu": lambda rng: relu(rng, "RELU"),
    "relu6": lambda rng: relu(rng, "RELU6"),
    "logistic": lambda rng: unary(rng, "LOGISTIC", output=UNIT),
    "tanh": lambda rng: unary(rng, "TANH", output=SIGNED_UNIT),
    "leaky_relu": lambda rng: unary(rng, "LEAKY_RELU", version=2, table="LeakyReluOptions",
                                    alpha=float(np.float32(rng.uniform(0.01, 0.9)))),
    "hard_swish": lambda rng: unary(rng, "HARD_SWISH", table="HardSwishOptions"),
    "elu": lambda rng: unary(rng, "ELU"),
    "softmax": softmax,
    "softmax_16": lambda rng: softmax(rng, "int16"),
    "quantize": lambda rng: unary(rng, "QUANTIZE", table="QuantizeOptions"),
    "quantize_from_uint8": lambda rng: unary(rng, "QUANTIZE", "uint8", "int8", table="QuantizeOptions"),
    "quantize_to_uint8": lambda rng: unary(rng, "QUANTIZE", "int8", "uint8", table="QuantizeOptions"),
}
