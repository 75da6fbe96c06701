"""A viewer draws the region where the map says: rendered by code that shares nothing with what wrote it.

Three hands: a rasteriser of our own over raw tags (even-odd rule at pixel centres, no contour library), DCMTK (its
JSON for the presentation state, its renderer for the segmentation), and Orthanc in tests/e2e. What the map says is
worked out from first principles in drawn_cases.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import ndimage

from core.domain.report import ObjectKind
from dicom_node.pixels.decode import decode
from tests.contract.encode.drawn_cases import (
    ORIENTATIONS,
    Drawn,
    Mask,
    Picture,
    drawn,
    picture,
    pictures,
    turned,
    where_the_map_says,
)

PICTURES = pictures()
KINDS = (ObjectKind.GSPS, ObjectKind.SEG, ObjectKind.SR)


@pytest.fixture(scope="module", params=PICTURES)
def case(request: pytest.FixtureRequest) -> Drawn:
    return drawn(PICTURES[request.param], KINDS)


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum())


def within_one_pixel(one: Mask, other: Mask) -> bool:
    """Whether neither reaches further than one pixel beyond the other."""
    wider = ndimage.generate_binary_structure(2, 2)
    reaches = (one & ~ndimage.binary_dilation(other, wider)).any() or (
        other & ~ndimage.binary_dilation(one, wider)
    ).any()
    return not reaches


def filled(outlines: list[NDArray[np.float64]], rows: int, columns: int) -> Mask:
    """Pixels whose centre is inside an odd number of outlines; (0, 0) is a corner (PS3.3 C.10.5.1.2)."""
    inside = np.zeros((rows, columns), bool)
    x = np.arange(columns) + 0.5
    for outline in outlines:
        for (x0, y0), (x1, y1) in pairwise(outline):
            for row in range(max(0, int(np.floor(min(y0, y1) - 1))), min(rows, int(max(y0, y1)) + 2)):
                y = row + 0.5
                if (y0 > y) != (y1 > y):
                    inside[row] ^= x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return inside


def drawn_by_a_raw_reader(state: bytes) -> list[NDArray[np.float64]]:
    """The polylines of a presentation state, read tag by tag."""
    dataset = pydicom.dcmread(BytesIO(state))
    graphics = [g for a in dataset[0x00700001].value for g in a[0x00700009].value]
    assert {(g[0x00700005].value, g[0x00700023].value) for g in graphics} == {("PIXEL", "POLYLINE")}
    return [np.reshape(np.asarray(g[0x00700022].value, np.float64), (-1, 2)) for g in graphics]


def unpacked(segmentation: bytes) -> Mask:
    """The bits of a binary segmentation with one frame, by hand (PS3.5 8.1.1: the first pixel is the lowest bit)."""
    dataset = pydicom.dcmread(BytesIO(segmentation))
    shape = dataset.Rows, dataset.Columns
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    return bits[: shape[0] * shape[1]].reshape(shape).astype(bool)


def dcmtk(name: str) -> str:
    path = shutil.which(name, path="/usr/bin")
    if path is None:
        pytest.skip(f"{name} is not installed (apt package dcmtk)")
    return path


def drawn_by_dcmtk(state: bytes, folder: Path, rows: int, columns: int) -> Mask:
    """The polylines as DCMTK reads them, filled by Pillow."""
    (folder / "state.dcm").write_bytes(state)
    done = subprocess.run([dcmtk("dcm2json"), str(folder / "state.dcm")], capture_output=True, check=True)
    inside = np.zeros((rows, columns), bool)
    for annotation in json.loads(done.stdout)["00700001"]["Value"]:
        for graphic in annotation["00700009"]["Value"]:
            canvas = Pillow.new("1", (columns, rows))
            points = np.reshape(graphic["00700022"]["Value"], (-1, 2)) - 0.5  # Pillow counts from pixel centres
            ImageDraw.Draw(canvas).polygon([tuple(point) for point in points], fill=1)
            inside ^= np.asarray(canvas, bool)
    return inside


def rendered_by_dcmtk(part10: bytes, folder: Path, *options: str) -> NDArray[np.uint8]:
    """A grey picture of an object as DCMTK renders it."""
    (folder / "object.dcm").write_bytes(part10)
    command = [dcmtk("dcm2pnm"), *options, "--write-raw-pnm", str(folder / "object.dcm"), str(folder / "object.pgm")]
    subprocess.run(command, capture_output=True, check=True)
    return np.asarray(Pillow.open(folder / "object.pgm"))


def test_the_outline_of_the_presentation_state_is_where_the_map_says(case: Drawn) -> None:
    _, expected = where_the_map_says(case.prediction)
    seen = filled(drawn_by_a_raw_reader(case.objects[ObjectKind.GSPS].data), *expected.shape)
    assert overlap(seen, expected) >= 0.98 or within_one_pixel(seen, expected)


def test_the_segmentation_is_where_the_map_says(case: Drawn) -> None:
    _, expected = where_the_map_says(case.prediction)
    seen = unpacked(case.objects[ObjectKind.SEG].data)
    np.testing.assert_array_equal(seen, case.saliency.mask)
    assert overlap(seen, expected) >= 0.98 or within_one_pixel(seen, expected)


def test_the_regions_of_the_report_are_those_of_the_presentation_state(case: Drawn) -> None:
    report = pydicom.dcmread(BytesIO(case.objects[ObjectKind.SR].data))
    regions = [item for item in report.iterall() if item.keyword == "GraphicData"]
    drawn_outlines = drawn_by_a_raw_reader(case.objects[ObjectKind.GSPS].data)
    assert sorted(len(region.value) for region in regions) == sorted(outline.size for outline in drawn_outlines)
    largest = max(drawn_outlines, key=len)
    assert any(np.array_equal(np.reshape(region.value, (-1, 2)), largest) for region in regions)


def test_dcmtk_draws_both_where_the_map_says(case: Drawn, tmp_path: Path) -> None:
    _, expected = where_the_map_says(case.prediction)
    outline = drawn_by_dcmtk(case.objects[ObjectKind.GSPS].data, tmp_path, *expected.shape)
    mask = rendered_by_dcmtk(case.objects[ObjectKind.SEG].data, tmp_path) > 127
    for seen in (outline, mask):
        assert overlap(seen, expected) >= 0.98 or within_one_pixel(seen, expected)


def test_the_region_covers_the_patch_that_the_model_was_built_to_find(case: Drawn) -> None:
    patch = decode(case.part10).pixels > 0.8
    patch = ndimage.binary_opening(patch, iterations=3)
    centre = np.round(ndimage.center_of_mass(patch)).astype(int)
    assert case.saliency.mask[tuple(centre)]
    assert (case.saliency.values * patch).sum() >= 0.6 * case.saliency.values.sum()


@pytest.mark.parametrize(("quarters", "flipped"), ORIENTATIONS)
def test_a_turned_image_has_the_turned_map_and_the_orientation_of_its_source(quarters: int, flipped: bool) -> None:
    orientation = ORIENTATIONS[quarters, flipped]
    upright = drawn(Picture(picture()), KINDS)
    header = (("PatientOrientation", orientation),)
    other = drawn(Picture(turned(picture(), quarters, flipped), header=header), KINDS)
    expected = turned(upright.saliency.mask, quarters, flipped)
    assert within_one_pixel(other.saliency.mask, expected)
    assert pydicom.dcmread(BytesIO(other.objects[ObjectKind.SEG].data)).PatientOrientation == orientation


def test_both_polarities_have_the_same_map_and_the_same_display(tmp_path: Path) -> None:
    white, black = (drawn(PICTURES[name], KINDS) for name in ("monochrome2", "monochrome1"))
    np.testing.assert_array_equal(white.saliency.mask, black.saliency.mask)
    shown = []
    for name, case in (("white", white), ("black", black)):
        source, state, picture_file = (tmp_path / f"{name}{suffix}" for suffix in (".dcm", "_state.dcm", ".pgm"))
        source.write_bytes(case.part10)
        state.write_bytes(case.objects[ObjectKind.GSPS].data)
        command = [dcmtk("dcmp2pgm"), "-p", str(state), str(source), str(picture_file)]
        subprocess.run(command, capture_output=True, check=True)
        shown.append(np.asarray(Pillow.open(picture_file)).astype(int))
    assert np.abs(shown[0] - shown[1]).max() <= 1
    assert shown[0][case.saliency.mask].mean() > shown[0][~case.saliency.mask].mean() + 50


def test_an_outline_that_is_off_by_two_pixels_is_noticed() -> None:
    """The check can fail."""
    case = drawn(PICTURES["monochrome2"], KINDS)
    _, expected = where_the_map_says(case.prediction)
    outlines = drawn_by_a_raw_reader(case.objects[ObjectKind.GSPS].data)
    for shift in ((2.0, 0.0), (0.0, -2.0)):
        moved = filled([outline + shift for outline in outlines], *expected.shape)
        assert overlap(moved, expected) < 0.98
        assert not within_one_pixel(moved, expected)
