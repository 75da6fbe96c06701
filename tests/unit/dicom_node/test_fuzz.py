"""Damaged bytes, by the thousand: refused with a reason, or a picture and a report; never another error."""

from __future__ import annotations

import random
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1

from core.domain.input import ModelInput
from core.domain.report import ImageUse, ObjectKind, ReportStatus
from core.domain.study import Series
from core.errors import InvalidStudy
from dicom_node.encode import encode
from dicom_node.header.checks import check_header
from dicom_node.header.elements import Encoding, top_level_elements
from dicom_node.header.part10 import layout_of
from dicom_node.header.read import read_header, to_instance, to_patient, to_study_attributes
from dicom_node.pixels.decode import decode
from tests.contract.dicom_peers import dx_dataset, part10
from tests.contract.encode import cases
from tests.unit.dicom_node.test_age_and_codes import code
from tests.unit.dicom_node.test_display import IDENTITY, lut

MUTATIONS = 60  # of each of four files; 500 were tried


def native() -> bytes:
    return part10(full())


def implicit() -> bytes:
    return part10(full(), ImplicitVRLittleEndian)


def plain() -> bytes:
    return part10(dx_dataset(WindowCenter=8, WindowWidth=16), ExplicitVRLittleEndian)


def compressed() -> bytes:
    pixels = np.arange(48, dtype="<u2").reshape(8, 6)
    ds = full()
    ds.PixelData = encapsulate([imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=16)])
    ds["PixelData"].is_undefined_length = True
    return part10(ds, JPEGLosslessSV1)


def full():
    return dx_dataset(
        AnatomicRegionSequence=code("51185008"),
        ViewCodeSequence=code("272479007"),
        PatientOrientation=["L", "F"],
        ImageType=["ORIGINAL", "PRIMARY"],
        ShutterShape="CIRCULAR",
        CenterOfCircularShutter=[4, 3],
        RadiusOfCircularShutter=3,
        PixelSpacing=[0.2, 0.2],
        VOILUTSequence=Sequence([lut([4096, 0, 12], IDENTITY)]),
        PixelPaddingValue=47,
    )


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to three values of the header with a stray, changed, lost or repeated byte, or a length that is not right."""
    for _ in range(rng.randint(1, 3)):
        start = layout_of(data).data_set_start
        at = rng.randrange(start, len(data))
        kind = rng.randrange(5)
        byte = bytes([rng.choice([0, 0x20, 0x5C, 0x2E, 0xFF, rng.randrange(256)])])
        data = {
            0: data[:at] + byte + data[at + 1 :],
            1: data[:at] + byte + data[at:],
            2: data[:at] + data[at + 1 :],
            3: data[:at] + data[at : at + 8] + data[at:],
            4: data[:at] + bytes(rng.randrange(256) for _ in range(4)) + data[at + 4 :],
        }[kind]
    return data


@pytest.mark.parametrize("make", [native, implicit, plain, compressed], ids=lambda make: make.__name__)
def test_a_damaged_object_is_refused_or_reported(make) -> None:
    data, rng = make(), random.Random(1)
    outcomes = {take(mutated(data, rng)) for _ in range(MUTATIONS)}
    assert outcomes == {"refused", "no picture", "reported"}


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"])
@pytest.mark.parametrize("stray", [b"\\", b"\0", b" ", b".", b"x", b"\xff", b"\n"])
def test_a_stray_byte_anywhere_in_a_uid(keyword: str, stray: bytes) -> None:
    data = plain()
    element = next(
        element
        for element in top_level_elements(data, Encoding(True, True), start=layout_of(data).data_set_start)
        if element.tag == dx_dataset()[keyword].tag
    )
    for at in range(element.start, element.start + element.length):
        assert take(data[:at] + stray + data[at + 1 :]) in {"refused", "reported"}


def take(data: bytes) -> str:
    """The way of an object from the socket to its report; any other error fails the test."""
    try:
        header = read_header(data)
        check_header(header)
    except InvalidStudy:
        return "refused"
    instance, patient, attributes = to_instance(header), to_patient(header), to_study_attributes(header)
    status, reason = ReportStatus.REPORTED, ""
    try:
        decode(data)
    except InvalidStudy as error:
        status, reason = ReportStatus.NOT_ANALYSED, str(error)
    series = Series(series_instance_uid=instance.series_instance_uid, modality=instance.modality, instances=(instance,))
    study = replace(
        cases.study(),
        study_instance_uid=instance.study_instance_uid,
        patient=patient,
        study_date=attributes.study_date,
        series=(series,),
    )
    reading = cases.reading(instance, what=ModelInput.of(instance), saliencies=(), status=status)
    report = cases.report(study=study, status=status, reason=reason, readings=(reading,))
    encode(
        replace(report, images=(ImageUse(instance=instance, reason=reason),)),
        sources={instance.sop_instance_uid: data},
        images={},
        kinds=frozenset({ObjectKind.SR, ObjectKind.GSPS}),
    )
    return "no picture" if reason else "reported"
