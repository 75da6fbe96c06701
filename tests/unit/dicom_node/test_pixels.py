"""Golden pixels: what a reader sees, computed a second time here, number by number, from the standard's formulas."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from core.errors import InvalidStudy
from dicom_node.pixels.decode import decode, decode_values
from dicom_node.pixels.frames import read_frame
from tests.contract.dicom_peers import SHARED_DICOM, dx_dataset, part10

REAL_FILES = sorted(SHARED_DICOM.glob("*.dcm"))
real_files = pytest.mark.skipif(not REAL_FILES, reason="no DICOM files next to the repository (../shared/data/dicom)")
STORED = [0, 1, 100, 2000, 2047, 2048, 4094, 4095]
NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]


def image(values: list[int], dtype: str = "<u2", **changes: object) -> Dataset:
    """One row of stored values as a DX without a window."""
    pixels = np.array(values, dtype).tobytes()
    signed = int(np.dtype(dtype).kind == "i")
    defaults: dict[str, object] = {
        "Rows": 1,
        "Columns": len(values),
        "PixelData": pixels,
        "PixelRepresentation": signed,
    }
    return dx_dataset(**(defaults | changes))


def shown(ds: Dataset, syntax: str = ExplicitVRLittleEndian, frame: int = 0) -> list[float]:
    pixels = decode(part10(ds, syntax), frame=frame).pixels
    assert pixels.dtype == np.float32
    assert 0.0 <= pixels.min() <= pixels.max() <= 1.0
    return [float(value) for value in pixels.ravel()]


def linear(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.2.1, in its three cases, from 0 to 1."""
    if x <= center - 0.5 - (width - 1) / 2:
        return 0.0
    if x > center - 0.5 + (width - 1) / 2:
        return 1.0
    return (x - (center - 0.5)) / (width - 1) + 0.5


