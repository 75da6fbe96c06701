"""An overlay plane (PS3.3 C.9.2): in Overlay Data, or in bits of the pixel words that are no picture (retired)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

GROUPS = range(0x6000, 0x6020, 2)
_FRAMES, _ROWS, _COLUMNS, _TYPE, _ORIGIN, _ALLOCATED, _POSITION, _DATA = (
    0x0015,
    0x0010,
    0x0011,
    0x0040,
    0x0050,
    0x0100,
    0x0102,
    0x3000,
)
_TOP_LEFT = (1, 1)


def read_plane(header: Dataset, group: int, words: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where the overlay of `group` has a 1, in the shape of the image; None where there is none that can be read.

    `words`: the pixels before bits that are no picture were taken off, (rows, columns).
    """
    if group not in GROUPS or _integers(header, group, _FRAMES, text=True)[:1] not in ((), (1,)):
        return None
    shape = tuple(_integers(header, group, number)[0:1] for number in (_ROWS, _COLUMNS))
    rows, columns = (size[0] & 0xFFFF if size else 0 for size in shape)
    bits = _bits_of_data(header, group, rows * columns) if Tag(group, _DATA) in header else None
    if bits is None:
        return _within_words(header, group, words)
    return _placed(bits.reshape(rows, columns), _integers(header, group, _ORIGIN), (words.shape[0], words.shape[1]))


def write_plane(target: Dataset, group: int, plane: NDArray[np.bool_]) -> None:
    """Add `plane`, of the shape of the image, as a graphic overlay (PS3.3 C.9.2, PS3.5 8.1.2)."""
    packed = np.packbits(plane.ravel(), bitorder="little").tobytes()
    for number, vr, value in (
        (_ROWS, "US", plane.shape[0]),
        (_COLUMNS, "US", plane.shape[1]),
        (_TYPE, "CS", "G"),
        (_ORIGIN, "SS", list(_TOP_LEFT)),
        (_ALLOCATED, "US", 1),
        (_POSITION, "US", 0),
        (_DATA, "OW", packed + b"\0" * (len(packed) % 2)),
    ):
        target.add_new(Tag(group, number), vr, value)


def _bits_of_data(header: Dataset, group: int, count: int) -> NDArray[np.bool_] | None:
    """The first `count` bits of Overlay Data, the lowest bit of a word first (PS3.5 8.1.2)."""
    element = header.get_item(Tag(group, _DATA))
    data = element.value
    if not isinstance(data, bytes) or not 0 < count <= 8 * len(data):
        return None
    octets = np.frombuffer(data, np.uint8)
    if isinstance(element, RawDataElement) and not element.is_little_endian and element.VR == "OW":
        octets = octets[: len(octets) // 2 * 2].view(">u2").astype("<u2").view(np.uint8)
    bits = np.unpackbits(octets, bitorder="little", count=count)
    return bits.astype(np.bool_) if len(bits) == count else None


def _within_words(header: Dataset, group: int, words: NDArray[Any]) -> NDArray[np.bool_] | None:
    """One bit of every pixel word (PS3.3 C.9.2 of 2003), of an overlay as large as the image."""
    allocated, position = (_integers(header, group, number)[:1] for number in (_ALLOCATED, _POSITION))
    if not position or allocated in ((), (1,)) or not 0 <= position[0] < 8 * words.dtype.itemsize or words.ndim != 2:
        return None
    return np.asarray((words >> position[0]) & 1, np.bool_)


def _placed(plane: NDArray[np.bool_], origin: tuple[int, ...], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The part of `plane` that is on the image; `origin`: row and column of its first bit, the first of which is 1."""
    top, left = (place - 1 for place in (origin if len(origin) == len(_TOP_LEFT) else _TOP_LEFT))
    placed = np.zeros(shape, np.bool_)
    part = plane[max(0, -top) : max(0, shape[0] - top), max(0, -left) : max(0, shape[1] - left)]
    down, across = max(0, top), max(0, left)
    placed[down : down + part.shape[0], across : across + part.shape[1]] = part[: shape[0], : shape[1]]
    return placed


def _integers(header: Dataset, group: int, number: int, *, text: bool = False) -> tuple[int, ...]:
    """The values of an element of a repeating group, signed; () where it is absent or malformed."""
    tag = Tag(group, number)
    if tag not in header:
        return ()
    element = header.get_item(tag)
    value = element.value
    if isinstance(value, bytes):
        if text:
            return (int(value),) if value.strip(b" \0").isdigit() else ()
        order = "<i2" if not isinstance(element, RawDataElement) or element.is_little_endian else ">i2"
        return tuple(int(word) for word in np.frombuffer(value[: len(value) // 2 * 2], order))
    values = () if value is None else value if isinstance(value, list | tuple) else [value]
    try:
        return tuple(int(word) for word in values)
    except (TypeError, ValueError):
        return ()
