"""The structured report: Comprehensive SR, TID 1500, the one object that says everything.

It is written for every outcome: findings above the operating point, none above it, could not analyse, no model
takes the study, failed. It is always COMPLETE, PRELIMINARY and UNVERIFIED: only a person can change that. The tree
is built from highdicom's checked content items; the document around it is ours, because highdicom takes its
times from the clock and the same report must give the same bytes.
"""

from __future__ import annotations

import highdicom.sr as hd
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ComprehensiveSRStorage

from core.domain.report import ObjectKind, Report, ReportStatus, ResultObject
from dicom_node.encode import concepts
from dicom_node.encode.shell import DISCLAIMER, new_object, reference, to_result
from dicom_node.encode.sr.content import (
    CONTAINS,
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    code,
    container,
    text,
)
from dicom_node.encode.sr.groups import cohort_group, finding_group
from dicom_node.encode.uids import device_uid
from dicom_node.encode.writing import settle
from dicom_node.header.part10 import MANUFACTURER

_LANGUAGE = hd.CodedConcept("en-US", "RFC5646", "English (United States)")
_OBSERVER_TYPE = hd.CodedConcept("121005", "DCM", "Observer Type")
_DEVICE = hd.CodedConcept("121007", "DCM", "Device")


def encode_sr(report: Report, source: Dataset) -> ResultObject:
    """Write the report as a Comprehensive SR (PS3.3 A.35.3, PS3.16 TID 1500).

    `source` is the cleaned header of the analysed image, or of any image of the study when none was analysed.
    """
    document = new_object(report, source, ObjectKind.SR, ComprehensiveSRStorage)
    document.CodingSchemeIdentificationSequence = concepts.coding_schemes()
    document.CompletionFlag = "COMPLETE"
    document.PreliminaryFlag = "PRELIMINARY"
    document.VerificationFlag = "UNVERIFIED"
    document.PerformedProcedureCodeSequence = Sequence()
    document.ReferencedPerformedProcedureStepSequence = Sequence()
    if "SOPInstanceUID" in source:
        document.CurrentRequestedProcedureEvidenceSequence = [
            _evidence(report, source.SeriesInstanceUID, reference(source))
        ]
    if report.predecessor_sop_instance_uid:
        document.PredecessorDocumentsSequence = [_predecessor(report)]
    document.update(_tree(report, source))
    settle(document)
    return to_result(report, ObjectKind.SR, document)


def _evidence(report: Report, series_instance_uid: str, instance: Dataset) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = series_instance_uid
    series.ReferencedSOPSequence = [instance]
    study = Dataset()
    study.StudyInstanceUID = report.study.study_instance_uid
    study.ReferencedSeriesSequence = [series]
    return study


def _predecessor(report: Report) -> Dataset:
    instance = Dataset()
    instance.ReferencedSOPClassUID = ComprehensiveSRStorage
    instance.ReferencedSOPInstanceUID = report.predecessor_sop_instance_uid
    return _evidence(report, report.predecessor_series_instance_uid, instance)


def _tree(report: Report, source: Dataset) -> hd.ContainerContentItem:
    children: list[hd.ContentItem] = [*hd.LanguageOfContentItemAndDescendants(_LANGUAGE), *_observer(report)]
    procedure = concepts.PROCEDURES.get(source.get("Modality", ""), concepts.ANY_PROCEDURE)
    children.append(code(concepts.PROCEDURE_REPORTED, procedure, HAS_CONCEPT_MOD))
    if "SOPInstanceUID" in source:
        children.append(_image_library(source))
    if groups := _groups(report, source):
        children.append(container(concepts.IMAGING_MEASUREMENTS, groups))
    children.append(container(concepts.QUALITATIVE_EVALUATIONS, _overall(report)))
    return container(concepts.IMAGING_MEASUREMENT_REPORT, children, relationship=None, template="1500")


def _observer(report: Report) -> list[hd.ContentItem]:
    """The observer is the model version (TID 1004); Candor itself where no model speaks."""
    model = report.model
    identity = hd.DeviceObserverIdentifyingAttributes(
        uid=device_uid(model),
        name=f"{model.name} {model.version}" if model else MANUFACTURER,
        manufacturer_name=model.manufacturer or None if model else MANUFACTURER,
        model_name=model.name if model else MANUFACTURER,
        serial_number=model.version if model else None,
    )
    return [code(_OBSERVER_TYPE, _DEVICE, HAS_OBS_CONTEXT), *identity]


def _image_library(source: Dataset) -> hd.ContentItem:
    """The image that the report speaks of (TID 1600)."""
    image = hd.ImageContentItem(
        name=hd.CodedConcept("260753009", "SCT", "Source"),
        referenced_sop_class_uid=source.SOPClassUID,
        referenced_sop_instance_uid=source.SOPInstanceUID,
        relationship_type=CONTAINS,
    )
    children: list[hd.ContentItem] = [image]
    if modality := concepts.MODALITIES.get(source.get("Modality", "")):
        image.ContentSequence = Sequence([code(concepts.MODALITY, modality, HAS_ACQ_CONTEXT)])
    return container(concepts.IMAGE_LIBRARY, [container(concepts.IMAGE_LIBRARY_GROUP, children)])


def _groups(report: Report, source: Dataset) -> list[hd.ContentItem]:
    if report.model is None:
        return []
    findings = [finding_group(report, report.model, finding, source) for finding in report.findings]
    return findings + [cohort_group(report, metric) for metric in report.cohorts]


def _overall(report: Report) -> list[hd.ContentItem]:
    """What the report comes to, in a standard code and in plain words, and what to keep in mind when reading it."""
    items: list[hd.ContentItem] = [
        code(concepts.PROCESSING_SUMMARY, _summary(report)),
        text(concepts.STATEMENT, statement(report)),
    ]
    if report.reason:
        items.append(text(concepts.REASON, report.reason))
    if report.explanation_gate and any(finding.is_positive for finding in report.findings):
        items.append(text(concepts.MAP_WITHHELD, f"No map is shown, because {report.explanation_gate}"))
    items += [text(concepts.LIMITATION, limitation) for limitation in report.limitations if limitation]
    if report.model and report.model.intended_use:
        items.append(text(concepts.INTENDED_USE, report.model.intended_use))
    items.append(text(concepts.DISCLAIMER_TEXT, f"{DISCLAIMER} Not verified by a person."))
    return items


def _summary(report: Report) -> hd.CodedConcept:
    if report.status is not ReportStatus.REPORTED:
        return concepts.NONE_SUCCEEDED
    positive = any(finding.is_positive for finding in report.findings)
    return concepts.SUCCEEDED_WITH_FINDINGS if positive else concepts.SUCCEEDED_WITHOUT_FINDINGS


def statement(report: Report) -> str:
    """The outcome of the report in one sentence."""
    reason = report.reason.rstrip(".") or "no reason was given"
    if report.status is ReportStatus.NOT_ANALYSED:
        return f"Could not analyse, because: {reason}."
    if report.status is ReportStatus.REFUSED:
        return f"No model takes this study, because: {reason}."
    if report.status is ReportStatus.FAILED:
        return f"The analysis failed, because: {reason}."
    positive = [finding.code.meaning for finding in report.findings if finding.is_positive]
    if not positive:
        return "No finding above the operating point."
    return f"Above the operating point: {', '.join(positive)}."
