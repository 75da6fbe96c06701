"""The check that ships: its figures hold what it promises, and it does so on images at hand."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from core.domain.study import Image
from datasets.demo.studies import FOLDER, demo_studies
from dicom_node.pixels.decode import decode
from inference.quality import assess
from models.package.format import load_package
from models.quality import QualityModel
from models.registry import ZOO
from models.runtimes.onnx import OnnxModel

SHARED = Path(os.environ.get("CANDOR_SHARED", Path(__file__).parents[4] / "shared"))
PACKAGE = ZOO / "chest_radiograph"


@pytest.fixture(scope="module")
def check() -> QualityModel:
    quality = load_package(PACKAGE).quality
    assert quality is not None, (
        "candor train quality --adopt models/zoo/chest_radiograph --out models/zoo/chest_radiograph"
    )
    return QualityModel.load(quality)


@pytest.fixture(scope="module")
def figures() -> dict:
    return json.loads((PACKAGE / "docs" / "quality.json").read_text(encoding="utf-8"))


def picture(name: str) -> Image:
    return decode((FOLDER / name).read_bytes())


def test_the_figures_are_of_this_gate_and_its_thresholds(check, figures):
    assert figures["gate"]["sha256"] == check.check.sha256
    said = {fault["name"]: (fault["kind"], fault["threshold"]) for fault in figures["gate"]["faults"]}
    assert said == {fault.name: (fault.kind, fault.threshold) for fault in check.check.faults}


def test_it_refuses_at_most_three_in_a_hundred_sound_images_of_held_out_adults(figures):
    for tier in ("512", "128"):
        row = figures["false_refusals"][tier]["all"]
        assert row["images"] > 300
        assert row["share"][0] == pytest.approx(row["refused"] / row["images"], abs=1e-4)
        assert row["share"][0] <= 0.03


def test_every_kind_of_fault_is_in_the_table_with_an_interval(check, figures):
    named = {row["fault"] for row in figures["caught"]}
    assert {fault.name for fault in check.check.faults if fault.kind == "probability"} <= named
    for row in figures["caught"]:
        value, low, high = row["caught"]
        assert 0 <= low <= value <= high <= 1
    assert any("Lateral" in line for line in figures["not_measured"])


def test_the_demo_studies_pass_also_the_inverse_one(check):
    passing = [study for study in demo_studies() if study.status == "reported"]
    assert {"normal.dcm", "normal-monochrome1.dcm"} <= {study.path.name for study in passing}
    for study in passing:
        assert assess(check, picture(study.path.name)).fault == "", study.path.name


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("name", ["normal.dcm", "normal-monochrome1.dcm"])
def test_a_turned_radiograph_is_refused_as_rotated(check, name, turns):
    assert assess(check, Image(pixels=np.rot90(picture(name).pixels, turns))).fault == "rotated"


def test_an_inverted_radiograph_is_refused_as_inverted(check):
    assert assess(check, Image(pixels=1 - picture("normal.dcm").pixels)).fault == "inverted"


def test_a_hand_a_blank_image_and_noise_are_refused(check):
    assert assess(check, picture("hand.dcm")).fault
    assert assess(check, Image(pixels=np.full((512, 512), 0.5, np.float32))).fault
    assert assess(check, Image(pixels=np.random.default_rng(1).random((512, 512), np.float32))).fault


@pytest.mark.parametrize("name", ["RG1_JLSN.dcm", "nih_chest_1024.dcm"])
def test_a_chest_from_elsewhere_passes(check, name):
    path = SHARED / "data" / "dicom" / name
    if not path.exists():
        pytest.skip("../shared/data/dicom is not here")
    assert assess(check, decode(path.read_bytes())).fault == ""


@pytest.mark.parametrize("name", ["RG2_J2KR.dcm", "RG3_JLSL.dcm", "CT1_J2KR.dcm", "MR1_J2KR.dcm"])
def test_a_hip_a_leg_a_ct_and_an_mr_are_refused(check, name):
    path = SHARED / "data" / "dicom" / name
    if not path.exists():
        pytest.skip("../shared/data/dicom is not here")
    assert assess(check, decode(path.read_bytes())).fault


def test_looking_costs_little_compared_with_the_model(check):
    image = picture("normal.dcm")
    model = OnnxModel.load(load_package(PACKAGE), threads=1)
    square = image.frame.to_square(image.pixels)[np.newaxis, np.newaxis]
    looks = min(seconds_of(lambda: check.scores(image.pixels)) for _ in range(10))
    passes = min(seconds_of(lambda: model.predict(square)) for _ in range(5))
    assert looks < 0.25 * passes, f"{1000 * looks:.2f} ms compared with {1000 * passes:.1f} ms"


def seconds_of(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
