"""The structured report: Comprehensive SR, TID 1500, the one object that says everything, its conclusion first.

It is written for every outcome: flagged findings, none flagged, could not analyse, no model takes the study, failed.
It is always COMPLETE, PRELIMINARY and UNVERIFIED: only a person can change that. The tree is built
from highdicom's checked content items; the document around it is ours, because highdicom takes its times from the clock
and the same report must give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

import highdicom.sr as hd
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ComprehensiveSRStorage

from core.conclusion import conclusion_of
from core.domain.model import ModelVersion
from core.domain.report import Finding, ObjectKind, Reading, Report, ReportStatus, ResultObject
from dicom_node.encode import concepts
from dicom_node.encode.shell import DISCLAIMER, new_object, reference, to_result, zone_of
from dicom_node.encode.sources import Sources
from dicom_node.encode.sr.anatomy import procedure_of, region_of
from dicom_node.encode.sr.content import (
    CONTAINS,
    HAS_ACQ_CONTEXT,
    HAS_OBS_CONTEXT,
    code,
    container,
    text,
)
from dicom_node.encode.sr.groups import finding_group, has_region, unread_group
from dicom_node.encode.uids import device_uid, sr_uid
from dicom_node.encode.writing import settle
from dicom_node.header.part10 import MANUFACTURER

_LANGUAGE = hd.CodedConcept("en-US", "RFC5646", "English (United States)")
_OBSERVER_TYPE = hd.CodedConcept("121005", "DCM", "Observer Type")
_DEVICE = hd.CodedConcept("121007", "DCM", "Device")


def encode_sr(report: Report, sources: Sources) -> ResultObject:
    """Write the report as a Comprehensive SR (PS3.3 A.35.3, PS3.16 TID 1500)."""
    document = new_object(
        report,
        sources.study,
        ObjectKind.SR,
        ComprehensiveSRStorage,
        models=report.models,
        number=max(1, report.study.revision),
    )
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
    return to_result(report, sources.study, ObjectKind.SR, document, sr_uid(report))


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
    """The conclusion first, then who says it and what it rests on; small print, UIDs and hashes last."""
    children: list[hd.ContentItem] = [*hd.LanguageOfContentItemAndDescendants(_LANGUAGE)]
    zone = zone_of(sources.study)
    children += [text(concepts.CONCLUSION, line) for line in conclusion_of(report, zone)]
    children += _observer(report)
    children += procedure_of(sources.study, _first(report))
    if images := sources.images:
        children.append(_image_library(report, images, _unread(sources)))
    groups = _groups(report, sources)
    if measured := [group for group in groups if has_region(group)]:
        children.append(container(concepts.IMAGING_MEASUREMENTS, measured))
    without_region = [group for group in groups if not has_region(group)]
    children.append(container(concepts.QUALITATIVE_EVALUATIONS, [*without_region, *_overall(report)]))
    return container(concepts.IMAGING_MEASUREMENT_REPORT, children, relationship=None, template="1500")


def _first(report: Report) -> Reading | None:
    return next(iter(report.readings), None)


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


def _image_library(report: Report, images: list[Dataset], unread: list[tuple[Dataset, str]]) -> hd.ContentItem:
    """The images that the report speaks of (TID 1600), and those of the study that were not read, each with why."""
    children = [_library_entry(image, _first(report)) for image in images]
    children += [_library_entry(image, None, f"Not read, because {reason}.") for image, reason in unread]
    return container(concepts.IMAGE_LIBRARY, [container(concepts.IMAGE_LIBRARY_GROUP, children)])


def _library_entry(source: Dataset, reading: Reading | None, unread: str = "") -> hd.ContentItem:
    image = hd.ImageContentItem(
        name=hd.CodedConcept("260753009", "SCT", "Source"),
        referenced_sop_class_uid=source.SOPClassUID,
        referenced_sop_instance_uid=source.SOPInstanceUID,
        relationship_type=CONTAINS,
    )
    known = [
        (concepts.MODALITY, concepts.MODALITIES.get(source.get("Modality", ""))),
        (concepts.TARGET_REGION, region_of(source, reading)),
    ]
    properties: list[hd.ContentItem] = [code(name, value, HAS_ACQ_CONTEXT) for name, value in known if value]
    if unread:
        properties.append(text(concepts.REASON, unread, HAS_ACQ_CONTEXT))
    if properties:
        image.ContentSequence = Sequence(properties)
    return image


def _groups(report: Report, sources: Sources) -> list[hd.ContentItem]:
    """The findings of all readings, the flagged ones first, and what could not be read besides."""
    subjects = sorted(sources.subjects(), key=lambda subject: _place(subject.finding))
    groups = [finding_group(subject, _read_images(report, subject.reading, sources)) for subject in subjects]
    if len(report.readings) > 1:
        groups += [
            unread_group(report, reading, _read_images(report, reading, sources))
            for reading in report.readings
            if reading.status is not ReportStatus.REPORTED
        ]
    return groups


def _place(finding: Finding) -> tuple[bool, bool]:
    """Flagged before not flagged, and what has a name of its own before "abnormal"."""
    return (not finding.is_flagged, finding.is_general)


def _read_images(report: Report, reading: Reading, sources: Sources) -> list[hd.ContentItem]:
    """References to what a reading is of; none where the image library has nothing else."""
    if len(report.inputs) == 1:
        return []
    headers = [sources.of(instance) for instance in reading.what.instances]
    return [hd.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID) for header in headers]


def _overall(report: Report) -> list[hd.ContentItem]:
    """What the report comes to in a standard code, what to keep in mind when reading it, and last what made it."""
    items: list[hd.ContentItem] = [code(concepts.PROCESSING_SUMMARY, _summary(report))]
    if report.reason:
        items.append(text(concepts.REASON, report.reason))
    items += [text(concepts.MAP_WITHHELD, f"No map is shown, because {gate}") for gate in _gates(report)]
    items += [text(concepts.LIMITATION, limitation) for limitation in report.all_limitations if limitation]
    items += [text(concepts.INTENDED_USE, model.intended_use) for model in report.models if model.intended_use]
    items += [text(concepts.NOT_FOR, use) for use in dict.fromkeys(use for m in report.models for use in m.not_for)]
    items.append(text(concepts.DISCLAIMER_TEXT, f"{DISCLAIMER} Not verified by a person."))
    return items + [text(concepts.PROVENANCE, _provenance(model)) for model in report.models]


def _provenance(model: ModelVersion) -> str:
    """What pins the model down: its weights, and its card, which has no address but in the installation."""
    words = f"{model.name} {model.version}, sha256 of the weights: {model.sha256}"
    if not model.card_sha256:
        return words
    return f"{words}; model card: candor models show {model.name} {model.version}, sha256 {model.card_sha256}"


def _summary(report: Report) -> hd.CodedConcept:
    if report.status is not ReportStatus.REPORTED:
        return concepts.NONE_SUCCEEDED
    positive = any(finding.is_flagged for finding in report.findings)
    if any(reading.status is not ReportStatus.REPORTED for reading in report.readings):
        return concepts.SOME_FAILED_WITH_FINDINGS if positive else concepts.SOME_FAILED_WITHOUT_FINDINGS
    return concepts.SUCCEEDED_WITH_FINDINGS if positive else concepts.SUCCEEDED_WITHOUT_FINDINGS


def _gates(report: Report) -> list[str]:
    """Why no map of a model is shown although it has a finding that could have one."""
    positive = [reading for reading in report.readings if any(finding.is_positive for finding in reading.findings)]
    return list(dict.fromkeys(reading.map_gate for reading in positive if reading.map_gate))
