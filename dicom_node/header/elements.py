"""Walk the structure of an encoded data set without decoding a value.

Everything that arrives passes through here before any library parses it: a walk with an explicit stack cannot be made
to recurse 5,000 levels deep, and it never allocates what a hostile length field promises. It stops at the pixel data.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import uid
from pydicom.datadict import dictionary_VR, keyword_for_tag

from core.errors import InvalidStudy

Buffer = bytes | mmap.mmap

MAXIMUM_DEPTH = 64
"""Levels of nested sequences; the deepest real objects (SR trees) stay below twenty."""

MAXIMUM_ELEMENTS = 100_000
"""Elements and items before the pixel data; walking and parsing that many takes about a second."""

MAXIMUM_HEADER_BYTES = 64 * 1024**2
"""What may come before the pixel data; it is held in memory once more to be parsed."""

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})  # float, double float, integer
LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written (PS3.5 7.1): with or without VR, and in which byte order."""

    explicit: bool
    little: bool

    @classmethod
    def of(cls, transfer_syntax: str) -> Encoding:
        """The encoding of a transfer syntax; all but two are explicit VR little endian."""
        return cls(transfer_syntax != uid.ImplicitVRLittleEndian, transfer_syntax != uid.ExplicitVRBigEndian)


@dataclass(slots=True)
class Element:
    """One element's head: `start` is where its value begins, `length` may be UNDEFINED."""

    tag: int
    vr: bytes
    start: int
    length: int


@dataclass(slots=True)
class _Level:
    """An open sequence or item: where it must end, or None when a delimiter ends it."""

    end: int | None
    is_sequence: bool
    encoding: Encoding


def name_of(tag: int) -> str:
    """The keyword of a tag, fit for a message; unknown tags are not quoted, since garbage may spell a name."""
    return keyword_for_tag(tag) or "a private or unknown element"


def top_level_elements(data: Buffer, encoding: Encoding, *, start: int = 0) -> Iterator[Element]:
    """Yield the heads of the top-level elements up to and including the pixel data, checking all that is in between.

    Raises InvalidStudy when a head or a length does not fit, or when the header is deeper (MAXIMUM_DEPTH), has
    more elements (MAXIMUM_ELEMENTS) or is longer (MAXIMUM_HEADER_BYTES) than any real one.
    """
    return _Walk(data, encoding, start).run()


class _Walk:
    """One pass over one data set."""

    def __init__(self, data: Buffer, encoding: Encoding, start: int) -> None:
        self.data = data
        self.size = len(data)
        self.position = start
        self.latest = start + MAXIMUM_HEADER_BYTES
        self.count = 0
        self.levels = [_Level(self.size, False, encoding)]

    def run(self) -> Iterator[Element]:
        while True:
            self._check_bounds()
            self._close_full_levels()
            level = self.levels[-1]
            if self.position >= self.size:
                if len(self.levels) > 1:
                    raise InvalidStudy("the data set ends inside a sequence")
                return
            if level.is_sequence:
                self._enter_item(level)
                continue
            element = self._head(level.encoding)
            if len(self.levels) == 1:
                yield element
                if element.tag in PIXEL_DATA:
                    return
            self._enter_or_skip(element, level)

    def _check_bounds(self) -> None:
        """Every head is one turn of `run`: a hostile header must not keep it turning for minutes."""
        if self.count > MAXIMUM_ELEMENTS:
            raise InvalidStudy(f"the header has more than {MAXIMUM_ELEMENTS} elements")
        if self.position > self.latest:
            raise InvalidStudy(f"the header is longer than {MAXIMUM_HEADER_BYTES // 1024**2} MiB")
        self.count += 1

    def _close_full_levels(self) -> None:
        while len(self.levels) > 1 and self.levels[-1].end is not None and self.position >= self.levels[-1].end:
            self.levels.pop()

    def _head(self, encoding: Encoding) -> Element:
        """Read tag, VR and length at the current position (PS3.5 7.1.1 - 7.1.3)."""
        order = "<" if encoding.little else ">"
        at = self.position
        try:
            group, number = struct.unpack_from(order + "HH", self.data, at)
            tag = group << 16 | number
            if not encoding.explicit or group == 0xFFFE:
                (length,) = struct.unpack_from(order + "L", self.data, at + 4)
                return Element(tag, b"", at + 8, length)
            vr = bytes(self.data[at + 4 : at + 6])
            if vr in LONG_VRS:
                (length,) = struct.unpack_from(order + "L", self.data, at + 8)
                return Element(tag, vr, at + 12, length)
            (length,) = struct.unpack_from(order + "H", self.data, at + 6)
        except struct.error:
            raise InvalidStudy("the data set ends in the middle of an element") from None
        if not (vr.isalpha() and vr.isupper()):
            raise InvalidStudy("the data set is not encoded in the transfer syntax that it is sent in")
        return Element(tag, vr, at + 8, length)

    def _enter_item(self, level: _Level) -> None:
        item = self._head(level.encoding)
        self.position = item.start
        if item.tag == SEQUENCE_END and level.end is None:
            self.levels.pop()
        elif item.tag == ITEM:
            self._push(item, False, level.encoding)
        else:
            raise InvalidStudy("a sequence holds something other than items")

    def _enter_or_skip(self, element: Element, level: _Level) -> None:
        self.position = element.start
        if element.tag == ITEM_END and level.end is None:
            self.levels.pop()
        elif element.length == UNDEFINED:
            # PS3.5 6.2.2: a UN of undefined length holds a sequence in implicit VR little endian
            encoding = Encoding(False, True) if element.vr == b"UN" else level.encoding
            self._push(element, True, encoding)
        elif self._is_sequence(element):
            self._push(element, True, level.encoding)
        else:
            self._check_fits(element)
            self.position = element.start + element.length

    def _is_sequence(self, element: Element) -> bool:
        """Whether an element of defined length is a sequence; without VR only the dictionary knows."""
        if element.vr:
            return element.vr == b"SQ"
        if self.data[element.start : element.start + 4] != b"\xfe\xff\x00\xe0":
            return False
        try:
            return dictionary_VR(element.tag) == "SQ"
        except KeyError:
            return True

    def _push(self, element: Element, is_sequence: bool, encoding: Encoding) -> None:
        if len(self.levels) > 2 * MAXIMUM_DEPTH:
            raise InvalidStudy(f"sequences are nested more than {MAXIMUM_DEPTH} levels deep")
        end = None
        if element.length != UNDEFINED:
            self._check_fits(element)
            end = element.start + element.length
        self.levels.append(_Level(end, is_sequence, encoding))

    def _check_fits(self, element: Element) -> None:
        limit = next(level.end for level in reversed(self.levels) if level.end is not None)
        if element.start + element.length > limit:
            raise InvalidStudy(f"{name_of(element.tag)} is longer than the data that follow it")
