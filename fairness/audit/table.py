"""What an audit is made from, wherever it came from: a CSV, the site's database, or a model's held-out patients.

Columns, not rows: an audit of ten million images reads one finding at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

UNKNOWN = "UNKNOWN"
TRUTH_UNKNOWN = -1
_MOST_VALUES = 2**15  # of one attribute: codes are int16


@dataclass(frozen=True, slots=True)
class Scores:
    """One finding of every image: probability 0..1 (NaN: not scored), truth 1, 0 or -1 (not known)."""

    probabilities: NDArray[np.float64] = field(repr=False)
    truths: NDArray[np.int8] = field(repr=False)


class ScoreSource(Protocol):
    """Gives the scores of one finding at a time, so that not all of them need to be in memory at once."""

    @property
    def findings(self) -> Sequence[str]: ...

    def scores(self, finding: str) -> Scores: ...


@dataclass(frozen=True, slots=True)
class Grouping:
    """How one attribute divides the images: `codes[i]` is the place of image i's value in `values`."""

    values: tuple[str, ...]
    codes: NDArray[np.int16] = field(repr=False)

    @classmethod
    def of(cls, values: Sequence[str]) -> Grouping:
        """From one value per image; an empty one is UNKNOWN. ValueError past 32,768 different values."""
        filled = np.array([value or UNKNOWN for value in values], dtype=np.str_)
        names, codes = np.unique(filled, return_inverse=True)
        if len(names) > _MOST_VALUES:
            raise ValueError("an attribute with so many values makes no cohorts")
        return cls(tuple(str(name) for name in names), codes.astype(np.int16))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTable:
    """Images with their patients (codes 0..patients-1), the attributes that divide them, and their scores.

    `attributes` holds every attribute known of the images, also those that nobody asked for: which cells must be
    withheld is decided over all of them (docs/decisions).
    """

    patients: NDArray[np.int32] = field(repr=False)
    attributes: Mapping[str, Grouping]
    source: ScoreSource

    @property
    def images(self) -> int:
        return len(self.patients)


@dataclass(frozen=True, slots=True)
class ScoresInMemory:
    """A score source for tables that fit in memory."""

    found: Mapping[str, Scores]

    @property
    def findings(self) -> Sequence[str]:
        return tuple(self.found)

    def scores(self, finding: str) -> Scores:
        """The scores of one finding."""
        return self.found[finding]
