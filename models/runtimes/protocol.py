"""What runs a packaged model, whatever library is behind it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.package.format import ModelPackage

Batch = NDArray[np.float32]
"""Inputs as arrays, 0 (black) .. 1 (white): shape (n, 1, rows, columns), of volumes (n, 1, slices, rows, columns)."""


class Outputs(NamedTuple):
    """`scores`: raw, shape (n, findings). `maps`: class activation, shape (n, findings, [slices,] h, w), or None."""

    scores: NDArray[np.float32]
    maps: NDArray[np.float32] | None


class Runtime(Protocol):
    """A packaged model in memory, ready to run."""

    @property
    def package(self) -> ModelPackage:
        """What the model is, what it takes, and how its outputs are to be read."""

    def predict(self, arrays: Batch) -> Outputs:
        """The outputs for a batch of inputs."""
