"""explanation.json: what the map gate found of a model version, and the methods that were compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from core.documents.model import Document, Nothing, absent
from core.statistics.estimate import Rounded

Figure = int | float | tuple[float | None, ...]
"""A number, or [value, low, high], or one number for each of several."""


class Verdict(StrEnum):
    """How a map gate ended."""

    PASSED = "passed"  # on images of patients: maps may be shown
    FAILED = "failed"
    NOT_JUDGED = "not judged"  # nothing failed, but no image was of a patient: that proves too little to show maps


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTest:
    """One test of the gate. `passed` is None when it could not be made, and `words` says why.

    `figures`: by name; `words`: what was compared, as a sentence.
    """

    name: str
    passed: bool | None
    words: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)


class RandomisationCurve(Document):
    """SSIM with the real maps by share of the layers shuffled, and that of random pairs of maps."""

    shares: tuple[float, ...]
    ssim: tuple[float, ...]
    random_pairs: float


class FaithfulnessCurve(Document):
    """Mean probability by share of the image deleted or inserted."""

    shares: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]


class GateCurves(Document):
    """What the card plots; `faithfulness`: of the map and of what it is compared with."""

    randomisation: RandomisationCurve | None = absent()
    faithfulness: dict[str, FaithfulnessCurve] | None = absent()


class Chance(Document):
    """What chance gives for each figure of a method."""

    pointing: float
    auprc: float
    iou: float


class ComparedMethod(Document):
    """One method on the boxed images: its cost, its figures, and AUPRC above chance for each forward pass."""

    method: str
    parameters: dict[str, int]
    forward_passes: int
    pointing: Rounded
    auprc: Rounded
    iou: Rounded
    chance: Chance
    gain_per_pass: float


class Comparison(Document):
    """Methods side by side on the images that readers boxed."""

    finding: str
    images: int
    patients: int
    published_pneumonia_auprc: tuple[float, float]
    methods: tuple[ComparedMethod, ...]
    most_per_pass: str


class Explanation(Document):
    """The whole of explanation.json."""

    noun: ClassVar[str] = "the result of a map gate"

    schema_version: Literal[1] = Field(validation_alias="schema", serialization_alias="schema")
    passed: bool = False
    failed: tuple[str, ...] = ()
    model: str = ""
    version: str = ""
    sha256: str
    method: str = ""
    images: str = ""
    weaker: str = ""
    tests: tuple[GateTest, ...]
    curves: GateCurves = GateCurves()
    comparison: Comparison | Nothing = Nothing()

    @property
    def verdict(self) -> Verdict:
        """How the gate ended, by what the document says."""
        return verdict_of(passed=self.passed, failed=self.failed, weaker=self.weaker)

    @model_validator(mode="after")
    def _check_that_each_test_is_there_once(self) -> Self:
        if len({test.name for test in self.tests}) < len(self.tests):
            raise ValueError("each test may be there once")
        return self


def verdict_of(*, passed: bool, failed: Sequence[str], weaker: str) -> Verdict:
    """How a gate ended in which these tests failed; `weaker`: why its images prove less, "" when they do not."""
    if not failed and weaker:
        return Verdict.NOT_JUDGED
    return Verdict.PASSED if passed and not failed else Verdict.FAILED
