"""The first run of a package has a limit of time and of memory, and says which one was reached."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.errors import ConfigurationError
from models.package.format import ModelPackage, load_package, sha256_of
from pipeline.registration.trial import try_out
from tests.known_model import make_known_model


def with_nodes(folder: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> ModelPackage:
    """The known model, whose logits come out of more nodes, from `plain`."""
    package = make_known_model(folder)
    path = package / "models" / "model.onnx"
    model = onnx.load(path)
    for node in model.graph.node:
        if node.output[0] == "logits":
            node.output[0] = "plain"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.save(model, path)
    description = package / "candor.json"
    before = load_before(description)
    description.write_text(description.read_text().replace(before, sha256_of(path)))
    return load_package(package)


def load_before(description: Path) -> str:
    text = description.read_text()
    return text[text.index('"sha256": "') + 11 :][:64]


def endless() -> list[onnx.NodeProto]:
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["goes_on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go_on", TensorProto.BOOL, []), value("x", TensorProto.FLOAT, None)],
        [value("goes_on", TensorProto.BOOL, []), value("y", TensorProto.FLOAT, None)],
    )
    return [helper.make_node("Loop", ["forever", "always", "plain"], ["logits"], body=body)]


def test_a_good_package_passes(tmp_path: Path) -> None:
    try_out(load_package(make_known_model(tmp_path)))


def test_an_endless_graph_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    constants = {"forever": np.array(2**62, np.int64), "always": np.array(True)}
    package = with_nodes(tmp_path, endless(), constants)
    before, seen = time.monotonic(), []
    with pytest.raises(ConfigurationError, match="gave no answer within 8 s in its trial run; it is refused"):
        try_out(package, longest_seconds=8.0, progress=lambda what, done, total, note="", /: seen.append(done))
    assert time.monotonic() - before < 30
    assert len(seen) == 40


def test_a_graph_that_asks_for_64_gib_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0),
        helper.make_node("Add", ["plain", "most"], ["logits"]),
    ]
    package = with_nodes(tmp_path, nodes, {"shape": np.array([2**34], np.int64)})
    with pytest.raises(ConfigurationError, match=r"bright_patch (does not run|needs)|bright_patch died"):
        try_out(package)


def random_numbers() -> list[onnx.NodeProto]:
    """As Dropout that was left on: the answer differs each time."""
    return [
        helper.make_node("RandomNormalLike", ["plain"], ["noise"], scale=0.1),
        helper.make_node("Add", ["plain", "noise"], ["logits"]),
    ]


def statistics_of_the_batch() -> list[onnx.NodeProto]:
    """As batch normalisation in training mode: less the mean of all images together."""
    return [
        helper.make_node("ReduceMean", ["image"], ["of_all"], keepdims=0),
        helper.make_node("Sub", ["plain", "of_all"], ["logits"]),
    ]


@pytest.mark.parametrize(
    ("nodes", "words"), [(random_numbers, "when asked again"), (statistics_of_the_batch, "together with another")]
)
def test_a_score_that_is_not_of_the_image_alone_is_refused(tmp_path: Path, nodes, words: str) -> None:
    package = with_nodes(tmp_path, nodes(), {})
    with pytest.raises(ConfigurationError, match=f"another score {words}.*model.eval"):
        try_out(replace(package, maps_name=None))
