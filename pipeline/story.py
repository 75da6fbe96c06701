"""The story of one study. Read this file first.

    receive -> assemble -> select -> infer -> explain -> report -> deliver

A PACS or modality sends a study (dicom_node.receive keeps every object, encrypted, before it says so). When the study
is complete (pipeline.assemble) a durable workflow (pipeline.workflow) calls `read_study` below, encodes what it
returns as DICOM objects and files them in the outbox, from where pipeline.deliver sends them back to the PACS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from core.domain.explanation import Saliency
from core.domain.input import ModelInput
from core.domain.model import OperatingPoint, Prediction
from core.domain.report import CohortMetric, ImageUse, Reading, Report, ReportStatus
from core.domain.study import Study
from core.errors import CandorError, InvalidStudy, Unavailable
from explain.gate.result import withheld_reason
from explain.maps.class_activation import explain
from inference.findings import to_findings
from inference.quality import quality_limitations
from inference.select import NOTHING, Choice, Declined, Selection, select
from models.package.format import ModelPackage
from pipeline.trust import located, say_unmeasured, withhold

NO_PATIENT_ID = "PatientID is empty: this study is not linked with any other"


class Reader(Protocol):
    """What the story needs of the outside: a model's answer for its input, remembered if it ran before."""

    def infer(self, choice: Choice) -> Prediction:
        """The prediction. InvalidStudy when the input cannot be decoded, or has a fault (inference.quality);
        Unavailable when it is to be tried again; CandorError when this reading failed for good.
        """

    def measure(self, choice: Choice, prediction: Prediction, saliencies: tuple[Saliency, ...]) -> tuple[Saliency, ...]:
        """The maps with how far to trust each, as far as that is known or can be measured now."""


