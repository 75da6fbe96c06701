"""One frame out of encapsulated pixel data (PS3.5 A.4), also where the offset table is wrong.

All fragments of a single frame are its frame, whatever the table says. Of several frames the table counts only where
each of its offsets is the start of a fragment; otherwise each fragment is a frame where their numbers agree, and else a
frame begins where a codestream begins.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pydicom import uid
from pydicom.uid import UID

from core.errors import InvalidStudy
from dicom_node.header.elements import ITEM, SEQUENCE_END, UNDEFINED, Element

TRUNCATED = "the pixel data are truncated"
_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP")  # JPEG and JPEG-LS, JPEG 2000, its file format


def frame_of(part10: bytes, element: Element, index: int, number_of_frames: int, syntax: UID) -> bytes:
    """The codestream of frame `index`; raises InvalidStudy when items are missing or frames cannot be told apart."""
    if element.length != UNDEFINED:
        raise InvalidStudy("compressed pixel data are not encapsulated")
    table, fragments = _table_and_fragments(_items(part10, element.start), syntax)
    frames = _frames([fragment for fragment in fragments if fragment[1]], table, number_of_frames)
    if index >= len(frames):
        raise InvalidStudy(TRUNCATED)
    return frames[index]


Item = tuple[int, bytes]
"""Where an item begins, counted from the first byte after the offset table, and its value."""


def _items(part10: bytes, start: int) -> list[Item]:
    """Every item with its place in the file; the first one should be the offset table."""
    items: list[Item] = []
    position = start
    while True:
        try:
            group, number, length = struct.unpack_from("<HHL", part10, position)
        except struct.error:
            raise InvalidStudy(TRUNCATED) from None
        tag = group << 16 | number
        if tag == SEQUENCE_END:
            return items
        if tag != ITEM or position + 8 + length > len(part10):
            raise InvalidStudy(TRUNCATED)
        items.append((position, part10[position + 8 : position + 8 + length]))
        position += 8 + length


def _table_and_fragments(items: Sequence[Item], syntax: UID) -> tuple[tuple[int, ...], list[Item]]:
    """The basic offset table, () where it is empty or left out, and the fragments behind it."""
    if not items:
        raise InvalidStudy(TRUNCATED)
    if items[0][1].startswith(_STARTS) and syntax != uid.RLELossless:
        first, table = 0, b""  # an encoder that left the table out altogether
    else:
        first, table = 1, items[0][1]
    if first == len(items):
        raise InvalidStudy(TRUNCATED)
    base = items[first][0]
    offsets = struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])
    return offsets, [(position - base, value) for position, value in items[first:]]


def _frames(fragments: list[Item], table: Sequence[int], number_of_frames: int) -> list[bytes]:
    if number_of_frames == 1:
        return [b"".join(value for _, value in fragments)]
    starts = [position for position, _ in fragments]
    if (
        len(table) == number_of_frames
        and table[0] == 0
        and set(table) <= set(starts)
        and sorted(set(table)) == [*table]
    ):
        return _joined(fragments, set(table))
    if len(fragments) == number_of_frames:
        return [value for _, value in fragments]
    begins = {position for position, value in fragments if value.startswith(_STARTS)}
    if len(begins) != number_of_frames or starts[:1] != sorted(begins)[:1]:
        raise InvalidStudy("the offset table is wrong, so it cannot be known which fragment is of which frame")
    return _joined(fragments, begins)


def _joined(fragments: Sequence[Item], begins: set[int]) -> list[bytes]:
    frames: list[list[bytes]] = []
    for position, value in fragments:
        if position in begins:
            frames.append([])
        frames[-1].append(value)
    return [b"".join(frame) for frame in frames]
