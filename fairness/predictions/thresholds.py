"""The thresholds that an audit judges by: written by a person, in a file, or found in the rows by a rule."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigurationError
from fairness.audit.nouns import Threshold
from fairness.audit.table import Scores

RULES = ("specificity", "sensitivity", "flag_rate", "youden")
ON_THESE_ROWS = "chosen on these rows"
_COLUMNS = ("finding", "threshold")
_MOST_BYTES = 1024 * 1024
_ROUNDING = 1e-12


def thresholds_of(given: Sequence[str], option: str = "--threshold") -> dict[str, Threshold]:
    """The thresholds written as FINDING=0.35; ConfigurationError for what is none."""
    found = {}
    for text in given:
        finding, _, number = text.rpartition("=")
        value = _probability(number)
        if not finding or value is None:
            raise ConfigurationError(f"{option} {text}: write FINDING=0.35, a probability from 0 to 1")
        found[finding] = Threshold(finding=finding, value=value, source=f"chosen by {option}")
    return found


def thresholds_in(path: Path) -> dict[str, Threshold]:
    """The thresholds of a CSV file with the columns finding and threshold; ConfigurationError names the wrong line."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(f"{path.name} is too large to be a list of thresholds")
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read as a CSV file with finding and threshold") from error
    if not rows or not set(_COLUMNS) <= set(rows[0]):
        raise ConfigurationError(f"{path.name} needs a header with finding and threshold, and a line for each finding")
    found: dict[str, Threshold] = {}
    for line, row in enumerate(rows, 2):
        finding, value = (row["finding"] or "").strip(), _probability(row["threshold"] or "")
        if not finding or value is None:
            raise ConfigurationError(f"{path.name}, line {line}: write a finding and a threshold from 0 to 1")
        if finding in found:
            raise ConfigurationError(f"{path.name}, line {line}: {finding} has a threshold already; keep one of them")
        found[finding] = Threshold(finding=finding, value=value, source=f"file {path.name}")
    return found


def _probability(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 else None


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """Where a threshold is put: at a specificity, sensitivity or flag rate, or where Youden's J is highest."""

    name: str
    target: float = 0.0

    @classmethod
    def of(cls, text: str) -> ThresholdRule:
        """From "youden" or "specificity=0.9"; ConfigurationError for what is no rule."""
        name, _, number = text.partition("=")
        target = _probability(number)
        if text == "youden":
            return cls(text)
        if name not in RULES[:3] or target is None:
            raise ConfigurationError(
                f"--threshold-at {text}: write youden, or specificity=0.9, sensitivity=0.9 or flag_rate=0.1, "
                "a share from 0 to 1"
            )
        return cls(name, target)

    @property
    def words(self) -> str:
        return "Youden's J" if self.name == "youden" else f"{self.name.replace('_', ' ')} {self.target:g}"

    def threshold(self, finding: str, scores: Scores) -> Threshold:
        """The threshold of a finding, one of its scores; a score at it is flagged.

        Specificity and flag rate: the lowest that keeps to the target. Sensitivity and J: the highest. Raises
        ConfigurationError where no score does, or the rule needs truths that the table lacks.
        """
        value = self._place(scores)
        if value is None:
            raise ConfigurationError(
                f"--threshold-at: no score of {finding} gives {self.words}, because too few differ or their truth is "
                f"not known; give --threshold {finding}=0.5, or name the other findings with --finding"
            )
        return Threshold(finding=finding, value=value, source=f"{ON_THESE_ROWS}: {self.words}")

    def _place(self, scores: Scores) -> float | None:
        given = scores.probabilities[~np.isnan(scores.probabilities)]
        if self.name == "flag_rate":
            rising = np.unique(given)
            return _first(rising, _from(given, rising) <= self.target + _ROUNDING)
        positive, negative = (scores.probabilities[scores.truths == truth] for truth in (1, 0))
        rising = np.unique(np.concatenate([positive, negative]))
        if not len(negative if self.name == "specificity" else positive) or (
            self.name == "youden" and not len(negative)
        ):
            return None
        if self.name == "specificity":
            return _first(rising, 1 - _from(negative, rising) >= self.target - _ROUNDING)
        falling = rising[::-1]
        if self.name == "sensitivity":
            return _first(falling, _from(positive, falling) >= self.target - _ROUNDING)
        return float(falling[np.argmax(_from(positive, falling) - _from(negative, falling))])


def _from(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of values at or above each threshold."""
    shares: NDArray[np.float64] = 1.0 - np.searchsorted(np.sort(values), thresholds) / len(values)
    return shares


def _first(thresholds: NDArray[np.float64], fits: NDArray[np.bool_]) -> float | None:
    return float(thresholds[np.argmax(fits)]) if fits.any() else None
