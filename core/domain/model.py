"""What a model is, and what it said of an input."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.domain.code import Code
from core.geometry import SquareFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A threshold on the probability, and what it was chosen for on validation data (all 0..1).

    `cohort` and `policy` are set where a person signed off an operating point for one cohort of this site; it was then
    chosen on local reads.
    """

    threshold: float
    sensitivity: float
    specificity: float
    sensitivity_interval: tuple[float, float] | None = None  # 95 %
    specificity_interval: tuple[float, float] | None = None
    positives: int | None = None
    negatives: int | None = None
    cohort: str = ""  # "view=AP"; "": chosen for all patients
    policy: str = ""  # "operating policy 3, signed off 2026-11-02"

    @property
    def is_measured(self) -> bool:
        """Whether it is known on how many patients its figures were measured; else they are a claim, and not shown."""
        return bool(self.positives and self.negatives)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingDefinition:
    """A finding a model can report: its name, code and operating point.

    `is_general`: it speaks of the image as a whole ("abnormal"), so whatever else is found belongs to it.
    """

    name: str  # machine name, e.g. "lung_opacity"
    code: Code
    operating_point: OperatingPoint
    is_general: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """An immutable model version: what ran, provably (`sha256` of the weights).

    `body_part`: what an image is taken for that does not say what it shows (CHEST). `not_for`: uses that the maker
    excludes, a sentence each. `not_looked_for`: what readers expect of such images and the model has no finding for.
    """

    name: str
    version: str
    sha256: str
    manufacturer: str
    device_uid: str  # one Device UID per model version (TID 1004)
    findings: tuple[FindingDefinition, ...]
    intended_use: str = ""
    card_sha256: str = ""  # of the model card (HTML) in the package; "" when it has none
    body_part: str = ""
    not_for: tuple[str, ...] = ()
    not_looked_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the quality check said of one image: a score per fault (a probability 0..1, or a distance whose usual value
    is 1). `fault` is the one it is refused for, with `reason` in words; both are "" for a sound image. `sha256`: the
    gate's weights.
    """

    sha256: str
    scores: dict[str, float]
    fault: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model said of one input; nothing (no scores, no maps) where `quality` names a fault.

    `input_key`: of the `ModelInput`. `scores`: raw logit per finding name. `probabilities`: calibrated, 0..1. `maps`:
    class activation in model space, float32, shape (findings, h, w), of a volume (findings, slices, h, w), in the order
    of `model.findings`; None when the model has none. `frame` brings them back to source pixels, slice by slice.
    """

    model: ModelVersion
    input_key: str
    scores: dict[str, float]
    probabilities: dict[str, float]
    frame: SquareFrame
    maps: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    quality: Quality | None = None  # None where the package has no quality check
