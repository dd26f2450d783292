"""Quantizes a float network as others do, and writes which classes come first for each input.

ONNX Runtime: static quantization, a QDQ file, int8 weights per output channel, by each of its three calibrators. NNCF:
post-training quantization of the OpenVINO model, mixed preset. All get the same inputs to calibrate with and to be measured on,
float32 arrays [n, height, width, channels] as `sepconv inputs --real` writes them, and ONNX Runtime runs the float network as
well, to show that it is the same network. Prints one JSON object: for everyone the five first classes of each input.
"""

import argparse
import json
import os
import pathlib
import resource
import tempfile
import time

import numpy
import onnx
import onnx.version_converter
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from quantize import fold

CALIBRATORS = {
    "min-max": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}

# Inputs whose activations the calibrators hold at a time: some 4 GiB of Xception's.
STRIDE = 10


class Inputs(CalibrationDataReader):
    """Inputs in NCHW; a part of them where a range is set."""

    def __init__(self, name, arrays):
        self.name, self.arrays = name, arrays
        self.set_range(0, len(arrays))

    def __len__(self):
        return len(self.arrays)

    def set_range(self, start_index, end_index):
        self.left = iter(range(start_index, end_index))

    def get_next(self):
        number = next(self.left, None)
        return None if number is None else {self.name: nchw(self.arrays[number])}


def nchw(array):
    return numpy.ascontiguousarray(array.transpose(2, 0, 1)[None], dtype=numpy.float32)


def first_classes(outputs):
    """The five greatest outputs, among equals those of lower number."""
    return numpy.argsort(-outputs.ravel(), kind="stable")[:5].tolist()


def run_onnxruntime(model, arrays):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [first_classes(session.run(None, {name: nchw(array)})[0]) for array in arrays]


def onnxruntime_static(folded, name, calibrator, calibration, written):
    """uint8 and int8 activations are the same numbers 128 apart, so uint8 stands for both: on mini Xception 2 of 1,500 classes
    differ between them."""
    count = len(calibration)
    stride = max(number for number in range(1, STRIDE + 1) if count % number == 0)
    quantize_static(
        folded,
        written,
        Inputs(name, calibration),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CALIBRATORS[calibrator],
        extra_options={"CalibStridedMinMax": stride},
    )


def run_openvino(model, arrays):
    import openvino

    # Operators that stay in floating point shall not be rounded to bfloat16.
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [first_classes(compiled(nchw(array))[0]) for array in arrays]


def nncf_mixed(folded, calibration):
    import nncf
    import openvino

    dataset = nncf.Dataset(calibration, nchw)
    model = openvino.Core().read_model(folded)
    return nncf.quantize(model, dataset, preset=nncf.QuantizationPreset.MIXED, subset_size=len(calibration))


def onnx_of(source, folder):
    if source.suffix != ".tflite":
        return source
    import tflite
    import tflite2onnx

    converted = folder / "converted.onnx"
    tflite2onnx.convert(str(source), str(converted))
    # Weights may be stored in int8, which the converter copies without their scales.
    model = onnx.load(converted)
    file = tflite.Model.GetRootAsModel(source.read_bytes(), 0).Subgraphs(0)
    tensors = {file.Tensors(number).Name().decode(): file.Tensors(number) for number in range(file.TensorsLength())}
    for stored in model.graph.initializer:
        if stored.data_type == onnx.TensorProto.INT8:
            values = onnx.numpy_helper.to_array(stored).astype(numpy.float32)
            scales = tensors[stored.name].Quantization().ScaleAsNumpy()
            values *= scales.reshape([-1] + [1] * (values.ndim - 1))
            stored.CopyFrom(onnx.numpy_helper.from_array(values, stored.name))
    del model.graph.value_info[:]
    # Scales of each channel came with operator set 13.
    onnx.save(onnx.version_converter.convert_version(model, 13), converted)
    return converted


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=pathlib.Path, help="float ONNX model in NCHW, or float TFLite model")
    parser.add_argument("calibration", help=".npy")
    parser.add_argument("inputs", help=".npy")
    arguments = parser.parse_args()
    calibration, arrays = [numpy.load(path, mmap_mode="r") for path in (arguments.calibration, arguments.inputs)]
    # What libraries print shall not be in the way of the object.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    rows = []

    def add(who, quantized, run):
        start = time.perf_counter()
        model = quantized()
        seconds = time.perf_counter() - start
        rows.append({"who": who, "seconds": seconds, "classes": run(model, arrays)})

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folded = str(folder / "folded.onnx")
        name = fold(str(onnx_of(arguments.model, folder)), folded).name
        add("float", lambda: folded, run_onnxruntime)
        for calibrator in CALIBRATORS:
            written = str(folder / f"{calibrator}.onnx")

            def static():
                onnxruntime_static(folded, name, calibrator, calibration, written)
                return written

            add(f"ONNX Runtime {onnxruntime.__version__}, {calibrator}", static, run_onnxruntime)
        import nncf

        add(f"NNCF {nncf.__version__}, mixed", lambda: nncf_mixed(folded, calibration), run_openvino)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with out:
        json.dump({"peak_rss_bytes": peak, "rows": rows}, out)


if __name__ == "__main__":
    main()
