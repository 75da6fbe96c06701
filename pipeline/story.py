"""The story of one study. Read this file first.

    receive -> assemble -> select -> infer -> explain -> report -> deliver

A PACS or modality sends a study (dicom_node.receive keeps every object, encrypted, before it says so). When the study
is complete (pipeline.assemble) a durable workflow (pipeline.workflow) calls `read_study` below, encodes what it
returns as DICOM objects and files them in the outbox, from where pipeline.deliver sends them back to the PACS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.domain.explanation import Saliency
from core.domain.model import OperatingPoint, Prediction
from core.domain.report import CohortMetric, Report, ReportStatus
from core.domain.study import Study
from core.errors import InvalidStudy
from explain.gate.result import withheld_reason
from explain.maps.class_activation import explain
from inference.findings import to_findings
from inference.quality import quality_limitations
from inference.select import Choice, Declined, select
from models.package.format import ModelPackage
from pipeline.trust import closed, judged, unmeasured


class Reader(Protocol):
    """What the story needs of the outside: a model's answer for the chosen image, remembered if it ran before."""

    def infer(self, choice: Choice) -> Prediction:
        """The prediction; InvalidStudy when the image cannot be decoded, or has a fault (inference.quality)."""

    def measured(
        self, choice: Choice, prediction: Prediction, saliencies: tuple[Saliency, ...]
    ) -> tuple[Saliency, ...]:
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


def read_study(
    study: Study,
    packages: Sequence[ModelPackage],
    reader: Reader,
    audits: CohortFigures,
    *,
    predecessor: Predecessor,
    at: datetime,
) -> Report:
    """Select, infer, explain, report: always a report, also when no model takes the study or an image is broken."""
    choice = select(study, packages)
    if isinstance(choice, Declined):
        return _without_findings(study, choice, predecessor, at)
    try:
        prediction = reader.infer(choice)
    except InvalidStudy as error:
        declined = Declined(
            status=ReportStatus.NOT_ANALYSED, reason=str(error), instance=choice.instance, package=choice.package
        )
        return _without_findings(study, declined, predecessor, at)
    findings = to_findings(prediction, audits.operating_points(study, choice, at))
    maps = [explain(prediction, finding.name) for finding in findings if finding.is_positive]
    saliencies = tuple(saliency for saliency in maps if saliency is not None)
    gate = withheld_reason(choice.package)
    saliencies = closed(saliencies, gate) if gate else judged(reader.measured(choice, prediction, saliencies))
    return Report(
        study=study,
        status=ReportStatus.REPORTED,
        created_at=at,
        model=choice.package.model,
        findings=findings,
        saliencies=saliencies,
        cohorts=audits.for_cohort(study, choice, at),
        limitations=(*choice.limitations, *quality_limitations(choice.package), *unmeasured(saliencies)),
        explanation_gate=gate,
        analysed_sop_instance_uid=choice.instance.sop_instance_uid,
        predecessor_sop_instance_uid=predecessor.sop_instance_uid,
        predecessor_series_instance_uid=predecessor.series_instance_uid,
    )


def _without_findings(study: Study, declined: Declined, predecessor: Predecessor, at: datetime) -> Report:
    ours = declined.status is ReportStatus.NOT_ANALYSED and declined.package is not None
    return Report(
        study=study,
        status=declined.status,
        created_at=at,
        reason=declined.reason,
        model=declined.package.model if ours and declined.package else None,
        analysed_sop_instance_uid=declined.instance.sop_instance_uid if declined.instance else "",
        predecessor_sop_instance_uid=predecessor.sop_instance_uid,
        predecessor_series_instance_uid=predecessor.series_instance_uid,
    )
