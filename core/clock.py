"""What time it is, as something that is passed in: tests set it, and nothing sleeps to see a deadline pass."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Anything that says the time when called."""

    def __call__(self) -> float:
        """Seconds since the epoch, UTC."""


def system_clock() -> float:
    """The machine's clock: seconds since the epoch, UTC."""
    return time.time()


def steady_clock() -> float:
    """Seconds that only pass, from no moment in particular: setting the machine's clock does not change them."""
    return time.monotonic()


class SettableClock:
    """A clock that moves only when it is set, for tests and simulations."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.seconds += seconds


def month_of(at: float) -> str:
    """The month (UTC) of a moment, seconds since the epoch, as "2026-11"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")
