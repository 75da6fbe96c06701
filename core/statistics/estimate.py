"""A figure with its 95 % interval: what every statistic here gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054  # half the width of a 95 % interval, in standard deviations of a normal

Floats = NDArray[np.floating]
Truths = NDArray[np.bool_]
Rounded = tuple[float | None, float | None, float | None]
"""An estimate as a document holds it: value and 95 % interval, None where there was too little to say anything."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def rounded(self, digits: int = 4) -> Rounded:
        """(value, low, high), rounded, for JSON; None where there was too little to say anything."""
        value, low, high = (
            None if math.isnan(figure) else round(float(figure), digits) for figure in (self.value, self.low, self.high)
        )
        return value, low, high


UNDEFINED = Estimate(math.nan, math.nan, math.nan)
