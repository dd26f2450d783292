"""Latency of one model on one peer, as one JSON object on standard output.

Peers: openvino, onnxruntime, litert. Times are those of single inferences or whole batches after a warm-up, in milliseconds.
The images of a batch are shared among the threads, an image on one thread: OpenVINO does so itself under its throughput
hint; the others have a session for each thread.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy


def onnxruntime_call(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    shape = [size if isinstance(size, int) else 1 for size in entry.shape]
    feed = {entry.name: numpy.random.default_rng(1).uniform(-1, 1, shape).astype(numpy.float32)}
    return lambda: session.run(None, feed), onnxruntime.__version__


def openvino_call(path, threads):
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    shape = [size.get_length() if size.is_static else 1 for size in model.input(0).partial_shape]
    model.reshape(shape)
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    random = numpy.random.default_rng(1)
    kind = compiled.input(0).element_type.to_dtype()
    values = random.uniform(-1, 1, shape) if kind == numpy.float32 else random.integers(0, 256, shape)
    request.set_input_tensor(openvino.Tensor(values.astype(kind)))
    return request.infer, openvino.__version__.split("-")[0]


def litert_call(path, threads):
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    low, high = (0, 256) if entry["dtype"] == numpy.uint8 else (-128, 128)
    values = numpy.random.default_rng(1).integers(low, high, entry["shape"]).astype(entry["dtype"])
    interpreter.set_tensor(entry["index"], values)
    return interpreter.invoke, version("ai-edge-litert")


def openvino_batch(path, threads, batch):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "THROUGHPUT"}
    core = openvino.Core()
    model = core.read_model(path)
    shape = [size.get_length() if size.is_static else 1 for size in model.input(0).partial_shape]
    model.reshape(shape)
    queue = openvino.AsyncInferQueue(core.compile_model(model, "CPU", settings))
    values = numpy.zeros(shape, model.input(0).element_type.to_dtype())

    def call():
        for _ in range(batch):
            queue.start_async({0: values}, share_inputs=True)
        queue.wait_all()

    return call, openvino.__version__.split("-")[0]


def session_batch(session, path, threads, batch):
    sessions = [session(path, 1) for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)
    shares = [range(thread, batch, threads) for thread in range(threads)]

    def call():
        list(pool.map(lambda run, share: [run() for _ in share], [run for run, _ in sessions], shares))

    return call, sessions[0][1]


CALLS = {"onnxruntime": onnxruntime_call, "openvino": openvino_call, "litert": litert_call}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=sorted(CALLS))
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    model, threads, batch = arguments.model, arguments.threads, arguments.batch
    session = CALLS[arguments.peer]
    if batch == 1:
        call, version = session(model, threads)
    elif arguments.peer == "openvino":
        call, version = openvino_batch(model, threads, batch)
    else:
        call, version = session_batch(session, model, threads, batch)
    for _ in range(5):
        call()
    times = []
    end = time.perf_counter() + arguments.seconds
    while time.perf_counter() < end or len(times) < 10:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    result = {
        "peer": arguments.peer,
        "version": version,
        "threads": threads,
        "batch": batch,
        "runs": len(times),
        "min_ms": times[0],
        "median_ms": times[len(times) // 2],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
