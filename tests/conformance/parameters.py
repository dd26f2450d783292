"""Random shapes and quantization parameters, with the awkward values more often than chance."""

import numpy as np

RANGE = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
ACTIVATIONS = [0, 0, 1, 3, 2]  # none (twice as often), ReLU, ReLU6, ReLU in [-1, 1]


def scale(rng, low=0.003, high=0.3):
    """A scale, log-uniform."""
    return np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))


def zero_point(rng, dtype="int8"):
    """A zero point; the ends of the range and the middle often."""
    if dtype == "int16":
        return 0
    low, high = RANGE[dtype]
    return int(rng.choice([low, high, 0, rng.integers(low, high + 1), rng.integers(low, high + 1)]))


def quantization(rng, dtype="int8"):
    """Keyword arguments of `Model.tensor` for an activation."""
    factor = 1 / 256 if dtype == "int16" else 1
    return {"scale": np.float32(scale(rng) * factor), "zero_point": zero_point(rng, dtype)}


def image(rng, largest=9, channels=10):
    """A shape [1, height, width, channels]."""
    return [1, int(rng.integers(1, largest + 1)), int(rng.integers(1, largest + 1)), int(rng.integers(1, channels + 1))]


def weights(rng, shape, bits=8):
    """Weights, most of them random in the whole range, some all at one end."""
    top = 2 ** (bits - 1) - 1
    kind = rng.integers(0, 10)
    if kind == 0:
        return np.full(shape, top, np.int8)
    if kind == 1:
        return np.full(shape, -top, np.int8)
    if kind == 2 and bits == 8:
        return rng.integers(-128, 128, shape).astype(np.int8)  # -128 occurs in files of some converters
    return rng.integers(-top, top + 1, shape).astype(np.int8)


def output_length(size, kernel, stride, dilation, same):
    """Output length of a window operator along one axis; below 1 if the window does not fit."""
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if same else (size - reach) // stride + 1


def requantization(rng, products, input_scale, channels, per_channel, wide=False):
    """Weight scales and an output scale for sums of `products` products.

    Typical sums cover a good part of the output range, up to a random factor that makes some cases saturate and others
    hardly leave the zero point.
    """
    output_scale = np.float32(scale(rng) / (256 if wide else 1))
    deviation = np.sqrt(products) * 73.0 * (18000.0 if wide else 73.0)
    spread = np.exp(rng.uniform(-1.5, 1.5)) * (12000.0 if wide else 50.0)
    factors = np.exp(rng.uniform(-1, 1, channels if per_channel else 1))
    weight_scales = float(output_scale) * spread / (float(input_scale) * deviation) * factors
    return weight_scales.astype(np.float32), output_scale


def bias(rng, channels, products, wide=False):
    """Biases of about the size of the sums they are added to."""
    reach = int(np.sqrt(products) * 5000.0 * (200.0 if wide else 1.0)) + 1
    return rng.integers(-reach, reach + 1, channels)
