"""What `input` of candor.json says: whether the graph takes one image or a volume, and how it is prepared.

    "input": {"name": "image"}                                             one image, padded to a square, 0..1
    "input": {"name": "volume", "kind": "volume", "slices": 8, "window": [-1000, 400]}

A volume is a whole series: float32, shape (n, 1, slices, side, side), the slices in the order of their positions, their
rescaled values (for a CT Hounsfield units) brought from `window` to 0..1 and cut off outside of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from core.domain.input import SQUARE

FEWEST_SLICES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class InputDescription:
    """`slices`: how many a volume must have, 0 when any number will do. `range`: what black and white become."""

    kind: Literal["image", "volume"] = "image"
    slices: int = 0
    window: tuple[float, float] | None = None
    range: tuple[float, float] = (0.0, 1.0)

    @property
    def is_volume(self) -> bool:
        """Whether a whole series is one input."""
        return self.kind == "volume"

    @property
    def prepared_as(self) -> str:
        """What decides the array besides the instances, as text: the same for equal descriptions only."""
        if self == IMAGE:
            return SQUARE
        return json.dumps([self.kind, self.slices, self.window, self.range], separators=(",", ":"))


IMAGE = InputDescription()
"""What a package reads that says nothing of it."""


def described_input(section: dict[str, Any]) -> InputDescription:
    """Read the section; raises KeyError, TypeError or ValueError when it is malformed."""
    kind, low_high = section.get("kind", "image"), tuple(map(float, section.get("range", (0.0, 1.0))))
    if kind == "image":
        return InputDescription(range=_interval(low_high))
    if kind != "volume":
        raise ValueError(f"input.kind {kind!r} is neither image nor volume")
    slices = int(section.get("slices", 0))
    if slices and slices < FEWEST_SLICES:
        raise ValueError(f"a volume has at least {FEWEST_SLICES} slices")
    window = _interval(tuple(map(float, section["window"])))
    return InputDescription(kind="volume", slices=slices, window=window, range=_interval(low_high))


def _interval(values: tuple[float, ...]) -> tuple[float, float]:
    low, high = values
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError("an interval is two numbers, the lower one first")
    return low, high
