"""What `input` of candor.json says: whether the graph takes one image or a volume, and how it is prepared.

    "input": {"name": "image"}                                             one image, padded to a square, 0..1
    "input": {"name": "volume", "kind": "volume", "slices": 8, "window": [-1000, 400]}

A volume is a whole series: float32, shape (n, 1, slices, side, side), the slices in the order of their positions, their
rescaled values (for a CT Hounsfield units) brought from `window` to 0..1 and cut off outside of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from core.domain.input import SQUARE

FEWEST_SLICES = 3
NOT_ASCENDING = "an interval is two numbers, the lower one first"
Interval = tuple[float, float]
Activation = Literal["sigmoid", "softmax", "none"]
Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputDescription:
    """`slices`: how many a volume must have, 0 when any number will do. `range`: what black and white become.

    `size`: side of the square that the graph takes, 0 when it takes any; `channels`: how often the image is repeated;
    `mean` and `std`: one for each channel, in the units of `range`, () when nothing is subtracted. `activation`: what
    is still to be done to the outputs to make probabilities of them. `layout`: where the channels are.
    """

    kind: Literal["image", "volume"] = "image"
    slices: int = 0
    window: Interval | None = None
    range: Interval = (0.0, 1.0)
    size: int = 0
    channels: int = 1
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    activation: Activation = "sigmoid"
    layout: Layout = "NCHW"

    @property
    def is_volume(self) -> bool:
        """Whether a whole series is one input."""
        return self.kind == "volume"

    @property
    def prepared_as(self) -> str:
        """What decides the array besides the instances, as text: the same for equal descriptions only."""
        if self == IMAGE:
            return SQUARE
        said: list[object] = [self.kind, self.slices, self.window, self.range]
        if (more := [self.size, self.channels, self.mean, self.std, self.activation]) != _NOTHING_MORE:
            said += more
        if self.layout != "NCHW":
            said.append(self.layout)
        return json.dumps(said, separators=(",", ":"))


_NOTHING_MORE: list[object] = [0, 1, (), (), "sigmoid"]
IMAGE = InputDescription()
"""What a package reads that says nothing of it."""


def described_input(
    *, kind: Literal["image", "volume"], slices: int, window: Interval | None, interval: Interval
) -> InputDescription:
    """What the section says, checked; raises ValueError for values that describe no input."""
    if kind == "image":
        return InputDescription(range=_ascending(interval))
    if slices and slices < FEWEST_SLICES:
        raise ValueError(f"a volume has at least {FEWEST_SLICES} slices")
    if window is None:
        raise ValueError("a volume needs its window")
    return InputDescription(kind="volume", slices=slices, window=_ascending(window), range=_ascending(interval))


def _ascending(values: Interval) -> Interval:
    if not values[0] < values[1]:
        raise ValueError(NOT_ASCENDING)
    return float(values[0]), float(values[1])
