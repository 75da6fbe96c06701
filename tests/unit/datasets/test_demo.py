"""Each demo study is a proper DX object, and the shipped model treats it as promised."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from datasets.demo.studies import FOLDER, DemoStudy, demo_studies
from datasets.demo.synthesis import LEAST_IMAGES, blend
from datasets.dx import MadeUpPatient, uid_of, wrap_as_dx
from models.package.format import load_package
from models.registry import ZOO
from models.runtimes.onnx import OnnxModel

STUDIES = demo_studies()
REPORTED = [study for study in STUDIES if study.status == "reported"]


def pixels_of(path: Path) -> NDArray[np.float32]:
    """0 black .. 1 white, as a viewer would show it."""
    dataset = pydicom.dcmread(path)
    shown = dataset.pixel_array.astype(np.float32) / (2**dataset.BitsStored - 1)
    return 1 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return OnnxModel.load(load_package(ZOO / "chest_radiograph"), threads=1)


@pytest.mark.parametrize("study", REPORTED, ids=lambda study: study.path.stem)
def test_the_shipped_model_keeps_the_promise(model: OnnxModel, study: DemoStudy) -> None:
    pixels = pixels_of(study.path)
    logits, maps = model.predict(pixels[None, None])
    findings = {finding.name: index for index, finding in enumerate(model.package.model.findings)}
    for name in (*study.positive, *study.negative):
        probability = model.package.calibrate(name, float(logits[0, findings[name]]))
        point = model.package.model.findings[findings[name]].operating_point
        assert (probability >= point.threshold) == (name in study.positive), f"{name}: {probability:.3f}"
    if study.region:
        assert maps is not None
        map_ = PillowImage.fromarray(maps[0, findings[study.region.finding]])
        shown = np.asarray(map_.resize(pixels.shape[::-1], PillowImage.Resampling.BILINEAR))
        row, column = np.unravel_index(int(shown.argmax()), shown.shape)
        assert study.region.contains(float(column), float(row))


def test_there_is_one_of_each_kind() -> None:
    assert {study.status for study in STUDIES} == {"reported", "not_analysed", "refused"}
    assert any(study.region for study in STUDIES)
    assert {path.name for path in FOLDER.glob("*.dcm")} == {study.path.name for study in STUDIES}


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.path.stem)
def test_a_demo_file_is_small_and_valid_dx(study: DemoStudy) -> None:
    assert study.path.stat().st_size < 1_000_000
    dataset = pydicom.dcmread(study.path)
    assert dataset.StudyInstanceUID == study.study_instance_uid
    assert str(dataset.PatientName).startswith("Demo^")
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    said = subprocess.run([validator, str(study.path)], capture_output=True, text=True, check=False)
    assert [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")] == []


def test_both_photometric_interpretations_show_the_same() -> None:
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    patient = MadeUpPatient(patient_id="X", patient_name="Test^Case")
    two = wrap_as_dx(pixels, name="a", patient=patient, bits_stored=12)
    one = wrap_as_dx(pixels, name="a", patient=patient, bits_stored=12, photometric_interpretation="MONOCHROME1")
    assert np.array_equal(4095 - one.pixel_array, two.pixel_array)
    assert two.SOPInstanceUID == one.SOPInstanceUID == uid_of("a/instance")


def test_a_blend_of_few_images_is_refused() -> None:
    with pytest.raises(ValueError, match="could show one person"):
        blend([np.zeros((512, 512), np.uint8)] * (LEAST_IMAGES - 1), seed=1)
