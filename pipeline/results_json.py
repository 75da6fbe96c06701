"""One study in results.json: the contract that scripts are written against, written and read here.

The database keeps the same entry of each report. Fields are added, never renamed; an entry of an older version opens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, computed_field, model_validator

from core.conclusion import conclusion_of
from core.domain.code import Code
from core.domain.explanation import Faithfulness, Saliency
from core.domain.input import ModelInput
from core.domain.model import ModelVersion, OperatingPoint
from core.domain.report import CohortMetric, Finding, ImageUse, Reading, Report
from core.wording import performance_in_words, statement_of, verdict_in_words

Interval = tuple[float, float]


class Entry(BaseModel):
    """A part of results.json."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelEntry(Entry):
    """A model version; `sha256` of its weights."""

    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, model: ModelVersion) -> ModelEntry:
        """The entry of a model version."""
        return cls(name=model.name, version=model.version, sha256=model.sha256)


class CodeEntry(Entry):
    """A coded concept."""

    value: str
    scheme: str
    meaning: str


class PointEntry(Entry):
    """An operating point; `cohort` and `policy` are empty unless a person signed one for this patient's cohort.

    `positives`, `negatives`: the patients behind the rates; None where the package gives none: nothing was measured.
    """

    threshold: float
    sensitivity: float
    specificity: float
    positives: int | None = None
    negatives: int | None = None
    cohort: str = ""
    policy: str = ""
    measured: bool | None = None  # whether sensitivity and specificity come with counts; null in older entries


class FaithfulnessEntry(Entry):
    """How far to trust a map; see `core.domain.explanation.Faithfulness`."""

    deletion_auc: float
    insertion_auc: float
    null_percentile: float
    stability: float
    forward_passes: int
    sampled: bool = False

    @classmethod
    def of(cls, measured: Faithfulness) -> FaithfulnessEntry:
        """The entry of the figures of a map."""
        return cls(**dataclasses.asdict(measured))


class SaliencyEntry(Entry):
    """A map: its method, whether it is shown, and how far to trust it."""

    method: str
    shown: bool
    withheld_reason: str
    faithfulness: FaithfulnessEntry | None
    no_region: str = ""


class FindingView(Entry):
    """A finding of one reading without the image that it is in. `reading`: its place in `readings`."""

    name: str
    code: CodeEntry
    probability: float
    score: float
    operating_point: PointEntry
    positive: bool
    saliency: SaliencyEntry | None
    reading: int = 0
    model: ModelEntry | None = None


class FindingEntry(FindingView):
    """A finding of one reading; `image`: the SOP Instance UID of the image that it is in.

    `implied_by`: the findings that flag this one although it is below its operating point. `verdict`, `performance`: as
    the report says them.
    """

    image: str = ""
    implied_by: tuple[str, ...] = ()
    verdict: str = ""
    performance: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def flagged(self) -> bool:
        """Whether the report says that it is there."""
        return self.positive or bool(self.implied_by)


class CohortEntry(Entry):
    """How well the model does for patients like this one."""

    finding: str
    cohort: str
    sensitivity: float | None
    sensitivity_interval: Interval | None
    specificity: float | None
    specificity_interval: Interval | None
    positives: int
    negatives: int
    source: str
    fallback: str
    statement: str


class ReadingEntry(Entry):
    """One model on one input; `instances`: SOP Instance UIDs in the order of the array."""

    model: ModelEntry
    instances: tuple[str, ...]
    status: str
    reason: str
    limitations: tuple[str, ...] = ()
    explanation_gate: str = ""


class NotMadeEntry(Entry):
    """An object that a destination asks for and the image does not allow."""

    kind: str
    reason: str


class ObjectEntry(Entry):
    """A file that was written; `path` relative to results.json."""

    sop_class: str
    path: str


class ImageEntry(Entry):
    """An image of the study; `reason`: why it was not read."""

    sop_instance_uid: str
    series_instance_uid: str
    read: bool
    reason: str = ""


