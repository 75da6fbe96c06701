"""The rejection note: a Key Object Selection that takes back results filed under a patient who was not the right one.

IHE RAD TF-3, Rejection Note Stored [RAD-66], of the profile Imaging Object Change Management. Its title is "Rejected
for Patient Safety Reasons" (PS3.16 CID 7010): an improperly labelled object is the standard's own example. "Incorrect
Modality Worklist Entry" would claim a cause that nobody told us, "Rejected for Quality Reasons" (whose reasons are
CID 7011, about pictures) would leave the objects in use, and "Data Retention Policy Expired" would delete them.

It is filed under the corrected patient: in the same study, which is what the references are found by (docs/decisions).
"""

from __future__ import annotations

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import KeyObjectSelectionDocumentStorage, ParametricMapStorage, SegmentationStorage

from core.domain.report import ObjectKind, RejectedObject, Report, ResultObject
from dicom_node.encode import concepts
from dicom_node.encode.shell import new_object, to_result
from dicom_node.encode.sources import Sources
from dicom_node.encode.uids import SOFTWARE_DEVICE_UID, derive_uid
from dicom_node.header.part10 import MANUFACTURER
from dicom_node.sop_classes import IMAGE_SOP_CLASSES

_IMAGES = IMAGE_SOP_CLASSES | {SegmentationStorage, ParametricMapStorage}  # objects with pixels, made by whom they may
EXPLANATION = (
    "These results name a patient to whom the study does not belong: the demographics of its images were corrected. "
    "The report that supersedes them is in this study."
)


def encode_rejection(report: Report, sources: Sources) -> ResultObject:
    """Write the note that rejects `report.rejected` (PS3.3 A.35.4, PS3.16 TID 2010)."""
    note = new_object(report, sources.study, ObjectKind.REJECTION_NOTE, KeyObjectSelectionDocumentStorage, models=())
    facts = (
        report.study.study_instance_uid,
        str(report.study.revision),
        *(r.sop_instance_uid for r in report.rejected),
    )
    note.SeriesInstanceUID = derive_uid("series", ObjectKind.REJECTION_NOTE, *facts)
    note.ReferencedPerformedProcedureStepSequence = Sequence()
    note.CurrentRequestedProcedureEvidenceSequence = [_evidence(report)]
    note.ValueType = "CONTAINER"
    note.ConceptNameCodeSequence = [concepts.code_item(concepts.REJECTED_FOR_PATIENT_SAFETY)]
    note.ContinuityOfContent = "SEPARATE"
    note.ContentTemplateSequence = [_template()]
    note.ContentSequence = [*_observer(), _description(), *map(_item, report.rejected)]
    uid = derive_uid("instance", ObjectKind.REJECTION_NOTE, *facts)
    return to_result(report, sources.study, ObjectKind.REJECTION_NOTE, note, uid)


def _evidence(report: Report) -> Dataset:
    by_series: dict[str, list[Dataset]] = {}
    for rejected in report.rejected:
        by_series.setdefault(rejected.series_instance_uid, []).append(_reference(rejected))
    study = Dataset()
    study.StudyInstanceUID = report.study.study_instance_uid
    study.ReferencedSeriesSequence = []
    for uid, references in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = uid, references
        study.ReferencedSeriesSequence.append(series)
    return study


def _reference(rejected: RejectedObject) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = rejected.sop_class_uid, rejected.sop_instance_uid
    return item


def _template() -> Dataset:
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    return template


def _observer() -> list[Dataset]:
    """Who rejects: a device (TID 1002, TID 1004)."""
    kind = _content("HAS OBS CONTEXT", "CODE", concepts.OBSERVER_TYPE)
    kind.ConceptCodeSequence = [concepts.code_item(concepts.DEVICE)]
    uid = _content("HAS OBS CONTEXT", "UIDREF", concepts.DEVICE_OBSERVER_UID)
    uid.UID = SOFTWARE_DEVICE_UID
    name = _content("HAS OBS CONTEXT", "TEXT", concepts.DEVICE_OBSERVER_NAME)
    name.TextValue = MANUFACTURER
    return [kind, uid, name]


def _description() -> Dataset:
    item = _content("CONTAINS", "TEXT", concepts.KEY_OBJECT_DESCRIPTION)
    item.TextValue = EXPLANATION
    return item


def _content(relationship: str, value_type: str, name: CodedConcept) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    item.ConceptNameCodeSequence = [concepts.code_item(name)]
    return item


def _item(rejected: RejectedObject) -> Dataset:
    """A reference to one object, as an image where it is one."""
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "IMAGE" if rejected.sop_class_uid in _IMAGES else "COMPOSITE"
    item.ReferencedSOPSequence = [_reference(rejected)]
    return item
