"""What goes back to the PACS, and the objects it is carried in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.domain.code import Code
from core.domain.explanation import Saliency
from core.domain.input import ModelInput
from core.domain.model import ModelVersion, OperatingPoint
from core.domain.study import Instance, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A coded observation with its probability, against the model's operating point.

    `is_general`: it speaks of the image as a whole. `implied_by`: what flags it although it is below its own operating
    point, in words: the named findings that are flagged (docs/decisions/0019).
    """

    name: str
    code: Code
    probability: float
    score: float
    operating_point: OperatingPoint
    is_general: bool = False
    implied_by: tuple[str, ...] = ()

    @property
    def is_positive(self) -> bool:
        """Whether its own probability is at or above its operating point: what audits count and maps are made for."""
        return self.probability >= self.operating_point.threshold

    @property
    def is_flagged(self) -> bool:
        """Whether a report says that it is there."""
        return self.is_positive or bool(self.implied_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortMetric:
    """How well the model does for patients like this one, for one finding (95 % intervals).

    `share_is_known`: the counts are of all comers, so their share is a prevalence; not where only some were verified.
    """

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
    share_is_known: bool = True

    @property
    def prevalence(self) -> float | None:
        """The share of these patients with the finding; None where it is not known."""
        return self.positives / (self.positives + self.negatives) if self.share_is_known and self.positives else None

    @property
    def predictive_value(self) -> float | None:
        """The share of those flagged who have the finding, at this prevalence; None where it is not known."""
        if self.prevalence is None or self.sensitivity is None or self.specificity is None:
            return None
        right = self.sensitivity * self.prevalence
        flagged = right + (1.0 - self.specificity) * (1.0 - self.prevalence)
        return right / flagged if flagged else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedObject:
    """A result that is taken back, because it was filed under another patient than the study is of."""

    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    series_instance_uid: str = field(repr=False)


class ReportStatus(StrEnum):
    REPORTED = "reported"
    NOT_ANALYSED = "not_analysed"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One model's result on one input.

    `status`: reported, not analysed or failed, the latter two with a `reason`. `saliencies`: one for each finding
    with a map, of a volume one for each slice that the region is in. `map_gate`: "" when the model's maps passed
    the gate of their registration, else why they are withheld.
    """

    model: ModelVersion
    what: ModelInput
    status: ReportStatus
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    saliencies: tuple[Saliency, ...] = ()
    cohorts: tuple[CohortMetric, ...] = ()
    limitations: tuple[str, ...] = ()  # of this input: "The view is not given: ...", ...
    map_gate: str = ""

    def saliencies_of(self, finding_name: str) -> tuple[Saliency, ...]:
        """The maps of a finding, shown or withheld; of a volume the slice with the highest value first."""
        return tuple(saliency for saliency in self.saliencies if saliency.finding_name == finding_name)

    def performance_of(self, finding_name: str) -> CohortMetric | None:
        """The figures that count for a finding: of the most specific cohort of this patient with enough data."""
        return next((metric for metric in self.cohorts if metric.finding_name == finding_name), None)

    def instance_of(self, finding_name: str) -> Instance | None:
        """The image that a finding is in; None for a finding of a volume that has no map to tell."""
        if not self.what.is_volume:
            return self.what.instances[0]
        shown = {saliency.sop_instance_uid for saliency in self.saliencies_of(finding_name)[:1]}
        return next((i for i in self.what.instances if i.sop_instance_uid in shown), None)

    def drawn_on(self, finding_name: str) -> Instance:
        """The image that a picture of a finding is drawn on: the one it is in, else the first."""
        return self.instance_of(finding_name) or self.what.instances[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUse:
    """An image of the study, and why it was not read; `reason` is "" where a model read it."""

    instance: Instance
    reason: str = ""

    @property
    def is_read(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What goes back to the PACS. Always UNVERIFIED until a person signs.

    `readings` are in the order in which the models and their images are preferred; none when no model takes the study.
    `images`: every image of the study, as read or not read.
    `predecessor_...` are of the SR of the revision that this one supersedes (PredecessorDocumentsSequence).
    """

    study: Study
    status: ReportStatus
    created_at: datetime
    reason: str = ""
    readings: tuple[Reading, ...] = ()
    images: tuple[ImageUse, ...] = ()
    limitations: tuple[str, ...] = ()  # of the study: "PatientID is empty: not linked with any other study", ...
    predecessor_sop_instance_uid: str = field(default="", repr=False)
    predecessor_series_instance_uid: str = field(default="", repr=False)
    predecessor_created_at: datetime | None = None
    rejected: tuple[RejectedObject, ...] = ()  # what the rejection note of this revision takes back
    explanation: str = ""  # the method of a map that somebody asked for afterwards; "" for the report itself

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """Every model version that read, each once."""
        return tuple({reading.model.device_uid: reading.model for reading in self.readings}.values())

    @property
    def inputs(self) -> tuple[ModelInput, ...]:
        """Every input that a model read or should have read, each once."""
        return tuple({reading.what.key: reading.what for reading in self.readings}.values())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all readings."""
        return tuple(finding for reading in self.readings for finding in reading.findings)

    def name_of(self, reading: Reading) -> str:
        """Which input a reading is of, for a person: "image 2 of 3"; "" where the report has one input."""
        inputs = self.inputs
        if len(inputs) == 1:
            return ""
        number = [what.key for what in inputs].index(reading.what.key) + 1
        return f"{'series' if reading.what.is_volume else 'image'} {number} of {len(inputs)}"

    def which(self, reading: Reading) -> str:
        """Which input and which model a reading is of, as far as the report has more than one."""
        model = f"{reading.model.name} {reading.model.version}" if len(self.models) > 1 else ""
        return ", ".join(part for part in (self.name_of(reading), model) if part)

    @property
    def all_limitations(self) -> tuple[str, ...]:
        """Those of the study, then those of the inputs, each once, with the input where it is not true of all."""
        read = [reading for reading in self.readings if reading.status is ReportStatus.REPORTED]
        said = list(self.limitations)
        for reading in read:
            for limitation in reading.limitations:
                is_of_all = all(limitation in other.limitations for other in read)
                name = "" if is_of_all else self.name_of(reading)
                said.append(f"{name.capitalize()}: {limitation}" if name else limitation)
        return tuple(dict.fromkeys(said))


class ObjectKind(StrEnum):
    """The DICOM objects a report is carried in; destinations choose among them.

    `SC` is one summary picture for each image with a finding, `SC_FINDINGS` a picture for each of its findings.
    """

    SR = "sr"
    SC = "sc"
    GSPS = "gsps"
    SEG = "seg"
    SEG_FRACTIONAL = "seg-fractional"
    PMAP = "pmap"
    SC_FINDINGS = "sc-findings"
    REJECTION_NOTE = "rejection-note"  # only of a study whose patient was corrected (IHE IOCM)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """One encoded DICOM object: a whole Part 10 file in memory."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    series_instance_uid: str = field(repr=False)
    finding_name: str = ""  # "" for the SR, which speaks of all
    data: bytes = field(repr=False)