def linear_exact(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    if x <= center - width / 2:
        return 0.0
    if x > center + width / 2:
        return 1.0
    return (x - center) / width + 0.5


def sigmoid(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    return 1 / (1 + math.exp(-4 * (x - center) / width))


WINDOWS: list[tuple[str | None, Callable[[float, float, float], float]]] = [
    (None, linear),
    ("LINEAR", linear),
    ("LINEAR_EXACT", linear_exact),
    ("SIGMOID", sigmoid),
]


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize(("function", "formula"), WINDOWS)
def test_windows(function: str | None, formula: Callable[[float, float, float], float], syntax: str) -> None:
    ds = image(STORED, WindowCenter="2048", WindowWidth="1000")
    if function:
        ds.VOILUTFunction = function
    assert shown(ds, syntax) == pytest.approx([formula(x, 2048, 1000) for x in STORED], abs=1e-6)


def test_the_first_of_several_windows_counts() -> None:
    ds = image(STORED, WindowCenter=["1000", "40"], WindowWidth=["2000", "400"])
    assert shown(ds) == pytest.approx([linear(x, 1000, 2000) for x in STORED], abs=1e-6)


def test_a_window_of_width_one_is_a_threshold() -> None:
    assert shown(image([99, 100, 101], WindowCenter="100.5", WindowWidth="1")) == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("width", ["0", "-5", "abc", "0.5"])
def test_an_impossible_window_is_flagged_and_not_used(width: str) -> None:
    ds = image([0, 255], "u1", BitsAllocated=8, BitsStored=8, HighBit=7, WindowCenter="100")
    data = part10(ds)
    at = data.index(b"\x28\0\x50\x10DS")
    end = at + 8 + struct.unpack_from("<H", data, at + 6)[0]
    padded = width.encode() + b" " * (len(width) % 2)
    element = b"\x28\0\x51\x10DS" + struct.pack("<H", len(padded)) + padded
    decoded = decode(data[:end] + element + data[end:])
    assert list(decoded.pixels.ravel()) == [0.0, 1.0]
    assert any(flag.startswith("WindowWidth") for flag in decoded.header_flags)


def test_rescale_comes_before_the_window() -> None:
    ds = image([0, 24, 1024, 2048], RescaleSlope="2", RescaleIntercept="-1024", WindowCenter="40", WindowWidth="400")
    assert shown(ds) == pytest.approx([linear(x * 2 - 1024, 40, 400) for x in (0, 24, 1024, 2048)], abs=1e-6)


def test_signed_values() -> None:
    values = [-2000, -1024, -100, 0, 40, 3000]
    ds = image(values, "<i2", BitsStored=16, HighBit=15, WindowCenter="40", WindowWidth="400")
    for syntax in NATIVE:
        assert shown(ds, syntax) == pytest.approx([linear(x, 40, 400) for x in values], abs=1e-6)


@pytest.mark.parametrize("dtype", ["<u2", "<i2"])
def test_ten_of_sixteen_bits_with_an_overlay_above(dtype: str) -> None:
    """The six bits above HighBit are no pixel data (PS3.5 8.1.1), whatever they hold."""
    values = [0, 1, 511, 512, 1023]
    noisy = [value | junk << 10 for value, junk in zip(values, (0, 63, 21, 42, 1), strict=True)]
    ds = image(noisy, "<u2", BitsStored=10, HighBit=9, WindowCenter="0", WindowWidth="1024")
    ds.PixelRepresentation = int(dtype == "<i2")
    expected = [value - 1024 if dtype == "<i2" and value > 511 else value for value in values]
    assert shown(ds) == pytest.approx([linear(x, 0, 1024) for x in expected], abs=1e-6)


def test_stored_bits_that_lie_high() -> None:
    values = [0, 1, 512, 1023]
    ds = image(
        [value << 4 | 0b1010 for value in values], BitsStored=10, HighBit=13, WindowCenter="512", WindowWidth="1024"
    )
    assert shown(ds) == pytest.approx([linear(x, 512, 1024) for x in values], abs=1e-6)


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", False),  # as DCMTK and dcm4che show it
        ("MONOCHROME1", "OTHER", True),
        ("MONOCHROME2", "OTHER", False),
    ],
)
def test_polarity(photometric: str, shape: str | None, *, inverted: bool) -> None:
    ds = image(STORED, PhotometricInterpretation=photometric, WindowCenter="2048", WindowWidth="4096")
    if shape:
        ds.PresentationLUTShape = shape
    plain = [linear(x, 2048, 4096) for x in STORED]
    assert shown(ds) == pytest.approx([1 - x for x in plain] if inverted else plain, abs=1e-6)


def lut(descriptor: list[int], data: bytes, vr: str = "OW") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if descriptor[1] >= 0 else "SS", descriptor)
    item.add_new("LUTData", vr, data if vr == "OW" else list(struct.unpack(f"<{len(data) // 2}H", data)))
    return item


