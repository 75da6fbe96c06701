"""How long each study has been waiting, by a clock that never jumps.

The database keeps wall time, which people read and which jumps: back by an hour when a wrong clock is corrected, and
then "two seconds after the last image" is an hour away. So this process measures itself how long it has seen a study
unchanged. Wall time counts once, when a study is first seen: then it says how long it waited before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingStudy:
    """A study with images that no revision holds yet. Times are wall time, seconds since the epoch."""

    study_id: str
    last_received_at: float
    waiting_since_at: float
    is_sending: bool
    has_expected_count: bool


class Stopwatch:
    """Seconds that passed since moments of wall time, measured by a steady clock; for one thread."""

    def __init__(self, *, now: Clock, steady: Clock) -> None:
        self._now = now
        self._steady = steady
        self._began: dict[tuple[str, float], float] = {}

    def forget_all_but(self, moments: Iterable[tuple[str, float]]) -> None:
        """Drop what is no longer asked for."""
        self._began = {moment: self._began[moment] for moment in moments if moment in self._began}

    def seconds_since(self, name: str, at: float) -> float:
        """Seconds since the moment `at` of `name`; a moment in the future has just begun."""
        steady = self._steady()
        began = self._began.setdefault((name, at), steady - max(0.0, self._now() - at))
        return steady - began
