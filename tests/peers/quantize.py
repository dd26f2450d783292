"""Makes the int8 model that ONNX Runtime and OpenVINO are measured on.

Static quantization by ONNX Runtime's quantizer: a QDQ file with uint8 activations and int8 weights per output channel.
Batch normalization is folded first (ONNX Runtime's own basic optimizations), so that the peers get a clean graph.
"""

import argparse
import os
import tempfile

import numpy
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from PIL import Image


class Images(CalibrationDataReader):
    """Images of a folder, resized and scaled to (x - mean) / std, or uniform noise where there are none."""

    def __init__(self, name, channels, size, mean, std, folder, count):
        self.name, self.channels, self.size, self.mean, self.std = name, channels, size, mean, std
        files = sorted(os.listdir(folder)) if folder else []
        self.files = [os.path.join(folder, file) for file in files if file.lower().endswith((".jpg", ".jpeg", ".png"))]
        self.left = iter(self.files[:count] if self.files else range(count))
        self.random = numpy.random.default_rng(1)

    def get_next(self):
        item = next(self.left, None)
        if item is None:
            return None
        if isinstance(item, str):
            image = Image.open(item).convert("L" if self.channels == 1 else "RGB")
            image = image.resize((self.size, self.size), Image.BICUBIC)
            pixels = numpy.asarray(image, dtype=numpy.float32).reshape(self.size, self.size, self.channels)
        else:
            pixels = self.random.uniform(0, 255, (self.size, self.size, self.channels)).astype(numpy.float32)
        return {self.name: ((pixels - self.mean) / self.std).transpose(2, 0, 1)[None]}


def fold(source, target):
    """Fixes the batch at 1 and lets ONNX Runtime fold constants and batch normalization."""
    model = onnx.load(source)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = target
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.get_inputs()[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="float ONNX model, NCHW")
    parser.add_argument("output", help="where the int8 model goes")
    parser.add_argument("--mean", type=float, default=127.5)
    parser.add_argument("--std", type=float, default=127.5)
    parser.add_argument("--images", help="folder of calibration images; noise where absent")
    parser.add_argument("--count", type=int, default=32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folded = os.path.join(folder, "folded.onnx")
        entry = fold(arguments.model, folded)
        _, channels, size, _ = entry.shape
        scale = (arguments.mean, arguments.std)
        reader = Images(entry.name, channels, size, *scale, arguments.images, arguments.count)
        written = os.path.join(folder, "quantized.onnx")
        quantize_static(
            folded,
            written,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        onnx.save(onnx.load(written), arguments.output)


if __name__ == "__main__":
    main()
