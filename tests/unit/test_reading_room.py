"""What a model said is remembered by its weights, and calibrated as the version that asks is calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from api.data_folder import make_data_folder
from core.domain import Image
from core.store.store import open_store
from inference.run import infer
from inference.select import Choice
from models.onnx_runtime import OnnxModel
from models.packages import load_package
from pipeline.desk import Desk
from pipeline.reading_room import ReadingRoom
from pipeline.runner import Runner
from tests.known_model import make_known_model
from tests.unit.test_select import image


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
    prediction = infer(
        OnnxModel.load(first, threads=1), Image(pixels=np.full((64, 64), 0.2, np.float32)), image().sop_instance_uid
    )
    store.predictions.remember(prediction)
    runner = Runner((), threads=1)  # has no model: what is not remembered cannot be answered
    try:
        room = ReadingRoom(store, (first, second), runner, Desk(1), settings)
        score = prediction.scores["bright_patch"]
        for package in (first, second):
            found = room.infer(Choice(package=package, instance=image()))
            assert found.probabilities["bright_patch"] == pytest.approx(package.calibrate("bright_patch", score))
        assert first.calibrate("bright_patch", score) != second.calibrate("bright_patch", score)
    finally:
        runner.close()
        store.close()
