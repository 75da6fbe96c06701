"""Display shutters (PS3.3 C.7.6.11) and bitmap shutters (C.7.6.15): what they hide is black, in pictures and states."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from core.domain.report import ObjectKind
from dicom_node.encode import encode
from dicom_node.header.corrected import correction_of
from dicom_node.pixels.decode import decode
from tests.contract.conformance import dciodvfy, dcmtk_presentation
from tests.contract.dicom_peers import part10
from tests.contract.encode import cases
from tests.unit.dicom_node.test_codestreams import dx, items, jpeg_lossless, rle

ROWS, COLUMNS = 64, 48
Y, X = np.mgrid[1 : ROWS + 1, 1 : COLUMNS + 1]
Mask = NDArray[np.bool_]
CORNER = (Y <= 6) | (X <= 3)
"""What is hidden by the overlays below."""

RECTANGLE: dict[str, Any] = {
    "ShutterShape": "RECTANGULAR",
    "ShutterLeftVerticalEdge": 5,
    "ShutterRightVerticalEdge": 25,
    "ShutterUpperHorizontalEdge": 3,
    "ShutterLowerHorizontalEdge": 18,
}
CIRCLE: dict[str, Any] = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [10, 15], "RadiusOfCircularShutter": 6}
SQUARE = [3, 5, 3, 25, 18, 25, 18, 5]
POLYGON: dict[str, Any] = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": SQUARE}
IN_RECTANGLE = (X >= 5) & (X <= 25) & (Y >= 3) & (Y <= 18)
IN_CIRCLE = (X - 15) ** 2 + (Y - 10) ** 2 <= 36


def overlay(
    hidden: Mask = CORNER,
    *,
    group: int = 0x6000,
    origin: tuple[int, ...] = (1, 1),
    vr: str = "OW",
    frames: str = "",
    cut: int = 0,
) -> Dataset:
    """A plane as PS3.3 C.9.2 and PS3.5 8.1.2 write it, the lowest bit first, row after row without a gap."""
    ds = Dataset()
    ds.add_new(Tag(group, 0x10), "US", hidden.shape[0])
    ds.add_new(Tag(group, 0x11), "US", hidden.shape[1])
    if frames:
        ds.add_new(Tag(group, 0x15), "IS", frames)
    ds.add_new(Tag(group, 0x40), "CS", "G")
    if origin:
        ds.add_new(Tag(group, 0x50), "SS", list(origin))
    ds.add_new(Tag(group, 0x100), "US", 1)
    ds.add_new(Tag(group, 0x102), "US", 0)
    octets = bytearray(-(-hidden.size // 16) * 2)
    for number in np.flatnonzero(hidden.ravel()):
        octets[number // 8] |= 1 << number % 8
    ds.add_new(Tag(group, 0x3000), vr, bytes(octets[: len(octets) - cut]))
    return ds


def in_bits(position: int, group: int = 0x6000, allocated: int = 16) -> Dataset:
    """An overlay in the pixel words, as before 2004."""
    ds = Dataset()
    ds.add_new(Tag(group, 0x10), "US", ROWS)
    ds.add_new(Tag(group, 0x11), "US", COLUMNS)
    ds.add_new(Tag(group, 0x40), "CS", "G")
    ds.add_new(Tag(group, 0x50), "SS", [1, 1])
    ds.add_new(Tag(group, 0x100), "US", allocated)
    ds.add_new(Tag(group, 0x102), "US", position)
    return ds


def file(
    *overlays: Dataset, syntax: str = ExplicitVRLittleEndian, words: NDArray[Any] | None = None, **shutter: object
) -> bytes:
    """A picture that is white all over."""
    pixels = np.full((ROWS, COLUMNS), 4095, "<u2") if words is None else words
    encoders = {RLELossless: rle, JPEGLosslessSV1: jpeg_lossless, JPEGLSLossless: imagecodecs.jpegls_encode}
    changes: dict[str, object] = {"WindowCenter": 2048, "WindowWidth": 4096, **shutter}
    if syntax in encoders:
        ds = dx(items(b"", bytes(encoders[syntax](pixels))), ROWS, COLUMNS, **changes)
    else:
        ds = dx(pixels.tobytes(), ROWS, COLUMNS, **changes)
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OW", False
    for one in overlays:
        ds.update(one)
    return part10(ds, syntax)


BITMAP: dict[str, Any] = {"ShutterShape": "BITMAP", "ShutterOverlayGroup": 0x6000, "ShutterPresentationValue": 0}


def embedded(position: int, *, lowest: int = 0) -> NDArray[Any]:
    return ((4095 << lowest) | CORNER.astype(np.uint16) << position).astype("<u2")


def swapped(hidden: Mask) -> Dataset:
    """OW of a file in big endian: the words of 16 bits are turned, as pydicom does not."""
    ds = overlay(hidden)
    ds[Tag(0x6000, 0x3000)].value = np.frombuffer(ds[Tag(0x6000, 0x3000)].value, "<u2").astype(">u2").tobytes()
    return ds


OTHER = overlay(Y > 10, group=0x6002)
PART = CORNER[2:14, 1:20]
MOVED = np.zeros_like(CORNER)
MOVED[2:14, 1:20] = PART
WIDER = np.pad(CORNER, ((2, 4), (3, 5)), constant_values=True)

BITMAPS: dict[str, tuple[bytes, Mask]] = {
    "in words": (file(overlay(), **BITMAP), CORNER),
    "in bytes": (file(overlay(vr="OB"), **BITMAP), CORNER),
    "implicit": (file(overlay(), syntax=ImplicitVRLittleEndian, **BITMAP), CORNER),
    "big endian": (file(swapped(CORNER), syntax=ExplicitVRBigEndian, **BITMAP), CORNER),
    "in the last group": (
        file(overlay(group=0x601E), **{**BITMAP, "ShutterOverlayGroup": 0x601E}),
        CORNER,
    ),
    "of two overlays the one that is named": (file(OTHER, overlay(), **BITMAP), CORNER),
    "of two overlays the second": (file(OTHER, overlay(), **{**BITMAP, "ShutterOverlayGroup": 0x6002}), Y > 10),
    "smaller than the image": (file(overlay(PART, origin=(3, 2)), **BITMAP), MOVED),
    "larger than the image": (file(overlay(WIDER, origin=(-1, -2)), **BITMAP), CORNER),
    "without an origin": (file(overlay(origin=()), **BITMAP), CORNER),
    "of one frame": (file(overlay(frames="1"), **BITMAP), CORNER),
    "of a compressed image": (file(overlay(), syntax=JPEGLSLossless, **BITMAP), CORNER),
    "hidden in white": (file(overlay(), **{**BITMAP, "ShutterPresentationValue": 0xFFFF}), CORNER),
    "of MONOCHROME1": (
        file(overlay(), words=np.zeros((ROWS, COLUMNS), "<u2"), PhotometricInterpretation="MONOCHROME1", **BITMAP),
        CORNER,
    ),
    "in the highest bit": (file(in_bits(15), words=embedded(15), **BITMAP), CORNER),
    "in the bit above the pixels": (file(in_bits(12), words=embedded(12), **BITMAP), CORNER),
    "below the pixels": (file(in_bits(0), words=embedded(0, lowest=4), HighBit=15, **BITMAP), CORNER),
    "in bits, big endian": (file(in_bits(15), words=embedded(15), syntax=ExplicitVRBigEndian, **BITMAP), CORNER),
    "in bits, RLE": (file(in_bits(14), words=embedded(14), syntax=RLELossless, **BITMAP), CORNER),
    "in bits, JPEG": (file(in_bits(13), words=embedded(13), syntax=JPEGLosslessSV1, **BITMAP), CORNER),
    "in bits, JPEG-LS": (file(in_bits(15), words=embedded(15), syntax=JPEGLSLossless, **BITMAP), CORNER),
    "with a rectangle": (
        file(overlay(), **{**BITMAP, **RECTANGLE, "ShutterShape": ["BITMAP", "RECTANGULAR"]}),
        CORNER | ~IN_RECTANGLE,
    ),
    "with a circle that is not complete": (
        file(overlay(), **{**BITMAP, "ShutterShape": ["CIRCULAR", "BITMAP"], "RadiusOfCircularShutter": 5}),
        CORNER,
    ),
}
SHAPES: dict[str, tuple[bytes, Mask]] = {
    "rectangle": (file(**RECTANGLE), ~IN_RECTANGLE),
    "circle": (file(**CIRCLE), ~IN_CIRCLE),
    "polygon": (file(**POLYGON), ~IN_RECTANGLE),
    "polygon that is closed": (file(**{**POLYGON, "VerticesOfThePolygonalShutter": [*SQUARE, 3, 5]}), ~IN_RECTANGLE),
    "all three": (
        file(**{**RECTANGLE, **CIRCLE, **POLYGON, "ShutterShape": ["RECTANGULAR", "CIRCULAR", "POLYGONAL"]}),
        ~(IN_RECTANGLE & IN_CIRCLE),
    ),
    "edges outside": (
        file(**{**RECTANGLE, "ShutterLeftVerticalEdge": -40, "ShutterLowerHorizontalEdge": 4000}),
        (X > 25) | (Y < 3),
    ),
    "edges of zero and one beyond": (
        file(**{**RECTANGLE, "ShutterLeftVerticalEdge": 0, "ShutterRightVerticalEdge": 49}),
        (Y < 3) | (Y > 18),
    ),
    "one row": (
        file(**{**RECTANGLE, "ShutterUpperHorizontalEdge": 7, "ShutterLowerHorizontalEdge": 7}),
        ~(IN_RECTANGLE & (Y == 7)),
    ),
    "centre outside": (
        file(**{**CIRCLE, "CenterOfCircularShutter": [-5, 15], "RadiusOfCircularShutter": 15}),
        (X - 15) ** 2 + (Y + 5) ** 2 > 225,
    ),
    "hidden in white": (file(**RECTANGLE, ShutterPresentationValue=0xFFFF), ~IN_RECTANGLE),
    "a colour for what is hidden": (
        file(**RECTANGLE, ShutterPresentationColorCIELabValue=[65535, 32896, 32896]),
        ~IN_RECTANGLE,
    ),
    "a circle that is not complete, and a rectangle": (
        file(**{**RECTANGLE, "ShutterShape": ["CIRCULAR", "RECTANGULAR"], "RadiusOfCircularShutter": 5}),
        ~IN_RECTANGLE,
    ),
    "a shape that does not exist, and a rectangle": (
        file(**{**RECTANGLE, "ShutterShape": ["OVAL", "RECTANGULAR"]}),
        ~IN_RECTANGLE,
    ),
}
NOT_USED: dict[str, bytes] = {
    "bitmap without a group": file(overlay(), ShutterShape="BITMAP"),
    "bitmap of a group that is not there": file(overlay(), **{**BITMAP, "ShutterOverlayGroup": 0x6002}),
    "bitmap of a group of no overlays": file(overlay(), **{**BITMAP, "ShutterOverlayGroup": 0x0028}),
    "bitmap of an odd group": file(overlay(), **{**BITMAP, "ShutterOverlayGroup": 0x6001}),
    "bitmap cut short": file(overlay(cut=2), **BITMAP),
    "bitmap of several frames": file(overlay(frames="3"), **BITMAP),
    "bitmap that hides everything": file(overlay(np.ones_like(CORNER)), **BITMAP),
    "bitmap in bits that do not exist": file(in_bits(40), words=embedded(15), **BITMAP),
    "rectangle without an edge": file(**{k: v for k, v in RECTANGLE.items() if k != "ShutterRightVerticalEdge"}),
    "rectangle with its edges exchanged": file(
        **{**RECTANGLE, "ShutterLeftVerticalEdge": 25, "ShutterRightVerticalEdge": 5}
    ),
    "circle without a centre": file(ShutterShape="CIRCULAR", RadiusOfCircularShutter=6),
    "polygon of two corners": file(ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 9, 9]),
    "polygon of half a corner": file(ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 9, 9, 1, 9, 4]),
    "shape that does not exist": file(**{**RECTANGLE, "ShutterShape": "OVAL"}),
}


@pytest.mark.parametrize(("data", "hidden"), [*BITMAPS.values(), *SHAPES.values()], ids=[*BITMAPS, *SHAPES])
def test_what_is_behind_a_shutter_is_black_and_nothing_else(data: bytes, hidden: Mask) -> None:
    shown = decode(data).pixels
    assert np.array_equal(shown == 0, hidden)
    assert shown[~hidden].min() > 0.99


@pytest.mark.parametrize("name", NOT_USED)
def test_a_shutter_that_cannot_be_meant_hides_nothing_and_is_said(name: str) -> None:
    image = decode(NOT_USED[name])
    assert image.pixels.min() > 0.99
    assert any("shutter" in flag for flag in image.header_flags)


@pytest.mark.parametrize("name", [n for n in NOT_USED if n.startswith("bitmap")])
def test_the_presentation_state_repeats_no_bitmap_that_was_not_used(name: str) -> None:
    state, _ = state_of(NOT_USED[name])
    assert "ShutterShape" not in state
    assert not [element for element in state if element.tag.group in range(0x6000, 0x6020)]


def state_of(source: bytes) -> tuple[Dataset, bytes]:
    (result,) = encode(cases.report(), sources={cases.IMAGE_UID: source}, images={}, kinds=frozenset({ObjectKind.GSPS}))
    return dcmread(BytesIO(result.data)), result.data


@pytest.mark.parametrize(
    "name",
    ["in words", "big endian", "smaller than the image", "of MONOCHROME1", "in bits, JPEG-LS", "with a rectangle"],
)
def test_dcmtk_draws_the_presentation_state_as_the_image_was_read(name: str, tmp_path: Path) -> None:
    """DCMTK draws bitmaps and leaves shapes to its callers; it reads no compressed image here."""
    data, hidden = BITMAPS[name]
    _, state = state_of(data)
    source, file_of_state, drawn = (tmp_path / name for name in ("source.dcm", "state.dcm", "drawn.pgm"))
    source.write_bytes(file() if UID(dcmread(BytesIO(data)).file_meta.TransferSyntaxUID).is_compressed else data)
    file_of_state.write_bytes(state)
    command = [_dcmp2pgm(), "-p", str(file_of_state), str(source), str(drawn)]
    subprocess.run(command, capture_output=True, check=True)
    assert np.array_equal(np.asarray(PIL.Image.open(drawn)) == 0, hidden)
    assert not dciodvfy(file_of_state)
    assert not dcmtk_presentation(file_of_state)


def test_another_bitmap_is_another_picture() -> None:
    """A PACS that sends the image again with another overlay under the shutter corrects more than the header."""
    before = dcmread(BytesIO(file(overlay(), **BITMAP)))
    for hidden, is_correction in ((CORNER, True), (Y > 10, False)):
        after = dcmread(BytesIO(file(overlay(hidden), **BITMAP)))
        after.SOPInstanceUID = before.SOPInstanceUID
        after.file_meta.MediaStorageSOPInstanceUID = before.SOPInstanceUID
        written = BytesIO()
        after.save_as(written)
        original = BytesIO()
        before.save_as(original)
        assert (correction_of(original.getvalue(), written.getvalue()) is not None) is is_correction


def _dcmp2pgm() -> str:
    found = shutil.which("dcmp2pgm")
    if found is None:
        pytest.skip("no dcmp2pgm here (Debian: dcmtk)")
    return found
