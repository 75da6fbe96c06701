"""What every result object has in common: patient and study of the source, a new series, who made it and when.

The four encoders fill in what is theirs. All times come from the report, so the same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, tzinfo
from importlib.metadata import PackageNotFoundError, version

from pydicom.dataset import Dataset

from core.conclusion import revision_in_words
from core.domain.input import ModelInput
from core.domain.model import ModelVersion
from core.domain.report import ObjectKind, Report, ResultObject
from dicom_node.encode.concepts import PROCESSING_EQUIPMENT, UNPAIRED, code_item
from dicom_node.encode.source import PATIENT_AND_STUDY, declared_character_set, in_utf_8
from dicom_node.encode.sources import Subject
from dicom_node.encode.uids import instance_uid, series_uid
from dicom_node.encode.writing import to_part10
from dicom_node.header.part10 import MANUFACTURER

DISCLAIMER = "Research software, not a medical device."
REGION_WORDS = "region that influenced the model"

try:
    SOFTWARE_VERSION = version("candor")
except PackageNotFoundError:  # run from a checkout that was never installed
    SOFTWARE_VERSION = "unknown"

_NEXT_REVISION = 10  # between the series numbers of two revisions
_SERIES = {  # number, modality, description; numbers far from what a modality counts to
    ObjectKind.SR: (9001, "SR", "AI report (not verified)"),
    ObjectKind.SC: (9002, "OT", "AI summary (not verified)"),
    ObjectKind.GSPS: (9003, "PR", "AI annotation (not verified)"),
    ObjectKind.SEG: (9004, "SEG", "AI region (not verified)"),
    ObjectKind.SEG_FRACTIONAL: (9005, "SEG", "AI saliency (not verified)"),
    ObjectKind.PMAP: (9006, "OT", "AI saliency values (not verified)"),
    ObjectKind.REJECTION_NOTE: (9007, "KO", "AI results rejected: wrong patient"),
    ObjectKind.SC_FINDINGS: (9008, "OT", "AI finding (not verified)"),
}


def new_picture(subject: Subject, kind: ObjectKind, sop_class_uid: str) -> Dataset:
    """Start what shows one finding; its Instance Number is that of the finding in the report."""
    models, number = (subject.reading.model,), subject.number
    return new_object(subject.report, subject.source, kind, sop_class_uid, models=models, number=number)


def new_object(
    report: Report,
    source: Dataset,
    kind: ObjectKind,
    sop_class_uid: str,
    *,
    models: tuple[ModelVersion, ...],
    number: int = 1,
) -> Dataset:
    """Start a result: General Series, General Equipment and SOP Common modules; `to_result` adds patient and study.

    `source` is a cleaned header (`read_source`); `number` is the Instance Number in the series; `models` speak in it.
    """
    result = Dataset()
    result.StudyInstanceUID = report.study.study_instance_uid
    series_number, result.Modality, _ = _SERIES[kind]
    result.SeriesNumber = series_number + _NEXT_REVISION * (max(1, report.study.revision) - 1)
    result.SeriesDescription = _series_description(report, kind, zone_of(source))
    result.SeriesInstanceUID = series_uid(report, kind)
    result.Manufacturer = result.ManufacturerModelName = MANUFACTURER
    result.DeviceSerialNumber = SOFTWARE_VERSION
    result.SoftwareVersions = SOFTWARE_VERSION
    result.SOPClassUID = sop_class_uid
    result.InstanceNumber = number
    result.TimezoneOffsetFromUTC = offset_of(report, source)
    date, time = local_date_time(report, source)
    result.InstanceCreationDate = result.SeriesDate = result.ContentDate = date
    result.InstanceCreationTime = result.SeriesTime = result.ContentTime = time
    if models:
        result.ContributingEquipmentSequence = [contributing_equipment(model) for model in models]
    return result


def copy_body_part(source: Dataset, result: Dataset) -> None:
    """Copy Body Part Examined."""
    _copy(source, result, ("BodyPartExamined",))


def copy_orientation(source: Dataset, result: Dataset) -> None:
    """Copy Patient Orientation, empty where the source does not say (PS3.3 C.7.6.1.1.1, type 2C)."""
    result.PatientOrientation = source.get("PatientOrientation")


def copy_laterality(source: Dataset, result: Dataset) -> None:
    """State the side of the series (PS3.3 C.7.3.1, type 2C): empty where unknown, absent for unpaired body parts."""
    if source.get("BodyPartExamined") not in UNPAIRED:
        side = source.get("Laterality") or source.get("ImageLaterality")
        result.Laterality = side if side in {"R", "L"} else None


def identity_for(report: Report, source: Dataset) -> Dataset:
    """Patient and study byte by byte as the source has them; decoded only where our own words need UTF-8.

    Where the source's bytes cannot be decoded they stay as they are: who the patient is goes before what we say.
    """
    plain = all(word.isascii() for word in _words((report.reason, report.limitations, report.readings)))
    return source if plain else in_utf_8(source) or source


def _words(value: object) -> Iterator[str]:
    """Every text in a part of a report; the headers of images are no words of ours."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _words(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _words(part)
    elif is_dataclass(value) and not isinstance(value, ModelInput):
        for part in fields(value):
            yield from _words(getattr(value, part.name))


