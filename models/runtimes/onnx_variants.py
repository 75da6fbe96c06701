"""ONNX graphs besides the shipped one: the same network with its weights shuffled, and one whose answer is known.

Both are for the registration gate of explanations. A map that stays the same while the weights are shuffled does not
show what the model learned (Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018); a map that misses a lesion
that was planted where the model must look is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.package.described_input import IMAGE, InputDescription
from models.runtimes.preparation import in_type, prepare

LESION_LEVEL = 0.75
"""Brightness above which the planted model sees a lesion; what is darker leaves it cold."""
_GAIN = 200.0
_SHIFT = -3.0
_POOL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxGraph:
    """An ONNX graph in memory that need not be a package: outputs `logits` and, if it has one, `maps`."""

    session: Any
    names: tuple[str, ...]
    input_name: str
    reads: InputDescription = IMAGE

    @classmethod
    def of(
        cls,
        weights: bytes,
        *,
        logits: str = "logits",
        maps: str | None = None,
        threads: int = 1,
        reads: InputDescription = IMAGE,
    ) -> OnnxGraph:
        """From the bytes of an ONNX file and the names of its outputs; runs on the CPU."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        names = (logits, maps) if maps else (logits,)
        return cls(session=session, names=names, input_name=session.get_inputs()[0].name, reads=reads)

    def predict(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Logits (N, findings) and class activation maps (N, findings, h, w) or None, of images (N, 1, H, W)."""
        taken = in_type(prepare(images, self.reads), self.session.get_inputs()[0].type)
        outputs = self.session.run(list(self.names), {self.input_name: taken})
        return outputs[0], outputs[1] if len(outputs) > 1 else None


def randomised(weights: bytes, share: float, *, seed: int) -> bytes:
    """The ONNX file with the last `share` (0..1) of its layers shuffled: cascading, from the scores downwards.

    A layer is one node with learned numbers (an initialiser of more than one value, float32); each of its
    initialisers is permuted, so their distribution stays and what was learned goes.
    """
    model = onnx.load_from_string(weights)
    by_name = {initializer.name: initializer for initializer in model.graph.initializer}
    learned = {name for name, value in by_name.items() if value.data_type == TensorProto.FLOAT and _count(value) > 1}
    random = np.random.default_rng(seed)
    layers = _layers_from_the_end(model, learned)
    for names in layers[: round(share * len(layers))]:
        for name in names:
            values = numpy_helper.to_array(by_name[name])
            shuffled = random.permutation(values.reshape(-1)).reshape(values.shape)
            by_name[name].CopyFrom(numpy_helper.from_array(shuffled, name))
    return bytes(model.SerializeToString())


def without_maps(weights: bytes, logits: str) -> bytes:
    """The same file with the scores as its only output: what the map costs is the difference in time."""
    model = onnx.load_from_string(weights)
    kept = [output for output in model.graph.output if output.name == logits]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    return bytes(model.SerializeToString())


def planted_lesion_model() -> bytes:
    """An ONNX file with one finding, present exactly where an image (N, 1, H, W) is brighter than `LESION_LEVEL`.

    Built like a real one (features, a 1x1 head, mean of the class activation = score), small and with known weights.
    """
    features = np.array([1.0, -1.0, 0.5], np.float32).reshape(3, 1, 1, 1)
    constants: dict[str, NDArray[Any]] = {
        "features": features,
        "levels": np.array([-LESION_LEVEL, -0.5, -LESION_LEVEL / 2 - 0.125], np.float32),
        "head": np.array([_GAIN, 0.0, 0.0], np.float32).reshape(1, 3, 1, 1),
        "shift": np.array([_SHIFT], np.float32),
        "axes": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("AveragePool", ["image"], ["small"], kernel_shape=[_POOL] * 2, strides=[_POOL] * 2),
        helper.make_node("Conv", ["small", "features", "levels"], ["raw"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["raw"], ["seen"]),
        helper.make_node("Conv", ["seen", "head", "shift"], ["class_activation"], kernel_shape=[1, 1]),
        helper.make_node("ReduceMean", ["class_activation", "axes"], ["logits"], keepdims=0),
    ]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "planted_lesion",
        [tensor("image", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [
            tensor("logits", TensorProto.FLOAT, ["n", 1]),
            tensor("class_activation", TensorProto.FLOAT, ["n", 1, None, None]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def _layers_from_the_end(model: onnx.ModelProto, learned: set[str]) -> list[list[str]]:
    """The learned initialisers of each layer; a layer that is used twice (for a mirrored view) counts once."""
    layers: list[list[str]] = []
    seen: set[str] = set()
    for node in reversed(model.graph.node):
        names = [name for name in node.input if name in learned - seen]
        seen.update(names)
        if names:
            layers.append(names)
    return layers


def _count(tensor: TensorProto) -> int:
    return int(np.prod(tensor.dims)) if tensor.dims else 1
