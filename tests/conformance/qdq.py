"""Compares a quantized network with what ONNX Runtime computes from its export in QDQ format.

    sepconv quantize NETWORK ... --qdq model.onnx -o model.sepc
    qdq.py sepconv model.sepc model.onnx inputs

Inputs are quantized values [n, height, width, channels], an .npy array or `input` in an .npz archive. `sepconv` writes what
every operator gives for them. Every operator is then given these
very integers in ONNX Runtime, cut out of the exported model between its QuantizeLinear nodes, so that ONNX Runtime
computes it as it does in the whole. Then ONNX Runtime computes the whole network from the inputs. Prints one JSON object:
by how many steps values are apart at most, which share of them is apart, and how often both put the same class first.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime


class Exported:
    """An exported model. Activations are its QuantizeLinear outputs that are made real again: integers."""

    def __init__(self, path):
        self.model = onnx.shape_inference.infer_shapes(onnx.load(path))
        graph = self.model.graph
        self.constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.values = {value.name: value for value in [*graph.value_info, *graph.input, *graph.output]}
        self.producers = {output: node for node in graph.node for output in node.output}
        self.order = {node.output[0]: number for number, node in enumerate(graph.node)}
        quantized = {node.output[0] for node in graph.node if node.op_type == "QuantizeLinear"}
        real = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in quantized]
        self.activations = [node.input[0] for node in real]

    def cut(self, outputs, stop=()):
        """A session for the part that computes `outputs` from the activations `stop`, or from the model's input, and the
        names of those that it reads."""
        nodes, read, wanted = {}, set(), list(outputs)
        while wanted:
            name = wanted.pop()
            if name in nodes or name in self.constants:
                continue
            if name in stop or name not in self.producers:
                read.add(name)
                continue
            nodes[name] = self.producers[name]
            wanted.extend(nodes[name].input)
        nodes = sorted(nodes.values(), key=lambda node: self.order[node.output[0]])
        used = {name for node in nodes for name in node.input}
        read = sorted(read)
        graph = onnx.helper.make_graph(
            nodes,
            "cut",
            [self.values[name] for name in read],
            [self.values[name] for name in outputs],
            [tensor for tensor in self.model.graph.initializer if tensor.name in used],
        )
        imports = self.model.opset_import
        part = onnx.helper.make_model(graph, opset_imports=imports, ir_version=self.model.ir_version)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session, read


def quantized(path):
    """Inputs as int8; uint8 ones, which .tflite models may take, are 128 more."""
    array = numpy.load(path)
    array = array["input"] if path.endswith(".npz") else array
    array = (array ^ 0x80).view(numpy.int8) if array.dtype == numpy.uint8 else array
    return array if array.ndim == 4 else array.reshape(len(array), 1, 1, -1)


def operators(sepconv, model, inputs, folder):
    """What every operator gives, in NCHW."""
    numpy.save(folder / "x.npy", inputs)
    paths = ["--input", str(folder / "x.npy"), "--output", str(folder / "y.npy"), "--operators", str(folder)]
    subprocess.run([sepconv, "run", model, *paths], check=True, stdout=subprocess.DEVNULL)
    count = len(list(folder.glob("[0-9]*.npy")))
    return [numpy.load(folder / f"{number}.npy").transpose(0, 3, 1, 2) for number in range(count)]


def apart(found, expected):
    """Steps between integers."""
    return numpy.abs(found.astype(int) - expected.astype(int))


def main():
    sepconv, model, path, inputs = sys.argv[1:]
    exported = Exported(path)
    first = quantized(inputs)
    with tempfile.TemporaryDirectory() as folder:
        ours = [first.transpose(0, 3, 1, 2), *operators(sepconv, model, first, pathlib.Path(folder))]
    names = exported.activations
    if len(names) != len(ours):
        sys.exit(f"{len(names)} activations are exported, but {len(ours)} computed")
    known = dict(zip(names, ours))
    rows = range(len(first))

    kinds = {}
    for name in names[1:]:
        session, read = exported.cut([name], set(names) - {name})
        found = [session.run(None, {source: known[source][row : row + 1] for source in read})[0] for row in rows]
        steps = apart(numpy.concatenate(found), known[name])
        kind = exported.producers[exported.producers[name].input[0]].op_type
        sums = kinds.setdefault(kind, {"operators": 0, "values": 0, "apart": 0, "steps": 0})
        sums["operators"] += 1
        sums["values"] += steps.size
        sums["apart"] += int((steps > 0).sum())
        sums["steps"] = max(sums["steps"], int(steps.max()))

    source = exported.producers[names[0]]
    scale, zero_point = [exported.constants[name] for name in source.input[1:]]
    real = (first.astype(numpy.float32) - zero_point) * scale
    session, (entry,) = exported.cut([names[-1]])
    shape = session.get_inputs()[0].shape
    found = [session.run(None, {entry: row.transpose(2, 0, 1).reshape(shape)})[0] for row in real]
    found, last = numpy.concatenate(found), known[names[-1]]
    steps = apart(found, last)
    same = found.reshape(len(first), -1).argmax(1) == last.reshape(len(first), -1).argmax(1)
    whole = {"values": steps.size, "apart": int((steps > 0).sum()), "steps": int(steps.max()), "same": int(same.sum())}
    print(json.dumps({"inputs": len(first), "operators": kinds, "whole": whole}))


if __name__ == "__main__":
    main()
