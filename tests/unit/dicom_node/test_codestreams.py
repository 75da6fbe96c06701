"""Compressed frames as real senders write them: old overlays, any High Bit, wrong offset tables, damage."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from rle.utils import encode_pixel_data

from core.errors import InvalidStudy
from dicom_node.pixels.frames import read_frame
from tests.contract.dicom_peers import dx_dataset, part10

Words = NDArray[Any]
Encode = Callable[[Words], bytes]


def rle(words: Words) -> bytes:
    options = {"rows": words.shape[0], "columns": words.shape[1], "samples_per_pixel": 1, "number_of_frames": 1}
    bits = 8 * words.dtype.itemsize
    return bytes(encode_pixel_data(words.astype("<u2").tobytes(), byteorder="<", bits_allocated=bits, **options))


def jpeg_lossless(words: Words) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(words, lossless=True, bitspersample=16))


def jpeg_2000(words: Words) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(words, codecformat="j2k", reversible=True, level=0))


ENCODERS: list[tuple[str, Encode]] = [
    (JPEGLosslessSV1, jpeg_lossless),
    (JPEGLSLossless, imagecodecs.jpegls_encode),
    (JPEGLSNearLossless, imagecodecs.jpegls_encode),  # NEAR = 0
    (JPEG2000Lossless, jpeg_2000),
    (JPEG2000, jpeg_2000),  # reversible all the same
    (HTJ2KLossless, lambda words: imagecodecs.htj2k_encode(words, reversible=True)),
    (RLELossless, rle),
]
every_codec = pytest.mark.parametrize(("syntax", "encode"), ENCODERS, ids=lambda value: getattr(value, "keyword", ""))


def item(value: bytes) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value


def items(*values: bytes) -> bytes:
    """Encapsulated pixel data; the first value is the offset table."""
    return b"".join(item(value + b"\0" * (len(value) % 2)) for value in values) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def dx(pixel_data: bytes, rows: int, columns: int, **changes: object) -> Dataset:
    ds = dx_dataset(Rows=rows, Columns=columns, **changes)
    ds.PixelData = pixel_data
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def stored(pixel_data: bytes, syntax: str, like: Words, **changes: object) -> Words:
    return read_frame(part10(dx(pixel_data, *like.shape, **changes), syntax), 0).stored


def values(bits: int, seed: int = 1) -> Words:
    return np.random.default_rng(seed).integers(0, 2**bits, (24, 40)).astype("<u2")


@every_codec
@pytest.mark.parametrize(
    ("bits", "high_bit"),
    [(12, 11), (12, 15), (12, 13), (10, 9), (10, 12), (10, 15), (14, 13), (8, 7), (8, 11), (16, 15)],
)
@pytest.mark.parametrize("signed", [False, True])
def test_bits_that_are_no_pixels_are_masked_whatever_the_codec(
    syntax: str, encode: Encode, bits: int, high_bit: int, signed: bool
) -> None:
    """PS3.5 8.1.1: the stored bits end at High Bit; what is above and below them is not pixel data."""
    meant, junk = values(bits), values(16, seed=2)
    shift = high_bit + 1 - bits
    around = junk & ~np.uint16((2**bits - 1) << shift)
    words = ((meant << shift) | around).astype("<u2")
    found = stored(
        items(b"", encode(words)),
        syntax,
        words,
        BitsStored=bits,
        HighBit=high_bit,
        PixelRepresentation=int(signed),
    )
    expected = meant.astype(int)
    if signed:
        expected = np.where(expected >= 2 ** (bits - 1), expected - 2**bits, expected)
    assert np.array_equal(found, expected)


def test_a_codestream_of_just_the_stored_bits_is_right_aligned() -> None:
    """An encoder that shifts the samples down first leaves High Bit as it was; native and RLE cannot do that."""
    meant = values(12)
    code = imagecodecs.jpeg2k_encode(meant, codecformat="j2k", reversible=True, level=0, bitspersample=12)
    assert np.array_equal(stored(items(b"", code), JPEG2000Lossless, meant, BitsStored=12, HighBit=15), meant)


def test_a_lossy_overshoot_is_cut_and_not_masked() -> None:
    words = np.full((16, 16), 4095, "<u2")
    words[:, 8:] = 0
    lossy = bytes(imagecodecs.jpeg2k_encode(words, codecformat="j2k", reversible=False, level=20))
    found = stored(items(b"", lossy), JPEG2000, words)
    assert found[:, :4].min() > 3000
    assert found.max() <= 4095


CODE = imagecodecs.jpegls_encode(values(12))
PARTS = (CODE[:100], CODE[100:300], CODE[300:])


def offsets(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}L", *numbers)


@pytest.mark.parametrize(
    "table",
    [
        b"",
        offsets(0),
        offsets(0, 108, 316),  # one entry a fragment, as in the reported file
        offsets(0, 0, 0),
        offsets(4),
        offsets(0xFFFFFFFF),
        offsets(316, 108, 0),
        b"\0\0",
        offsets(*range(0, 4000, 8)),
    ],
    ids=lambda table: f"{len(table)} bytes",
)
def test_all_fragments_of_a_single_frame_are_its_frame(table: bytes) -> None:
    """PS3.5 A.4: with one frame there is nothing that an offset table could say."""
    assert np.array_equal(stored(items(table, *PARTS), JPEGLSLossless, values(12)), values(12))


def test_empty_fragments_and_a_missing_table_are_no_harm() -> None:
    assert np.array_equal(stored(items(b"", b"", *PARTS, b""), JPEGLSLossless, values(12)), values(12))
    assert np.array_equal(stored(items(*PARTS), JPEGLSLossless, values(12)), values(12))


@pytest.mark.parametrize("filling", [b"\0" * 200, b"\xff" * 200, b"\0\xff" * 50])
@pytest.mark.parametrize("is_own_item", [False, True])
def test_what_fills_up_after_the_end_of_the_image_is_no_harm(filling: bytes, is_own_item: bool) -> None:
    fragments = (CODE, filling) if is_own_item else (CODE + filling,)
    assert np.array_equal(stored(items(b"", *fragments), JPEGLSLossless, values(12)), values(12))


@pytest.mark.parametrize("number_of_frames", [None, "", "0", "1"])
def test_a_number_of_frames_that_is_none_is_one(number_of_frames: str | None) -> None:
    changes = {} if number_of_frames is None else {"NumberOfFrames": number_of_frames}
    found = stored(items(offsets(0, 108, 316), *PARTS), JPEGLSLossless, values(12), **changes)
    assert np.array_equal(found, values(12))


def in_three(code: bytes) -> tuple[bytes, bytes, bytes]:
    return code[:50], code[50:60], code[60:]


@every_codec
@pytest.mark.parametrize("table", [offsets(5), offsets(1, 2, 3), offsets(0, 58, 76)])
def test_fragments_of_one_frame_in_every_codec(syntax: str, encode: Encode, table: bytes) -> None:
    code = bytes(encode(values(12)))
    assert np.array_equal(stored(items(table, *in_three(code)), syntax, values(12)), values(12))


def test_an_extended_offset_table_that_is_wrong_is_no_harm() -> None:
    ds = dx(items(b"", *PARTS), 24, 40)
    ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = struct.pack("<Q", 99), struct.pack("<Q", 7)
    assert np.array_equal(read_frame(part10(ds, JPEGLSLossless), 0).stored, values(12))


def frames(table: bytes, *fragments: bytes) -> list[Words]:
    data = part10(dx(items(table, *fragments), 24, 40, NumberOfFrames=2), JPEGLSLossless)
    return [read_frame(data, number).stored for number in range(2)]


SECOND = imagecodecs.jpegls_encode(values(12, seed=3))


@pytest.mark.parametrize(
    ("table", "fragments"),
    [
        (b"", (CODE, SECOND)),
        (offsets(0, 99999), (CODE, SECOND)),
        (offsets(0, 0), (CODE, SECOND)),
        (offsets(0, len(CODE) + len(CODE) % 2 + 8), (CODE, SECOND)),
        (b"", (*PARTS, SECOND)),
        (offsets(0), (*PARTS, SECOND)),
    ],
)
def test_several_frames_are_found_by_where_codestreams_begin(table: bytes, fragments: tuple[bytes, ...]) -> None:
    first, second = frames(table, *fragments)
    assert np.array_equal(first, values(12))
    assert np.array_equal(second, values(12, seed=3))


SMOOTH = (np.add.outer(np.sin(np.arange(160) / 9), np.cos(np.arange(200) / 11)) * 900 + 1900).astype("<u2")
NOISY = (SMOOTH + np.random.default_rng(5).integers(0, 60, SMOOTH.shape)).astype("<u2")
EIGHT = (NOISY >> 4).astype("u1")
JPEGS: dict[str, tuple[str, bytes, dict[str, object]]] = {
    "baseline": (
        JPEGBaseline8Bit,
        imagecodecs.jpeg8_encode(EIGHT, level=90),
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
    ),
    "optimized": (
        JPEGBaseline8Bit,
        imagecodecs.jpeg8_encode(EIGHT, level=60, optimize=True),
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
    ),
    "extended": (JPEGExtended12Bit, imagecodecs.jpeg8_encode(NOISY, level=90, bitspersample=12), {}),
    **{
        f"lossless, predictor {number}": (
            JPEGLosslessSV1,
            imagecodecs.jpeg8_encode(NOISY, lossless=True, bitspersample=16, predictor=number),
            {},
        )
        for number in range(1, 8)
    },
    "JPEG-LS": (JPEGLSLossless, imagecodecs.jpegls_encode(NOISY), {}),
}


def cut_tenth(code: bytes) -> bytes:
    return code[: len(code) * 9 // 10] + b"\xff\xd9"


def zero_middle(code: bytes) -> bytes:
    return code[: len(code) // 2] + b"\0" * 200 + code[len(code) // 2 + 200 :]


def drop_middle(code: bytes) -> bytes:
    return code[: len(code) // 2] + code[len(code) // 2 + 50 :]


def repeat_middle(code: bytes) -> bytes:
    return code[: len(code) // 2 + 50] + code[len(code) // 2 :]


@pytest.mark.parametrize("damage", [cut_tenth, zero_middle, drop_middle, repeat_middle], ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", JPEGS)
def test_a_damaged_codestream_is_no_picture(name: str, damage: Callable[[bytes], bytes]) -> None:
    """libjpeg only warns: the grey or torn rest was scored as if it were the patient."""
    syntax, code, changes = JPEGS[name]
    assert stored(items(b"", code), syntax, NOISY, **changes).shape == NOISY.shape
    with pytest.raises(InvalidStudy, match=r"the compressed image is damaged|cannot be decoded|truncated"):
        stored(items(b"", damage(code)), syntax, NOISY, **changes)


@pytest.mark.parametrize("shape", [(8, 8), (17, 9), (1, 1), (64, 100)])
def test_a_whole_jpeg_of_any_size_is_whole(shape: tuple[int, int]) -> None:
    part = EIGHT[: shape[0], : shape[1]].copy()
    code = imagecodecs.jpeg8_encode(part, level=95)
    changes = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    assert np.abs(stored(items(b"", code), JPEGBaseline8Bit, part, **changes).astype(int) - part).max() < 16


@pytest.mark.parametrize("name", JPEGS)
def test_a_few_bytes_that_promise_a_huge_image_are_refused_before_decoding(name: str) -> None:
    syntax, code, changes = JPEGS[name]
    with pytest.raises(InvalidStudy):
        read_frame(part10(dx(items(b"", code), 10000, 10000, **changes), syntax), 0)
