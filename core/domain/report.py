"""What goes back to the PACS, and the objects it is carried in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.domain.code import Code
from core.domain.explanation import Saliency
from core.domain.model import ModelVersion, OperatingPoint
from core.domain.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A coded observation with its probability, against the model's operating point."""

    name: str
    code: Code
    probability: float
    score: float
    operating_point: OperatingPoint

    @property
    def is_positive(self) -> bool:
        return self.probability >= self.operating_point.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortMetric:
    """How well the model does for patients like this one, for one finding (95 % intervals)."""

    finding_name: str
    cohort: str  # "all", "sex=F & age_band=60-79"
    sensitivity: float | None
    sensitivity_interval: tuple[float, float] | None
    specificity: float | None
    specificity_interval: tuple[float, float] | None
    positives: int
    negatives: int
    source: str  # "the model's validation data", "local reads to 2026-10-31, audit 12"
    fallback: str = ""  # which more specific cohort had too little data


class ReportStatus(StrEnum):
    REPORTED = "reported"
    NOT_ANALYSED = "not_analysed"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What goes back to the PACS. Always UNVERIFIED until a person signs.

    `analysed_sop_instance_uid` is the image the findings speak of; `predecessor_sop_instance_uid` is the SR of
    the revision that this one supersedes (PredecessorDocumentsSequence). `explanation_gate`: "" when the model's maps
    passed the registration gate, else why maps are withheld.
    """

    study: Study
    status: ReportStatus
    created_at: datetime
    reason: str = ""
    model: ModelVersion | None = None
    findings: tuple[Finding, ...] = ()
    saliencies: tuple[Saliency, ...] = ()
    cohorts: tuple[CohortMetric, ...] = ()
    limitations: tuple[str, ...] = ()  # "PatientID is empty: not linked with any other study", ...
    analysed_sop_instance_uid: str = field(default="", repr=False)
    predecessor_sop_instance_uid: str = field(default="", repr=False)
    predecessor_series_instance_uid: str = field(default="", repr=False)
    explanation_gate: str = ""
    explanation: str = ""  # the method of a map that somebody asked for afterwards; "" for the report itself


class ObjectKind(StrEnum):
    """The DICOM objects a report is carried in; destinations choose among them."""

    SR = "sr"
    SC = "sc"
    GSPS = "gsps"
    SEG = "seg"
    SEG_FRACTIONAL = "seg-fractional"
    PMAP = "pmap"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """One encoded DICOM object: a whole Part 10 file in memory."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    series_instance_uid: str = field(repr=False)
    finding_name: str = ""  # "" for the SR, which speaks of all
    data: bytes = field(repr=False)
