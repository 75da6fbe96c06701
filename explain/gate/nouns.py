"""What the map gate is given: a model, maps, cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from explain.batches import Floats


class Predicts(Protocol):
    """A model in memory."""

    def predict(self, images: Floats) -> tuple[Floats, Floats | None]:
        """Logits (n, findings) and maps (n, findings, h, w) or None, of images (n, 1, side, side)."""


MapMaker = Callable[[Predicts, Floats], Floats]
"""Maps (n, findings, h, w), any grid, of images (n, side, side)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCase:
    """One image for the gate. `square`: float32 (side, side), 0..1, all of one side; `patient`: a pseudonym.

    `boxes`: per finding name, where readers drew boxes: bool (side, side).
    """

    square: Floats
    patient: str = field(repr=False)
    boxes: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSet:
    """The images for the gate, what they are, and, without held-out patients, why they prove less (`weaker`)."""

    cases: Sequence[GateCase]
    images: str
    weaker: str = ""
