"""Synthetic sources and reports for the encoder's tests: small, of no real patient, messy where a test asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from core.domain.code import Code
from core.domain.explanation import Faithfulness, Region, Saliency
from core.domain.input import ModelInput
from core.domain.model import FindingDefinition, ModelVersion, OperatingPoint
from core.domain.report import CohortMetric, Finding, Reading, Report, ReportStatus
from core.domain.study import Image, Instance, Patient, Series, Study

STUDY_UID, SERIES_UID, IMAGE_UID = "1.2.826.0.1.1.1", "1.2.826.0.1.1.2", "1.2.826.0.1.1.3"
OPACITY = Code(value="RID28530", scheme="RADLEX", meaning="Lung opacity")
EFFUSION = Code(value="60046008", scheme="SCT", meaning="Pleural effusion")
CLASS_ACTIVATION = Code(value="130402", scheme="DCM", meaning="Class activation")
POINT = OperatingPoint(
    threshold=0.5,
    sensitivity=0.87,
    specificity=0.9,
    sensitivity_interval=(0.82, 0.91),
    specificity_interval=(0.88, 0.92),
    positives=204,
    negatives=1012,
)
MODEL = ModelVersion(
    card_sha256="cd" * 32,
    name="chest_radiograph",
    version="1.0.0",
    sha256="ab" * 32,
    manufacturer="Candor project",
    device_uid="2.25.1234567890",
    findings=(
        FindingDefinition(name="lung_opacity", code=OPACITY, operating_point=POINT),
        FindingDefinition(name="effusion", code=EFFUSION, operating_point=POINT),
    ),
    intended_use="Frontal chest radiographs of adults.",
    not_for=("Ruling out disease.",),
    not_looked_for=("pneumothorax", "fracture"),
)
COHORT = CohortMetric(
    finding_name="lung_opacity",
    cohort="sex=F & age_band=60-79 & view=AP",
    sensitivity=0.85,
    sensitivity_interval=(0.79, 0.9),
    specificity=0.88,
    specificity_interval=(0.84, 0.91),
    positives=144,
    negatives=380,
    source="the model's validation data",
    fallback="sex=F & age_band=60-79 & view=AP & portable=yes",
)
SCARCE_COHORT = CohortMetric(
    finding_name="effusion",
    cohort="age_band=0-17",
    sensitivity=None,
    sensitivity_interval=None,
    specificity=0.88,
    specificity_interval=None,
    positives=12,
    negatives=60,
    source="local reads to 2026-10-31, audit 12",
)


def dx_source(rows: int = 64, columns: int = 48, **changes: Any) -> bytes:
    """A DX image of no real patient; `changes` set attributes by keyword, None removes one."""
    image = Dataset()
    for keyword, value in {**_DX, "Rows": rows, "Columns": columns, **changes}.items():
        if value is not None:
            setattr(image, keyword, value)
    ramp = np.linspace(0, 4095, rows * columns).astype(np.uint16).reshape(rows, columns)
    image.PixelData = ramp.tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()


_DX: dict[str, object] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "SOPClassUID": DigitalXRayImageStorageForPresentation,
    "SOPInstanceUID": IMAGE_UID,
    "StudyInstanceUID": STUDY_UID,
    "SeriesInstanceUID": SERIES_UID,
    "Modality": "DX",
    "PatientName": "Syn^Thetic",
    "PatientID": "SYN-1",
    "PatientBirthDate": "19500102",
    "PatientSex": "F",
    "PatientAge": "075Y",
    "StudyDate": "20260301",
    "StudyTime": "101500",
    "StudyID": "S1",
    "AccessionNumber": "A1",
    "ReferringPhysicianName": "",
    "BodyPartExamined": "CHEST",
    "ImageLaterality": "U",
    "PatientOrientation": ["L", "F"],
    "PhotometricInterpretation": "MONOCHROME2",
    "SamplesPerPixel": 1,
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "ImagerPixelSpacing": [0.2, 0.2],
    "RescaleIntercept": 0,
    "RescaleSlope": 1,
    "RescaleType": "US",
    "WindowCenter": 2048,
    "WindowWidth": 4096,
    "LossyImageCompression": "00",
}


CT: dict[str, object] = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    "Modality": "CT",
    "PatientOrientation": None,
    "ImageLaterality": None,
    "ImagerPixelSpacing": None,
    "PixelSpacing": [0.5, 0.25],
    "FrameOfReferenceUID": "1.2.826.0.1.1.4",
    "ImagePositionPatient": [-10, -20, 30],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "SliceThickness": 2.5,
}
"""What makes a DX a CT: where it is in the patient."""


def finding(name: str = "lung_opacity", probability: float = 0.8712345, code: Code = OPACITY) -> Finding:
    return Finding(name=name, code=code, probability=probability, score=1.25, operating_point=POINT)


FAITHFULNESS = Faithfulness(
    deletion_auc=0.21, insertion_auc=0.74, null_percentile=98.0, stability=0.91, forward_passes=24
)


def saliency(rows: int = 64, columns: int = 48, **changes: object) -> Saliency:
    """A map with two rectangles, the smaller one first, and their outlines."""
    values = np.zeros((rows, columns), np.float32)
    small, large = (4, 4, 10, 12), (rows // 2, columns // 4, rows - 6, columns - 8)
    for strength, (top, left, bottom, right) in zip((0.6, 1.0), (small, large), strict=True):
        values[top:bottom, left:right] = strength
    facts: dict[str, object] = {
        "finding_name": "lung_opacity",
        "sop_instance_uid": IMAGE_UID,
        "method": CLASS_ACTIVATION,
        "values": values,
        "mask": values >= 0.5,
        "regions": (_rectangle(*small), _rectangle(*large)),
        "faithfulness": FAITHFULNESS,
    }
    return Saliency(**{**facts, **changes})  # type: ignore[arg-type]


def _rectangle(top: int, left: int, bottom: int, right: int) -> Region:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return Region(points=np.asarray(corners, np.float32), area_pixels=float((bottom - top) * (right - left)))


def study(revision: int = 1) -> Study:
    instance = Instance(
        sop_instance_uid=IMAGE_UID,
        sop_class_uid=DigitalXRayImageStorageForPresentation,
        series_instance_uid=SERIES_UID,
        study_instance_uid=STUDY_UID,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        modality="DX",
    )
    return Study(
        study_id="pseudonym",
        study_instance_uid=STUDY_UID,
        revision=revision,
        patient=Patient(patient_id="SYN-1", patient_name="Syn^Thetic", patient_birth_date=date(1950, 1, 2)),
        series=(Series(series_instance_uid=SERIES_UID, modality="DX", instances=(instance,)),),
    )


def report(**changes: object) -> Report:
    """A report of one reading, with a positive finding with a map, a negative one and a cohort statement.

    `changes`: of the report, or of its reading; `model` None for a report without one.
    """
    facts: dict[str, Any] = {
        "study": study(),
        "status": ReportStatus.REPORTED,
        "created_at": datetime(2026, 3, 1, 9, 30, 15, 250000, UTC),
        "limitations": ("PatientID is empty: not linked with any other study",),
    }
    of_reading = {name: value for name, value in changes.items() if name in _OF_READING}
    whole = facts | {name: value for name, value in changes.items() if name not in _OF_READING}
    if of_reading.get("model", MODEL) is None:
        return Report(**whole)
    made = reading(whole["study"].instances[0], **{"status": whole["status"], **of_reading})
    return Report(**{"readings": (made,), **whole})


_OF_READING = {"model", "findings", "saliencies", "cohorts", "map_gate"}


def reading(of: Instance, **changes: Any) -> Reading:
    """What the model says of one image."""
    facts: dict[str, Any] = {
        "model": MODEL,
        "what": ModelInput.of(of),
        "status": ReportStatus.REPORTED,
        "findings": (finding(), finding("effusion", 0.12, EFFUSION)),
        "saliencies": (saliency(),),
        "cohorts": (COHORT, SCARCE_COHORT),
    }
    return Reading(**{**facts, **changes})


def image(rows: int = 64, columns: int = 48, row_spacing_mm: float = 1.0, column_spacing_mm: float = 1.0) -> Image:
    ramp = np.linspace(0, 1, rows * columns, dtype=np.float32).reshape(rows, columns)
    return Image(pixels=ramp, row_spacing_mm=row_spacing_mm, column_spacing_mm=column_spacing_mm)


def of_cohort() -> Finding:
    """A finding compared with an operating point that a person signed off for one cohort."""
    point = replace(POINT, threshold=0.41, cohort="view=AP", policy="operating policy 3, signed off 2026-11-02")
    return replace(finding(), operating_point=point)


def withheld() -> Saliency:
    return saliency(shown=False, withheld_reason="the model failed the randomisation test")


@dataclass(frozen=True)
class Case:
    """One report with its source and decoded image, by name."""

    name: str
    report: Report
    source: bytes = field(repr=False)
    image: Image = field(repr=False)


def cases() -> list[Case]:
    """One of each kind of report that the encoder must write cleanly."""
    negative = (finding(probability=0.2), finding("effusion", 0.12, EFFUSION))
    silent: dict[str, object] = {"findings": (), "saliencies": (), "cohorts": ()}
    not_analysed = report(status=ReportStatus.NOT_ANALYSED, reason="the pixel data is truncated", **silent)
    refused = report(status=ReportStatus.REFUSED, reason="no model takes a hip", model=None, **silent)
    failed = report(status=ReportStatus.FAILED, reason="the model's process ended", model=None, **silent)
    superseding = report(
        study=study(revision=2), predecessor_sop_instance_uid="2.25.77", predecessor_series_instance_uid="2.25.78"
    )
    inverse = dx_source(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    oblong = dx_source(ImagerPixelSpacing=[0.4, 0.2])
    plain, seen = dx_source(), image()
    return [
        Case("positive", report(), plain, seen),
        Case("negative", report(findings=negative, saliencies=()), plain, seen),
        Case("withheld", report(saliencies=(withheld(),)), plain, seen),
        Case("without_map", report(saliencies=()), plain, seen),
        Case("not_analysed", not_analysed, plain, seen),
        Case("refused", refused, plain, seen),
        Case("failed", failed, plain, seen),
        Case("superseding", superseding, plain, seen),
        Case("cohort_point", report(findings=(of_cohort(), finding("effusion", 0.12, EFFUSION))), plain, seen),
        Case("monochrome1", report(), inverse, seen),
        Case("non_square", report(), oblong, image(row_spacing_mm=0.4, column_spacing_mm=0.2)),
        Case("ct", report(), dx_source(**CT), image(row_spacing_mm=0.5, column_spacing_mm=0.25)),
        Case("map gate", report(saliencies=(withheld(),), map_gate="the maps failed a test"), plain, seen),
    ]
