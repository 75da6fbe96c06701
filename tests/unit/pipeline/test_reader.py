"""What a model said is remembered by its weights, and calibrated as the version that asks is calibrated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.domain.input import ModelInput
from core.domain.model import Quality
from core.domain.study import Image
from core.errors import InvalidStudy
from core.store.store import open_store
from inference.run import infer
from inference.select import Choice
from models.package.format import ModelPackage, load_package
from models.runtimes.onnx import OnnxModel
from pipeline.data_folder import make_data_folder
from pipeline.reading.reader import RememberingReader
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns
from tests.known_model import make_known_model
from tests.known_quality_check import add_known_quality_check
from tests.unit.inference.test_select import image

WHAT = ModelInput.of(image())


def gated(folder: Path, version: str, threshold: float, names: tuple[str, ...] = ()) -> ModelPackage:
    """The known model with the known gate, which refuses as rotated above `threshold`; `names` of its scores."""
    path = add_known_quality_check(make_known_model(folder, version=version))
    description = json.loads((path / "candor.json").read_text())
    faults = description["quality"]["faults"]
    faults[0]["threshold"] = threshold
    for fault, name in zip(faults, names, strict=False):
        fault["name"] = name
    (path / "candor.json").write_text(json.dumps(description))
    return load_package(path)


def test_a_version_with_the_same_gate_and_other_thresholds_judges_the_remembered_scores_itself(tmp_path: Path) -> None:
    strict, mild = gated(tmp_path / "1", "1.0.0", 0.5), gated(tmp_path / "2", "2.0.0", 0.9)
    stricter = gated(tmp_path / "3", "3.0.0", 0.25)
    renamed = gated(tmp_path / "4", "4.0.0", 0.5, names=("upside_down",))
    ungated = load_package(make_known_model(tmp_path / "5", version="5.0.0"))
    packages = (strict, mild, stricter, renamed, ungated)
    assert len({package.model.sha256 for package in packages}) == 1
    settings = make_data_folder(tmp_path / "data")
    store = open_store(settings)
    prediction = infer(OnnxModel.load(strict, threads=1), WHAT, [Image(pixels=np.full((64, 64), 0.2, np.float32))])
    quality = Quality(
        sha256=strict.quality.sha256,
        scores={"rotated": 0.7, "child": 0.0, "unlike": 0.1},
        fault="rotated",
        reason="it is upside down (quality check: probability 0.7, refused above 0.5)",
    )
    store.predictions.remember(replace(prediction, quality=quality))
    models = LocalModels((), store.objects, threads=1)  # has no model: what is not remembered cannot be answered
    try:
        reader = RememberingReader(store, packages, models, Turns(1), settings)
        for package, words in ((strict, "refused above 0.5"), (stricter, "refused above 0.25")):
            with pytest.raises(InvalidStudy, match=words):
                reader.infer(Choice(package=package, what=WHAT))
        judged = reader.infer(Choice(package=mild, what=WHAT))
        assert judged.quality == Quality(sha256=quality.sha256, scores=quality.scores)
        assert reader.infer(Choice(package=ungated, what=WHAT)).quality is None
        assert reader._find(Choice(package=renamed, what=WHAT)) is None, "its gate's scores have other names"
    finally:
        models.close()
        store.close()


def test_a_version_with_the_same_weights_and_another_calibration_gets_its_own_probabilities(tmp_path: Path) -> None:
    first = load_package(make_known_model(tmp_path / "1"))
    finding = {
        "name": "bright_patch",
        "code": {"value": "BRIGHT", "scheme": "99TEST", "meaning": "Bright patch"},
        "calibration": {"scale": 2.0, "shift": 1.0},
        "operating_point": {"threshold": 0.5, "sensitivity": 1.0, "specificity": 1.0},
    }
    second = load_package(make_known_model(tmp_path / "2", version="2.0.0", change={"findings": [finding]}))
    assert first.model.sha256 == second.model.sha256
    settings = make_data_folder(tmp_path / "data")
    store = open_store(settings)
    prediction = infer(OnnxModel.load(first, threads=1), WHAT, [Image(pixels=np.full((64, 64), 0.2, np.float32))])
    store.predictions.remember(prediction)
    models = LocalModels((), store.objects, threads=1)  # has no model: what is not remembered cannot be answered
    try:
        reader = RememberingReader(store, (first, second), models, Turns(1), settings)
        score = prediction.scores["bright_patch"]
        for package in (first, second):
            found = reader.infer(Choice(package=package, what=WHAT))
            assert found.probabilities["bright_patch"] == pytest.approx(package.calibrate("bright_patch", score))
        assert first.calibrate("bright_patch", score) != second.calibrate("bright_patch", score)
    finally:
        models.close()
        store.close()