@pytest.mark.parametrize("syntax", NATIVE[:2], ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("vr", ["OW", "US"])
def test_a_voi_lut_wins_over_a_window(vr: str, syntax: str) -> None:
    outputs = [0, 10, 4000, 4095]
    ds = image([0, 100, 101, 102, 103, 104, 4095], WindowCenter="40", WindowWidth="400")
    ds.VOILUTSequence = [lut([4, 100, 12], struct.pack("<4H", *outputs), vr)]
    assert shown(ds, syntax) == pytest.approx([x / 4095 for x in (0, 0, 10, 4000, 4095, 4095, 4095)], abs=1e-6)


def test_a_voi_lut_of_big_endian_files() -> None:
    ds = image([100, 101])
    ds.VOILUTSequence = [lut([2, 100, 12], struct.pack("<2H", 1, 4095), "US")]
    assert shown(ds, ExplicitVRBigEndian) == pytest.approx([1 / 4095, 1.0], abs=1e-6)


def test_a_voi_lut_of_packed_bytes() -> None:
    ds = image([0, 1, 2, 3])
    ds.VOILUTSequence = [lut([4, 0, 8], bytes([0, 51, 102, 255]))]
    assert shown(ds) == pytest.approx([0.0, 0.2, 0.4, 1.0], abs=1e-6)


def test_a_voi_lut_that_starts_below_zero() -> None:
    ds = image([-3, -2, -1, 0], "<i2", BitsStored=16, HighBit=15)
    ds.VOILUTSequence = [lut([3, -2, 8], struct.pack("<3H", 0, 51, 255))]
    assert shown(ds) == pytest.approx([0.0, 0.0, 0.2, 1.0], abs=1e-6)


def test_a_modality_lut_comes_before_the_window() -> None:
    ds = image([0, 1, 2, 3, 9], WindowCenter="500", WindowWidth="1000")
    ds.ModalityLUTSequence = [lut([4, 0, 16], struct.pack("<4H", 10, 200, 600, 900))]
    assert shown(ds) == pytest.approx([linear(x, 500, 1000) for x in (10, 200, 600, 900, 900)], abs=1e-6)


def test_eight_bits_without_a_window_show_their_full_range() -> None:
    ds = image([10, 100, 200, 250], "u1", BitsAllocated=8, BitsStored=8, HighBit=7)
    assert shown(ds) == pytest.approx([x / 255 for x in (10, 100, 200, 250)], abs=1e-6)


def test_deeper_images_without_a_window_show_between_percentiles() -> None:
    values = [*range(1000), 60000]
    ds = image(values, BitsStored=16, HighBit=15)
    ordered = np.sort(np.array(values, np.float64))
    low, high = (np.interp(p / 100 * 1000, np.arange(1001), ordered) for p in (0.5, 99.5))
    assert shown(ds) == pytest.approx([min(1.0, max(0.0, (x - low) / (high - low))) for x in values], abs=1e-6)


def test_padding_is_no_part_of_the_range() -> None:
    values = [-2000] * 500 + list(range(200))
    ds = image(values, "<i2", BitsStored=16, HighBit=15)
    ds.add_new("PixelPaddingValue", "SS", -2000)
    for syntax in NATIVE:
        assert shown(ds, syntax)[600] == pytest.approx((100 - 0.995) / (198.005 - 0.995), abs=1e-5)


def test_a_flat_image_is_black() -> None:
    assert shown(image([7, 7, 7])) == [0.0, 0.0, 0.0]


COLOURS = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 20, 30)]


@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_becomes_luminance(planar: int) -> None:
    values = np.array(COLOURS, np.uint8)
    pixels = (values.T if planar else values).tobytes()
    ds = image([0] * 6, "u1", BitsAllocated=8, BitsStored=8, HighBit=7, SamplesPerPixel=3, PixelData=pixels)
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "RGB", planar
    expected = [(0.299 * r + 0.587 * g + 0.114 * b) / 255 for r, g, b in COLOURS]
    assert shown(ds) == pytest.approx(expected, abs=1e-6)


def test_of_ybr_the_y_is_shown() -> None:
    ds = image([0, 0], "u1", BitsAllocated=8, BitsStored=8, HighBit=7, SamplesPerPixel=3)
    ds.PixelData = bytes([51, 1, 2, 255, 3, 4])
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "YBR_FULL", 0
    assert shown(ds) == pytest.approx([0.2, 1.0], abs=1e-6)


def test_a_palette_is_looked_up() -> None:
    ds = image([0, 1, 2, 1], "u1", BitsAllocated=8, BitsStored=8, HighBit=7, PhotometricInterpretation="PALETTE COLOR")
    for name, entries in (("Red", (0, 65535, 0)), ("Green", (0, 65535, 0)), ("Blue", (0, 65535, 65535))):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [3, 0, 16])
        setattr(ds, f"{name}PaletteColorLookupTableData", struct.pack("<3H", *entries))
    assert shown(ds) == pytest.approx([0.0, 1.0, 0.114, 1.0], abs=1e-6)


