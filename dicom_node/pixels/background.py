"""What of an image is no picture: pixel padding (PS3.3 C.7.5.1.1.2), and what a display shutter hides.

Shutters are shapes (C.7.6.11) or an overlay, whose ones are hidden (bitmap display shutter, C.7.6.15).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.header.values import Values
from dicom_node.pixels.frames import Frame
from dicom_node.pixels.overlay import read_plane

Mask = NDArray[np.bool_]


def padding(frame: Frame, values: list[Values]) -> Mask | None:
    """Where the stored values are padding; None where there is none, or nothing else."""
    value = _first(values, lambda part: part.integer("PixelPaddingValue"))
    if value is None or frame.stored.ndim != 2:
        return None
    limit = _first(values, lambda part: part.integer("PixelPaddingRangeLimit"))
    low, high = sorted(_in_stored_bits(word, frame, values) for word in (value, value if limit is None else limit))
    mask = (frame.stored >= low) & (frame.stored <= high)
    if mask.all():
        values[-1].note("PixelPaddingValue covers the whole image, so it is not used")
        return None
    return mask if mask.any() else None


def _in_stored_bits(word: int, frame: Frame, values: list[Values]) -> int:
    """A padding value as a stored value, also one that was written as the word that holds it (PS3.5 8.1.1)."""
    bits = frame.bits_stored
    lowest = -(2 ** (bits - 1)) if frame.is_signed else 0
    if lowest <= word < lowest + 2**bits:
        return word
    unused = max(0, (_first(values, lambda part: part.integer("HighBit")) or 0) + 1 - bits)
    if unused and word % 2**unused == 0:
        word >>= unused
    return (word - lowest) % 2**bits + lowest if frame.is_signed or unused else word


def shuttered(frame: Frame, header: Dataset, values: list[Values], spacing: tuple[float, float]) -> Mask | None:
    """Where the display shutter hides the image, shape (rows, columns); None without one.

    Several shapes together show what is inside all of them. A shutter that would hide everything is not used.
    `header`: the data set that has the overlays.
    """
    part = next((part for part in values if part.texts("ShutterShape")), None)
    if part is None:
        return None
    words = frame.stored if frame.words is None else frame.words
    shape = words.shape[0], words.shape[1]
    inside = np.ones(shape, np.bool_)
    for name in part.texts("ShutterShape"):
        if name == "BITMAP":
            hidden = read_plane(header, part.integer("ShutterOverlayGroup") or 0, words)
            visible = None if hidden is None else ~hidden
        else:
            visible = _SHAPES[name](shape, part, spacing) if name in _SHAPES else None
        if visible is None or not visible.any():
            part.note("the display shutter cannot be read, so it is not used")
        else:
            inside &= visible
    if not inside.any():
        part.note("the display shutter hides the whole image, so it is not used")
        return None
    return None if inside.all() else ~inside


def _rectangle(shape: tuple[int, int], part: Values, _spacing: tuple[float, float]) -> Mask | None:
    """Edges are rows and columns, the first of which is 1, and visible themselves."""
    keywords = ("LeftVerticalEdge", "RightVerticalEdge", "UpperHorizontalEdge", "LowerHorizontalEdge")
    edges = [part.integer(f"Shutter{keyword}") for keyword in keywords]
    if None in edges:
        return None
    left, right, upper, lower = (edge or 0 for edge in edges)
    mask = np.zeros(shape, np.bool_)
    mask[max(upper - 1, 0) : max(lower, 0), max(left - 1, 0) : max(right, 0)] = True
    return mask


def _circle(shape: tuple[int, int], part: Values, spacing: tuple[float, float]) -> Mask | None:
    """Centre as row and column; the radius counts pixels along a row."""
    centre, radius = part.integers("CenterOfCircularShutter"), part.integer("RadiusOfCircularShutter")
    if len(centre) != 2 or not radius or radius < 0:
        return None
    down = (np.arange(1, shape[0] + 1)[:, np.newaxis] - centre[0]) * (spacing[0] / spacing[1])
    across = np.arange(1, shape[1] + 1)[np.newaxis, :] - centre[1]
    return np.asarray(down**2 + across**2 <= radius**2)


def _polygon(shape: tuple[int, int], part: Values, _spacing: tuple[float, float]) -> Mask | None:
    """Vertices as pairs of row and column."""
    numbers = part.integers("VerticesOfThePolygonalShutter")
    if len(numbers) < 6 or len(numbers) % 2:
        return None
    picture = PIL.Image.new("1", (shape[1], shape[0]))
    corners = [(column - 1, row - 1) for row, column in zip(numbers[::2], numbers[1::2], strict=True)]
    PIL.ImageDraw.Draw(picture).polygon(corners, fill=1, outline=1)
    return np.asarray(picture, np.bool_)


_SHAPES: dict[str, Callable[[tuple[int, int], Values, tuple[float, float]], Mask | None]] = {
    "RECTANGULAR": _rectangle,
    "CIRCULAR": _circle,
    "POLYGONAL": _polygon,
}


def _first(values: list[Values], read: Callable[[Values], int | None]) -> int | None:
    return next((number for part in values if (number := read(part)) is not None), None)
