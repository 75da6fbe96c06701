"""candor.json: what a model is for, what it accepts, what its findings mean and how well it does."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from core.documents.model import Document, KeepsUnknownKeys, KnowsAllKeys, NotNegative, Number, Share, absent
from core.domain.code import Code
from core.domain.model import FindingDefinition, OperatingPoint
from models.package.described_input import InputDescription, described_input
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


class InputSection(KeepsUnknownKeys):
    """The input of the graph (see `models.package.described_input`)."""

    name: str
    kind: Literal["image", "volume"] | None = absent()
    slices: int | None = absent()
    window: tuple[Number, Number] | None = absent()
    dtype: str | None = absent()
    shape: tuple[int | str, ...] | None = absent()
    range: tuple[Number, Number] | None = absent()
    meaning: str | None = absent()
    network_size: int | None = absent()  # side of the square that the graph resizes to

    @model_validator(mode="after")
    def _describes_an_input(self) -> InputSection:
        self.described()
        return self

    def described(self) -> InputDescription:
        """What the section says of the arrays that the graph takes."""
        return described_input(
            kind=self.kind or "image",
            slices=self.slices or 0,
            window=self.window,
            interval=self.range or (0.0, 1.0),
        )


class OutputsSection(KeepsUnknownKeys):
    """The outputs of the graph."""

    logits: str
    class_activation: str | None = absent()


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
            raise ValueError("two findings have the same name")
        return self


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
