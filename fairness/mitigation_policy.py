"""What an operating policy says: thresholds per cohort of one attribute, and what they do to everybody.

Apart from how a policy is proposed (`fairness.mitigation`), because the worker applies policies and need not load
statistics for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from core.documents.model import KNOWN_KEYS_ONLY, Document
from fairness.cohorts import ALL, cohort_name
from fairness.service.truth import AMONG_VERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Sensitivity and specificity, each value, lower and upper bound (95 %, Wilson); None with no patient to count."""

    __pydantic_config__ = KNOWN_KEYS_ONLY

    sensitivity: tuple[float, float, float] | None
    specificity: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a policy does to one finding in one cohort; `cohort` "all" has no threshold of its own.

    `changes` is False where there is too little data: such a cohort keeps the threshold of all. `note`: what the
    rates must say about themselves (`fairness.service.truth`), or why they and the counts are withheld.
    """

    __pydantic_config__ = KNOWN_KEYS_ONLY

    finding: str
    cohort: str
    threshold_before: float
    threshold_after: float
    before: Rates
    after: Rates
    positives: int | None
    negatives: int | None
    changes: bool
    note: str = AMONG_VERIFIED  # of what was kept without a note no more is known


class OperatingPolicy(Document):
    """Thresholds per cohort of one attribute, with their effect on every cohort."""

    noun: ClassVar[str] = "an operating policy"

    by: str
    effects: tuple[Effect, ...]

    def effect_for(self, finding: str, attributes: Mapping[str, str]) -> Effect | None:
        """The effect whose threshold counts for this patient; None: that of all patients."""
        cohort = cohort_name({self.by: attributes[self.by]}) if self.by in attributes else ALL
        mine = (effect for effect in self.effects if (effect.finding, effect.cohort) == (finding, cohort))
        return next((effect for effect in mine if effect.changes), None)
