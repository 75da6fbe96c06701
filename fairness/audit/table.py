"""What an audit is made from, wherever it came from: a CSV, the site's database, or a model's held-out patients.

Columns, not rows: an audit of ten million images reads one finding at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairness.grouping import Grouping

TRUTH_UNKNOWN = -1


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTable:
    """Images with their patients (codes 0..patients-1), the attributes that divide them, and their scores.

    `attributes` holds every attribute known of the images, also those that the audit does not divide by:
    which cells must be withheld is decided over all of them (docs/decisions).
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
