"""Any square export becomes a package: what is declared is applied by the runtime, and gives what the network gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.errors import ConfigurationError
from models.package.format import load_package
from models.package.new import Declared, make_package
from models.runtimes.onnx import OnnxModel

SIDE = 224
WEIGHTS = np.array([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.25]], np.float32)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def export(path: Path, *, channels: int = 3, side: int = SIDE, batch: int | str = 1, ends: str = "") -> Path:
    """The mean of each channel times WEIGHTS, as an exporter leaves it; `ends`: with a Sigmoid or Softmax inside."""
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "w"], ["scores" if ends else "y"]),
        *([helper.make_node(ends, ["scores"], ["y"])] if ends else []),
    ]
    constants = [numpy_helper.from_array(WEIGHTS[:channels], "w"), numpy_helper.from_array(np.array([2, 3]), "axes")]
    shapes = [batch, channels, side, side], [batch, 2]
    taken, given = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in zip("xy", shapes, strict=True))
    graph = helper.make_graph(nodes, "g", [taken], [given], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def declared(**more) -> Declared:
    facts = {"name": "mycnn", "findings": ("effusion", "edema"), "activation": "sigmoid", "range": (0.0, 1.0)}
    return Declared(**{**facts, **more})


@pytest.mark.parametrize(
    ("how", "said", "expected"),
    [
        ({}, {"mean": MEAN, "std": STD}, lambda v: ((v - np.array(MEAN)) / np.array(STD)) @ WEIGHTS),
        ({"batch": "n"}, {"range": (0.0, 255.0)}, lambda v: np.full(3, 255 * v) @ WEIGHTS),
        ({"channels": 1}, {"range": (-1.0, 1.0)}, lambda v: np.array([2 * v - 1]) @ WEIGHTS[:1]),
        ({"ends": "Sigmoid"}, {"activation": "none"}, lambda v: np.full(3, v) @ WEIGHTS),
    ],
)
@pytest.mark.parametrize("value", [0.2, 0.7])
def test_what_is_declared_is_applied(tmp_path: Path, how, said, expected, value: float) -> None:
    make_package(export(tmp_path / "model.onnx", **how), tmp_path / "mycnn", declared(**said))
    model = OnnxModel.load(load_package(tmp_path / "mycnn"), threads=1)
    found = model.predict(np.full((2, 1, 300, 300), value, np.float32)).scores
    assert found == pytest.approx(np.stack([expected(value)] * 2), abs=1e-3)


def test_a_softmax_is_done_here(tmp_path: Path) -> None:
    make_package(export(tmp_path / "model.onnx"), tmp_path / "mycnn", declared(activation="softmax"))
    model = OnnxModel.load(load_package(tmp_path / "mycnn"), threads=1)
    one, other = np.full(3, 0.5) @ WEIGHTS
    assert model.predict(np.full((1, 1, 256, 256), 0.5, np.float32)).scores[0] == pytest.approx(
        [one - other, other - one], abs=1e-3
    )


def test_probabilities_that_are_none_are_a_contradiction(tmp_path: Path) -> None:
    said = declared(activation="none", range=(0.0, 255.0))
    make_package(export(tmp_path / "model.onnx"), tmp_path / "mycnn", said)
    with pytest.raises(ConfigurationError, match="are not within 0"):
        OnnxModel.load(load_package(tmp_path / "mycnn"), threads=1)


@pytest.mark.parametrize(
    ("how", "said", "words"),
    [
        ({}, {"findings": ("effusion",)}, "gives 2 scores, and 1 findings are named"),
        ({}, {"mean": (0.5,), "std": (0.5,)}, "one number for each of the 3 channels"),
        ({}, {"mean": MEAN}, "mean and std go together"),
        ({}, {"activation": "relu"}, "outputs.activation"),
        ({}, {"findings": ("Effusion", "x y")}, r"findings\[0\]\.name.*findings\[1\]\.name"),
    ],
)
def test_a_contradiction_is_named_before_anything_is_written(tmp_path: Path, how, said, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make_package(export(tmp_path / "model.onnx", **how), tmp_path / "mycnn", declared(**said))
    assert not (tmp_path / "mycnn").exists()
