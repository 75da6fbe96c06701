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


def export(
    path: Path,
    *,
    channels: int = 3,
    side: int | str = SIDE,
    batch: int | str = 1,
    ends: str = "",
    last: bool = False,
    dtype: int = TensorProto.FLOAT,
    shape: list[int | str] | None = None,
) -> Path:
    """The mean of each channel times WEIGHTS, as an exporter leaves it; `ends`: with a Sigmoid or Softmax inside.

    `last`: channels last, as TensorFlow has them; `dtype`: that of the input; `shape`: that of the input instead.
    """
    nodes = [
        helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "w"], ["scores" if ends else "y"]),
        *([helper.make_node(ends, ["scores"], ["y"])] if ends else []),
    ]
    constants = [
        numpy_helper.from_array(WEIGHTS[:channels], "w"),
        numpy_helper.from_array(np.array([1, 2] if last else [2, 3]), "axes"),
    ]
    taken = shape or ([batch, side, side, channels] if last else [batch, channels, side, side])
    image = helper.make_tensor_value_info("x", dtype, taken)
    graph = helper.make_graph(
        nodes, "g", [image], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 2])], constants
    )
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
        ({"last": True}, {"mean": MEAN, "std": STD}, lambda v: ((v - np.array(MEAN)) / np.array(STD)) @ WEIGHTS),
        ({"dtype": TensorProto.FLOAT16}, {}, lambda v: np.full(3, np.float16(v)) @ WEIGHTS),
        ({"dtype": TensorProto.DOUBLE}, {}, lambda v: np.full(3, v) @ WEIGHTS),
        ({"dtype": TensorProto.UINT8}, {"range": (0.0, 255.0)}, lambda v: np.full(3, round(255 * v)) @ WEIGHTS),
        ({"side": "s"}, {"size": 128}, lambda v: np.full(3, v) @ WEIGHTS),
    ],
)
@pytest.mark.parametrize("value", [0.2, 0.7])
def test_what_is_declared_is_applied(tmp_path: Path, how, said, expected, value: float) -> None:
    make_package(export(tmp_path / "model.onnx", **how), tmp_path / "mycnn", declared(**said))
    model = OnnxModel.load(load_package(tmp_path / "mycnn"), threads=1)
    found = model.predict(np.full((2, 1, 300, 300), value, np.float32)).scores
    assert found == pytest.approx(np.stack([expected(value)] * 2), abs=5e-3)  # the graph sums 50,176 px in float32


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
        ({"side": "s"}, {}, "takes an image of any size; say at which it was trained"),
        ({}, {"size": 299}, "takes 224 x 224 px, and --size says 299"),
        ({"dtype": TensorProto.UINT8}, {}, "black is 0 and white 255"),
        ({"dtype": TensorProto.INT64}, {}, "is none of float32, float16, float64, uint8"),
        ({"batch": 4}, {}, "takes 4 images at once"),
        ({"shape": [1, 3, 320, 256]}, {}, "takes 320 x 256 px, and Candor pads an image to a square"),
        ({"shape": [3, 224, 224]}, {}, "it has no batch dimension"),
        ({"shape": [1, 1, 64, 64, 64]}, {}, "five dimensions are a volume"),
        ({"shape": [1, 4, 224, 224]}, {}, r"is \[1, 4, 224, 224\]"),
        ({}, {"output": "logits"}, r"gives no output logits; it gives y \[1, 2\]"),
    ],
)
def test_a_contradiction_is_named_before_anything_is_written(tmp_path: Path, how, said, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make_package(export(tmp_path / "model.onnx", **how), tmp_path / "mycnn", declared(**said))
    assert not (tmp_path / "mycnn").exists()


def test_every_fault_is_named_at_once_also_between_entries(tmp_path: Path) -> None:
    said = declared(findings=("edema", "edema"), activation="relu", range=(1.0, 0.0), mean=(0.5,), std=(0.0,))
    with pytest.raises(ConfigurationError) as caught:
        make_package(export(tmp_path / "model.onnx"), tmp_path / "mycnn", said)
    for words in ("std[0]", "activation", "the same name", "3 channels", "the lower one first"):
        assert words in str(caught.value)


def changed(path: Path, *more: str) -> Path:
    """The export with outputs that say something else: a second one, a squeezed one, or one for each pixel."""
    model = onnx.load(path)
    for name in more:
        node, shape = {
            "one": (helper.make_node("Gather", ["y", "place"], ["one"], axis=1), [1]),
            "doubled": (helper.make_node("Add", ["y", "y"], ["doubled"]), [1, 2]),
            "pixels": (helper.make_node("Identity", ["floats"], ["pixels"]), [1, 3, SIDE, SIDE]),
            "wide": (helper.make_node("Unsqueeze", ["y", "ends"], ["wide"]), [1, 2, 1, 1]),
        }[name]
        model.graph.node.append(node)
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    model.graph.initializer.append(numpy_helper.from_array(np.array(1), "place"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "ends"))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("output", "findings", "expected"),
    [
        ("y", ("effusion", "edema"), np.full(3, 0.5) @ WEIGHTS),
        ("doubled", ("effusion", "edema"), np.full(3, 1.0) @ WEIGHTS),
        ("wide", ("effusion", "edema"), np.full(3, 0.5) @ WEIGHTS),
        ("one", ("edema",), (np.full(3, 0.5) @ WEIGHTS)[1:]),
    ],
)
def test_the_output_that_is_named_has_the_scores(tmp_path: Path, output: str, findings, expected) -> None:
    path = changed(export(tmp_path / "model.onnx"), "one", "doubled", "pixels", "wide")
    with pytest.raises(ConfigurationError, match=r"gives 5 outputs \(y \[1, 2\], one .* name that of the scores"):
        make_package(path, tmp_path / "mycnn", declared())
    with pytest.raises(ConfigurationError, match="one score for each finding"):
        make_package(path, tmp_path / "mycnn", declared(output="pixels"))
    make_package(path, tmp_path / "mycnn", declared(output=output, findings=findings))
    model = OnnxModel.load(load_package(tmp_path / "mycnn"), threads=1)
    found = model.predict(np.full((1, 1, 300, 300), 0.5, np.float32)).scores
    assert found == pytest.approx(expected[np.newaxis], abs=1e-3)