class CohortFigures(Protocol):
    """How well the model does for patients like this one."""

    def for_cohort(self, study: Study, choice: Choice, at: datetime) -> tuple[CohortMetric, ...]:
        """The cohort lines of a report made `at` this time, each with its source."""

    def operating_points(self, study: Study, choice: Choice, at: datetime) -> Mapping[str, OperatingPoint]:
        """By finding, the operating points that a person signed off for this patient's cohort; usually none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """The SR that this report supersedes, if the study was reported before."""

    sop_instance_uid: str = ""
    series_instance_uid: str = ""
    created_at: datetime | None = None


def read_study(
    study: Study,
    packages: Sequence[ModelPackage],
    reader: Reader,
    audits: CohortFigures,
    *,
    predecessor: Predecessor,
    at: datetime,
) -> Report:
    """Select, infer, explain, report: always a report, also when no model takes the study or an image is broken.

    Each model reads each of its inputs; a reading that fails is reported as such and stops no other. When none could be
    read, the images that they were better than are tried. When all of them failed the error is raised.
    """
    selection = select(study, packages)
    if study.identity_conflict:
        selection = _withhold_all(study, selection)
    readings, errors = _read_choices(study, selection.choices, reader, audits, at)
    for reserve in selection.reserves:
        if any(reading.status is ReportStatus.REPORTED for reading in readings):
            break
        more, failed = _read_choices(study, (reserve,), reader, audits, at)
        readings, errors = readings + more, errors + failed
    if errors and len(errors) == len(readings):
        raise errors[0]
    report = _without_reading(study, selection.most_telling, at) if not readings else _of(study, readings, at)
    images = tuple(_uses(study, readings, selection.reasons))
    return replace(
        report,
        images=images,
        limitations=_limitations(study, images) if readings else (),
        predecessor_sop_instance_uid=predecessor.sop_instance_uid,
        predecessor_series_instance_uid=predecessor.series_instance_uid,
        predecessor_created_at=predecessor.created_at,
    )


def _read_choices(
    study: Study, choices: Sequence[Choice], reader: Reader, audits: CohortFigures, at: datetime
) -> tuple[list[Reading], list[CandorError]]:
    """Every choice as a reading, with the errors of those that failed for good."""
    readings: list[Reading] = []
    errors: list[CandorError] = []
    for choice in choices:
        try:
            readings.append(_read(study, choice, reader, audits, at))
        except InvalidStudy as error:
            readings.append(_unread(choice.package, choice.what, ReportStatus.NOT_ANALYSED, str(error)))
        except Unavailable:
            raise
        except CandorError as error:
            readings.append(_unread(choice.package, choice.what, ReportStatus.FAILED, str(error)))
            errors.append(error)
    return readings, errors


def _withhold_all(study: Study, selection: Selection) -> Selection:
    """Nothing is read of images that name different patients: each finding would be filed under one of them."""
    if not selection.choices and selection.most_telling.status is ReportStatus.REFUSED:
        return selection
    declined = Declined(status=ReportStatus.NOT_ANALYSED, reason=study.identity_conflict, instances=study.instances)
    return Selection(choices=(), declined=(declined,))


def _read(study: Study, choice: Choice, reader: Reader, audits: CohortFigures, at: datetime) -> Reading:
    """One model on one input."""
    prediction = reader.infer(choice)
    findings = to_findings(prediction, audits.operating_points(study, choice, at))
    saliencies = tuple(saliency for name in located(findings) for saliency in explain(prediction, choice.what, name))
    gate = withheld_reason(choice.package)
    saliencies = withhold(saliencies if gate else reader.measure(choice, prediction, saliencies), gate)
    return Reading(
        model=choice.package.model,
        what=choice.what,
        status=ReportStatus.REPORTED,
        findings=findings,
        saliencies=saliencies,
        cohorts=audits.for_cohort(study, choice, at),
        limitations=(*choice.limitations, *quality_limitations(choice.package), *say_unmeasured(saliencies)),
        map_gate=gate,
    )


def _unread(package: ModelPackage, what: ModelInput, status: ReportStatus, reason: str) -> Reading:
    return Reading(model=package.model, what=what, status=status, reason=reason)


def _of(study: Study, readings: Sequence[Reading], at: datetime) -> Report:
    """The report of a study that models read: reported when one of the readings is."""
    if any(reading.status is ReportStatus.REPORTED for reading in readings):
        return Report(study=study, status=ReportStatus.REPORTED, created_at=at, readings=tuple(readings))
    reason = next(reading.reason for reading in readings if reading.status is ReportStatus.NOT_ANALYSED)
    return Report(study=study, status=ReportStatus.NOT_ANALYSED, created_at=at, reason=reason, readings=tuple(readings))


def _without_reading(study: Study, declined: Declined, at: datetime) -> Report:
    """The report of a study that no model reads: of the images that came closest, where they are ours."""
    readings: tuple[Reading, ...] = ()
    if declined.status is ReportStatus.NOT_ANALYSED and declined.package and declined.instances:
        what = ModelInput.of(declined.instances[0], declined.package.reads.prepared_as)
        readings = (_unread(declined.package, what, declined.status, declined.reason),)
    return Report(study=study, status=declined.status, created_at=at, reason=declined.reason, readings=readings)


def _uses(study: Study, readings: Sequence[Reading], declined: Mapping[str, str]) -> Iterator[ImageUse]:
    """Every image of the study as read or not read: a reading that failed says why, else the selection does."""
    reasons = dict(declined)
    for reading in sorted(readings, key=lambda reading: reading.status is ReportStatus.REPORTED):
        reasons |= dict.fromkeys(reading.what.sop_instance_uids, reading.reason)
    for instance in study.instances:
        yield ImageUse(instance=instance, reason=reasons.get(instance.sop_instance_uid, NOTHING))


def _limitations(study: Study, images: Sequence[ImageUse]) -> tuple[str, ...]:
    """What a report says of the whole study."""
    counts = Counter(image.reason for image in images if not image.is_read)
    left_out = [
        f"{count} of {len(images)} images {'was' if count == 1 else 'were'} not read, because {reason}"
        for reason, count in counts.items()
    ]
    return (*(() if study.patient.patient_id else (NO_PATIENT_ID,)), *study.identity_doubts, *left_out)
