"""A model is the one file that was verified: what names another file for its numbers does not run."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from onnx.external_data_helper import set_external_data

from core.errors import ConfigurationError, IntegrityError
from models.external_data import refuse_external_data
from models.package.format import load_package, sha256_of
from models.quality import QualityModel
from models.registry import ZOO
from models.runtimes.onnx import OnnxModel
from tests.known_model import make_known_model
from tests.known_quality_check import add_known_quality_check


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a gate, in whose description the changed weights can be vouched for; work goes on elsewhere."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # ONNX Runtime reads external data from the working directory
    return add_known_quality_check(make_known_model(tmp_path / "packages"))


def moved_out(path: Path, tensor: str) -> None:
    """Move the numbers of an initialiser into a file of the working directory, and keep the rest."""
    model = onnx.load(path)
    (value,) = (each for each in model.graph.initializer if each.name == tensor)
    Path("elsewhere.bin").write_bytes(value.raw_data)
    set_external_data(value, location="elsewhere.bin")
    value.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())


def test_a_model_with_weights_elsewhere_is_not_run(folder: Path) -> None:
    moved_out(folder / "models" / "model.onnx", "gain")
    description = json.loads((folder / "candor.json").read_text())
    description["sha256"] = sha256_of(folder / "models" / "model.onnx")
    (folder / "candor.json").write_text(json.dumps(description))
    with pytest.raises(IntegrityError, match="weights of bright_patch lie outside the file that was verified"):
        OnnxModel.load(load_package(folder), threads=1)


def test_a_quality_gate_with_weights_elsewhere_is_not_run(folder: Path) -> None:
    moved_out(folder / "models" / "quality.onnx", "weights")
    description = json.loads((folder / "candor.json").read_text())
    description["quality"]["sha256"] = sha256_of(folder / "models" / "quality.onnx")
    (folder / "candor.json").write_text(json.dumps(description))
    quality = load_package(folder).quality
    assert quality is not None
    with pytest.raises(IntegrityError, match=r"weights of quality\.onnx lie outside"):
        QualityModel.load(quality)


def outside() -> TensorProto:
    tensor = TensorProto(name="away", data_type=TensorProto.FLOAT, dims=[1], raw_data=b"\0\0\0\0")
    set_external_data(tensor, location="/etc/hostname")
    return tensor


def in_a_subgraph(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "then", [], [], [outside()])
    model.graph.node.append(helper.make_node("If", ["a"], ["b"], then_branch=inner, else_branch=inner))


def in_a_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["b"], value=outside()))


def in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["b"], value=outside())
    model.functions.append(helper.make_function("own", "f", [], ["b"], [node], [helper.make_opsetid("", 18)]))


def in_a_sparse_one(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(outside())


def only_named(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="elsewhere.bin")


@pytest.mark.parametrize("hide", [in_a_subgraph, in_a_constant, in_a_function, in_a_sparse_one, only_named])
def test_weights_elsewhere_are_found_wherever_they_are_named(folder: Path, hide) -> None:
    model = onnx.load(folder / "models" / "model.onnx")
    refuse_external_data(model.SerializeToString(), "it")
    hide(model)
    with pytest.raises(IntegrityError, match="external data"):
        refuse_external_data(model.SerializeToString(), "it")


def test_bytes_that_are_no_model_are_refused_as_such() -> None:
    with pytest.raises(ConfigurationError, match="no ONNX model"):
        refuse_external_data(b"not a model", "it")


def test_the_shipped_weights_are_whole() -> None:
    for name in ("model.onnx", "quality.onnx"):
        refuse_external_data((ZOO / "chest_radiograph" / "models" / name).read_bytes(), name)