def test_each_frame_is_its_own() -> None:
    ds = image([0, 4095, 4095, 0], Columns=2, NumberOfFrames="2", WindowCenter="2048", WindowWidth="4096")
    assert shown(ds, frame=0) == pytest.approx([0.0, 1.0], abs=1e-3)
    assert shown(ds, frame=1) == pytest.approx([1.0, 0.0], abs=1e-3)
    with pytest.raises(InvalidStudy, match="fewer frames"):
        shown(ds, frame=2)


def test_windows_and_spacing_of_functional_groups() -> None:
    ds = image([0, 100, 0, 100], Columns=2, NumberOfFrames="2")
    groups = []
    for center in (50, 200):
        voi, group = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = center, 100
        group.FrameVOILUTSequence = [voi]
        groups.append(group)
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [0.5, 0.25]
    shared.PixelMeasuresSequence = [measures]
    ds.PerFrameFunctionalGroupsSequence, ds.SharedFunctionalGroupsSequence = groups, [shared]
    assert shown(ds, frame=0) == pytest.approx([linear(x, 50, 100) for x in (0, 100)], abs=1e-6)
    assert shown(ds, frame=1) == pytest.approx([linear(x, 200, 100) for x in (0, 100)], abs=1e-6)
    decoded = decode(part10(ds))
    assert (decoded.row_spacing_mm, decoded.column_spacing_mm) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("elements", "spacing"),
    [
        ({}, (1.0, 1.0)),
        ({"PixelSpacing": ["0.2", "0.1"]}, (0.2, 0.1)),
        ({"PixelSpacing": ["0.2", "0.1"], "ImagerPixelSpacing": ["0.3", "0.3"]}, (0.2, 0.1)),
        ({"ImagerPixelSpacing": ["0.139", "0.139"]}, (0.139, 0.139)),
        ({"PixelAspectRatio": ["4", "3"]}, (4.0, 3.0)),
        ({"PixelSpacing": ["0", "0.1"]}, (1.0, 1.0)),
    ],
)
def test_spacing(elements: dict[str, object], spacing: tuple[float, float]) -> None:
    decoded = decode(part10(image([1, 2], **elements)))
    assert (decoded.row_spacing_mm, decoded.column_spacing_mm) == spacing


def compressed(pixels: NDArray[np.generic], codestream: bytes, **changes: object) -> Dataset:
    """An image whose pixel data are one encapsulated frame."""
    bits = 8 * pixels.dtype.itemsize
    ds = dx_dataset(
        Rows=pixels.shape[0], Columns=pixels.shape[1], BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1
    )
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.PixelData = encapsulate([codestream + b"\0" * (len(codestream) % 2)])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def texture(dtype: str, top: int) -> NDArray[np.generic]:
    """A smooth, textured image of 40 x 56 up to `top`."""
    y, x = np.mgrid[0:40, 0:56]
    wave = (np.sin(x / 9) * np.cos(y / 7) + 1) / 2
    return np.rint(wave * top).astype(dtype)


def _rle(pixels: NDArray[np.generic]) -> bytes:
    from rle.utils import encode_pixel_data

    options = {"rows": pixels.shape[0], "columns": pixels.shape[1], "samples_per_pixel": 1, "number_of_frames": 1}
    bits = 8 * pixels.dtype.itemsize
    return bytes(encode_pixel_data(pixels.tobytes(), byteorder="<", bits_allocated=bits, **options))


