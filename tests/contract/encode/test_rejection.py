"""The rejection note, as the standard, IHE and the validators of the field have it."""

from __future__ import annotations

import dataclasses
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from core.domain.report import ObjectKind, RejectedObject
from dicom_node.encode import encode
from tests.contract import conformance
from tests.contract.encode.cases import IMAGE_UID, dx_source, report

SR, SC, SEG, GSPS = (
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.11.1",
)
KOS = "1.2.840.10008.5.1.4.1.1.88.59"
REJECTED = tuple(
    RejectedObject(sop_class_uid=sop_class, sop_instance_uid=f"2.25.{number}", series_instance_uid=f"2.25.9{series}")
    for number, (sop_class, series) in enumerate([(SR, 1), (SC, 2), (SC, 2), (SEG, 3), (GSPS, 4)])
)


def note(**changes: object) -> bytes:
    of = dataclasses.replace(report(), rejected=REJECTED, **changes)
    source = dx_source(PatientName="Right^Name", PatientID="SYN-2")
    (made,) = encode(of, {IMAGE_UID: source}, {}, [ObjectKind.REJECTION_NOTE])
    assert (made.kind, made.sop_class_uid) == (ObjectKind.REJECTION_NOTE, KOS)
    return made.data


def test_the_note_rejects_each_object_for_patient_safety_under_the_corrected_patient() -> None:
    content = pydicom.dcmread(BytesIO(note()))
    (title,) = content.ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning) == (
        "113037",
        "DCM",
        "Rejected for Patient Safety Reasons",
    )
    assert (content.Modality, str(content.PatientName), content.PatientID) == ("KO", "Right^Name", "SYN-2")
    (study,) = content.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == content.StudyInstanceUID
    evidence = {
        (series.SeriesInstanceUID, item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert evidence == {(r.series_instance_uid, r.sop_class_uid, r.sop_instance_uid) for r in REJECTED}
    assert [
        (item.ValueType, item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in references(content)
    ] == [
        ("COMPOSITE", "2.25.0"),
        ("IMAGE", "2.25.1"),
        ("IMAGE", "2.25.2"),
        ("IMAGE", "2.25.3"),
        ("COMPOSITE", "2.25.4"),
    ]


def test_the_title_is_that_of_the_standards_table() -> None:
    """PS3.16 CID 7010, as pydicom has it; CID 7011 has reasons about pictures, and no titles."""
    code = codes.cid7010.RejectedForPatientSafetyReasons
    (title,) = pydicom.dcmread(BytesIO(note())).ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning) == tuple(code)[:3]
    assert not hasattr(codes.cid7011, "RejectedForPatientSafetyReasons")


def references(content: Dataset) -> list[Dataset]:
    return [item for item in content.ContentSequence if "ReferencedSOPSequence" in item]


def test_the_same_note_has_the_same_bytes_and_another_list_another_uid() -> None:
    assert note() == note()
    of = dataclasses.replace(report(), rejected=REJECTED[:1])
    (other,) = encode(of, {IMAGE_UID: dx_source()}, {}, [ObjectKind.REJECTION_NOTE])
    assert other.sop_instance_uid != pydicom.dcmread(BytesIO(note())).SOPInstanceUID


def test_a_report_that_rejects_nothing_has_no_note() -> None:
    assert encode(report(), {IMAGE_UID: dx_source()}, {}, [ObjectKind.REJECTION_NOTE]) == ()


def test_the_validators_of_the_field_find_nothing(tmp_path: Path) -> None:
    file = tmp_path / "note.dcm"
    file.write_bytes(note())
    assert conformance.dciodvfy(file) == []
    assert conformance.dcmtk_file(file) == []
    assert conformance.dcmtk_sr(file) == []
    assert conformance.pixelmed_sr(file) == []
