"""What a recipe needs to know of one training image, whatever data set it comes from.

Recipes never read a data set's own files: an importer in `datasets` hands over objects of these shapes. Pixels stay
uint8 at the resolution they are stored in, so that degrading them is part of the augmentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage


class TargetLike(Protocol):
    """Value 0..1, weight 0 (unknown) .. 1, and who said so."""

    @property
    def value(self) -> float: ...
    @property
    def weight(self) -> float: ...
    @property
    def source(self) -> str: ...


class BoxLike(Protocol):
    """A reader's box in fractions of the image."""

    @property
    def finding(self) -> str: ...
    @property
    def left(self) -> float: ...
    @property
    def top(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...
    @property
    def reader(self) -> str: ...


class Example(Protocol):
    """One labelled frontal chest radiograph; `tier` is the rows (= columns) of the stored image."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def tier(self) -> int: ...
    @property
    def patient(self) -> str: ...
    @property
    def age_years(self) -> int: ...
    @property
    def sex(self) -> str: ...
    @property
    def view(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def rsna_class(self) -> str: ...
    @property
    def targets(self) -> Mapping[str, TargetLike]: ...
    @property
    def boxes(self) -> Sequence[BoxLike]: ...
    @property
    def source(self) -> str: ...
    def read(self) -> NDArray[np.uint8]:
        """Grey values, uint8, shape (rows, columns), 0 black .. 255 white."""


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Grey values of an image file, uint8, shape (rows, columns), 0 black .. 255 white."""
    with PillowImage.open(path) as image:
        return np.asarray(image.convert("L"))


class Pixels:
    """The pixels of many examples: in memory as far as `budget_bytes` reaches, read again when wanted beyond it."""

    def __init__(self, examples: Sequence[Example], budget_bytes: int = 4 << 30) -> None:
        self._examples = examples
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._left = budget_bytes

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if index in self._kept:
            return self._kept[index]
        pixels = self._examples[index].read()
        if pixels.nbytes <= self._left:
            self._kept[index] = pixels
            self._left -= pixels.nbytes
        return pixels


def target_arrays(
    examples: Sequence[Example], findings: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values and weights of all targets, each float32, shape (examples, findings)."""
    values = [[example.targets[name].value for name in findings] for example in examples]
    weights = [[example.targets[name].weight for name in findings] for example in examples]
    return np.array(values, np.float32), np.array(weights, np.float32)


def box_mask(boxes: Sequence[BoxLike], finding: str, size: int) -> NDArray[np.float32]:
    """Union of the boxes of one finding, float32, shape (size, size), 1 inside."""
    mask = np.zeros((size, size), np.float32)
    for box in boxes:
        if box.finding == finding:
            top, left = round(box.top * size), round(box.left * size)
            bottom, right = round((box.top + box.height) * size), round((box.left + box.width) * size)
            mask[top : max(bottom, top + 1), left : max(right, left + 1)] = 1.0
    return mask
