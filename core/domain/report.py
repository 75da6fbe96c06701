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
    """A coded observation with its probability, against the model's operating point."""

    name: str
    code: Code
    probability: float
    score: float
    operating_point: OperatingPoint
    names_lesion: bool | None = None  # as the package says; None: as the code says

    @property
    def is_positive(self) -> bool:
        return self.probability >= self.operating_point.threshold

    @property
    def has_place(self) -> bool:
        """Whether the finding can be in a part of the image: "abnormal" is a word for the whole of it."""
        return self.code.names_a_lesion if self.names_lesion is None else self.names_lesion


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
class Report:
    """What goes back to the PACS. Always UNVERIFIED until a person signs.

    `readings` are in the order in which the models and their images are preferred; none when no model takes the study.
    `predecessor_sop_instance_uid` is the SR of the revision that this one supersedes (PredecessorDocumentsSequence).
    """

    study: Study
    status: ReportStatus
    created_at: datetime
    reason: str = ""
    readings: tuple[Reading, ...] = ()
    limitations: tuple[str, ...] = ()  # of the study: "PatientID is empty: not linked with any other study", ...
    predecessor_sop_instance_uid: str = field(default="", repr=False)
    predecessor_series_instance_uid: str = field(default="", repr=False)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """One encoded DICOM object: a whole Part 10 file in memory."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    series_instance_uid: str = field(repr=False)
    finding_name: str = ""  # "" for the SR, which speaks of all
    data: bytes = field(repr=False)
