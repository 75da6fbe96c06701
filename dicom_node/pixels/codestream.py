"""What a compressed frame says of itself: size, precision, whether it is lossless. Nothing is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SOI, EOI, SOS, DHT, DRI = 0xD8, 0xD9, 0xDA, 0xC4, 0xDD
_JPEG_LS = 0xF7
_NO_FRAME = frozenset({DHT, 0xC8, 0xCC})  # between the SOFn of ITU-T T.81, table B.1
_WITHOUT_LENGTH = frozenset({0x01, SOI, EOI, *range(0xD0, 0xD8)})
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_JPEG_2000 = b"\xff\x4f\xff\x51"  # SOC, SIZ (ISO/IEC 15444-1 A.4, A.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codestream:
    """`frame_marker`: the SOFn of JPEG and JPEG-LS, 0 for JPEG 2000."""

    rows: int
    columns: int
    components: int
    precision: int
    is_lossless: bool
    frame_marker: int = 0


def describe(frame: bytes) -> Codestream | None:
    """The header of a JPEG, JPEG-LS or JPEG 2000 codestream; None when there is none, as in RLE."""
    try:
        if frame.startswith(b"\xff\xd8"):
            return _jpeg(frame)
        at = frame[:4096].find(_JPEG_2000)
        return _jpeg_2000(frame[at:]) if at >= 0 else None
    except (struct.error, IndexError):
        return None


def segments(frame: bytes) -> Iterator[tuple[int, bytes, int]]:
    """The marker segments of a JPEG: marker, parameters, and where the next byte is (T.81 B.1.1).

    Ends after the first SOS, whose entropy-coded data begin there.
    """
    at = 0
    while at + 1 < len(frame):
        if frame[at] != 0xFF or frame[at + 1] == 0xFF:
            at += 1
            continue
        marker, at = frame[at + 1], at + 2
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", frame, at)
        parameters, at = frame[at + 2 : at + length], at + length
        yield marker, parameters, at
        if marker == SOS:
            return


def is_frame_header(marker: int) -> bool:
    """Whether this marker is an SOFn."""
    return marker == _JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME)


def _jpeg(frame: bytes) -> Codestream | None:
    found: tuple[int, int, int, int, int] | None = None
    near = 0
    for marker, parameters, _ in segments(frame):
        if is_frame_header(marker) and found is None:
            found = (marker, *struct.unpack_from(">BHHB", parameters))
        elif marker == SOS:
            near = parameters[1 + 2 * parameters[0]]  # NEAR in JPEG-LS (ITU-T T.87 C.2.3)
    if found is None:
        return None
    marker, precision, rows, columns, components = found
    return Codestream(
        rows=rows,
        columns=columns,
        components=components,
        precision=precision,
        is_lossless=near == 0 if marker == _JPEG_LS else marker in _LOSSLESS,
        frame_marker=marker,
    )


def _jpeg_2000(codestream: bytes) -> Codestream:
    """SIZ and COD (ISO/IEC 15444-1 A.5.1, A.6.1); reversible is the 5-3 transform."""
    right, bottom, left, top = struct.unpack_from(">LLLL", codestream, 8)
    (components,) = struct.unpack_from(">H", codestream, 40)
    at, reversible = 2, False
    while codestream[at + 1] not in (0x90, 0xD9):  # SOT, EOC
        (length,) = struct.unpack_from(">H", codestream, at + 2)
        if codestream[at + 1] == 0x52:
            reversible = codestream[at + 13] == 1
        at += 2 + length
    return Codestream(
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(codestream[42] & 0x7F) + 1,
        is_lossless=reversible,
    )
