"""A model whose true answer is known: it finds bright patches, because that is all it was built to do.

For the tests of everything around a model. Its class activation map is the local brightness above 0.75, its score the
mean of that map; a planted bright patch is therefore a finding, exactly where it was planted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from explain.gate.document import GateTest
from explain.gate.result import (
    CLASS_SENSITIVITY,
    LOCALISATION,
    METHOD,
    TESTS,
    GateResult,
    write_result,
)
from models.package.format import sha256_of

THRESHOLD = 0.75
GAIN = 4000.0
SHIFT = -2.0
POOL = 32
SIDE = 256


Fault = Literal["", "nan", "shape", "error", "endless"]
"""What a broken model does on an image with a bright patch: answers with no number, in another shape, not at all."""


def make_known_model(
    folder: Path,
    *,
    name: str = "bright_patch",
    version: str = "1.0.0",
    change: Mapping[str, object] | None = None,
    fault: Fault = "",
) -> Path:
    """Write the package below `folder`; returns its own folder. `change`: what its description says otherwise."""
    package = _folder(folder, name)
    onnx.save(_graph(fault), package / "models" / "model.onnx")
    return _described(package, name, version, change or {})


def make_known_volume_model(folder: Path, *, name: str = "bright_block", slices: int = 8) -> Path:
    """The same for a series: it finds a block that is bright in a slice, at -1000 to 1000 Hounsfield units."""
    package = _folder(folder, name)
    onnx.save(_volume_graph(slices), package / "models" / "model.onnx")
    accepts = {
        **dict(_description(package, name, "1.0.0")["accepts"]),  # type: ignore[call-overload]
        "modalities": ["CT"],
        "views": [""],
    }
    volume = {"name": "volume", "kind": "volume", "slices": slices, "window": [-1000, 1000]}
    return _described(package, name, "1.0.0", {"accepts": accepts, "input": volume})


def _folder(folder: Path, name: str) -> Path:
    package = folder / name
    (package / "models").mkdir(parents=True)
    (package / "configs").mkdir()
    return package


def _described(package: Path, name: str, version: str, change: Mapping[str, object]) -> Path:
    (package / "configs" / "metadata.json").write_text(json.dumps({"version": "1.0.0", "name": "Bright patch"}))
    description = {**_description(package, name, version), **change}
    (package / "candor.json").write_text(json.dumps(description))
    pass_the_gate(package, str(description["sha256"]))
    return package


def pass_the_gate(package: Path, sha256: str, *, failed: tuple[str, ...] = ()) -> None:
    """Leave the result of a registration gate in the package: passed, or failed by these tests.

    As the gate would: with one finding and no readers' boxes two of the tests are not made.
    """
    ends: dict[str, bool | None] = {name: None if name in (CLASS_SENSITIVITY, LOCALISATION) else True for name in TESTS}
    ends |= dict.fromkeys(failed, False)
    tests = tuple(GateTest(name=name, passed=end, words="") for name, end in ends.items())
    result = GateResult(
        model="bright_patch", version="1.0.0", sha256=sha256, method=METHOD, images="", weaker="", tests=tests
    )
    write_result(result, package)


def _graph(fault: Fault = "") -> onnx.ModelProto:
    """image -> resize to SIDE -> mean over POOL x POOL -> (brightness - THRESHOLD) above 0 -> map; mean -> logit."""
    constants = {
        "sizes": np.array([SIDE, SIDE], np.int64),
        "level": np.array(THRESHOLD, np.float32),
        "zero": np.array(0.0, np.float32),
        "gain": np.array(GAIN, np.float32),
        "shift": np.array(SHIFT, np.float32),
        "axes": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Resize", ["image", "", "", "sizes"], ["small"], mode="linear", antialias=1, axes=[2, 3]),
        helper.make_node("AveragePool", ["small"], ["brightness"], kernel_shape=[POOL, POOL], strides=[POOL // 2] * 2),
        helper.make_node("Sub", ["brightness", "level"], ["above"]),
        helper.make_node("Max", ["above", "zero"], ["excess"]),
        helper.make_node("Mul", ["excess", "gain"], ["strong"]),
        helper.make_node("Add", ["strong", "shift"], ["class_activation"]),
        helper.make_node("ReduceMean", ["class_activation", "axes"], ["mean"], keepdims=0),
        *_faulty(fault, constants),
    ]
    graph = helper.make_graph(
        nodes,
        "bright_patch",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("class_activation", TensorProto.FLOAT, ["n", 1, None, None]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _faulty(fault: Fault, constants: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
    """mean -> logits, broken where a patch is above the level; noise, on which a model is tried, never is."""
    if not fault:
        return [helper.make_node("Identity", ["mean"], ["logits"])]
    constants |= {"one": np.array(1, np.int64), "always": np.array(True), "bright": np.array(-1.9, np.float32)}
    is_bright = helper.make_node("Greater", ["mean", "bright"], ["is_bright"])
    any_is = [  # of the images that are asked about together
        is_bright,
        helper.make_node("Cast", ["is_bright"], ["counts"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["counts"], ["count"], keepdims=0),
    ]
    if fault == "nan":
        constants |= {"nan": np.array(np.nan, np.float32)}
        return [is_bright, helper.make_node("Where", ["is_bright", "nan", "mean"], ["logits"])]
    if fault == "endless":
        constants |= {"forever": np.array(2**62, np.int64)}
        body = helper.make_graph(
            [helper.make_node("Identity", ["go_on"], ["goes_on"]), helper.make_node("Identity", ["x"], ["y"])],
            "body",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
                helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
            ],
            [
                helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
                helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
            ],
        )
        return [
            *any_is,
            helper.make_node("Cast", ["count"], ["starts"], to=TensorProto.BOOL),
            helper.make_node("Loop", ["forever", "starts", "mean"], ["logits"], body=body),
        ]
    constants |= {"flat": np.array([1], np.int64), "row": np.array([1], np.int64)}
    place = [*any_is, helper.make_node("Reshape", ["count", "flat"], ["place"])]
    if fault == "error":  # there is no second score to take
        return [*place, helper.make_node("Gather", ["mean", "place"], ["logits"], axis=1)]
    return [
        *place,
        helper.make_node("Add", ["place", "one"], ["columns"]),
        helper.make_node("Concat", ["row", "columns"], ["repeats"], axis=0),
        helper.make_node("Tile", ["mean", "repeats"], ["logits"]),
    ]


def _volume_graph(slices: int) -> onnx.ModelProto:
    """volume -> mean over patches of each slice -> above the level -> map; mean -> logit."""
    constants = {
        "level": np.array(THRESHOLD, np.float32),
        "zero": np.array(0.0, np.float32),
        "gain": np.array(GAIN, np.float32),
        "shift": np.array(SHIFT, np.float32),
        "axes": np.array([2, 3, 4], np.int64),
    }
    size, step = [1, POOL // 2, POOL // 2], [1, POOL // 4, POOL // 4]
    nodes = [
        helper.make_node("AveragePool", ["volume"], ["brightness"], kernel_shape=size, strides=step),
        helper.make_node("Sub", ["brightness", "level"], ["above"]),
        helper.make_node("Max", ["above", "zero"], ["excess"]),
        helper.make_node("Mul", ["excess", "gain"], ["strong"]),
        helper.make_node("Add", ["strong", "shift"], ["class_activation"]),
        helper.make_node("ReduceMean", ["class_activation", "axes"], ["logits"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "bright_block",
        [helper.make_tensor_value_info("volume", TensorProto.FLOAT, ["n", 1, slices, "h", "w"])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("class_activation", TensorProto.FLOAT, ["n", 1, slices, None, None]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _description(package: Path, name: str, version: str) -> dict[str, object]:
    return {
        "name": name,
        "version": version,
        "sha256": sha256_of(package / "models" / "model.onnx"),
        "manufacturer": "Candor tests",
        "intended_use": "Tests only: finds patches brighter than three quarters of white.",
        "accepts": {
            "modalities": ["DX", "CR"],
            "body_parts": ["CHEST"],
            "body_part_may_be_missing": False,
            "views": ["PA", "AP", ""],
            "photometric_interpretations": ["MONOCHROME1", "MONOCHROME2"],
            "minimum_age_years": 18,
            "unknown_age_accepted": True,
            "minimum_rows": 32,
            "minimum_columns": 32,
        },
        "input": {"name": "image"},
        "outputs": {"logits": "logits", "class_activation": "class_activation"},
        "findings": [
            {
                "name": "bright_patch",
                "code": {"value": "BRIGHT", "scheme": "99TEST", "meaning": "Bright patch"},
                "calibration": {"scale": 1.0, "shift": 0.0},
                "operating_point": {
                    "threshold": 0.5,
                    "sensitivity": 1.0,
                    "specificity": 1.0,
                    "sensitivity_interval": [0.9, 1.0],
                    "specificity_interval": [0.9, 1.0],
                    "positives": 50,
                    "negatives": 50,
                },
            }
        ],
    }
