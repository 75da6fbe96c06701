"""What is explained: one model's answer for one image, at the resolution at which the model looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from core.domain.study import Image
from core.geometry import SquareFrame, resized
from explain.batches import BATCH, Floats
from explain.maps.gradient import GradientModel
from models.runtimes.protocol import Runtime

WORKING_SIDE = 512
"""Side of the working square of a model that does not say at which size it looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model over one input. `square`: float32 (side, side), 0..1, the image as the model sees it, or the slices of a
    volume, (slices, side, side).

    `side` is the model's own network size, where its package says it: the graph then resizes nothing, so hundreds of
    passes cost little and say the same as on the full image.
    """

    model: Runtime
    frame: SquareFrame
    square: Floats
    sop_instance_uid: str = ""

    @classmethod
    def of(cls, model: Runtime, image: Image, sop_instance_uid: str = "") -> Subject:
        """`image`: pixels 0..1, shape (rows, columns) of the source."""
        (square,) = _squares(model, [image])
        return cls(model=model, frame=image.frame, square=square, sop_instance_uid=sop_instance_uid)

    @classmethod
    def of_volume(cls, model: Runtime, slices: Sequence[Image]) -> Subject:
        """`slices` in the order of the array, pixels 0..1, each of shape (rows, columns) of the source."""
        return cls(model=model, frame=slices[0].frame, square=np.stack(_squares(model, slices)))

    def number_of(self, finding: str) -> int:
        """The place of a finding among the model's."""
        return [definition.name for definition in self.model.package.model.findings].index(finding)

    def scores(self, squares: Floats) -> Floats:
        """Logits (n, findings) of squares (n, side, side)."""
        return self.model.predict(squares[:, np.newaxis])[0]

    def maps(self, squares: Floats, finding: str) -> Floats | None:
        """The graph's own maps of a finding, (n, h, w), or None when it gives none."""
        found = self.model.predict(squares[:, np.newaxis])[1]
        return None if found is None else found[:, self.number_of(finding)]

    def probabilities(self, finding: str) -> Callable[[Floats], NDArray[np.float64]]:
        """The calibrated probabilities (n,) of squares (n, side, side), as a function."""
        calibrated = partial(self.model.package.calibrate, finding)
        column = self.number_of(finding)

        def of(squares: Floats) -> NDArray[np.float64]:
            parts = [squares[start : start + BATCH] for start in range(0, len(squares), BATCH)]
            return np.array([calibrated(float(row[column])) for part in parts for row in self.scores(part)])

        return of

    def gradients(self) -> GradientModel:
        """The same weights in torch; raises ConfigurationError where torch cannot run them."""
        from models.runtimes.torch_network import TorchNetwork  # torch is slow to import

        return TorchNetwork.from_package(self.model.package)


def _squares(model: Runtime, images: Sequence[Image]) -> list[Floats]:
    squares = [image.frame.to_square(image.pixels) for image in images]
    side = model.package.network_size or min(WORKING_SIDE, len(squares[0]))
    return [resized(square, side, side) for square in squares]
