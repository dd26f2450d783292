#!/usr/bin/env python3
"""Compares a quantized network with what ONNX Runtime computes from its export in QDQ format.

    python -m venv target/qdq-venv && target/qdq-venv/bin/pip install numpy onnx onnxruntime
    cargo build --release
    target/release/sepconv quantize MODEL.onnx --calibrate IMAGES --qdq model_qdq.onnx -o model.sepc
    target/release/sepconv inputs model.sepc --images IMAGES --count 20 --output inputs.npy
    target/qdq-venv/bin/python tests/conformance/qdq.py target/release/sepconv model_qdq.onnx inputs.npy

Every activation of the network is computed by `sepconv` from the model cut there. Every operator is then given these
activations in ONNX Runtime, so that both start from the same integers, and must give the same to one step. Ends with 1
where one does not. How far the whole network's outputs are apart, since steps add up, is printed beside it.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def activations(graph):
    """The DequantizeLinear nodes of activations, the input's first."""
    quantizes = {node.output[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    return [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in quantizes]


class Checker:
    def __init__(self, sepconv, model, inputs):
        self.sepconv, self.model, self.inputs = sepconv, model, inputs
        self.constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self.shapes = {value.name: value for value in [*inferred.value_info, *inferred.input, *inferred.output]}
        self.producers = {output: node for node in model.graph.node for output in node.output}
        self.folder = pathlib.Path(tempfile.mkdtemp())

    def cut(self, inputs, output):
        """The part of the model that computes `output` from `inputs`."""
        nodes, wanted = [], [output]
        while wanted:
            name = wanted.pop()
            node = self.producers.get(name)
            if node is None or name in inputs or node in nodes:
                continue
            nodes.append(node)
            wanted.extend(node.input)
        order = list(self.model.graph.node)
        nodes.sort(key=order.index)
        read = {name for node in nodes for name in node.input}
        graph = onnx.helper.make_graph(
            nodes, "cut", [self.shapes[name] for name in inputs], [self.shapes[output]],
            [tensor for tensor in self.model.graph.initializer if tensor.name in read])
        return onnx.helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)

    def ours(self, output):
        """An activation as `sepconv` computes it, one inference a row, in the order of ONNX."""
        paths = [str(self.folder / name) for name in ("cut.onnx", "cut.sepc", "y.npy")]
        onnx.save(self.cut(["input"], output), paths[0])
        run = lambda *arguments: subprocess.run([self.sepconv, *arguments], check=True, capture_output=True).stdout
        run("quantize", paths[0], "-o", paths[1])
        run("run", paths[1], "--input", self.inputs, "--output", paths[2])
        found = json.loads(run("--json", "inspect", paths[1]))["output"]
        values = np.load(paths[2]).reshape(-1, *found["shape"]).transpose(0, 3, 1, 2)
        real = (values.astype(np.float32) - found["zero_point"]) * np.float32(found["scale"])
        return real

    def check(self):
        names = [node.output[0] for node in activations(self.model.graph)]
        real, worst = {}, 0
        for number, node in enumerate(activations(self.model.graph)):
            name, scale = node.output[0], self.constants[node.input[1]]
            if number == 0:
                rows = np.load(self.inputs)
                zero_point = self.constants[node.input[2]]
                rows = rows.reshape(len(rows), *rows.shape[-3:]).transpose(0, 3, 1, 2)
                real[name] = (rows.astype(np.float32) - zero_point) * scale
                continue
            real[name] = self.ours(name)
            sources = self.sources(name, set(names))
            one = session(self.cut(sources, name))
            rows = [one.run(None, {source: real[source][row:row + 1] for source in sources})[0]
                    for row in range(len(real[name]))]
            steps = np.rint(np.abs(np.concatenate(rows) - real[name]) / scale)
            worst = max(worst, steps.max())
            print(f"{name}: {(steps != 0).mean():.4%} of values differ, by {steps.max():.0f} steps at most")
        whole = session(self.model)
        first, last = real[names[0]], real[names[-1]]
        shape = whole.get_inputs()[0].shape
        rows = [whole.run(None, {"input": row.reshape(shape)})[0].ravel() for row in first]
        steps = np.abs(np.array(rows) - last.reshape(len(rows), -1)) / self.constants[
            activations(self.model.graph)[-1].input[1]]
        same = np.array(rows).argmax(1) == last.reshape(len(rows), -1).argmax(1)
        print(f"each operator: {worst:.0f} steps at most; the whole network: {steps.max():.0f} steps at most, "
              f"{steps.mean():.2f} in the mean, the same class for {same.mean():.2%}")
        return worst <= 1

    def sources(self, name, names):
        """The activations that the operator before an activation reads."""
        found, wanted = [], list(self.producers[name].input)
        while wanted:
            wanted_name = wanted.pop()
            if wanted_name in names:
                found.append(wanted_name)
            elif wanted_name in self.producers:
                wanted.extend(self.producers[wanted_name].input)
        return sorted(set(found))


if __name__ == "__main__":
    command, path, arrays = sys.argv[1:]
    sys.exit(0 if Checker(command, onnx.load(path), arrays).check() else 1)
