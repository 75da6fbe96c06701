"""How one attribute divides images into cohorts: a code for each image, and the value that each code means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairness.cohorts import UNKNOWN

_MOST_VALUES = 2**15  # of one attribute: codes are int16


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
