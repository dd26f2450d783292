"""Our int8 layers beside fp32 layers of the same shapes on ONNX Runtime and OpenVINO, one thread, as a table.

The argument is a file of our times, as `cargo run --release -p sepconv-tests --example layers` prints them.
"""

import json
import sys
import time

import numpy
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper


def network(layer):
    """A float network of one layer."""
    depth, channels, window = layer["depth"], layer["channels"], layer["window"]
    depthwise = layer["kind"] == "Depthwise"
    random = numpy.random.default_rng(1)
    shape = (channels, 1 if depthwise else depth, window, window)
    weights = numpy_helper.from_array(random.normal(size=shape).astype(numpy.float32), "w")
    bias = numpy_helper.from_array(random.normal(size=channels).astype(numpy.float32), "b")
    node = helper.make_node(
        "Conv",
        ["x", "w", "b"],
        ["y"],
        kernel_shape=[window, window],
        strides=[layer["stride"]] * 2,
        pads=[layer["pad"]] * 4,
        group=depth if depthwise else 1,
    )
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, depth, layer["size"], layer["size"]])
    size = (layer["size"] + 2 * layer["pad"] - window) // layer["stride"] + 1
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, size, size])
    graph = helper.make_graph([node], "layer", [entry], [result], [weights, bias])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def onnxruntime_call(model, values):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("x", values)
    binding.bind_output("y")
    return lambda: session.run_with_iobinding(binding)


def openvino_call(model, values):
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model.SerializeToString(), b""), "CPU", settings)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(values))
    return request.infer


def least(call, seconds=0.25):
    """The least milliseconds of many calls."""
    call()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        layers = json.load(file)
    heading = ("layer", "int8 ms", "GMAC/s", "of ceiling", "ONNX Runtime fp32 ms", "OpenVINO fp32 ms", "to the best")
    print("| " + " | ".join(heading) + " |")
    print("|" + "---|" * len(heading))
    slower = 0
    for layer in layers:
        model = network(layer)
        onnx.checker.check_model(model)
        shape = (1, layer["depth"], layer["size"], layer["size"])
        values = numpy.random.default_rng(2).normal(size=shape).astype(numpy.float32)
        peers = [least(call(model, values)) for call in (onnxruntime_call, openvino_call)]
        ratio = layer["ms"] / min(peers)
        slower += ratio >= 1
        cells = [layer["name"], f"{layer['ms']:.4f}", f"{layer['gmacs']:.0f}", f"{layer['ceiling']:.0%}"]
        cells += [f"{peer:.4f}" for peer in peers] + [f"{ratio:.2f}"]
        print("| " + " | ".join(cells) + " |")
    print(f"\nint8 slower than the best fp32 on {slower} of {len(layers)} layers")


if __name__ == "__main__":
    main()
