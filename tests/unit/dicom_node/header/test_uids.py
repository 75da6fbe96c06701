"""UIDs as modalities send them (PS3.5 9.1, 6.2): kept as they came, or refused in a sentence; never cut or mended."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from core.domain.input import ModelInput
from core.domain.report import ObjectKind
from core.domain.study import Series
from core.errors import InvalidStudy
from dicom_node.encode import encode
from dicom_node.header.checks import check_header
from dicom_node.header.read import read_header, to_instance
from tests.contract.dicom_peers import dx_dataset, explicit, part10
from tests.contract.encode import cases

TAGS = {"StudyInstanceUID": (0x20, 0x0D), "SeriesInstanceUID": (0x20, 0x0E), "SOPInstanceUID": (0x08, 0x18)}
KEPT: dict[str, tuple[bytes, str]] = {
    "zero in the middle": (b"1.2.03.4", "1.2.03.4"),
    "zeros at the end": (b"1.2.3.000", "1.2.3.000"),
    "zeros in two components": (b"1.02.840.00.17", "1.02.840.00.17"),
    "zero before the root": (b"01.2.3", "01.2.3"),
    "two zeros before the root": (b"002.25.3", "002.25.3"),
    "zero in a UUID": (b"2.25.0123456789", "2.25.0123456789"),
    "root of zero": (b"0.4.1", "0.4.1"),
    "component of zero, which is right": (b"1.2.0.4", "1.2.0.4"),
    "root of three": (b"3.4.5.6", "3.4.5.6"),
    "root of nine": (b"9.9.9.9", "9.9.9.9"),
    "second component beyond 39": (b"1.99.1", "1.99.1"),
    "one component": (b"5", "5"),
    "one component of 64 digits": (b"7" * 64, "7" * 64),
    "64 characters": (b"1." + b"2" * 62, "1." + "2" * 62),
    "64 characters, 32 components": (b"1.2." * 15 + b"1.23", "1.2." * 15 + "1.23"),
    "63 characters and a NUL": (b"1." + b"2" * 61 + b"\0", "1." + "2" * 61),
    "64 characters and two NULs": (b"1." + b"2" * 62 + b"\0\0", "1." + "2" * 62),
    "odd, with its NUL": (b"1.2.3.44\0", "1.2.3.44"),
    "odd, with a space": (b"1.2.3.45 ", "1.2.3.45"),
    "many spaces": (b"1.2.3.46    ", "1.2.3.46"),
    "space and NUL": (b"1.2.3.47 \0", "1.2.3.47"),
    "NUL and space": (b"1.2.3.48\0 ", "1.2.3.48"),
    "odd length, not padded": (b"1.2.3", "1.2.3"),
    "UUID of 39 digits": (b"2.25." + b"9" * 39, "2.25." + "9" * 39),
    "component longer than a UUID": (b"1.2." + b"9" * 50, "1.2." + "9" * 50),
}
REFUSED: dict[str, tuple[bytes, str]] = {
    "65 characters": (b"1." + b"2" * 63, "is not a valid UID"),
    "65 characters and a space": (b"1." + b"2" * 63 + b" ", "is not a valid UID"),
    "128 characters": (b"1.2." * 32, "is not a valid UID"),
    "letter at the end": (b"1.2.3a", "is not a valid UID"),
    "hexadecimal": (b"2.25.DEADBEEF", "is not a valid UID"),
    "words": (b"STUDY-1", "is not a valid UID"),
    "UUID with hyphens": (b"123e4567-e89b-12d3-a456-426614174000", "is not a valid UID"),
    "two dots alone": (b"..", "is not a valid UID"),
    "dot alone": (b".", "is not a valid UID"),
    "dots side by side": (b"1..2", "is not a valid UID"),
    "dot before": (b".1.2", "is not a valid UID"),
    "dot behind": (b"1.2.", "is not a valid UID"),
    "path": (b"../../etc", "is not a valid UID"),
    "space within": (b"1.2 .3", "is not a valid UID"),
    "NUL within": (b"1.2\0.3", "is not a valid UID"),
    "NUL before": (b"\01.2", "is not a valid UID"),
    "line feed behind": (b"1.2.3\n", "is not a valid UID"),
    "tabulator behind": (b"1.2.3\t", "is not a valid UID"),
    "comma": (b"1,2,3", "is not a valid UID"),
    "sign": (b"-1.2.3", "is not a valid UID"),
    "digits of another script": ("1.2.\u0663".encode(), "is not a valid UID"),
    "superscript, which Python calls a digit": (b"1.2.\xb2", "is not a valid UID"),
    "two UIDs": (b"1.2.3\\1.2.4", "is not a valid UID"),
    "nothing, then a UID": (b"\\1.2.4", "is not a valid UID"),
    "empty": (b"", "is missing"),
    "NULs": (b"\0\0", "is missing"),
    "spaces": (b"  ", "is missing"),
}


def with_uid(keyword: str, value: bytes) -> bytes:
    """A file whose element holds exactly these bytes."""
    placeholder = "2.25.31415926"
    data = part10(dx_dataset(**{keyword: placeholder}))
    old = explicit(*TAGS[keyword], b"UI", placeholder.encode() + b"\0")
    at = data.rindex(old)
    return data[:at] + explicit(*TAGS[keyword], b"UI", value) + data[at + len(old) :]


@pytest.mark.parametrize("name", KEPT)
def test_a_uid_that_can_be_kept_is_kept_as_it_came(name: str) -> None:
    value, uid = KEPT[name]
    for keyword, attribute in (
        ("StudyInstanceUID", "study_instance_uid"),
        ("SeriesInstanceUID", "series_instance_uid"),
        ("SOPInstanceUID", "sop_instance_uid"),
    ):
        header = read_header(with_uid(keyword, value))
        check_header(header)
        assert getattr(to_instance(header), attribute) == uid


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_is_refused_in_a_sentence_that_does_not_repeat_it(name: str) -> None:
    value, reason = REFUSED[name]
    for keyword in TAGS:
        with pytest.raises(InvalidStudy) as refused:
            check_header(read_header(with_uid(keyword, value)))
        assert str(refused.value) == f"{keyword} {reason}"


@pytest.mark.parametrize("name", ["zero before the root", "root of three", "one component", "64 characters"])
def test_dcmtk_reads_the_same_uid_in_every_result(name: str, tmp_path: Path) -> None:
    dcmdump = shutil.which("dcmdump")
    if dcmdump is None:
        pytest.skip("no dcmdump here (Debian: dcmtk)")
    _, uid = KEPT[name]
    report = cases.report()
    instance = replace(report.study.instances[0], study_instance_uid=uid)
    series = Series(series_instance_uid=cases.SERIES_UID, modality="DX", instances=(instance,))
    reading = replace(report.readings[0], what=ModelInput.of(instance))
    study = replace(report.study, study_instance_uid=uid, series=(series,))
    with warnings.catch_warnings(action="ignore"):
        source = cases.dx_source(StudyInstanceUID=uid)
    kinds = frozenset({ObjectKind.SR, ObjectKind.SC, ObjectKind.GSPS, ObjectKind.SEG})
    results = encode(
        replace(report, study=study, readings=(reading,)),
        sources={cases.IMAGE_UID: source},
        images={cases.IMAGE_UID: cases.image()},
        kinds=kinds,
    )
    assert {result.kind for result in results} == kinds
    for result in results:
        file = tmp_path / f"{result.kind}.dcm"
        file.write_bytes(result.data)
        said = subprocess.run([dcmdump, "-s", "+P", "0020,000d", str(file)], capture_output=True, text=True, check=True)
        assert f"[{uid}]" in said.stdout
        with warnings.catch_warnings(action="ignore"):
            assert dcmread(BytesIO(result.data)).StudyInstanceUID == uid
