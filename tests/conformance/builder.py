"""Builds `.tflite` files: one input, one output, a handful of operators between them."""

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

TYPES = {
    "int8": (schema.TensorType.INT8, np.int8),
    "uint8": (schema.TensorType.UINT8, np.uint8),
    "int16": (schema.TensorType.INT16, np.int16),
    "int32": (schema.TensorType.INT32, np.int32),
    "int64": (schema.TensorType.INT64, np.int64),
    "int4": (schema.TensorType.INT4, np.int8),
    "float32": (schema.TensorType.FLOAT32, np.float32),
}


def pack_int4(values):
    """Two values a byte, the first in the low half."""
    flat = values.reshape(-1).astype(np.int64) & 15
    if len(flat) % 2:
        flat = np.append(flat, 0)
    return (flat[0::2] | (flat[1::2] << 4)).astype(np.uint8)


class Model:
    """A model under construction. Tensors are referred to by their index."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "sepconv conformance case"
        self.model.operatorCodes = []
        self.model.buffers = [schema.BufferT()]  # buffer 0 is empty by convention
        self.graph = schema.SubGraphT()
        self.graph.tensors = []
        self.graph.operators = []
        self.model.subgraphs = [self.graph]

    def tensor(self, dtype, shape, scale=None, zero_point=0, axis=0, data=None):
        """Adds a tensor. `scale` is a number, or one number for each channel of `axis`."""
        code, storage = TYPES[dtype]
        tensor = schema.TensorT()
        tensor.name = f"t{len(self.graph.tensors)}"
        tensor.type = code
        tensor.shape = np.array(shape, np.int32)
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            quantization = schema.QuantizationParametersT()
            quantization.scale = scales
            quantization.zeroPoint = np.full(len(scales), zero_point, np.int64)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        if data is not None:
            packed = pack_int4(data) if dtype == "int4" else np.asarray(data, storage)
            assert dtype == "int4" or packed.shape == tuple(shape), (packed.shape, shape)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(packed.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, version=1, **options):
        """Adds an operator; `options` are the fields of its options table, `table` names the table."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes)
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array(outputs, np.int32)
        table = options.pop("table", None)
        if table is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, table + "T")()
            for field, value in options.items():
                assert hasattr(operator.builtinOptions, field), field
                setattr(operator.builtinOptions, field, value)
        self.model.operatorCodes.append(code)
        self.graph.operators.append(operator)

    def finish(self, source, result):
        """The file's bytes, with tensor `source` as the input and `result` as the output."""
        self.graph.inputs = np.array([source], np.int32)
        self.graph.outputs = np.array([result], np.int32)
        return self.pack()

    def pack(self):
        """The file's bytes, with inputs and outputs as they are set."""
        packer = flatbuffers.Builder(1024)
        packer.Finish(self.model.Pack(packer), b"TFL3")
        return bytes(packer.Output())
