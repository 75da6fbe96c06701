"""Is it the same picture, and what does its header say otherwise?"""

from collections.abc import Callable
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from core.domain.identity import Correction
from dicom_node.header.corrected import correction_of
from tests.contract.encode.cases import dx_source

FIRST = dx_source(InstitutionName="Canary Clinic", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jürgen")


def changed(change: Callable[[Dataset], None], syntax: str = ExplicitVRLittleEndian, first: bytes = FIRST) -> bytes:
    """The first file with a change of its data set, in a transfer syntax."""
    dataset = pydicom.dcmread(BytesIO(first))
    change(dataset)
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    pydicom.dcmwrite(
        buffer,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        force_encoding=True,
    )
    return buffer.getvalue()


def setting(**values: object) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


@pytest.mark.parametrize(
    ("values", "keywords", "names_patient"),
    [
        ({"PatientName": "Muster^Jürgen"}, ("PatientName",), True),
        ({"PatientID": "SYN-2", "PatientName": "X^Y"}, ("PatientName", "PatientID"), True),
        ({"IssuerOfPatientID": "SITE"}, ("IssuerOfPatientID",), True),
        ({"PatientBirthDate": ""}, ("PatientBirthDate",), True),
        ({"PatientSex": "M"}, ("PatientSex",), True),
        ({"AccessionNumber": "A2", "StudyDate": "20260302"}, ("AccessionNumber", "StudyDate"), False),
        ({"ViewPosition": "LL"}, ("ViewPosition",), False),
        ({"ImageLaterality": "L"}, ("ImageLaterality",), False),
        ({"PatientName": "Müller^Jürgen^^^"}, (), False),
        ({"InstitutionName": "Another"}, (), False),
        ({"SpecificCharacterSet": "ISO_IR 192"}, (), False),  # the same name in other bytes
        ({"PatientComments": "merged"}, (), False),
    ],
)
def test_what_the_header_says_otherwise(values, keywords, names_patient):
    assert correction_of(FIRST, changed(setting(**values))) == Correction(
        keywords=keywords, names_patient=names_patient
    )


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_native_pixels_in_any_encoding_are_the_same_picture(syntax):
    def swap(dataset: Dataset) -> None:
        if syntax == ExplicitVRBigEndian:
            words = bytearray(dataset.PixelData)
            words[0::2], words[1::2] = words[1::2], words[0::2]
            dataset.PixelData = bytes(words)

    found = correction_of(FIRST, changed(swap, syntax))
    assert found is not None
    assert found.keywords == ()


def encapsulated(frame: bytes, **options: object) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        dataset.PixelData = encapsulate([frame], **options)
        dataset["PixelData"].is_undefined_length = True

    return change


def test_fragments_with_and_without_an_offset_table_are_the_same_picture():
    frame = bytes(range(200)) * 4
    one = changed(encapsulated(frame, has_bot=True), RLELossless)
    two = changed(encapsulated(frame, has_bot=False, fragments_per_frame=4), RLELossless)
    other = changed(encapsulated(frame[:-2] + b"zz"), RLELossless)
    assert correction_of(one, two) == Correction(keywords=(), names_patient=False)
    assert correction_of(one, other) is None
    assert correction_of(FIRST, one) is None, "what would have to be decoded is for a person"


def other_pixels(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:-1] + b"\x01"


def without_pixels(dataset: Dataset) -> None:
    del dataset.PixelData


@pytest.mark.parametrize(
    "change",
    [
        other_pixels,
        without_pixels,
        setting(WindowCenter=100),
        setting(PhotometricInterpretation="MONOCHROME1"),
        setting(Rows=48, Columns=64),
        setting(ShutterShape="RECTANGULAR", ShutterLeftVerticalEdge=3),
        setting(SeriesInstanceUID="1.2.3.4"),
        setting(StudyInstanceUID="1.2.3.4"),
        setting(SOPClassUID="1.2.840.10008.5.1.4.1.1.1"),
    ],
)
def test_what_is_seen_otherwise_is_another_picture(change):
    assert correction_of(FIRST, changed(change)) is None


def test_what_cannot_be_read_is_no_correction():
    assert correction_of(FIRST, b"no file") is None
    assert correction_of(FIRST[:200], FIRST) is None