class StudyEntry(Entry):
    """One study. `conclusion`: what the report says first. `model`, `explanation_gate`: those of the first reading."""

    study_instance_uid: str
    status: str
    reason: str
    revision: int = 1
    conclusion: tuple[str, ...] = ()
    model: ModelEntry | None = None
    findings: tuple[FindingEntry, ...] = ()
    cohorts: tuple[CohortEntry, ...] = ()
    limitations: tuple[str, ...] = ()
    explanation_gate: str = ""
    readings: tuple[ReadingEntry, ...] = ()
    images: tuple[ImageEntry, ...] = ()
    objects_not_made: tuple[NotMadeEntry, ...] = ()
    objects: tuple[ObjectEntry, ...] = ()
    timings_seconds: Mapping[str, float] = {}

    @model_validator(mode="after")
    def _read_once(self) -> StudyEntry:
        """An entry of a version that read one image and did not say which: one reading of an unnamed image."""
        if self.readings or self.model is None:
            return self
        reading = ReadingEntry(
            model=self.model,
            instances=(),
            status=self.status,
            reason=self.reason,
            limitations=self.limitations,
            explanation_gate=self.explanation_gate,
        )
        object.__setattr__(self, "readings", (reading,))
        return self

    @classmethod
    def of(cls, report: Report, *, objects_not_made: tuple[NotMadeEntry, ...] = ()) -> StudyEntry:
        """The entry of a report; `objects` and `timings_seconds` are added where they are known."""
        first = report.readings[0] if report.readings else None
        cohorts = [_cohort(metric) for reading in report.readings for metric in reading.cohorts]
        return cls(
            study_instance_uid=report.study.study_instance_uid,
            status=report.status.value,
            reason=report.reason,
            revision=report.study.revision,
            conclusion=conclusion_of(report),
            model=ModelEntry.of(first.model) if first else None,
            findings=tuple(
                _finding(number, reading, finding)
                for number, reading in enumerate(report.readings)
                for finding in reading.findings
            ),
            cohorts=tuple(metric for number, metric in enumerate(cohorts) if metric not in cohorts[:number]),
            limitations=report.all_limitations,
            explanation_gate=first.map_gate if first else "",
            readings=tuple(map(_reading, report.readings)),
            images=tuple(map(_image, report.images)),
            objects_not_made=objects_not_made,
        )

    def document(self) -> dict[str, Any]:
        """The JSON values that the database keeps: what is known when the report is filed."""
        return self.model_dump(mode="json", exclude={"objects", "timings_seconds"})

    def is_by(self, model: ModelVersion) -> bool:
        """Whether this very model version made one of the readings."""
        return ModelEntry.of(model) in [reading.model for reading in self.readings]

    def number_of(self, model: ModelVersion, what: ModelInput) -> int | None:
        """The place of a reading among `readings`; None when there is none of this model and input."""
        for number, reading in enumerate(self.readings):
            if reading.model == ModelEntry.of(model) and reading.instances in ((), what.sop_instance_uids):
                return number
        return None

    def faithfulness_of(self, reading: int) -> dict[str, Faithfulness]:
        """The figures of the maps of a reading, by finding."""
        return {
            finding.name: Faithfulness(**finding.saliency.faithfulness.model_dump())
            for finding in self.findings
            if finding.reading == reading and finding.saliency and finding.saliency.faithfulness
        }

    def strongest(self, finding_name: str) -> FindingEntry | None:
        """The finding of that name with the highest probability; None when no reading has it."""
        named = [finding for finding in self.findings if finding.name == finding_name]
        return max(named, key=lambda finding: finding.probability, default=None)


def _reading(reading: Reading) -> ReadingEntry:
    return ReadingEntry(
        model=ModelEntry.of(reading.model),
        instances=reading.what.sop_instance_uids,
        status=reading.status.value,
        reason=reading.reason,
        limitations=reading.limitations,
        explanation_gate=reading.map_gate,
    )


def _image(image: ImageUse) -> ImageEntry:
    return ImageEntry(
        sop_instance_uid=image.instance.sop_instance_uid,
        series_instance_uid=image.instance.series_instance_uid,
        read=image.is_read,
        reason=image.reason,
    )


def _finding(number: int, reading: Reading, finding: Finding) -> FindingEntry:
    metric = reading.performance_of(finding.name)
    saliencies, instance = reading.saliencies_of(finding.name), reading.instance_of(finding.name)
    return FindingEntry(
        name=finding.name,
        code=_code(finding.code),
        probability=finding.probability,
        score=finding.score,
        operating_point=_point(finding.operating_point),
        positive=finding.is_positive,
        saliency=_saliency(saliencies[0]) if saliencies else None,
        reading=number,
        model=ModelEntry.of(reading.model),
        image=instance.sop_instance_uid if instance else "",
        implied_by=finding.implied_by,
        verdict=verdict_in_words(finding, metric),
        performance=performance_in_words(metric),
    )


def _point(point: OperatingPoint) -> PointEntry:
    return PointEntry(
        threshold=point.threshold,
        sensitivity=point.sensitivity,
        specificity=point.specificity,
        positives=point.positives,
        negatives=point.negatives,
        cohort=point.cohort,
        policy=point.policy,
        measured=point.is_measured,
    )


def _saliency(saliency: Saliency) -> SaliencyEntry:
    measured = saliency.faithfulness
    return SaliencyEntry(
        method=saliency.method.meaning,
        shown=saliency.shown,
        withheld_reason=saliency.withheld_reason,
        no_region=saliency.no_region,
        faithfulness=None if measured is None else FaithfulnessEntry.of(measured),
    )


def _cohort(metric: CohortMetric) -> CohortEntry:
    return CohortEntry(
        finding=metric.finding_name,
        cohort=metric.cohort,
        sensitivity=metric.sensitivity,
        sensitivity_interval=metric.sensitivity_interval,
        specificity=metric.specificity,
        specificity_interval=metric.specificity_interval,
        positives=metric.positives,
        negatives=metric.negatives,
        source=metric.source,
        fallback=metric.fallback,
        statement=statement_of(metric),
    )


def _code(code: Code) -> CodeEntry:
    return CodeEntry(value=code.value, scheme=code.scheme, meaning=code.meaning)
