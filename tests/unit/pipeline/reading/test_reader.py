"""What a model said is remembered by its weights, and calibrated as the version that asks is calibrated."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from core.domain.input import ModelInput
from core.domain.model import Quality
from core.domain.study import Image
from core.errors import InvalidStudy
from core.store.store import open_store
from core.store.tables.models import predictions
from inference.run import infer
from inference.select import Choice
from models.package.format import ModelPackage, load_package
from models.runtimes.onnx import OnnxModel
from pipeline.data_folder import make_data_folder
from pipeline.reading.reader import MOST_DEATHS, RememberingReader
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns
from pipeline.story import Predecessor, read_study
from pipeline.watch.cohort_lines import Audits
from tests.e2e.studies import radiograph
from tests.known_model import make_known_model
from tests.known_quality_check import add_known_quality_check
from tests.store_fixtures import arrival
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


def test_a_model_that_ends_its_child_on_each_image_is_given_up_after_a_few_deaths_and_stops_no_other(
    tmp_path: Path,
) -> None:
    """It loops for ever on a bright patch, and the alarm clock of the child ends it, as a crash would."""
    good = load_package(make_known_model(tmp_path / "1"))
    endless = load_package(make_known_model(tmp_path / "2", name="endless", fault="endless"))
    packages = (good, replace(endless, is_second_reader=True))
    settings = make_data_folder(tmp_path / "data")
    store = open_store(settings)
    for number in (1, 2):
        came = arrival("1", str(number), part10=radiograph(number, bright=True).part10)
        store.intake.keep(replace(came, instance=image(number, rows=256, columns=256)))
    revision = store.studies.assemble(store.study_id_of("1.2"))
    assert revision is not None
    models = LocalModels(packages, store.objects, threads=1, longest_seconds=2)
    try:
        models.warm_up()
        reader = RememberingReader(store, packages, models, Turns(1), settings)
        report = read_study(
            store.studies.load(revision),
            packages,
            reader,
            Audits(store, settings),
            predecessor=Predecessor(),
            at=datetime(2026, 11, 2, tzinfo=UTC),
        )
        assert [(r.model.name, r.status.value) for r in report.readings] == [
            ("bright_patch", "reported"),
            ("bright_patch", "reported"),
            ("endless", "failed"),
            ("endless", "failed"),
        ]
        for reading in report.readings[2:]:
            assert reading.reason == f"the model runner died {MOST_DEATHS} times, or was too slow, on this image"
        assert store.predictions.runs() == 2, "what was read is remembered"
        with store.engine.connect() as connection:
            assert set(connection.scalars(select(predictions.c.study_id))) == {store.study_id_of("1.2")}
    finally:
        models.close()
        store.close()


def test_scores_under_other_names_are_not_those_of_this_version(tmp_path: Path) -> None:
    package = load_package(make_known_model(tmp_path / "1"))
    settings = make_data_folder(tmp_path / "data")
    store = open_store(settings)
    model = OnnxModel.load(package, threads=1)
    store.predictions.remember(infer(model, WHAT, [Image(pixels=np.full((64, 64), 0.2, np.float32))]))
    try:
        models = LocalModels((), store.objects, threads=1)
        reader = RememberingReader(store, (package,), models, Turns(1), settings)
        assert reader._find(Choice(package=package, what=WHAT)) is not None
        other = replace(package, calibrations={"something_else": package.calibrations["bright_patch"]})
        assert reader._find(Choice(package=other, what=WHAT)) is None
        prepared = replace(WHAT, prepared_as="otherwise")
        assert reader._find(Choice(package=package, what=prepared)) is None
        models.close()
    finally:
        store.close()