LOSSLESS = [
    (JPEGLosslessSV1, lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True)),
    (JPEGLSLossless, imagecodecs.jpegls_encode),
    (JPEG2000Lossless, lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, level=0)),
    (HTJ2KLossless, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
    (HTJ2KLosslessRPCL, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
    (HTJ2K, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
    (RLELossless, _rle),
]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("syntax", "encode"), LOSSLESS, ids=lambda value: getattr(value, "keyword", ""))
def test_lossless_syntaxes_give_back_every_pixel(
    syntax: str, encode: Callable[[NDArray[np.generic]], bytes], bits: int
) -> None:
    pixels = texture(f"u{bits // 8}", 2**bits - 1)
    frame = read_frame(part10(compressed(pixels, encode(pixels)), syntax), 0)
    assert np.array_equal(frame.stored, pixels)


@pytest.mark.parametrize(("syntax", "dtype", "bits"), [(JPEGBaseline8Bit, "u1", 8), (JPEGExtended12Bit, "u2", 12)])
def test_lossy_jpeg_comes_close(syntax: str, dtype: str, bits: int) -> None:
    pixels = texture(dtype, 2**bits - 1)
    options = {} if bits == 8 else {"bitspersample": 12}
    ds = compressed(pixels, imagecodecs.jpeg8_encode(pixels, level=95, **options), BitsStored=bits, HighBit=bits - 1)
    stored = read_frame(part10(ds, syntax), 0).stored.astype(int)
    assert np.abs(stored - pixels.astype(int)).max() < 0.03 * 2**bits


def test_colour_jpeg_is_shown_by_its_luminance() -> None:
    rgb = np.stack([texture("u1", 255), texture("u1", 100), texture("u1", 30)], axis=-1)
    stream = io.BytesIO()
    PIL.Image.fromarray(rgb).save(stream, "jpeg", quality=98, subsampling="4:2:2")
    ds = compressed(
        rgb, stream.getvalue(), SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=0
    )
    expected = rgb @ np.array([0.299, 0.587, 0.114]) / 255
    assert np.abs(decode(part10(ds, JPEGBaseline8Bit)).pixels - expected).max() < 0.03


@pytest.mark.parametrize("cut", [2, 10, 40, 95])
def test_truncated_native_pixel_data(cut: int) -> None:
    for syntax in NATIVE:
        with pytest.raises(InvalidStudy, match="the pixel data are truncated"):
            decode(part10(dx_dataset(), syntax)[:-cut])


def test_pixel_data_shorter_than_rows_and_columns_say() -> None:
    with pytest.raises(InvalidStudy, match="the pixel data are truncated"):
        decode(part10(dx_dataset(Rows=9)))


@pytest.mark.parametrize(("syntax", "encode"), LOSSLESS, ids=lambda value: getattr(value, "keyword", ""))
@pytest.mark.parametrize("part", [0.0, 0.3, 0.7, 0.97])
def test_truncated_compressed_pixel_data(
    syntax: str, encode: Callable[[NDArray[np.generic]], bytes], part: float
) -> None:
    pixels = texture("u2", 65535)
    codestream = encode(pixels)
    file = part10(compressed(pixels, codestream), syntax)
    start = file.index(codestream[:16])
    with pytest.raises(InvalidStudy, match="the pixel data are truncated"):
        decode(file[: start + int(part * len(codestream))])


@pytest.mark.parametrize(("syntax", "encode"), LOSSLESS, ids=lambda value: getattr(value, "keyword", ""))
def test_a_codestream_cut_within_whole_items(syntax: str, encode: Callable[[NDArray[np.generic]], bytes]) -> None:
    """The file is complete, the frame in it is not: no grey lower half may pass for an image."""
    pixels = texture("u2", 65535)
    codestream = encode(pixels)
    with pytest.raises(InvalidStudy, match=r"the pixel data (are truncated|cannot be decoded)"):
        decode(part10(compressed(pixels, codestream[: len(codestream) * 6 // 10]), syntax))


def test_signed_values_of_a_codec_keep_their_sign() -> None:
    values = texture("u2", 4095).astype("<i2") - 2048
    coded = values.astype("u2") & 0x0FFF  # JPEG knows no sign: 12 bits of two's complement
    options = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1}
    ds = compressed(coded, imagecodecs.jpeg8_encode(coded, lossless=True, bitspersample=12), **options)
    assert np.array_equal(read_frame(part10(ds, JPEGLosslessSV1), 0).stored, values)


def test_garbage_in_a_codestream() -> None:
    with pytest.raises(InvalidStudy, match="the pixel data cannot be decoded"):
        decode(part10(compressed(texture("u2", 65535), b"\xff\xd8 not a jpeg \xff\xd9"), JPEGLosslessSV1))


def test_a_frame_of_another_size_than_announced() -> None:
    pixels = texture("u2", 65535)
    ds = compressed(pixels, imagecodecs.jpegls_encode(pixels), Rows=41)
    with pytest.raises(InvalidStudy, match="the pixel data cannot be decoded"):
        decode(part10(ds, JPEGLSLossless))


def test_an_object_without_pixels() -> None:
    with pytest.raises(InvalidStudy, match="the object holds no pixel data"):
        decode(part10(dx_dataset(PixelData=None)))
    with pytest.raises(InvalidStudy, match="Rows"):
        decode(part10(dx_dataset(Rows=None)))


@real_files
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.stem)
def test_real_files_are_decoded_as_gdcm_decodes_them(path: Path) -> None:
    """The stored values against gdcm, an independent decoder, wherever it takes the file."""
    import gdcm

    frame = read_frame(path.read_bytes(), 0)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        pytest.skip("gdcm does not read this file")
    buffer = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    theirs = np.frombuffer(buffer, frame.stored.dtype).reshape(frame.stored.shape)
    if path.stem.endswith("JPLY"):  # lossy overshoot beyond the stored bits: gdcm masks white to black, we do not
        overshot = frame.stored == 2**frame.bits_stored - 1
        assert overshot.mean() < 1e-3
        theirs = np.where(overshot, frame.stored, theirs)
    assert np.array_equal(frame.stored, theirs)


@real_files
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.stem)
def test_real_files_are_shown_as_their_header_says(path: Path) -> None:
    ds = dcmread(path)
    stored = read_frame(path.read_bytes(), 0).stored.astype(np.float64)
    image_shown = decode(path.read_bytes())
    x = stored * float(ds.get("RescaleSlope") or 1) + float(ds.get("RescaleIntercept") or 0)
    if "WindowCenter" in ds:
        center, width = float(np.ravel(ds.WindowCenter)[0]), float(np.ravel(ds.WindowWidth)[0])
        expected = np.vectorize(linear)(x[::16, ::16], center, width)
    else:
        bits = int(ds.BitsStored)
        kept = x[stored != ds.PixelPaddingValue] if "PixelPaddingValue" in ds else x
        low, high = (0, 2**bits - 1) if bits <= 8 else np.percentile(kept, (0.5, 99.5))
        expected = np.clip((x[::16, ::16] - low) / (high - low), 0, 1)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        expected = 1 - expected
    assert np.abs(image_shown.pixels[::16, ::16] - expected).max() < 1e-6


@real_files
def test_the_same_image_in_other_syntaxes_is_the_same() -> None:
    for stem in ("CT1", "MR1", "RG2"):
        frames = [
            read_frame(p.read_bytes(), 0).stored for p in REAL_FILES if p.stem.startswith(stem) and "JPLY" not in p.stem
        ]
        assert len(frames) > 1
        assert all(np.array_equal(frames[0], frame) for frame in frames[1:])


def values(ds: Dataset) -> list[float]:
    return [round(float(value), 6) for value in decode_values(part10(ds), (-1000.0, 1000.0)).pixels.ravel()]


def test_values_are_rescaled_brought_to_the_window_and_padding_is_air() -> None:
    ds = image([0, 24, 1024, 2024, 4000], RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=1, WindowWidth=1)
    assert values(ds) == [0.0, 0.0, 0.5, 1.0, 1.0]
    ds.PixelPaddingValue = 4000
    ds.PhotometricInterpretation = "MONOCHROME1"
    assert values(ds) == [0.0, 0.0, 0.5, 1.0, 0.0], "padding is air, and no value is inverted"


def test_a_ct_without_rescale_has_no_values() -> None:
    with pytest.raises(InvalidStudy, match="no Rescale"):
        values(image([0, 1], Modality="CT", RescaleSlope=1))
