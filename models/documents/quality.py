"""docs/quality.json: what the quality check of a package refuses wrongly, what it catches, what was not measured."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from core.documents.model import Document, KeepsUnknownKeys, Number, absent
from core.statistics.estimate import Rounded


class QualityRecipe(KeepsUnknownKeys):
    """The settings of a training run."""

    seed: int | None = absent()
    steps: int | None = absent()
    batch: int | None = absent()
    learning_rate: Number | None = absent()
    weight_decay: Number | None = absent()
    ema_decay: Number | None = absent()
    child_share: Number | None = absent()
    shares: tuple[Number, ...] | None = absent()
    familiar_images: int | None = absent()


class FaultThreshold(Document):
    """The threshold of one fault."""

    name: str
    kind: Literal["probability", "distance"]
    threshold: Number


class CheckFacts(Document):
    """The graph that the figures are of."""

    sha256: str
    bytes: int
    opset: int
    network_size: int
    largest_difference_from_torch: Number
    recipe: QualityRecipe
    budget: Number
    faults: tuple[FaultThreshold, ...]


class Refusals(Document):
    """Sound images refused; `by_fault`: how many of them for which fault."""

    images: int
    refused: int
    share: Rounded
    by_fault: dict[str, int] | None = Field(
        default=None, validation_alias="for", serialization_alias="for", exclude_if=lambda value: value is None
    )


class Caught(Document):
    """Spoilt images of one kind: the share refused, and the share refused for the right fault."""

    fault: str
    how: str
    source: str
    images: int
    caught: Rounded
    named: Rounded


class Control(Document):
    """Sound images of adults brought through the pipeline of children's images."""

    control: str
    images: int
    called_child: Rounded
    called_child_as_sent: Rounded
    refused: Rounded


class CheckEvaluation(Document):
    """What the check does on patients it never saw; refusals by number of rows and cohort."""

    false_refusals: dict[str, dict[str, Refusals]]
    caught: tuple[Caught, ...]
    controls: tuple[Control, ...] = ()
    not_measured: tuple[str, ...] = ()


class Checked(Document):
    """Which check the figures are of."""

    check: CheckFacts | None = Field(
        default=None, validation_alias="gate", serialization_alias="gate", exclude_if=lambda value: value is None
    )


class QualityFigures(CheckEvaluation, Checked):
    """The whole of quality.json."""

    noun: ClassVar[str] = "the figures of a quality check"

    attribution: tuple[str, ...] = ()
