"""A quality check whose true answer is known, for the tests of everything around one.

It calls an image upside down when its lower half is brighter than its upper half by more than a quarter of white, a
child's when it is nearly white all over, and its distance is the mean brightness.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.package.format import sha256_of

FAULTS = (
    {"name": "rotated", "kind": "probability", "threshold": 0.5, "reason": "it is upside down"},
    {"name": "child", "kind": "probability", "threshold": 0.5, "reason": "the image looks like a child's"},
    {"name": "unlike", "kind": "distance", "threshold": 0.8, "reason": "it is too bright", "precedence": -1},
)


def add_known_quality_check(package: Path) -> Path:
    """Put the check into a package and name it in candor.json; returns the package."""
    weights = package / "models" / "quality.onnx"
    onnx.save(_graph(), weights)
    path = package / "candor.json"
    description = json.loads(path.read_text())
    description["quality"] = {
        "sha256": sha256_of(weights),
        "input": {"name": "image", "range": [0.0, 1.0], "network_size": 2},
        "output": "scores",
        "faults": list(FAULTS),
    }
    path.write_text(json.dumps(description, indent=1))
    return package


def _graph() -> onnx.ModelProto:
    """image -> mean of its upper and lower half -> three scores (1, 3)."""
    constants = {
        "sizes": np.array([1, 1, 2, 1], np.int64),
        "flat": np.array([1, 2], np.int64),
        "weights": np.array([[-40.0, 20.0, 0.5], [40.0, 20.0, 0.5]], np.float32),
        "bias": np.array([-10.0, -38.0, 0.0], np.float32),
        "two": np.array([2, 1], np.int64),
    }
    nodes = [
        helper.make_node("Resize", ["image", "", "", "sizes"], ["halves"], mode="linear", antialias=1),
        helper.make_node("Reshape", ["halves", "flat"], ["means"]),
        helper.make_node("MatMul", ["means", "weights"], ["weighed"]),
        helper.make_node("Add", ["weighed", "bias"], ["raw"]),
        helper.make_node("Split", ["raw", "two"], ["logits", "distance"], axis=1),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
        helper.make_node("Concat", ["probabilities", "distance"], ["scores"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "known_check",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, "h", "w"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
