"""A map over its own range: what is left of it when the scale of an activation means nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLAT = 1e-6
"""A map whose range is smaller says nothing about where."""


def over_range(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map over its range, 0..1, of any shape; all zero when it is flat."""
    low, high = float(values.min()), float(values.max())
    if not high - low >= FLAT:
        return np.zeros_like(values)
    return ((values - low) / (high - low)).astype(np.float32)
