"""Every UID of a result, derived and never drawn: encoding the same report again gives the same objects.

A UUID version 5 of the facts that make the object what it is, written as a "2.25." UID (PS3.5 B.2). Sending
twice is harmless, because the PACS sees the same SOP Instance UID. The tracking UID of a finding leaves the
model's version and the revision out, so that the same observation can be followed through re-runs.
"""

from __future__ import annotations

from uuid import UUID, uuid5

from core.domain.model import ModelVersion
from core.domain.report import ObjectKind, Reading, Report

_NAMESPACE = UUID("5d0c2f3e-6a57-5f0e-9c0e-0b7a3d1f2c44")  # ours, drawn once; changing it changes every UID

IMPLEMENTATION_CLASS_UID = f"2.25.{uuid5(_NAMESPACE, 'implementation').int}"
CODING_SCHEME_UID = f"2.25.{uuid5(_NAMESPACE, 'coding scheme 99CANDOR').int}"
SOFTWARE_DEVICE_UID = f"2.25.{uuid5(_NAMESPACE, 'candor itself').int}"
"""The Device UID of Candor, for reports that no model speaks in."""


def derive_uid(*facts: str) -> str:
    """Derive a UID from `facts`; the same facts in the same order give the same UID."""
    return f"2.25.{uuid5(_NAMESPACE, '|'.join(facts)).int}"


def series_uid(report: Report, kind: ObjectKind) -> str:
    """The series that the objects of `kind` of this report are filed in."""
    return derive_uid("series", *_identity(report), kind)


def sr_uid(report: Report) -> str:
    """The SOP Instance UID of the SR."""
    return derive_uid("instance", *_identity(report), ObjectKind.SR, "")


def instance_uid(report: Report, kind: ObjectKind, reading: Reading, finding_name: str) -> str:
    """The SOP Instance UID of the object of `kind` for one finding of one reading."""
    return derive_uid("instance", *_identity(report), kind, finding_name, *_further(report, reading))


def dimension_uid(report: Report, kind: ObjectKind, reading: Reading, finding_name: str) -> str:
    """The Dimension Organization UID of a multi-frame object (PS3.3 C.7.6.17)."""
    return derive_uid("dimension", *_identity(report), kind, finding_name, *_further(report, reading))


def tracking_uid(report: Report, reading: Reading, finding_name: str) -> str:
    """The Tracking UID of a finding: the same for every revision, model version and carrier.

    Of the images that a model read the one that came first has no key in it, so that later ones change nothing.
    """
    same_model = [other.what for other in report.readings if other.model.name == reading.model.name]
    earliest = min(same_model, key=lambda what: min(instance.arrival for instance in what.instances))
    further = () if reading.what.key == earliest.key else (reading.what.key,)
    return derive_uid("tracking", report.study.study_instance_uid, reading.model.name, finding_name, *further)


def device_uid(model: ModelVersion | None) -> str:
    """The Device UID of the observer: the model version's, else Candor's own."""
    return model.device_uid if model else SOFTWARE_DEVICE_UID


def _identity(report: Report) -> tuple[str, ...]:
    # the status is part of it: a study that failed and was read on the next try must not reuse the failure's UID
    return (
        report.study.study_instance_uid,
        device_uid(report.models[0] if report.models else None),
        str(report.study.revision),
        report.status,
        *((report.explanation,) if report.explanation else ()),
    )


def _further(report: Report, reading: Reading) -> tuple[str, ...]:
    """What tells the readings of a report apart; the first keeps the UIDs that it would have alone."""
    first = report.readings[0]
    same = (reading.model.device_uid, reading.what.key) == (first.model.device_uid, first.what.key)
    return () if same else (reading.model.device_uid, reading.what.key)
