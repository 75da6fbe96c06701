"""An image that the model was not made for is not scored, and the words say what is wrong with it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from core.domain.input import ModelInput
from core.domain.study import Image, Instance
from core.errors import ConfigurationError, IntegrityError, InvalidStudy
from inference.quality import NO_QUALITY_CHECK, assess, quality_limitations, refuse_faulty
from inference.run import infer
from models.package.format import load_package
from models.quality import QualityModel
from models.runtimes.onnx import OnnxModel
from tests.known_model import make_known_model
from tests.known_quality_check import add_known_quality_check
from tests.unit.inference.test_select import image as header

WHAT = ModelInput.of(header())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return add_known_quality_check(make_known_model(tmp_path))


@pytest.fixture
def check(folder: Path) -> QualityModel:
    quality = load_package(folder).quality
    assert quality is not None
    return QualityModel.load(quality)


def image(upper: float, lower: float) -> Image:
    pixels = np.full((64, 48), upper, np.float32)
    pixels[32:] = lower
    return Image(pixels=pixels)


def instance(age: float | None) -> Instance:
    return Instance(
        sop_instance_uid="1.2",
        sop_class_uid="1.2",
        series_instance_uid="1.2",
        study_instance_uid="1.2",
        transfer_syntax_uid="1.2",
        patient_age_years=age,
    )


def test_a_sound_image_passes_with_its_scores(check: QualityModel) -> None:
    quality = assess(check, image(0.5, 0.5))
    assert (quality.fault, quality.reason) == ("", "")
    assert set(quality.scores) == {"rotated", "child", "unlike"}
    refuse_faulty(quality, instance(40))
    refuse_faulty(None, instance(40))


def test_a_faulty_image_is_refused_in_words_with_figure_and_limit(check: QualityModel) -> None:
    quality = assess(check, image(0.1, 0.9))
    assert quality.fault == "rotated"
    with pytest.raises(InvalidStudy, match=r"^it is upside down \(quality check: probability 1, refused above 0.5\)$"):
        refuse_faulty(quality, instance(40))


def test_a_known_fault_is_named_before_a_distance(check: QualityModel) -> None:
    assert assess(check, image(0.82, 0.84)).fault == "unlike"
    both = assess(check, image(1.0, 1.0))
    assert both.scores["unlike"] > 0.8
    assert both.fault == "child"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_no_number_does_not_pass_for_sound(check: QualityModel, value: float) -> None:
    with pytest.raises(InvalidStudy, match="the quality check's answer for this image is not a number"):
        assess(check, image(0.5, value))


@pytest.mark.parametrize(
    ("age", "words"), [(40.0, "the header says that the patient is an adult"), (None, "no age is given")]
)
def test_a_child_by_its_looks_is_refused_and_the_header_is_not_quoted(
    check: QualityModel, age: float | None, words: str
) -> None:
    with pytest.raises(InvalidStudy, match=words) as refusal:
        refuse_faulty(assess(check, image(1.0, 1.0)), instance(age))
    assert "40" not in str(refusal.value)


def test_a_faulty_image_is_not_shown_to_the_model(folder: Path, check: QualityModel) -> None:
    model = OnnxModel.load(load_package(folder), threads=1)
    blind = dataclasses.replace(model, session=None)  # running it would raise
    prediction = infer(blind, WHAT, [image(0.1, 0.9)], check)
    assert (prediction.scores, prediction.probabilities, prediction.maps) == ({}, {}, None)
    assert prediction.quality is not None
    assert prediction.quality.fault == "rotated"
    passed = infer(model, WHAT, [image(0.5, 0.5)], check)
    assert passed.scores
    assert passed.quality is not None
    assert infer(model, WHAT, [image(0.1, 0.9)]).scores  # without a check nothing is refused


def test_a_package_without_a_gate_loads_and_its_reports_say_so(tmp_path: Path, folder: Path) -> None:
    plain = load_package(make_known_model(tmp_path / "plain"))
    assert plain.quality is None
    assert quality_limitations(plain) == (NO_QUALITY_CHECK,)
    assert quality_limitations(load_package(folder)) == ()


def test_a_flipped_byte_in_the_gate_refuses_the_package(folder: Path) -> None:
    weights = folder / "models" / "quality.onnx"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError, match="not the one it was published with"):
        load_package(folder)


def test_a_gate_swapped_after_verification_is_not_run(folder: Path) -> None:
    quality = load_package(folder).quality
    assert quality is not None
    quality.weights.write_bytes(quality.weights.read_bytes() + b"\0")
    with pytest.raises(IntegrityError):
        QualityModel.load(quality)


def test_a_gate_cannot_be_dropped_by_cutting_its_section(folder: Path) -> None:
    description = json.loads((folder / "candor.json").read_text())
    section = description.pop("quality")
    (folder / "candor.json").write_text(json.dumps(description))
    with pytest.raises(IntegrityError, match="not named"):
        load_package(folder)
    description["quality"] = {**section, "faults": [{**section["faults"][0], "kind": "hunch"}]}
    (folder / "candor.json").write_text(json.dumps(description))
    with pytest.raises(ConfigurationError):
        load_package(folder)


def test_other_scores_than_named_are_refused_at_load(folder: Path) -> None:
    quality = load_package(folder).quality
    assert quality is not None
    with pytest.raises(IntegrityError, match="other scores"):
        QualityModel.load(dataclasses.replace(quality, faults=quality.faults[:2]))


@pytest.mark.parametrize(
    ("fault", "said"),
    [(0, {"threshold": "high"}), (0, {"threshold": float("nan")}), (0, {"precedence": "first"}), (2, {"threshold": 0})],
)
def test_a_limit_that_nothing_can_be_compared_with_refuses_the_package(
    folder: Path, fault: int, said: dict[str, object]
) -> None:
    description = json.loads((folder / "candor.json").read_text())
    description["quality"]["faults"][fault].update(said)
    (folder / "candor.json").write_text(json.dumps(description))
    with pytest.raises(ConfigurationError, match="not a model description"):
        load_package(folder)
