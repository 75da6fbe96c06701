"""Offset tables and fragments as senders write them (PS3.5 A.4): wrong, empty, long, extended; items not padded."""

from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from core.errors import InvalidStudy
from dicom_node.pixels.frames import read_frame
from tests.contract.dicom_peers import part10
from tests.unit.dicom_node.test_codestreams import dx, item, jpeg_2000, jpeg_lossless, offsets, rle, values

FRAMES = [values(12, seed=seed) for seed in (1, 3, 5)]
CODECS = {
    JPEGLosslessSV1: jpeg_lossless,
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: jpeg_2000,
    RLELossless: rle,
}
END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
PADDED = b"\0"


def codes(syntax: str) -> list[bytes]:
    found = [bytes(CODECS[syntax](frame)) for frame in FRAMES]
    return [code + PADDED * (len(code) % 2) for code in found]


def split(code: bytes) -> tuple[bytes, ...]:
    """Three fragments of even length."""
    return code[:64], code[64:200], code[200:]


def starts(*fragments: bytes) -> list[int]:
    """Where each fragment's item begins, counted from the first of them."""
    return [sum(8 + len(one) for one in fragments[:number]) for number in range(len(fragments))]


def encapsulated(table: bytes, *fragments: bytes) -> bytes:
    return b"".join(map(item, (table, *fragments))) + END


def found(pixel_data: bytes, syntax: str, **more: object) -> list[NDArray[Any]]:
    ds = dx(pixel_data, 24, 40, NumberOfFrames=len(FRAMES), **more)
    data = part10(ds, syntax)
    return [read_frame(data, number).stored for number in range(len(FRAMES))]


def extended(*fragments: bytes, lengths: list[int] | None = None, places: list[int] | None = None) -> dict[str, object]:
    count = len(fragments)
    return {
        "ExtendedOffsetTable": struct.pack(f"<{count}Q", *(places or starts(*fragments))),
        "ExtendedOffsetTableLengths": struct.pack(f"<{count}Q", *(lengths or map(len, fragments))),
    }


def members(syntax: str) -> dict[str, tuple[bytes, dict[str, object]]]:
    whole = codes(syntax)
    at = starts(*whole)
    parts = [part for code in whole for part in split(code)]
    of_parts = starts(*parts)[::3]
    without_heads = offsets(*(one - 8 * number for number, one in enumerate(at)))
    long, short = struct.pack("<3Q", *at), offsets(*at)[:-2]
    return {
        "pydicom's, with a table": (encapsulate(whole, has_bot=True), {}),
        "pydicom's, without": (encapsulate(whole, has_bot=False), {}),
        "pydicom's, two fragments a frame": (encapsulate(whole, fragments_per_frame=2, has_bot=True), {}),
        "pydicom's, extended": extended_by_pydicom(whole),
        "right": (encapsulated(offsets(*at), *whole), {}),
        "empty": (encapsulated(b"", *whole), {}),
        "of zeros": (encapsulated(offsets(0, 0, 0), *whole), {}),
        "in the wrong order": (encapsulated(offsets(at[0], at[2], at[1]), *whole), {}),
        "counted from the table's own item": (encapsulated(offsets(*(one + 20 for one in at)), *whole), {}),
        "counted without the items' heads": (
            encapsulated(without_heads, *whole),
            {},
        ),
        "counted to the values": (encapsulated(offsets(*(one + 8 for one in at)), *whole), {}),
        "counted from the end of the file": (encapsulated(offsets(*(2**32 - 1 - one for one in at)), *whole), {}),
        "of one frame": (encapsulated(offsets(0), *whole), {}),
        "of too many frames": (encapsulated(offsets(*at, 99999, 100007), *whole), {}),
        "of words of 64 bits": (encapsulated(long, *whole), {}),
        "cut within a word": (encapsulated(short, *whole), {}),
        "of other bytes": (encapsulated(b"no table", *whole), {}),
        "right, three fragments a frame": (encapsulated(offsets(*of_parts), *parts), {}),
        "right, and fragments that are empty": (encapsulated(offsets(*at), *whole, b"", b""), {}),
        "extended, right": (encapsulated(b"", *whole), extended(*whole)),
        "extended, of wrong lengths": (encapsulated(b"", *whole), extended(*whole, lengths=[1, 2, 3])),
        "extended, of wrong places": (encapsulated(b"", *whole), extended(*whole, places=[0, 1, 2])),
        "extended, next to a basic one": (encapsulated(offsets(*at), *whole), extended(*whole)),
    }


def extended_by_pydicom(whole: list[bytes]) -> tuple[bytes, dict[str, object]]:
    data, table, lengths = encapsulate_extended(whole)
    return data, {"ExtendedOffsetTable": table, "ExtendedOffsetTableLengths": lengths}


@pytest.mark.parametrize("name", members(JPEGLSLossless))
@pytest.mark.parametrize("syntax", CODECS)
def test_every_frame_is_found_whatever_the_table_says(syntax: str, name: str) -> None:
    pixel_data, more = members(syntax)[name]
    assert all(map(np.array_equal, found(pixel_data, syntax, **more), FRAMES))


WRONG_WITH_PARTS = {
    "empty": b"",
    "of zeros": offsets(0, 0, 0),
    "one word a fragment": offsets(*range(0, 72, 8)),
    "places where no fragment begins": offsets(0, 2, 4),
}


@pytest.mark.parametrize("table", WRONG_WITH_PARTS.values(), ids=WRONG_WITH_PARTS)
@pytest.mark.parametrize("syntax", CODECS)
def test_of_several_fragments_a_frame_only_rle_needs_its_table(syntax: str, table: bytes) -> None:
    """The fragments of RLE do not say where a frame begins, so a guess could mix two patients' frames."""
    parts = [part for code in codes(syntax) for part in split(code)]
    if syntax == RLELossless:
        with pytest.raises(InvalidStudy, match="cannot be known which fragment is of which frame"):
            found(encapsulated(table, *parts), syntax)
    else:
        assert all(map(np.array_equal, found(encapsulated(table, *parts), syntax), FRAMES))


@pytest.mark.parametrize("padding", [b"", b"\0", b"\xff", b"\0\0\0", b"\0" * 512, b" "], ids=repr)
@pytest.mark.parametrize("syntax", CODECS)
def test_items_of_any_padding(syntax: str, padding: bytes) -> None:
    """PS3.5 A.4 wants even lengths; also items that have none, and more padding than needed, are read."""
    fragments = [bytes(CODECS[syntax](frame)) + padding for frame in FRAMES]
    assert all(map(np.array_equal, found(encapsulated(b"", *fragments), syntax), FRAMES))
    assert all(map(np.array_equal, found(encapsulated(offsets(*starts(*fragments)), *fragments), syntax), FRAMES))


@pytest.mark.parametrize("syntax", CODECS)
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_frame_that_is_not_there_is_no_picture_of_another(syntax: str, lost: int) -> None:
    whole = codes(syntax)
    del whole[lost]
    with pytest.raises(InvalidStudy):
        found(encapsulated(b"", *whole), syntax)


@pytest.mark.parametrize("syntax", CODECS)
def test_an_item_longer_than_the_file_is_cut_short(syntax: str) -> None:
    whole = codes(syntax)
    broken = item(b"") + struct.pack("<HHL", 0xFFFE, 0xE000, 2**31) + b"".join(whole) + END
    with pytest.raises(InvalidStudy, match="truncated"):
        found(broken, syntax)
