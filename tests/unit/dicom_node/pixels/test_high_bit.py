"""High Bit anywhere (PS3.5 8.1.1), with old overlays in the bits around the pixels, in every encoding."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from rle.utils import encode_pixel_data

from core.errors import InvalidStudy
from dicom_node.pixels.decode import decode
from dicom_node.pixels.frames import read_frame
from tests.contract.dicom_peers import dx_dataset, part10
from tests.unit.dicom_node.test_codestreams import dx, items, jpeg_2000, jpeg_lossless, rle

Words = NDArray[Any]
SHAPE = (12, 20)
NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
CODECS = {
    RLELossless: rle,
    JPEGLosslessSV1: jpeg_lossless,
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: jpeg_2000,
    HTJ2KLossless: lambda words: imagecodecs.htj2k_encode(words, reversible=True),
}


def bits_around(allocated: int, bits: int, high: int, *, signed: bool) -> tuple[Words, Words]:
    """Words with noise wherever there is no pixel, and the pixels in them, by shifts of Python's integers."""
    random = np.random.default_rng(allocated + 100 * bits + high)
    dtype = {8: "u1", 16: "<u2", 32: "<u4"}[allocated]
    words = random.integers(0, 2**allocated, SHAPE, dtype=np.uint64).astype(dtype)
    pixels = [(int(word) >> (high + 1 - bits)) % 2**bits for word in words.ravel()]
    if signed:
        pixels = [pixel - 2**bits if pixel >= 2 ** (bits - 1) else pixel for pixel in pixels]
    return words, np.array(pixels).reshape(SHAPE)


def file(words: Words, bits: int, high: int | None, *, signed: bool = False, syntax: str = "", **more: object) -> bytes:
    facts: dict[str, Any] = {
        "BitsAllocated": 8 * words.dtype.itemsize,
        "BitsStored": bits,
        "HighBit": high,
        "PixelRepresentation": int(signed),
        **more,
    }
    if syntax in CODECS:
        return part10(dx(items(b"", bytes(CODECS[syntax](words))), *SHAPE, **facts), syntax)
    ds: Dataset = dx_dataset(Rows=SHAPE[0], Columns=SHAPE[1], PixelData=words.tobytes(), **facts)
    if words.dtype.itemsize == 4 and syntax == ExplicitVRBigEndian:
        ds.PixelData = words.astype(">u4").tobytes()  # `part10` turns words of 16 bits only
    return part10(ds, syntax or ExplicitVRLittleEndian)


PLACES = [
    (16, 16, 15),
    (16, 15, 14),
    (16, 15, 15),
    (16, 13, 12),
    (16, 12, 11),
    (16, 12, 12),
    (16, 12, 14),
    (16, 12, 15),
    (16, 10, 15),
    (16, 9, 8),
    (16, 8, 7),
    (16, 8, 12),
    (16, 8, 15),
    (16, 1, 15),
    (8, 8, 7),
    (8, 7, 6),
    (8, 6, 7),
    (8, 6, 5),
    (8, 4, 5),
]


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("place", [*PLACES, (32, 32, 31), (32, 20, 19), (32, 20, 31), (32, 12, 15)], ids=str)
def test_the_bits_of_native_pixels(place: tuple[int, int, int], signed: bool) -> None:
    words, pixels = bits_around(*place, signed=signed)
    for syntax in NATIVE:
        assert np.array_equal(read_frame(file(words, *place[1:], signed=signed, syntax=syntax), 0).stored, pixels)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_bits_of_every_lossless_codec(place: tuple[int, int, int], signed: bool) -> None:
    words, pixels = bits_around(*place, signed=signed)
    for syntax in CODECS:
        if words.dtype.itemsize == 1 and syntax in (RLELossless, JPEGLosslessSV1):
            continue  # below
        assert np.array_equal(read_frame(file(words, *place[1:], signed=signed, syntax=syntax), 0).stored, pixels)


@pytest.mark.parametrize("bits", [8, 6])
def test_bytes_in_rle_and_in_jpeg(bits: int) -> None:
    words, pixels = bits_around(8, bits, 7, signed=False)
    options = {"rows": SHAPE[0], "columns": SHAPE[1], "samples_per_pixel": 1, "number_of_frames": 1}
    segments = encode_pixel_data(words.tobytes(), byteorder="<", bits_allocated=8, **options)
    for syntax, code in (
        (RLELossless, bytes(segments)),
        (JPEGLosslessSV1, imagecodecs.jpeg8_encode(words, lossless=True)),
    ):
        ds = dx(items(b"", code), *SHAPE, BitsAllocated=8, BitsStored=bits, HighBit=7)
        assert np.array_equal(read_frame(part10(ds, syntax), 0).stored, pixels)


def test_a_codestream_of_eight_bits_in_an_image_of_sixteen() -> None:
    """An encoder that took the pixels alone leaves Bits Allocated and High Bit as they were."""
    words, pixels = bits_around(8, 8, 7, signed=False)
    ds = dx(items(b"", imagecodecs.jpegls_encode(words)), *SHAPE, BitsAllocated=16, BitsStored=8, HighBit=15)
    assert np.array_equal(read_frame(part10(ds, JPEGLSLossless), 0).stored, pixels)


@pytest.mark.parametrize("syntax", [*NATIVE, *CODECS])
@pytest.mark.parametrize("high", [None, 0, 4, 10], ids=["not there", "zero", "far below", "one below"])
def test_a_high_bit_that_would_leave_no_room_counts_as_bits_stored_say(high: int | None, syntax: str) -> None:
    words, pixels = bits_around(16, 12, 11, signed=False)
    assert np.array_equal(read_frame(file(words, 12, high, syntax=syntax), 0).stored, pixels)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"HighBit": 16}, "HighBit does not fit in BitsAllocated"),
        ({"HighBit": 65535}, "HighBit does not fit in BitsAllocated"),
        ({"BitsStored": 17}, "BitsStored does not fit in BitsAllocated"),
        ({"BitsAllocated": 12}, "BitsAllocated is impossible"),
        ({"BitsAllocated": 128}, "BitsAllocated is impossible"),
    ],
)
def test_bits_that_cannot_be_are_refused_in_a_sentence(facts: dict[str, int], words: str) -> None:
    with pytest.raises(InvalidStudy, match=words):
        read_frame(part10(dx_dataset(**facts)), 0)


@pytest.mark.parametrize(("bits", "high"), [(12, 11), (12, 15), (10, 12), (8, 15)])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_dcmtk_shows_the_same_picture(bits: int, high: int, signed: bool, tmp_path: Path) -> None:
    dcmj2pnm = shutil.which("dcmj2pnm")
    if dcmj2pnm is None:
        pytest.skip("no dcmj2pnm here (Debian: dcmtk)")
    words, _ = bits_around(16, bits, high, signed=signed)
    center = 0 if signed else 2 ** (bits - 1)
    data = file(words, bits, high, signed=signed, WindowCenter=center, WindowWidth=2**bits)
    (tmp_path / "image.dcm").write_bytes(data)
    command = [dcmj2pnm, "+Wi", "1", str(tmp_path / "image.dcm"), str(tmp_path / "image.pgm")]
    subprocess.run(command, capture_output=True, check=True)
    shown = np.asarray(PIL.Image.open(tmp_path / "image.pgm")).astype(float)
    assert shown == pytest.approx(decode(data).pixels * 255, abs=1.01)
