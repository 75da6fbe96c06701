"""A study with our results in OHIF: the page is there, the image is shown, and the regions are where the maps say.

Looked at by pixels of the screen, not by "no error": a radiograph of dark ground is opened with its SEG and with its
SR, and inside the region something of the colour of a region is drawn, outside nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from core.domain.code import Code
from core.domain.explanation import Saliency
from core.domain.report import Finding, ObjectKind, Report
from core.domain.study import Image
from dicom_node.encode import encode
from explain.maps.class_activation import saliencies_of
from tests.contract.encode.cases import CLASS_ACTIVATION, EFFUSION, IMAGE_UID, STUDY_UID, dx_source, finding, report
from tests.ohif.screen import Pixels, Screen, missing_tools, opened, study_in_the_viewer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SIDE = 400
REGION = (0.25, 0.5, 0.55, 0.85)  # top, left, bottom, right, as shares of the image


def map_of(name: str, *boxes: tuple[float, float, float, float]) -> Saliency:
    values = np.zeros((SIDE, SIDE), np.float32)
    for box in boxes:
        top, left, bottom, right = (round(SIDE * part) for part in box)
        values[top:bottom, left:right] = 1.0
    (made,) = saliencies_of([values], name, (IMAGE_UID,), CLASS_ACTIVATION)
    return made


def findings() -> tuple[Finding, ...]:
    """One with a region, one that is diffuse, "abnormal", one that is not flagged: groups with and without a region."""
    abnormal = Code(value="408574004", scheme="SCT", meaning="Imaging result abnormal")
    return (
        dataclasses.replace(finding("any_abnormality", 0.97, abnormal), is_general=True),
        finding("lung_opacity", 0.8),
        finding("cardiomegaly", 0.7, Code(value="8186001", scheme="SCT", meaning="Cardiomegaly")),
        finding("effusion", 0.12, EFFUSION),
    )


def results(of: Report) -> list[bytes]:
    source, seen = dx_source(SIDE, SIDE), Image(pixels=np.full((SIDE, SIDE), 0.3, np.float32))
    kinds = [ObjectKind.SC, ObjectKind.SEG, ObjectKind.GSPS, ObjectKind.SR]
    return [source, *(one.data for one in encode(of, {IMAGE_UID: source}, {IMAGE_UID: seen}, kinds))]


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """OHIF with a study of ours in Orthanc behind it."""
    if missing := missing_tools():
        pytest.skip(missing)
    maps = (map_of("lung_opacity", REGION), map_of("cardiomegaly", (0.0, 0.0, 1.0, 0.9)))
    files = results(report(findings=findings(), saliencies=maps))
    with study_in_the_viewer(files, STUDY_UID, tmp_path_factory.mktemp("pacs")) as address:
        yield address


@pytest.fixture
def screen(viewer: str) -> Iterator[Screen]:
    with opened(viewer) as shown:
        yield shown


def is_image(pixels: Pixels) -> bool:
    """The ramp of the test image, dark above and bright below, fills most of the middle."""
    grey = pixels.max(axis=2) - pixels.min(axis=2) < 12
    middle = pixels[:, pixels.shape[1] // 2].mean(axis=1)
    return bool(grey.mean() > 0.6 and middle[-20:].mean() > middle[60:80].mean() + 60)


def test_the_page_shows_the_image_and_lists_every_result(screen: Screen) -> None:
    screen.wait(is_image, "the radiograph")
    words = screen.page.inner_text("body")
    for name in ("AI summary", "AI region", "AI annotation", "AI report"):
        assert f"{name} (not verified)" in words
    assert screen.complaints == []


def test_the_segmentation_is_drawn_on_the_image_and_nowhere_else(screen: Screen) -> None:
    def orange(pixels: Pixels) -> NDArray[np.bool_]:
        return np.asarray((pixels[..., 0] - pixels[..., 2] > 25) & (pixels[..., 1] - pixels[..., 2] > 5))

    screen.wait(is_image, "the radiograph")
    screen.open_series("AI region (not verified)")
    pixels = screen.wait(lambda seen: orange(seen).mean() > 0.05, "the segmentation")
    inside = ndimage.binary_opening(orange(pixels), iterations=3)
    rows, columns = np.nonzero(inside)
    shape = np.ptp(columns) / np.ptp(rows)
    assert shape == pytest.approx((REGION[3] - REGION[1]) / (REGION[2] - REGION[0]), rel=0.05)
    assert inside.sum() == pytest.approx(np.ptp(columns) * np.ptp(rows), rel=0.06), "one rectangle, filled"
    middle = pixels.shape[1] / 2
    assert columns.min() == pytest.approx(middle, abs=15), "the region begins at the middle of the image"
    assert screen.complaints == []
    assert "Something went wrong" not in screen.page.inner_text("body")


def test_the_report_opens_and_its_region_is_drawn_where_the_segmentation_is(screen: Screen) -> None:
    def green(pixels: Pixels) -> NDArray[np.bool_]:
        return np.asarray((pixels[..., 1] > 180) & (pixels[..., 0] < 120) & (pixels[..., 2] < 120))

    screen.wait(is_image, "the radiograph")
    screen.open_series("AI report (not verified)")
    pixels = screen.wait(lambda seen: green(seen).sum() > 300, "the region of the report")
    columns = np.flatnonzero(green(pixels).sum(axis=0) > 60)  # upright lines, not letters
    middle = pixels.shape[1] / 2
    assert columns.min() == pytest.approx(middle, abs=15)
    assert screen.complaints == []
    assert "Something went wrong" not in screen.page.inner_text("body")


def test_a_report_without_a_region_leaves_the_page_alive(tmp_path: Path) -> None:
    """OHIF shows regions of reports only: without one its viewport says that something went wrong, and is empty then.

    That ends with the viewport: the image opens again, and the page complains of nothing.
    """
    if missing := missing_tools():
        pytest.skip(missing)
    files = results(report(findings=(finding("effusion", 0.12, EFFUSION),), saliencies=()))
    with study_in_the_viewer(files, STUDY_UID, tmp_path) as address, opened(address) as screen:
        screen.wait(is_image, "the radiograph")
        screen.open_series("AI report (not verified)")
        screen.wait(lambda pixels: not is_image(pixels), "the empty viewport of the report")
        screen.open_image()
        screen.wait(is_image, "the radiograph again")
        screen.wait(lambda _: "Something went wrong" not in screen.page.inner_text("body"), "a page without errors")
        assert is_image(screen.pixels())
        assert screen.complaints == []