def test_weights_that_the_exporter_put_next_to_the_graph_are_brought_into_it(tmp_path: Path) -> None:
    plain = export(tmp_path / "model.onnx")
    (tmp_path / "split").mkdir()
    split = tmp_path / "split" / "model.onnx"
    onnx.save(onnx.load(plain), split, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    make_package(split, tmp_path / "mycnn", declared())
    image = np.full((1, 1, 300, 300), 0.5, np.float32)
    found = OnnxModel.load(load_package(tmp_path / "mycnn"), threads=1).predict(image).scores
    assert found == pytest.approx((np.full(3, 0.5) @ WEIGHTS)[np.newaxis], abs=1e-3)
    data = split.with_name("model.onnx.data")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match="is cut short"):
        make_package(split, tmp_path / "other", declared())
    data.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="which is not next to it"):
        make_package(split, tmp_path / "other", declared())
    data.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="is a link"):
        make_package(split, tmp_path / "other", declared())


@pytest.mark.parametrize("location", ["../model.onnx.data", "/etc/hostname", "a/b", "..", ""])
def test_weights_of_another_folder_are_refused(tmp_path: Path, location: str) -> None:
    path = export(tmp_path / "model.onnx")
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ConfigurationError, match=r"outside its folder|is a link or no file"):
        make_package(path, tmp_path / "mycnn", declared())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"PK\x03\x04rest", "is an archive"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x80\x02cmodel", "is a pickle"),
        (b"<html>", "is no ONNX model"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(ConfigurationError, match=words):
        make_package(tmp_path / "model.onnx", tmp_path / "mycnn", declared())
