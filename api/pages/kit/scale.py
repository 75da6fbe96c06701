"""Axes: round ticks, and where a value is between two ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis from `low` to `high` with `ticks` in between, all finite, low < high."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where `value` is: 0 at the low end, 1 at the high end; what is outside is drawn at the end."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def scale_of(values: Iterable[float | None], *, wanted: int = 5) -> Scale:
    """An axis with round ends that holds every finite value; about `wanted` ticks."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if low == high:
        low, high = (0.0, 1.0) if low == 0.0 else (low - 0.05, high + 0.05)
    step = _step((high - low) / wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(index * step, 10) for index in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def between(low: float, high: float, *, wanted: int = 5) -> Scale:
    """An axis with exactly these ends, and the round ticks that lie within."""
    step = _step((high - low) / wanted)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Scale(low, high, tuple(round(index * step, 10) for index in range(first, last + 1)))


def _step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return next(step for step in _STEPS if step * size >= rough * (1 - 1e-9)) * size


def tick_text(value: float) -> str:
    """A tick as short as it can be said: 0, 0.5, 0.75, 1,000."""
    return f"{value:,.6g}" if abs(value) < 1000 else f"{value:,.0f}"
