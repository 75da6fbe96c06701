"""Reading a header: what is well-formed is read right, what is not becomes a flag, and nothing ever raises or talks."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from core.errors import InvalidStudy
from dicom_node.header.age import BORN_LATER, DISAGREE
from dicom_node.header.checks import check_header
from dicom_node.header.read import read_header, to_instance, to_patient, to_study_attributes
from tests.contract.dicom_peers import dx_dataset, explicit, part10

NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]


def header(syntax: str = ExplicitVRLittleEndian, **changes: object) -> Dataset:
    return read_header(part10(dx_dataset(**changes), syntax))


def with_element(raw_element: bytes, **changes: object) -> Dataset:
    """A header with one more element, as raw bytes, where its tag belongs."""
    data = part10(dx_dataset(**changes))
    at = data.index(b"\x10\0\x10\0PN")
    return read_header(data[:at] + raw_element + data[at:])


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.keyword)
def test_a_header_is_read_alike_in_every_encoding(syntax: str) -> None:
    ds = header(syntax, ImageType=["ORIGINAL", "PRIMARY"], KVP="120.5", InstanceNumber="7", SoftwareVersions=["1", "2"])
    instance, patient = to_instance(ds, object_key="k", size_bytes=5), to_patient(ds)
    assert (instance.rows, instance.columns, instance.number_of_frames, instance.instance_number) == (8, 6, 1, 7)
    assert (instance.image_type, instance.kvp, instance.software_versions) == (("ORIGINAL", "PRIMARY"), 120.5, "1, 2")
    assert (instance.patient_age_years, instance.transfer_syntax_uid) == (70.0, syntax)
    assert (instance.object_key, instance.size_bytes, instance.header_flags) == ("k", 5, ())
    assert (patient.patient_name, patient.patient_birth_date, patient.patient_sex) == (
        "Canary^Name",
        date(1950, 1, 1),
        "F",
    )
    assert to_study_attributes(ds).study_date == date(2020, 1, 1)


def test_a_data_set_that_was_never_encoded_is_read_too() -> None:
    ds = dx_dataset(ImageType=["DERIVED", "SECONDARY"])
    assert to_instance(ds).image_type == ("DERIVED", "SECONDARY")
    assert (to_patient(ds).patient_name, to_instance(ds).rows) == ("Canary^Name", 8)


@pytest.mark.parametrize(
    ("age", "years"), [("070Y", 70.0), ("018M", 1.5), ("006W", 42 / 365.25), ("010D", 10 / 365.25)]
)
def test_ages(age: str, years: float) -> None:
    assert to_instance(header(PatientAge=age)).patient_age_years == pytest.approx(years)


def test_without_an_age_birth_and_study_date_tell() -> None:
    ds = header(PatientAge=None, PatientBirthDate="19800615", StudyDate="20200614")
    assert to_instance(ds).patient_age_years == 39.0
    assert to_instance(header(PatientAge=None, PatientBirthDate="")).patient_age_years is None


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        (["ISO_IR 100"], "Äneas^Rüdiger"),
        (["ISO_IR 192"], "Ψυχή^Ольга"),
        (["ISO_IR 144"], "Люкceмбypг"),  # noqa: RUF001 the example of PS3.5 H
    ],
)
def test_names_in_their_character_set(terms: list[str], name: str) -> None:
    assert to_patient(header(SpecificCharacterSet=terms, PatientName=name)).patient_name == name


def test_a_japanese_name_with_code_extensions() -> None:
    """The example of PS3.5 H.3.1."""
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds = header(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=name)
    assert to_patient(ds).patient_name == name


def test_bytes_outside_the_character_set_are_flagged() -> None:
    data = part10(dx_dataset(SpecificCharacterSet="ISO_IR 192")).replace(b"Canary^Name", b"Can\xe4ry^Name")
    instance = to_instance(read_header(data))
    assert instance.header_flags == ("PatientName does not fit its SpecificCharacterSet",)


@pytest.mark.parametrize(
    ("changes", "moment"),
    [
        ({"AcquisitionDateTime": "20200102030405.678+0100"}, datetime(2020, 1, 2, 3, 4, 5)),
        ({"AcquisitionDate": "20200102", "AcquisitionTime": "0304"}, datetime(2020, 1, 2, 3, 4)),
        ({"ContentDate": "20200102", "ContentTime": "030405.1"}, datetime(2020, 1, 2, 3, 4, 5)),
        ({"StudyTime": "10"}, datetime(2020, 1, 1, 10)),
        ({}, None),
    ],
)
def test_when_an_image_was_acquired(changes: dict[str, object], moment: datetime | None) -> None:
    assert to_instance(header(**changes)).acquired_at == moment


@pytest.mark.parametrize(
    "element", [explicit(0x0008, 0x1155, b"UI", b"1\0"), explicit(0x0009, 0x0010, b"LO", b"PRIVATE ")]
)
def test_other_elements_do_no_harm(element: bytes) -> None:
    assert to_instance(with_element(element)).header_flags == ()


def test_an_unknown_sex_is_flagged_without_its_value() -> None:
    ds = header(PatientSex="X7")
    assert to_patient(ds).patient_sex == ""
    assert "X7" not in " ".join(to_instance(ds).header_flags)
    assert any("PatientSex" in flag for flag in to_instance(ds).header_flags)


@pytest.mark.parametrize("data", [b"", b"short", b"\0" * 400, b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"x" * 50])
def test_what_is_no_dicom_file_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidStudy):
        read_header(data)
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InvalidStudy):
        read_header(tmp_path / "file")


def test_a_deflated_file_is_refused() -> None:
    data = part10(dx_dataset()).replace(
        b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x16\x00" + DeflatedExplicitVRLittleEndian.encode()
    )
    with pytest.raises(InvalidStudy):
        read_header(data)


def test_a_path_and_its_bytes_read_alike(tmp_path: Path) -> None:
    data = part10(dx_dataset())
    (tmp_path / "file.dcm").write_bytes(data)
    assert to_instance(read_header(tmp_path / "file.dcm")) == to_instance(read_header(data))


WHOLE = {syntax: part10(dx_dataset(SOPInstanceUID="2.25.1"), syntax) for syntax in NATIVE}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    syntax=st.sampled_from(NATIVE),
    changes=st.lists(st.tuples(st.integers(132, 700), st.binary(min_size=1, max_size=6)), min_size=1, max_size=4),
    cut=st.integers(0, 700),
)
def test_no_mutation_of_a_file_raises_anything_but_invalid_study(
    syntax: str, changes: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(WHOLE[syntax])
    for at, junk in changes:
        data[at : at + len(junk)] = junk
    whole = bytes(data[: len(data) - cut // 4] if cut > 350 else data)
    refusal = ""
    try:
        ds = read_header(whole)
        check_header(ds)
    except InvalidStudy as error:
        refusal = str(error)
    assert "Canary" not in refusal
    if refusal:
        return
    instance = to_instance(ds)
    to_patient(ds)
    to_study_attributes(ds)
    assert "Canary" not in " ".join(instance.header_flags)


def test_the_libraries_are_silent_once_the_package_is_imported() -> None:
    program = (
        "import io, dicom_node.header.read as read, warnings, pydicom, logging\n"
        "logging.basicConfig(level=0)\n"
        "from tests.contract.dicom_peers import dx_dataset, part10\n"
        "data = part10(dx_dataset()).replace(b'19500101', b'CANARY!!').replace(b'070Y', b'CNRY')\n"
        "ds = read.read_header(data); read.to_instance(ds)\n"
        "str(ds.get('PatientBirthDate')); str(ds.get('PatientAge')); str(ds.get('AccessionNumber'))\n"
    )
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert logging.getLogger("pynetdicom.association").getEffectiveLevel() > logging.CRITICAL


@pytest.mark.parametrize(
    ("age", "birth", "contradicts"),
    [
        ("070Y", "19500101", False),
        ("069Y", "19500101", False),
        ("044Y", "20130101", True),
        ("007Y", "19500101", True),
        ("006M", "20190701", False),
        ("006M", "19990701", True),
        (None, "20200102", True),  # born after the study
        ("070Y", None, False),
        (None, "19500101", False),
    ],
)
def test_an_age_against_the_birth_date_is_said(age: str | None, birth: str | None, contradicts: bool) -> None:
    changes = {"PatientAge": age, "PatientBirthDate": birth, "StudyDate": "20200101"}
    ds = dx_dataset()
    for keyword, value in changes.items():
        if value is None:
            ds.pop(keyword, None)
        else:
            setattr(ds, keyword, value)
    flags = to_instance(read_header(part10(ds))).header_flags
    assert bool({DISAGREE, BORN_LATER} & set(flags)) == contradicts
