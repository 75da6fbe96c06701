"""Every kind of report through every validator of the field, each run on files as they would be sent."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from core.domain.report import ObjectKind
from dicom_node.encode import encode
from tests.contract import conformance
from tests.contract.encode.cases import IMAGE_UID, Case, cases, dx_source, image, report

CASES = {case.name: case for case in cases()}
# sides and missing attributes decide what the IOD check asks for
BODY_PARTS = {
    "hip_left": dx_source(BodyPartExamined="HIP", ImageLaterality="L"),
    "hip_unknown": dx_source(BodyPartExamined="HIP", ImageLaterality=None),
    "nothing_known": dx_source(BodyPartExamined=None, ImageLaterality=None, PatientOrientation=None, StudyDate=None),
    "luts": dx_source(RescaleSlope=None, RescaleIntercept=None, WindowCenter=None, WindowWidth=None),
}
Check = Callable[[Path], list[str]]


def write(case: Case, folder: Path) -> dict[ObjectKind, Path]:
    files = {}
    for result in encode(case.report, {IMAGE_UID: case.source}, {IMAGE_UID: case.image}, list(ObjectKind)):
        files[result.kind] = folder / f"{case.name}_{result.kind}.dcm"
        files[result.kind].write_bytes(result.data)
    return files


def complaints(files: dict[ObjectKind, Path], check: Check, *kinds: ObjectKind) -> dict[str, list[str]]:
    chosen = [file for kind, file in files.items() if not kinds or kind in kinds]
    return {file.name: found for file in chosen if (found := check(file))}


@pytest.mark.parametrize("name", CASES)
def test_the_iod_check_finds_no_error(name: str, tmp_path: Path) -> None:
    assert complaints(write(CASES[name], tmp_path), conformance.dciodvfy) == {}


@pytest.mark.parametrize("name", BODY_PARTS)
def test_the_iod_check_finds_no_error_whatever_the_source_leaves_out(name: str, tmp_path: Path) -> None:
    files = write(Case(name, report(), BODY_PARTS[name], image()), tmp_path)
    assert complaints(files, conformance.dciodvfy) == {}


@pytest.mark.parametrize("name", CASES)
def test_dcmtk_reads_what_is_written(name: str, tmp_path: Path) -> None:
    files = write(CASES[name], tmp_path)
    assert complaints(files, conformance.dcmtk_file) == {}
    assert complaints(files, conformance.dcmtk_sr, ObjectKind.SR) == {}
    assert complaints(files, conformance.dcmtk_presentation, ObjectKind.GSPS) == {}


@pytest.mark.parametrize("name", CASES)
def test_the_template_check_finds_no_error(name: str, tmp_path: Path) -> None:
    assert complaints(write(CASES[name], tmp_path), conformance.pixelmed_sr, ObjectKind.SR) == {}


def test_the_shared_validators_print_ok(tmp_path: Path) -> None:
    write(CASES["positive"], tmp_path)
    assert conformance.validate_folder(tmp_path) == []


def test_each_check_can_fail(tmp_path: Path) -> None:
    """A planted fault for each tool: a check that cannot fail proves nothing."""
    files = write(CASES["positive"], tmp_path)
    sound = shutil.copy(files[ObjectKind.SR], tmp_path / "sound.dcm")
    broken = pydicom.dcmread(files[ObjectKind.SR])
    del broken.CompletionFlag
    codes = [item.ConceptNameCodeSequence[0].CodeValue for item in broken.ContentSequence]
    del broken.ContentSequence[codes.index("121012")]  # the Device Observer UID, mandatory in TID 1004
    broken.save_as(files[ObjectKind.SR])
    assert conformance.dciodvfy(files[ObjectKind.SR])
    found = conformance.pixelmed_sr(files[ObjectKind.SR])
    assert any("Device Observer UID" in complaint for complaint in found)
    assert conformance.pixelmed_sr(sound) == [], "one process checks all files, and must not remember the one before"
    assert conformance.pixelmed_sr(files[ObjectKind.SR]) == found
    state = pydicom.dcmread(files[ObjectKind.GSPS])
    del state.DisplayedAreaSelectionSequence
    state.save_as(files[ObjectKind.GSPS])
    assert conformance.dcmtk_presentation(files[ObjectKind.GSPS])
    files[ObjectKind.SC].write_bytes(b"not DICOM")
    assert conformance.dcmtk_file(files[ObjectKind.SC])
    assert conformance.pixelmed_sr(files[ObjectKind.SC])
    assert conformance.dcmtk_sr(files[ObjectKind.SEG])
