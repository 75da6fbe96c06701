"""evaluation.json: how well a packaged model does on held-out patients, overall and within cohorts."""

from __future__ import annotations

from typing import ClassVar

from core.documents.model import Document, Nothing, Number, absent
from core.statistics.estimate import Rounded
from models.documents.training import Discrimination, Recipe, SplitCounts
from models.package.description import CalibrationSection, PublishedPoint

Points = tuple[tuple[float, float], ...]


class EvaluatedModel(Document):
    """Which model was evaluated; `opset` where its training says it."""

    name: str
    version: str
    sha256: str
    opset: int | None = None


class AtThreshold(Discrimination):
    """Discrimination, and the rates at the operating point."""

    sensitivity: Rounded
    specificity: Rounded


class ReliabilityBin(Document):
    """One bin of a reliability curve: mean probability, share of positives with its interval, images."""

    predicted: float
    observed: float
    low: float
    high: float
    n: int


class FindingCurves(Document):
    """The curves of one finding, all axes 0..1."""

    roc: Points
    precision_recall: Points
    reliability: tuple[ReliabilityBin, ...]


class FindingFigures(Document):
    """Every figure of one finding on test patients."""

    expected_calibration_error: Rounded
    calibration_error_debiased: float | None = absent()
    calibration_error_if_perfect: Rounded | None = absent()
    test_512: dict[str, AtThreshold]  # by cohort
    by_source: dict[str, AtThreshold] | None = absent()
    text_mined_too: Discrimination | None = absent()
    curves: FindingCurves | Nothing = Nothing()


class FindingFacts(Document):
    """What a finding is, and the operating point its rates are at."""

    words: str
    calibration: CalibrationSection
    operating_point: PublishedPoint


class FindingEvaluation(FindingFigures, FindingFacts):
    """One finding of an evaluation; in the file its facts come before its figures."""


class LocalisationFigures(Document):
    """How well maps find readers' boxes (or, as a gain, how much better than those of a control)."""

    images: int
    pointing: Rounded | None = absent()
    chance: Rounded | None = absent()
    average_precision: Rounded | None = absent()
    iou: Rounded | None = absent()
    pointing_centre: Rounded | None = absent()
    times_chance: Rounded | None = absent()


class Speed(Document):
    """What the evaluation ran on and how fast."""

    provider: str
    threads: int
    images_per_second: Number


class Evaluation(Document):
    """The whole of evaluation.json; it repeats the record of the training."""

    noun: ClassVar[str] = "an evaluation"

    model: EvaluatedModel
    recipe: Recipe | None = absent()
    data: dict[str, SplitCounts] | None = absent()
    largest_differences_from_torch: dict[str, Number] | None = absent()
    differences_on_radiographs: dict[str, Number] | None = absent()
    floor: Number | None = absent()
    shipped: tuple[str, ...]
    held_out: dict[str, Discrimination] | None = absent()
    not_labelled: tuple[str, ...] = ()
    findings: dict[str, FindingEvaluation]
    runtime: Speed | None = absent()
    localisation: dict[str, LocalisationFigures] | None = absent()
    localisation_gain: LocalisationFigures | None = absent()

    @property
    def evaluated(self) -> dict[str, FindingEvaluation]:
        """The shipped findings in their order."""
        return {name: self.findings[name] for name in self.shipped}
