"""Sources as scanners write them: what is malformed is left out, who the patient is stays, and nothing is printed."""

from __future__ import annotations

import dataclasses
import logging
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from core.domain.report import ObjectKind
from core.domain.study import Study
from dicom_node.encode import encode
from dicom_node.encode.source import read_source
from tests.contract.encode.cases import IMAGE_UID, dx_source, image, report, saliency, study

REAL_FILES = Path(__file__).parents[4] / "shared" / "data" / "dicom"


def raw_source(**texts: bytes) -> bytes:
    """A DX source with raw bytes in place of some values, as no toolkit would write them."""
    source = pydicom.dcmread(BytesIO(dx_source(SpecificCharacterSet=None)))
    for keyword, value in texts.items():
        tag = pydicom.tag.Tag(keyword)
        vr = pydicom.datadict.dictionary_VR(keyword)
        padded = value + b" " * (len(value) % 2)
        source[tag] = pydicom.dataelem.RawDataElement(tag, vr, len(padded), padded, 0, False, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = BytesIO()
        source.save_as(buffer)
    return buffer.getvalue()


def results(source: bytes) -> list[Dataset]:
    encoded = encode(report(), {IMAGE_UID: source}, {IMAGE_UID: image()}, list(ObjectKind))
    return [pydicom.dcmread(BytesIO(result.data)) for result in encoded]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientAge", b"81"),
        ("PatientAge", b"000Y e+1"),
        ("PatientSex", b"female"),
        ("PatientBirthDate", b"19501399"),
        ("StudyDate", b"01.03.2026"),
        ("StudyTime", b"noon"),
        ("BodyPartExamined", b"Chest (upright)"),
        ("PatientOrientation", b"left"),
        ("ImagerPixelSpacing", b"0.000\\0.000"),
        ("WindowWidth", b"abc"),
        ("StudyDescription", b"x" * 80),
        ("TimezoneOffsetFromUTC", b"Berlin"),
    ],
)
def test_a_malformed_value_is_left_out_without_a_sound(
    keyword: str, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        made = results(raw_source(**{keyword: value}))
    assert len(made) == 6
    for result in made:
        assert value.decode() not in [str(element.value) for element in result.iterall()]
    assert value.decode() not in caplog.text


@pytest.mark.parametrize(
    ("keyword", "value", "meant"),
    [
        ("PatientAge", b"7Y", "007Y"),
        ("PatientAge", b"61y", "061Y"),
        ("PatientAge", b"18 M", "018M"),
        ("PatientAge", b"0007Y", "007Y"),
        ("PatientBirthDate", b"1950.01.02", "19500102"),
        ("StudyDate", b"2026-11-24", "20261124"),
        ("StudyTime", b"9:30", "0930"),
        ("StudyTime", b"09:30:15.5", "093015.5"),
        ("PatientSex", b"m", "M"),
    ],
)
def test_what_can_only_be_meant_one_way_is_written_as_the_standard_does(keyword: str, value: bytes, meant: str) -> None:
    (sr,) = encode(report(), {IMAGE_UID: raw_source(**{keyword: value})}, {}, [ObjectKind.SR])
    assert str(pydicom.dcmread(BytesIO(sr.data))[keyword].value) == meant


def test_missing_attributes_of_type_2_are_there_and_empty() -> None:
    missing: dict[str, Any] = dict.fromkeys(
        ("StudyDate", "StudyTime", "StudyID", "PatientSex", "PatientBirthDate", "AccessionNumber", "PatientID"), None
    )
    for result in results(dx_source(**missing, PatientName=None, PatientOrientation=None)):
        assert all(not result[keyword].value for keyword in (*missing, "PatientName"))


def test_identity_is_repeated_as_it_came_even_where_it_is_too_long(caplog: pytest.LogCaptureFixture) -> None:
    accession = b"ACCESSION-NUMBER-OF-30-LETTERS"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = results(raw_source(AccessionNumber=accession, PatientName=b"Mononym"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert {result.AccessionNumber for result in made} == {accession.decode()}
        assert {str(result.PatientName) for result in made} == {"Mononym"}
    assert "Mononym" not in caplog.text


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "Müller^Jürgen"),
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 144", "\u041b\u044e\u043a\u0441"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_in_every_script_stay_what_they_are(character_set: str | list[str], name: str) -> None:
    for result in results(dx_source(SpecificCharacterSet=character_set, PatientName=name)):
        assert result.SpecificCharacterSet == character_set
        assert str(result.PatientName) == name


def test_latin_letters_without_a_declared_character_set_are_read_as_latin_1() -> None:
    source = raw_source(PatientName="Müller^Jürgen".encode("latin-1"))
    assert {str(result.PatientName) for result in results(source)} == {"Müller^Jürgen"}


@pytest.mark.filterwarnings("ignore:Unknown encoding")
def test_an_unknown_character_set_does_not_stop_the_report() -> None:
    assert len(results(raw_source(SpecificCharacterSet=b"ISO_IR 9999"))) == 6


def test_times_are_given_in_the_zone_that_the_source_declares() -> None:
    for result in results(dx_source(TimezoneOffsetFromUTC="-0500")):
        assert (result.InstanceCreationTime, result.TimezoneOffsetFromUTC) == ("043015.250000", "-0500")


def test_text_of_ours_in_any_script_survives() -> None:
    of = report(limitations=("体位は不明", "naïve déjà vu"))
    (sr,) = encode(of, {IMAGE_UID: dx_source()}, {}, [ObjectKind.SR])
    text = [str(element.value) for element in pydicom.dcmread(BytesIO(sr.data)).iterall()]
    assert "体位は不明" in text
    assert "naïve déjà vu" in text


def of_image(study_instance_uid: str, sop_instance_uid: str) -> Study:
    instance = dataclasses.replace(study().instances[0], sop_instance_uid=sop_instance_uid)
    series = dataclasses.replace(study().series[0], instances=(instance,))
    return dataclasses.replace(study(), study_instance_uid=study_instance_uid, series=(series,))


@pytest.mark.parametrize("name", ["RG1_JLSN", "RG2_RLE", "RG3_JPLY", "nih_chest_1024"])
def test_real_radiographs_are_sources(name: str) -> None:
    file = REAL_FILES / f"{name}.dcm"
    if not file.exists():
        pytest.skip("../shared/data/dicom is not here")
    part10 = file.read_bytes()
    header = read_source(part10)
    rows, columns = header.Rows, header.Columns
    of = report(
        study=of_image(header.StudyInstanceUID, header.SOPInstanceUID),
        saliencies=(saliency(rows, columns, sop_instance_uid=header.SOPInstanceUID),),
    )
    seen = image(rows, columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = encode(of, {header.SOPInstanceUID: part10}, {header.SOPInstanceUID: seen}, list(ObjectKind))
    binary = pydicom.dcmread(BytesIO(next(one.data for one in made if one.kind is ObjectKind.SEG)))
    assert (binary.Rows, binary.Columns) == (rows, columns)
    np.testing.assert_array_equal(binary.pixel_array.astype(bool), saliency(rows, columns).mask)
    original = pydicom.dcmread(file, stop_before_pixels=True)
    for result in made:
        assert pydicom.dcmread(BytesIO(result.data), stop_before_pixels=True).PatientID == original.PatientID
