"""What of the stored values is picture: tables that disagree with their descriptor, padding, shutters, spacing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.header.read import read_header, to_instance
from dicom_node.pixels.decode import decode
from tests.contract.dicom_peers import dx_dataset, part10

RAMP = np.arange(4096, dtype="<u2").reshape(64, 64)


def picture(pixels: NDArray[Any] = RAMP, syntax: str = ExplicitVRLittleEndian, **changes: object) -> NDArray[Any]:
    return decode(part10(dx(pixels, **changes), syntax)).pixels


def dx(pixels: NDArray[Any] = RAMP, **changes: object) -> Dataset:
    rows, columns = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    facts = {"Rows": rows, "Columns": columns, "PixelData": pixels.tobytes(), "BitsAllocated": bits}
    if bits == 8:
        facts |= {"BitsStored": 8, "HighBit": 7}
    return dx_dataset(**{**facts, **changes})


def lut(descriptor: list[int], words: NDArray[Any]) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [value & 0xFFFF for value in descriptor])
    item.add_new("LUTData", "OW", np.asarray(words).tobytes())
    return item


def voi(descriptor: list[int], words: NDArray[Any]) -> dict[str, object]:
    return {"VOILUTSequence": Sequence([lut(descriptor, words)])}


IDENTITY = np.arange(4096, dtype="<u2")
EXPECTED = RAMP / 4095


@pytest.mark.parametrize(
    ("descriptor", "words", "expected"),
    [
        ([4096, 0, 12], IDENTITY, EXPECTED),
        ([4096, 0, 16], IDENTITY * 16, RAMP * 16 / 65535),
        ([4096, 0, 16], IDENTITY, EXPECTED),  # sixteen declared, twelve meant: black in DCMTK
        ([4096, 0, 14], IDENTITY, EXPECTED),
        ([4096, 0, 16], IDENTITY >> 4, (RAMP >> 4) / 255),
        ([4096, 0, 10], IDENTITY, EXPECTED),  # too few bits declared
        ([4096, 0, 8], IDENTITY * 16, RAMP * 16 / 65535),
        ([4096, 0, 0], IDENTITY, EXPECTED),
        ([4096, 0, 255], IDENTITY, EXPECTED),
        ([0, 0, 12], IDENTITY, EXPECTED),  # 65536 declared
        ([5000, 0, 12], IDENTITY, EXPECTED),
        ([256, 0, 12], IDENTITY, EXPECTED),  # the entries of another table
        ([4096, 0, 12], IDENTITY[:2048], np.minimum(RAMP, 2047) / 2047),
        ([4096, 0, 8], (IDENTITY >> 4).astype("u1"), (RAMP >> 4) / 255),  # packed bytes
        ([4096, 0, 8], IDENTITY >> 4, (RAMP >> 4) / 255),  # bytes, a word each
        ([4096, 0, 12], np.append(IDENTITY, 0).astype("<u2"), EXPECTED),  # a word of padding
        ([2048, 2048, 12], IDENTITY[::2], np.maximum(RAMP.astype(int) - 2048, 0) * 2 / 4095),
        ([4096, 0, 16], IDENTITY * 7, RAMP * 7 / 65535),  # a table that peaks at half its range may be meant so
    ],
    ids=lambda value: str(value) if isinstance(value, list) else "",
)
def test_a_table_counts_as_its_contents_are(descriptor: list[int], words: NDArray[Any], expected: NDArray[Any]) -> None:
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        assert picture(syntax=syntax, **voi(descriptor, words)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("descriptor", "words"),
    [
        ([4096, 0, 12], np.full(4096, 9, "<u2")),  # one grey
        ([4096, 20000, 12], IDENTITY),  # of values that do not occur
        ([4096, 0], IDENTITY),
        ([4096, 0, 12], IDENTITY[:0]),
        ([4096, 0, 12], IDENTITY[:1]),
    ],
)
def test_a_table_that_gives_no_picture_leaves_it_to_the_window(descriptor: list[int], words: NDArray[Any]) -> None:
    changes = voi(descriptor, words) | {"WindowCenter": 2048, "WindowWidth": 4096}
    assert picture(**changes) == pytest.approx(EXPECTED, abs=1e-3)
    (flag,) = decode(part10(dx(**changes))).header_flags
    assert flag.startswith("VOILUTSequence")


def test_the_second_table_is_used_when_the_first_gives_no_picture() -> None:
    items = Sequence([lut([4096, 0, 12], IDENTITY[:0]), lut([4096, 0, 12], IDENTITY[::-1])])
    assert picture(VOILUTSequence=items) == pytest.approx(1 - EXPECTED, abs=1e-6)


@pytest.mark.parametrize("intercept", [-1024, 0])
def test_a_first_value_below_zero_is_read_where_the_values_are(intercept: int) -> None:
    """The rescaled values of this image are not negative, the table begins at -1024 all the same."""
    table = voi([6144, -1024, 12], np.clip(np.arange(-1024, 5120), 0, 4095).astype("<u2"))
    shown = picture(RescaleSlope=1, RescaleIntercept=intercept, **table)
    assert shown == pytest.approx(np.clip(RAMP + float(intercept), 0, 4095) / 4095, abs=1e-6)


def test_a_modality_table_of_the_wrong_length() -> None:
    items = Sequence([lut([256, 0, 16], 4095 - IDENTITY)])
    shown = picture(ModalityLUTSequence=items, WindowCenter=2048, WindowWidth=4096)
    assert shown == pytest.approx(1 - EXPECTED, abs=1e-3)


WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
WITH_BORDER = RAMP.copy()
WITH_BORDER[:, :10] = 4095
WITH_BORDER[:5] = 4000
NARROW_BORDER = WITH_BORDER == 4095


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_padding_is_background_in_either_polarity(photometric: str, syntax: str) -> None:
    ds = dx(WITH_BORDER, PhotometricInterpretation=photometric, **WINDOW)
    ds.add_new("PixelPaddingValue", "US", 4095)
    shown = decode(part10(ds, syntax)).pixels
    assert not shown[NARROW_BORDER].any()
    plain = picture(WITH_BORDER, PhotometricInterpretation=photometric, **WINDOW)
    assert np.array_equal(shown[~NARROW_BORDER], plain[~NARROW_BORDER])


@pytest.mark.parametrize(("value", "limit"), [(4000, 4095), (4095, 4000)])
def test_a_range_of_padding(value: int, limit: int) -> None:
    ds = dx(WITH_BORDER, **WINDOW)
    ds.add_new("PixelPaddingValue", "US", value)
    ds.add_new("PixelPaddingRangeLimit", "US", limit)
    shown = decode(part10(ds)).pixels
    mask = WITH_BORDER >= 4000
    assert not shown[mask].any()
    assert shown[~mask].max() > 0.9


def test_signed_padding_is_read_by_the_pixels_sign_whatever_its_vr() -> None:
    pixels = (RAMP.astype(int) - 2048).astype("<i2")
    pixels[:4] = -2000
    ds = dx(pixels.view("<u2"), PixelRepresentation=1, BitsStored=16, HighBit=15, WindowCenter=0, WindowWidth=4096)
    ds.PixelRepresentation = 1
    ds.PhotometricInterpretation = "MONOCHROME1"
    ds.add_new("PixelPaddingValue", "US", 65536 - 2000)
    shown = decode(part10(ds)).pixels
    assert not shown[:4].any()
    assert shown[5, 0] > 0.8


EIGHT_BITS = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}


@pytest.mark.parametrize(
    ("stored", "facts", "vr", "value"),
    [
        (-2000, {"PixelRepresentation": 1}, "SS", -2000),
        (-2000, {"PixelRepresentation": 1}, "US", 63536),  # 16 bits of two's complement
        (-2000, {"PixelRepresentation": 1}, "US", 2096),  # 12 bits of it
        (-1, {"PixelRepresentation": 1, **EIGHT_BITS}, "SS", -1),
        (-1, {"PixelRepresentation": 1, **EIGHT_BITS}, "US", 255),
        (255, EIGHT_BITS, "US", 255),
        (0, {}, "US", 0),
        (4095, {"HighBit": 15}, "US", 4095),
        (4095, {"HighBit": 15}, "US", 0xFFF0),  # as it is in the words of the image
        (-2048, {"HighBit": 15, "PixelRepresentation": 1}, "SS", -0x8000),
        (7, {"HighBit": 13}, "US", 7),
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_padding_in_any_writing(stored: int, facts: dict[str, int], vr: str, value: int, photometric: str) -> None:
    bits, high_bit = facts.get("BitsStored", 12), facts.get("HighBit", 11)
    others = np.arange(100, 120)
    words = (np.append(others, stored) & (2**bits - 1)) << (high_bit + 1 - bits)
    pixels = words.astype("u1" if bits == 8 else "<u2").reshape(1, -1)
    ds = dx(pixels, PhotometricInterpretation=photometric, WindowCenter=110, WindowWidth=4096, **facts)
    ds.add_new("PixelPaddingValue", vr, value)
    shown = decode(part10(ds)).pixels[0]
    assert shown[-1] == 0
    assert shown[:-1].min() > 0.4


def test_an_unsigned_padding_value_beyond_the_stored_bits_is_of_no_pixel() -> None:
    ds = dx(RAMP, **WINDOW)
    ds.add_new("PixelPaddingValue", "US", 63536)
    assert np.array_equal(decode(part10(ds)).pixels, picture(RAMP, **WINDOW))


def test_padding_does_not_count_for_the_range_of_an_image_without_a_window() -> None:
    pixels = (RAMP // 8 + 1000).astype("<u2")
    pixels[:32] = 4095
    ds = dx(pixels)
    ds.add_new("PixelPaddingValue", "US", 4095)
    shown = decode(part10(ds)).pixels
    assert shown[-1, -1] > 0.99
    assert shown[32, 0] < 0.01


def test_padding_that_would_be_the_whole_image_is_none() -> None:
    ds = dx(np.full((8, 8), 7, "<u2"), **WINDOW)
    ds.add_new("PixelPaddingValue", "US", 7)
    image = decode(part10(ds))
    assert image.pixels.max() > 0
    assert any("PixelPaddingValue" in flag for flag in image.header_flags)


WHITE = np.full((20, 30), 4095, "<u2")
Y, X = np.mgrid[1:21, 1:31]
RECTANGLE = {
    "ShutterShape": "RECTANGULAR",
    "ShutterLeftVerticalEdge": 5,
    "ShutterRightVerticalEdge": 25,
    "ShutterUpperHorizontalEdge": 3,
    "ShutterLowerHorizontalEdge": 18,
}
CIRCLE = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [10, 15], "RadiusOfCircularShutter": 6}
POLYGON = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [3, 5, 3, 25, 18, 25, 18, 5]}
IN_RECTANGLE = (X >= 5) & (X <= 25) & (Y >= 3) & (Y <= 18)
IN_CIRCLE = (X - 15) ** 2 + (Y - 10) ** 2 <= 36


@pytest.mark.parametrize(
    ("shutter", "visible"),
    [
        (RECTANGLE, IN_RECTANGLE),
        (CIRCLE, IN_CIRCLE),
        (POLYGON, IN_RECTANGLE),
        ({**RECTANGLE, **CIRCLE, "ShutterShape": ["RECTANGULAR", "CIRCULAR"]}, IN_RECTANGLE & IN_CIRCLE),
        ({**RECTANGLE, "ShutterUpperHorizontalEdge": -4, "ShutterRightVerticalEdge": 99}, (X >= 5) & (Y <= 18)),
        (
            {**CIRCLE, "ImagerPixelSpacing": [0.4, 0.2]},
            (X - 15) ** 2 + (2 * (Y - 10)) ** 2 <= 36,
        ),
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_what_a_shutter_hides_is_black(shutter: dict[str, object], visible: NDArray[Any], photometric: str) -> None:
    """PS3.3 C.7.6.11; edges are visible themselves, the first row and column are 1."""
    pixels = WHITE if photometric == "MONOCHROME2" else np.zeros_like(WHITE)
    shown = picture(pixels, PhotometricInterpretation=photometric, **WINDOW, **shutter)
    assert np.array_equal(shown > 0.5, visible)
    assert not shown[~visible].any()


@pytest.mark.parametrize(
    "shutter",
    [
        {**RECTANGLE, "ShutterLeftVerticalEdge": 26},
        {"ShutterShape": "RECTANGULAR"},
        {**CIRCLE, "RadiusOfCircularShutter": 0},
        {**CIRCLE, "CenterOfCircularShutter": [900, 900]},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 2]},
        {"ShutterShape": "BITMAP"},
        {**RECTANGLE, "ShutterUpperHorizontalEdge": 90, "ShutterLowerHorizontalEdge": 99},
    ],
)
def test_a_shutter_that_hides_everything_or_cannot_be_read_hides_nothing(shutter: dict[str, object]) -> None:
    image = decode(part10(dx(WHITE, **WINDOW, **shutter)))
    assert image.pixels.min() > 0.9
    assert any("shutter" in flag for flag in image.header_flags)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("shutter", [RECTANGLE, CIRCLE, POLYGON])
def test_what_a_shutter_hides_does_not_count_for_the_range(shutter: dict[str, object], photometric: str) -> None:
    """Without a window the white of a collimator made the patient dark."""
    visible = IN_CIRCLE if shutter is CIRCLE else IN_RECTANGLE
    pixels = np.where(visible, 1000 + 10 * X, 4095).astype("<u2")
    shown = picture(pixels, PhotometricInterpretation=photometric, **shutter)
    assert (shown[visible].min(), shown[visible].max()) == pytest.approx((0.0, 1.0), abs=0.01)
    assert not shown[~visible].any()


def test_padding_and_a_shutter_together() -> None:
    pixels = np.where(X < 8, 0, np.where(IN_RECTANGLE, 1000 + 10 * X, 4095)).astype("<u2")
    ds = dx(pixels, **RECTANGLE)
    ds.add_new("PixelPaddingValue", "US", 0)
    shown = decode(part10(ds)).pixels
    visible = IN_RECTANGLE & (X >= 8)
    assert (shown[visible].min(), shown[visible].max()) == pytest.approx((0.0, 1.0), abs=0.01)
    assert not shown[~visible].any()


@pytest.mark.parametrize(
    ("centers", "widths", "used"),
    [
        (["1000", "2000"], ["0", "500"], (2000, 500)),
        (["1000", "2000"], ["-4", "500"], (2000, 500)),
        (["1000", "2000"], ["0.5", "500"], (2000, 500)),
        (["1000", "2000", "3000"], ["0", "0.9", "300"], (3000, 300)),
        (["1000", "2000"], ["500", "0"], (1000, 500)),
        (["1000"], ["500", "300"], (1000, 500)),
        (["1000", "2000"], ["500"], (1000, 500)),
    ],
)
def test_the_first_window_that_can_be_meant_counts(
    centers: list[str], widths: list[str], used: tuple[float, float]
) -> None:
    center, width = used
    expected = np.clip((RAMP - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    assert picture(WindowCenter=centers, WindowWidth=widths) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "spacing", [[1, 0.03], ["1E-300", "1E300"], ["1E-30", 1], [0.001, 0.001], [50, 50], [0.2, 0.9]]
)
@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
def test_a_spacing_that_no_device_makes_is_ignored_and_said(keyword: str, spacing: list[object]) -> None:
    data = part10(dx(**{keyword: spacing}))
    image = decode(data)
    assert (image.row_spacing_mm, image.column_spacing_mm) == (1.0, 1.0)
    assert any(flag.startswith(keyword) for flag in to_instance(read_header(data)).header_flags)
    assert image.frame.side <= 64


def test_the_next_spacing_counts_when_the_first_is_impossible() -> None:
    image = decode(part10(dx(PixelSpacing=[1, 0.001], ImagerPixelSpacing=[0.3, 0.15])))
    assert (image.row_spacing_mm, image.column_spacing_mm) == (0.3, 0.15)
