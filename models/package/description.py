"""candor.json: what a model is for, what it accepts, what its findings mean and how well it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from core.documents.model import Document, KeepsUnknownKeys, KnowsAllKeys, NotNegative, Number, Share, absent
from core.domain.code import Code
from core.domain.model import FindingDefinition, OperatingPoint
from models.package.described_input import (
    NOT_ASCENDING,
    Activation,
    InputDescription,
    Layout,
    described_input,
)
from models.quality import QualitySection

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"  # name and version become names of folders
ABNORMAL = frozenset({("SCT", "408574004"), ("SCT", "263654008")})  # Imaging result abnormal, Abnormal
VERSION = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,31}$"
FINDING = r"^[a-z][a-z0-9_]{0,63}$"  # part of file names, settings and DICOM texts
Sentence = Annotated[str, Field(max_length=1024, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Word = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]  # LO of PS3.5 6.2
MOST_FINDINGS = 256


class AcceptsSection(KnowsAllKeys):
    """What a model may be given; `views` holds "" when the view may be missing."""

    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    body_part_may_be_missing: bool
    views: tuple[str, ...]
    photometric_interpretations: tuple[str, ...]
    minimum_age_years: NotNegative
    maximum_age_years: NotNegative | None = absent()
    unknown_age_accepted: bool
    minimum_rows: Annotated[int, Field(ge=0)]
    minimum_columns: Annotated[int, Field(ge=0)]


_MEAN_AND_STD = "mean and std go together, and have one number for each of the {} channels"
_TWICE = "two findings have the same name"


class InputSection(KeepsUnknownKeys):
    """The input of the graph (see `models.package.described_input`)."""

    name: str
    kind: Literal["image", "volume"] | None = absent()
    slices: int | None = absent()
    window: tuple[Number, Number] | None = absent()
    dtype: str | None = absent()
    shape: tuple[int | str, ...] | None = absent()
    range: tuple[Number, Number] | None = absent()
    size: Annotated[int, Field(ge=8, le=4096)] | None = absent()  # side of the square that the graph takes
    channels: Literal[1, 3] | None = absent()
    layout: Layout | None = absent()  # NHWC: the channels come last
    mean: tuple[Number, ...] | None = absent()  # one for each channel, in the units of range
    std: tuple[Annotated[Number, Field(gt=0)], ...] | None = absent()
    meaning: str | None = absent()
    network_size: int | None = absent()  # side of the square that the graph resizes to

    @model_validator(mode="after")
    def _describes_an_input(self) -> InputSection:
        self.described()
        return self

    def described(self, activation: Activation = "sigmoid") -> InputDescription:
        """What the section says of the arrays that the graph takes."""
        plain = described_input(
            kind=self.kind or "image",
            slices=self.slices or 0,
            window=self.window,
            interval=self.range or (0.0, 1.0),
        )
        channels, mean, std = self.channels or 1, self.mean or (), self.std or ()
        if plain.is_volume and (self.size or channels > 1 or mean or std or self.layout):
            raise ValueError("size, channels, layout, mean and std are of images, not of volumes")
        if len(mean) != len(std) or len(mean) not in (0, channels):
            raise ValueError(_MEAN_AND_STD.format(channels))
        return replace(
            plain,
            size=self.size or 0,
            channels=channels,
            mean=mean,
            std=std,
            activation=activation,
            layout=self.layout or "NCHW",
        )


class OutputsSection(KeepsUnknownKeys):
    """The outputs of the graph. `logits`: that of the scores; `activation`: what is still to be done to them."""

    logits: str
    class_activation: str | None = absent()
    activation: Activation | None = absent()

    @model_validator(mode="after")
    def _refuse_maps_of_other_scores(self) -> OutputsSection:
        if self.class_activation is not None and self.activation not in (None, "sigmoid"):
            raise ValueError("a class activation adds up to a logit, so its activation is sigmoid")
        return self


class CalibrationSection(KnowsAllKeys):
    """Platt scaling."""

    scale: Number = 1.0
    shift: Number = 0.0


class PublishedPoint(KnowsAllKeys):
    """The operating point of all patients, as a package publishes it; it knows no cohort and no policy of a site."""

    threshold: Share
    sensitivity: Share
    specificity: Share
    sensitivity_interval: tuple[Share, Share] | None = None
    specificity_interval: tuple[Share, Share] | None = None
    positives: int | None = None
    negatives: int | None = None

    @classmethod
    def of(cls, point: OperatingPoint) -> PublishedPoint:
        """The part of an operating point that is about all patients."""
        return cls(**{name: value for name, value in asdict(point).items() if name in cls.model_fields})

    def operating_point(self) -> OperatingPoint:
        """The operating point that the worker applies."""
        return OperatingPoint(**dict(self))


class FindingSection(KeepsUnknownKeys):
    """One finding, in the order of the graph's outputs."""

    name: Annotated[str, Field(pattern=FINDING)]
    code: Code
    calibration: CalibrationSection = CalibrationSection()
    operating_point: PublishedPoint
    general: bool | None = absent()  # it speaks of the image as a whole; where it is missing the code says so

    def definition(self) -> FindingDefinition:
        """The finding as the rest of the system knows it."""
        general = (self.code.scheme, self.code.value) in ABNORMAL if self.general is None else self.general
        point = self.operating_point.operating_point()
        return FindingDefinition(name=self.name, code=self.code, operating_point=point, is_general=general)


class Description(KeepsUnknownKeys):
    """The whole of candor.json."""

    noun: ClassVar[str] = "a model description"

    name: Annotated[str, Field(pattern=NAME)]
    version: Annotated[str, Field(pattern=VERSION)]
    sha256: str  # of the weights
    manufacturer: Word
    intended_use: Sentence
    not_for: tuple[Sentence, ...] | None = absent()
    not_looked_for: tuple[Sentence, ...] | None = absent()  # where it is missing, see models.package.scope
    accepts: AcceptsSection
    input: InputSection
    outputs: OutputsSection
    completeness: str | None = absent()
    findings: Annotated[tuple[FindingSection, ...], Field(min_length=1, max_length=MOST_FINDINGS)]
    quality: QualitySection | None = absent()

    @model_validator(mode="after")
    def _check_that_each_finding_is_there_once(self) -> Description:
        names = [finding.name for finding in self.findings]
        if len(set(names)) < len(names):
            raise ValueError(_TWICE)
        return self

    @classmethod
    def contradictions(cls, entries: Any, /) -> Iterator[str]:
        """As the validators above and those of the input say it."""
        names = [finding.get("name") for finding in entries.get("findings", ())]
        if len(set(names)) < len(names):
            yield _TWICE
        said = entries.get("input", {})
        lengths, channels = {len(said.get(key) or ()) for key in ("mean", "std")}, said.get("channels") or 1
        if len(lengths) > 1 or not lengths <= {0, channels}:
            yield _MEAN_AND_STD.format(channels)
        low, high = said.get("range") or (0, 1)
        if not low < high:
            yield NOT_ASCENDING


class Prose(Document):
    """docs/prose.json: what the maker says in words; the model card shows it."""

    noun: ClassVar[str] = "the prose of a model card"

    intended_use: str = ""
    not_for: tuple[str, ...] = ()
    accepts: AcceptsSection | None = absent()
    changelog: dict[str, str] | None = absent()
    data_source: str = ""
    references: tuple[str, ...] = ()
    attribution: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    architecture: str = ""
    outputs: str = ""
    limits: tuple[str, ...] = ()