def _copy(source: Dataset, result: Dataset, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        if keyword in source:
            result[keyword] = source.get_item(keyword)


def _series_description(report: Report, kind: ObjectKind, zone: tzinfo | None) -> str:
    """What a viewer lists the series as: not verified, and which revision of which report."""
    parts = (_SERIES[kind][2], revision_in_words(report, zone), report.explanation)
    return ", ".join(part for part in parts if part)[:64]


def zone_of(source: Dataset) -> tzinfo | None:
    """The zone of the times in a result: that of the source where it says one, else None, this machine's own."""
    offset = source.get("TimezoneOffsetFromUTC")
    return datetime.strptime(offset, "%z").tzinfo if offset else None


def offset_of(report: Report, source: Dataset) -> str:
    """The offset from UTC of the times in a result: "+0100" (PS3.3 C.12.1, Timezone Offset From UTC)."""
    return report.created_at.astimezone(zone_of(source)).strftime("%z")[:5]


def local_date_time(report: Report, source: Dataset) -> tuple[str, str]:
    """When the report was made as DA and TM, in the zone of the result's times."""
    created_at = report.created_at.astimezone(zone_of(source))
    return created_at.strftime("%Y%m%d"), created_at.strftime("%H%M%S.%f")


def contributing_equipment(model: ModelVersion) -> Dataset:
    """The algorithm as Contributing Equipment (PS3.3 C.12.1; IHE AI Results 6.5.3.1): one item per model version."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    item.Manufacturer = model.manufacturer[:64]
    item.ManufacturerModelName = model.name[:64]
    item.SoftwareVersions = model.version[:64]
    item.DeviceUID = model.device_uid
    item.ContributionDescription = "Artificial intelligence algorithm that made the findings"
    return item


def reference(source: Dataset) -> Dataset:
    """A reference to the source image (PS3.3 10.8)."""
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    return item


def to_picture(subject: Subject, kind: ObjectKind, content: Dataset) -> ResultObject:
    """Give what shows one finding its SOP Instance UID and write it as a Part 10 file."""
    name = subject.finding.name
    uid = instance_uid(subject.report, kind, subject.reading, name)
    return to_result(subject.report, subject.source, kind, content, uid, name)


def to_result(
    report: Report, source: Dataset, kind: ObjectKind, content: Dataset, uid: str, name: str = ""
) -> ResultObject:
    """Complete `content` by its SOP Instance UID and by patient and study, and write it as a Part 10 file.

    `name`: of the finding that it shows.
    """
    content.SOPInstanceUID = uid
    identity = identity_for(report, source)
    _copy(identity, content, PATIENT_AND_STUDY)
    return ResultObject(
        kind=kind,
        sop_class_uid=str(content.SOPClassUID),
        sop_instance_uid=content.SOPInstanceUID,
        series_instance_uid=content.SeriesInstanceUID,
        finding_name=name,
        data=to_part10(content, declared_character_set(identity)),
    )
