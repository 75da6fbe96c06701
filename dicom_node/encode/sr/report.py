"""The structured report: Comprehensive SR, TID 1500, the one object that says everything.

It is written for every outcome: findings above the operating point, none above it, could not analyse, no model
takes the study, failed. It is always COMPLETE, PRELIMINARY and UNVERIFIED: only a person can change that. The tree
is built from highdicom's checked content items; the document around it is ours, because highdicom takes its
times from the clock and the same report must give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import highdicom.sr as hd
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ComprehensiveSRStorage

from core.domain.report import CohortMetric, ObjectKind, Reading, Report, ReportStatus, ResultObject
from dicom_node.encode import concepts
from dicom_node.encode.shell import DISCLAIMER, new_object, reference, to_result
from dicom_node.encode.sources import Sources, which_reading
from dicom_node.encode.sr.content import (
    CONTAINS,
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    code,
    container,
    text,
)
from dicom_node.encode.sr.groups import cohort_group, finding_group, unread_group
from dicom_node.encode.uids import device_uid, sr_uid
from dicom_node.encode.writing import settle
from dicom_node.header.part10 import MANUFACTURER

_LANGUAGE = hd.CodedConcept("en-US", "RFC5646", "English (United States)")
_OBSERVER_TYPE = hd.CodedConcept("121005", "DCM", "Observer Type")
_DEVICE = hd.CodedConcept("121007", "DCM", "Device")


def encode_sr(report: Report, sources: Sources) -> ResultObject:
    """Write the report as a Comprehensive SR (PS3.3 A.35.3, PS3.16 TID 1500)."""
    document = new_object(report, sources.study, ObjectKind.SR, ComprehensiveSRStorage, models=report.models)
    document.CodingSchemeIdentificationSequence = concepts.coding_schemes()
    document.CompletionFlag = "COMPLETE"
    document.PreliminaryFlag = "PRELIMINARY"
    document.VerificationFlag = "UNVERIFIED"
    document.PerformedProcedureCodeSequence = Sequence()
    document.ReferencedPerformedProcedureStepSequence = Sequence()
    if images := [*sources.images, *(image for image, _ in _unread(sources))]:
        by_series: dict[str, list[Dataset]] = {}
        for image in images:
            by_series.setdefault(image.SeriesInstanceUID, []).append(reference(image))
        document.CurrentRequestedProcedureEvidenceSequence = [_evidence(report, by_series)]
    if report.predecessor_sop_instance_uid:
        document.PredecessorDocumentsSequence = [_predecessor(report)]
    document.update(_tree(report, sources))
    settle(document)
    return to_result(ObjectKind.SR, document, sr_uid(report))


def _evidence(report: Report, by_series: Mapping[str, list[Dataset]]) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = report.study.study_instance_uid
    study.ReferencedSeriesSequence = [_series(uid, instances) for uid, instances in by_series.items()]
    return study


def _series(series_instance_uid: str, instances: list[Dataset]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = series_instance_uid
    series.ReferencedSOPSequence = instances
    return series


def _predecessor(report: Report) -> Dataset:
    instance = Dataset()
    instance.ReferencedSOPClassUID = ComprehensiveSRStorage
    instance.ReferencedSOPInstanceUID = report.predecessor_sop_instance_uid
    return _evidence(report, {report.predecessor_series_instance_uid: [instance]})


def _tree(report: Report, sources: Sources) -> hd.ContainerContentItem:
    children: list[hd.ContentItem] = [*hd.LanguageOfContentItemAndDescendants(_LANGUAGE), *_observer(report)]
    procedure = concepts.PROCEDURES.get(sources.study.get("Modality", ""), concepts.ANY_PROCEDURE)
    children.append(code(concepts.PROCEDURE_REPORTED, procedure, HAS_CONCEPT_MOD))
    if images := sources.images:
        children.append(_image_library(images, _unread(sources)))
    if groups := _groups(report, sources):
        children.append(container(concepts.IMAGING_MEASUREMENTS, groups))
    children.append(container(concepts.QUALITATIVE_EVALUATIONS, _overall(report)))
    return container(concepts.IMAGING_MEASUREMENT_REPORT, children, relationship=None, template="1500")


def _observer(report: Report) -> list[hd.ContentItem]:
    """The observer is the model version (TID 1004); Candor itself where none or several read: groups name theirs."""
    model = report.models[0] if len(report.models) == 1 else None
    identity = hd.DeviceObserverIdentifyingAttributes(
        uid=device_uid(model),
        name=f"{model.name} {model.version}" if model else MANUFACTURER,
        manufacturer_name=model.manufacturer or None if model else MANUFACTURER,
        model_name=model.name if model else MANUFACTURER,
        serial_number=model.version if model else None,
    )
    return [code(_OBSERVER_TYPE, _DEVICE, HAS_OBS_CONTEXT), *identity]


def _unread(sources: Sources) -> list[tuple[Dataset, str]]:
    """The images that no model was to read, with the reason; not one that the report names anyway."""
    named = {image.SOPInstanceUID for image in sources.images}
    return [
        (image, reason) for image, reason in sources.not_read if image.get("SOPInstanceUID", "") not in {"", *named}
    ]


def _image_library(images: list[Dataset], unread: list[tuple[Dataset, str]]) -> hd.ContentItem:
    """The images that the report speaks of (TID 1600), and those of the study that were not read, each with why."""
    children = [_library_entry(image) for image in images]
    children += [_library_entry(image, f"Not read, because {reason}.") for image, reason in unread]
    return container(concepts.IMAGE_LIBRARY, [container(concepts.IMAGE_LIBRARY_GROUP, children)])


def _library_entry(source: Dataset, unread: str = "") -> hd.ContentItem:
    image = hd.ImageContentItem(
        name=hd.CodedConcept("260753009", "SCT", "Source"),
        referenced_sop_class_uid=source.SOPClassUID,
        referenced_sop_instance_uid=source.SOPInstanceUID,
        relationship_type=CONTAINS,
    )
    properties: list[hd.ContentItem] = []
    if modality := concepts.MODALITIES.get(source.get("Modality", "")):
        properties.append(code(concepts.MODALITY, modality, HAS_ACQ_CONTEXT))
    if unread:
        properties.append(text(concepts.REASON, unread, HAS_ACQ_CONTEXT))
    if properties:
        image.ContentSequence = Sequence(properties)
    return image


def _groups(report: Report, sources: Sources) -> list[hd.ContentItem]:
    """The findings of all readings, what could not be read besides, and how well the models do for this patient."""
    groups = [finding_group(subject, _read_images(report, subject.reading, sources)) for subject in sources.subjects()]
    if len(report.readings) > 1:
        groups += [
            unread_group(report, reading, _read_images(report, reading, sources))
            for reading in report.readings
            if reading.status is not ReportStatus.REPORTED
        ]
    return groups + list(_cohort_groups(report))


def _read_images(report: Report, reading: Reading, sources: Sources) -> list[hd.ContentItem]:
    """References to what a reading is of; none where the image library has nothing else."""
    if len(report.inputs) == 1:
        return []
    headers = [sources.of(instance) for instance in reading.what.instances]
    return [hd.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID) for header in headers]


def _cohort_groups(report: Report) -> Iterator[hd.ContentItem]:
    """Each statement once, although several images of a patient lead to it."""
    said: set[tuple[str, CohortMetric]] = set()
    for reading in report.readings:
        for metric in reading.cohorts:
            if (reading.model.device_uid, metric) not in said:
                said.add((reading.model.device_uid, metric))
                yield cohort_group(report, reading, metric)


def _overall(report: Report) -> list[hd.ContentItem]:
    """What the report comes to, in a standard code and in plain words, and what to keep in mind when reading it."""
    items: list[hd.ContentItem] = [
        code(concepts.PROCESSING_SUMMARY, _summary(report)),
        text(concepts.STATEMENT, statement(report)),
    ]
    if report.reason:
        items.append(text(concepts.REASON, report.reason))
    items += [text(concepts.REASON, failure) for failure in _failures(report)]
    items += [text(concepts.MAP_WITHHELD, f"No map is shown, because {gate}") for gate in _gates(report)]
    items += [text(concepts.LIMITATION, limitation) for limitation in report.all_limitations if limitation]
    items += [text(concepts.INTENDED_USE, model.intended_use) for model in report.models if model.intended_use]
    items.append(text(concepts.DISCLAIMER_TEXT, f"{DISCLAIMER} Not verified by a person."))
    return items


def _summary(report: Report) -> hd.CodedConcept:
    if report.status is not ReportStatus.REPORTED:
        return concepts.NONE_SUCCEEDED
    positive = any(finding.is_positive for finding in report.findings)
    if any(reading.status is not ReportStatus.REPORTED for reading in report.readings):
        return concepts.SOME_FAILED_WITH_FINDINGS if positive else concepts.SOME_FAILED_WITHOUT_FINDINGS
    return concepts.SUCCEEDED_WITH_FINDINGS if positive else concepts.SUCCEEDED_WITHOUT_FINDINGS


def _gates(report: Report) -> list[str]:
    """Why no map of a model is shown although it has a finding that could have one."""
    positive = [reading for reading in report.readings if any(finding.is_positive for finding in reading.findings)]
    return list(dict.fromkeys(reading.map_gate for reading in positive if reading.map_gate))


def _failures(report: Report) -> list[str]:
    """Which readings have no result although others may have one, each in a sentence."""
    if len(report.readings) == 1:
        return []
    return [
        f"Could not analyse {which_reading(report, reading)}, "
        f"because: {reading.reason.rstrip('.') or 'no reason was given'}."
        for reading in report.readings
        if reading.status is not ReportStatus.REPORTED
    ]


def statement(report: Report) -> str:
    """The outcome of the report in one sentence."""
    reason = report.reason.rstrip(".") or "no reason was given"
    if report.status is ReportStatus.NOT_ANALYSED:
        return f"Could not analyse, because: {reason}."
    if report.status is ReportStatus.REFUSED:
        return f"No model takes this study, because: {reason}."
    if report.status is ReportStatus.FAILED:
        return f"The analysis failed, because: {reason}."
    positive = [
        f"{finding.code.meaning} ({which})" if (which := which_reading(report, reading)) else finding.code.meaning
        for reading in report.readings
        for finding in reading.findings
        if finding.is_positive
    ]
    if not positive:
        return "No finding above the operating point."
    return f"Above the operating point: {', '.join(positive)}."
