"""The quality check of a package: a small graph that says what is wrong with an image before the model sees it.

A package may hold `models/quality.onnx`; its SHA-256, and for each score its name, threshold and words, stand in
candor.json under "quality". Packages without one load as before, and their reports say that nothing was checked.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from core.documents.model import KNOWN_KEYS_ONLY, KeepsUnknownKeys, Number, absent
from core.errors import ConfigurationError, IntegrityError
from core.geometry import FloatMap
from models.external_data import refuse_external_data

_CLOSEST = 1e-6  # to 0 or 1 that a probability counts
QUALITY_WEIGHTS = Path("models/quality.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that may be wrong: refused when its score (a probability, or a distance whose usual value is 1) is
    above `threshold`. `reason`: what is said then, to follow "because". Of several faults the one of higher
    `precedence` is named: that an image is blank says more than that it is no chest, and that more than a distance.
    """

    __pydantic_config__ = KNOWN_KEYS_ONLY

    name: str
    kind: Literal["probability", "distance"]
    threshold: float
    reason: str
    precedence: int = 0

    def claim(self, score: float) -> tuple[int, float]:
        """What decides which of several faults is named: precedence, then how far `score` is above the threshold."""
        if self.kind == "distance":
            return self.precedence, score / self.threshold
        return self.precedence, _logit(score) - _logit(self.threshold)


class QualityInput(KeepsUnknownKeys):
    """The input of the check's graph."""

    name: str
    range: tuple[Number, Number] | None = absent()
    network_size: int | None = absent()  # pixels


class QualitySection(KeepsUnknownKeys):
    """The section "quality" of candor.json; `faults` in the order of the graph's scores."""

    sha256: str
    input: QualityInput
    output: str
    faults: tuple[Fault, ...]

    @model_validator(mode="after")
    def _refuse_thresholds_that_cannot_be_compared(self) -> Self:
        for fault in self.faults:
            if not math.isfinite(fault.threshold):
                raise ValueError(f"the threshold of {fault.name} must be a finite number")
            if fault.kind == "distance" and fault.threshold <= 0:  # a distance is said as a multiple of it
                raise ValueError(f"the threshold of {fault.name} must be above 0, because it is a distance")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityCheck:
    """The check of a verified package, as data; `faults` in the order of the graph's scores."""

    weights: Path
    sha256: str
    input_name: str
    output_name: str
    faults: tuple[Fault, ...]

    def worst(self, scores: Mapping[str, float]) -> Fault | None:
        """The fault to be named among those whose score is above their threshold; None for a sound image."""
        above = [fault for fault in self.faults if scores[fault.name] > fault.threshold]
        return max(above, key=lambda fault: fault.claim(scores[fault.name]), default=None)


@dataclass(frozen=True, slots=True)
class QualityModel:
    """A check in memory, ready to look."""

    check: QualityCheck
    session: Any

    @classmethod
    def load(cls, check: QualityCheck) -> QualityModel:
        """Load the weights, one thread: the graph is small. Raises IntegrityError or ConfigurationError."""
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        weights = _read_verified(check.weights, check.sha256)
        refuse_external_data(weights, check.weights.name)
        try:
            session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a boundary: ONNX Runtime raises a dozen classes without a common base
            raise ConfigurationError(f"{check.weights.name} is no ONNX model") from error
        model = cls(check, session)
        model.scores(np.zeros((64, 64), np.float32))
        return model

    def scores(self, pixels: FloatMap) -> dict[str, float]:
        """Score per fault of an image, 0 (black) .. 1 (white), shape (rows, columns), not padded."""
        image = np.ascontiguousarray(pixels, np.float32)[np.newaxis, np.newaxis]
        (scores,) = self.session.run([self.check.output_name], {self.check.input_name: image})
        if scores.shape != (1, len(self.check.faults)):
            raise IntegrityError(f"{self.check.weights.name} gives other scores than candor.json names")
        return {fault.name: float(score) for fault, score in zip(self.check.faults, scores[0], strict=True)}


def load_quality_check(folder: Path, section: QualitySection | None) -> QualityCheck | None:
    """The check of the package in `folder`, verified, or None where it has none.

    Raises IntegrityError when there is a graph that candor.json does not vouch for.
    """
    weights = folder / QUALITY_WEIGHTS
    if section is None:
        if weights.exists():
            raise IntegrityError(f"the quality check of {folder.name} is not named in its description")
        return None
    _read_verified(weights, section.sha256)
    return QualityCheck(
        weights=weights,
        sha256=section.sha256,
        input_name=section.input.name,
        output_name=section.output,
        faults=section.faults,
    )


def _read_verified(weights: Path, sha256: str) -> bytes:
    try:
        data = weights.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{weights} cannot be read") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IntegrityError(
            f"the quality check of {weights.parent.parent.name} is not the one it was published with; install it again"
        )
    return data


def _logit(probability: float) -> float:
    clipped = min(max(probability, _CLOSEST), 1 - _CLOSEST)
    return math.log(clipped / (1 - clipped))
