"""The pictures of a report, as pixels: what is outlined, whether it can be seen, what the words leave out.

Rendered from images of 512 and 3000 pixels. Contrast is the ratio of WCAG 2.2 (1.4.11: at least 3 for what is drawn,
1.4.3: at least 4.5 for words). What has to be enclosed is written by hand, in hundredths of the image.
"""

from __future__ import annotations

import dataclasses
from io import BytesIO

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from core.domain.code import Code
from core.domain.explanation import Saliency
from core.domain.report import Finding, ObjectKind, Report
from core.domain.study import Image
from dicom_node.encode import encode
from dicom_node.header.sr_text import render_text
from explain.maps.class_activation import saliencies_of
from tests.contract.encode.cases import (
    CLASS_ACTIVATION,
    EFFUSION,
    IMAGE_UID,
    OPACITY,
    POINT,
    dx_source,
    report,
    withheld,
)

ABNORMAL = Code(value="408574004", scheme="SCT", meaning="Imaging result abnormal")
FIBROSIS = Code(value="51615001", scheme="SCT", meaning="Fibrosis of lung")
CARDIOMEGALY = Code(value="8186001", scheme="SCT", meaning="Cardiomegaly")
FIRST, SECOND = (230, 159, 0), (86, 180, 233)  # Okabe and Ito's orange and sky blue
Box = tuple[float, float, float, float]
SIDES = (512, 3000)
Pixels = NDArray[np.int64]
# findings with probability and operating point; the regions of their maps as (top, left, bottom, right) in hundredths
LEFT_LUNG, RIGHT_LUNG = (25, 60, 55, 90), (40, 8, 75, 36)


def of(name: str, code: Code, probability: float, point: float) -> Finding:
    return Finding(
        name=name,
        code=code,
        probability=probability,
        score=0.0,
        operating_point=dataclasses.replace(POINT, threshold=point),
    )


EFFUSED = of("effusion", EFFUSION, 0.8, 0.4)  # two thirds of the way from its point to 1
OPAQUE = of("lung_opacity", OPACITY, 0.6, 0.5)  # a fifth
FIBROTIC = of("fibrosis", FIBROSIS, 0.15, 0.1)  # a twentieth
ENLARGED = of("cardiomegaly", CARDIOMEGALY, 0.2, 0.1)
ABNORM = dataclasses.replace(
    of("any_abnormality", ABNORMAL, 0.97, 0.67), is_general=True
)  # FindingSection: by its code
NOT = of("edema", Code(value="19242006", scheme="SCT", meaning="Pulmonary edema"), 0.02, 0.1)


def map_of(finding: Finding, side: int, *boxes: Box, holes: tuple[Box, ...] = ()) -> Saliency:
    values = np.zeros((side, side), np.float32)
    for strength, some in ((1.0, boxes), (0.0, holes)):
        for box in some:
            top, left, bottom, right = (round(side * part / 100) for part in box)
            values[top:bottom, left:right] = strength
    (made,) = saliencies_of([values], finding.name, (IMAGE_UID,), CLASS_ACTIVATION)
    return made


def film(side: int, grey: float) -> Image:
    return Image(pixels=np.full((side, side), grey, np.float32))


def pictures(
    kind: ObjectKind, findings: tuple[Finding, ...], maps: tuple[Saliency, ...], seen: Image, **changes: object
) -> list[pydicom.Dataset]:
    made = report(findings=findings, saliencies=maps, **changes)
    source = {IMAGE_UID: dx_source(*seen.pixels.shape)}
    return [pydicom.dcmread(BytesIO(one.data)) for one in encode(made, source, {IMAGE_UID: seen}, [kind])]


def summary(findings: tuple[Finding, ...], maps: tuple[Saliency, ...], seen: Image, **changes: object) -> Pixels:
    (one,) = pictures(ObjectKind.SC, findings, maps, seen, **changes)
    return np.asarray(one.pixel_array, np.int64)


def image_part(pixels: Pixels) -> Pixels:
    """The square image at the top of the sheet, without the black to its left and right."""
    light = (pixels.max(axis=2) > 60).mean(axis=1) > 0.3  # the film here is light, and black is below it
    light |= ndimage.binary_closing(light, iterations=5)  # the rim of a line from edge to edge
    height = int(np.flatnonzero(~light)[5 if not light[0] else 0])
    left = (pixels.shape[1] - height) // 2
    return pixels[:height, left : left + height]


def is_colour(pixels: Pixels, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(pixels - colour).max(axis=2) <= 6)


def luminance(pixels: Pixels) -> NDArray[np.float64]:
    """Relative luminance as WCAG 2.2 defines it."""
    part = pixels / 255.0
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05))


def enclosed(line: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What an eye sees as enclosed: what paint poured in from the frame does not reach."""
    outside, _ = ndimage.label(~line)
    frame = np.unique(np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]]))
    return np.asarray(~np.isin(outside, frame[frame > 0]))


@pytest.mark.parametrize("side", SIDES)
def test_the_two_strongest_regions_are_outlined_and_what_they_enclose_is_what_counted(side: int) -> None:
    maps = (
        map_of(OPAQUE, side, RIGHT_LUNG),
        map_of(EFFUSED, side, LEFT_LUNG),
        map_of(FIBROTIC, side, (80, 40, 95, 60)),
    )
    shown = image_part(summary((OPAQUE, EFFUSED, FIBROTIC, NOT), maps, film(side, 0.6)))
    for colour, (top, left, bottom, right) in ((FIRST, LEFT_LUNG), (SECOND, RIGHT_LUNG)):
        inside = enclosed(is_colour(shown, colour))
        rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        seen = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]) * 100 / len(shown)
        np.testing.assert_allclose(seen, (top, left, bottom, right), atol=1.2)
        assert inside.mean() * 100 == pytest.approx((bottom - top) * (right - left) / 100, rel=0.12)
    third = shown[round(0.8 * len(shown)) :]
    assert (third == third[0, 0]).all(), "the third region is not drawn"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("grey", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_an_outline_is_seen_on_white_lung_and_on_black(side: int, grey: float) -> None:
    """On the way across the line, from outside, there is a step of contrast of at least 3, all round."""
    pixels = summary((EFFUSED,), (map_of(EFFUSED, side, LEFT_LUNG),), film(side, grey))
    core = is_colour(pixels[: round(0.7 * len(pixels))], FIRST)
    core &= ndimage.binary_erosion(ndimage.binary_fill_holes(core)) | core
    bright = luminance(pixels[: len(core)])
    near = ndimage.binary_dilation(core, iterations=10)
    film_level = luminance(np.full((1, 1, 3), round(grey * 255), np.int64))[0, 0]
    darkest = ndimage.minimum_filter(bright, 21)
    brightest = ndimage.maximum_filter(bright, 21)
    step = np.maximum(contrast(darkest, film_level), contrast(brightest, film_level))
    assert core.sum() > 500
    assert step[core].min() >= 3.0
    assert contrast(darkest, brightest)[core].min() >= 3.0
    assert near.mean() < 0.3


@pytest.mark.parametrize("grey", [0.0, 1.0])
def test_the_tint_lets_the_image_through_and_is_seen_on_white(grey: float) -> None:
    pixels = summary((EFFUSED,), (map_of(EFFUSED, 512, LEFT_LUNG),), film(512, grey))
    height = round(0.5 * len(pixels))
    inside = ndimage.binary_erosion(enclosed(is_colour(pixels[:height], FIRST)), iterations=16)
    inside = inside[: height // 1]
    tint = np.median(pixels[:height][inside], axis=0)
    assert np.abs(tint - round(grey * 255)).max() >= 30
    assert np.abs(tint - round(grey * 255)).max() <= 80


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("boxes", "holes"),
    [
        (((0, 0, 30, 30),), ()),
        (((40, 0, 60, 100),), ()),
        (((0, 0, 100, 25),), ()),
        (((0, 0, 100, 100),), ((10, 10, 90, 90),)),
    ],
)
def test_nothing_is_drawn_along_the_frame(side: int, boxes: tuple[Box, ...], holes: tuple[Box, ...]) -> None:
    """Of the outermost pixels few are coloured: where a line ends at the frame, not where it follows it."""
    pixels = summary((EFFUSED,), (map_of(EFFUSED, side, *boxes, holes=holes),), film(side, 0.6))
    shown = image_part(pixels)
    line = is_colour(shown, FIRST) | (shown.max(axis=2) < 20)
    notice = np.zeros_like(line)
    notice[:60, :400] = True
    border = np.concatenate(
        [line[:6][~notice[:6]], line[-6:].ravel(), line[:, :6][~notice[:, :6]], line[:, -6:].ravel()]
    )
    assert is_colour(shown, FIRST).sum() > 300 or holes
    assert border.mean() < 0.04


@pytest.mark.parametrize("side", SIDES)
def test_the_inside_of_a_hole_is_not_enclosed_by_the_tint_or_the_line(side: int) -> None:
    pixels = summary((EFFUSED,), (map_of(EFFUSED, side, (20, 20, 80, 80), holes=((35, 35, 65, 65),)),), film(side, 0.6))
    shown = image_part(pixels)
    middle = shown[
        round(0.40 * len(shown)) : round(0.6 * len(shown)), round(0.40 * len(shown)) : round(0.6 * len(shown))
    ]
    assert (middle == middle[0, 0]).all(), "the hole shows the plain image"
    ring = shown[round(0.72 * len(shown)), round(0.5 * len(shown))]
    assert np.abs(ring - middle[0, 0]).max() > 15


@pytest.mark.parametrize("side", SIDES)
def test_a_diffuse_map_is_words_in_the_picture_and_no_region_anywhere(side: int) -> None:
    """82 hundredths of the image, round a lung that did not count: what was outlined once."""
    diffuse = map_of(ENLARGED, side, (0, 0, 100, 100), holes=((30, 50, 75, 90),))
    pixels = summary((ENLARGED,), (diffuse,), film(side, 0.6))
    assert not is_colour(image_part(pixels), FIRST).any()
    made = report(findings=(ENLARGED,), saliencies=(diffuse,))
    results = encode(made, {IMAGE_UID: dx_source(side, side)}, {IMAGE_UID: film(side, 0.6)}, list(ObjectKind))
    assert [one.kind.value for one in results] == ["sc", "sc-findings", "sr"]
    sr = pydicom.dcmread(BytesIO(results[-1].data))
    assert [item for item in sr.iterall() if item.keyword == "GraphicData"] == []
    assert "No region: diffuse: it would cover 82 % of the image" in render_text(results[-1].data)


BY_HAND = of("lung_opacity", OPACITY, 0.9, 0.5)


@pytest.mark.parametrize(
    ("finding", "kinds"),
    [
        (ABNORM, ["sc", "sr"]),  # by its code
        (dataclasses.replace(BY_HAND, is_general=True), ["sc", "sr"]),  # by its package
        (dataclasses.replace(ABNORM, is_general=False), ["sc", "seg", "gsps", "sc-findings", "sr"]),
        (BY_HAND, ["sc", "seg", "gsps", "sc-findings", "sr"]),
        (dataclasses.replace(BY_HAND, name="any_abnormality"), ["sc", "seg", "gsps", "sc-findings", "sr"]),
    ],
)
def test_a_finding_that_names_no_lesion_has_no_picture_whatever_it_is_called(
    finding: Finding, kinds: list[str]
) -> None:
    maps = (map_of(finding, 64, LEFT_LUNG),)
    made = report(findings=(finding,), saliencies=maps)
    wanted = [kind for kind in ObjectKind if kind not in (ObjectKind.PMAP, ObjectKind.SEG_FRACTIONAL)]
    results = encode(made, {IMAGE_UID: dx_source(64, 64)}, {IMAGE_UID: film(64, 0.6)}, wanted)
    assert [one.kind.value for one in results] == kinds
    is_outlined = is_colour(summary((finding,), maps, film(64, 0.6)), FIRST)[:400].sum() > 300
    assert is_outlined == ("seg" in kinds)


def bars(pixels: Pixels, side: int) -> list[tuple[float, tuple[int, ...]]]:
    """Each bar as a share of its trough, with its colour: read from the pixels, from the top down."""
    width = pixels.shape[1]
    left = round(0.42 * width) + 12
    right = left + round(0.26 * width)
    trough = np.abs(pixels[:, right - 1] - 70).max(axis=1) <= 1
    starts = np.flatnonzero(trough & ~np.roll(trough, 1))
    found = []
    for start in starts:
        row = pixels[start + 1, left:right]
        filled = np.abs(row - 70).max(axis=1) > 1
        last = int(np.flatnonzero(~filled)[0]) if not filled.all() else len(filled)
        found.append((last / len(row), tuple(row[1].tolist())))
    return found


def test_every_finding_has_a_bar_against_the_same_line() -> None:
    maps = (map_of(OPAQUE, 512, RIGHT_LUNG), map_of(EFFUSED, 512, LEFT_LUNG))
    pixels = summary((ABNORM, OPAQUE, EFFUSED, FIBROTIC, NOT), maps, film(512, 0.6))
    # by hand: half of the bar is the operating point, then as much of the rest as of the way from it to 1
    expected = [
        (0.833, FIRST),
        (0.60, SECOND),
        (0.528, (255, 255, 255)),
        (0.955, (255, 255, 255)),
        (0.10, (150, 150, 150)),
    ]
    for (share, colour), (by_hand, of_finding) in zip(bars(pixels, 512), expected, strict=True):
        assert share == pytest.approx(by_hand, abs=0.02)
        assert colour == of_finding


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("viewport", SIDES)
def test_words_are_legible_on_every_screen(side: int, viewport: int) -> None:
    """Shown on 512 pixels, capitals are at least seven pixels high: 5 x 7 is the smallest letter."""
    (one,) = pictures(ObjectKind.SC, (EFFUSED, NOT), (map_of(EFFUSED, side, LEFT_LUNG),), film(side, 0.6))
    pixels = np.asarray(one.pixel_array, np.int64)
    band = pixels[-34:]  # the last line: the disclaimer
    ink = np.flatnonzero((luminance(band) > 0.3).any(axis=1))
    height = (ink.max() - ink.min() + 1) * 0.75  # without what hangs below the line
    assert height * viewport / max(pixels.shape[:2]) >= 7
    assert contrast(luminance(band).max(), np.float64(0.0)) >= 4.5


JARGON = (
    "null",
    "deletion",
    "insertion",
    "stability",
    "faithful",
    "SSIM",
    "logit",
    "operating point",
    "Class activation",
)


def test_the_words_of_the_pictures_have_no_jargon() -> None:
    from dicom_node.encode.picture import finding as one
    from dicom_node.encode.picture import summary as all_of_them
    from dicom_node.encode.picture.summary import Entry

    made = report(findings=(OPAQUE, EFFUSED), saliencies=())
    model = made.readings[0].model
    for saliency in (map_of(OPAQUE, 64, LEFT_LUNG), withheld(), None):
        lines = one._lines(OPAQUE, model, saliency, None)
        lines += all_of_them._notes(made, [model], [Entry(finding=OPAQUE, saliency=saliency)], [])
        said = " ".join(line.words for line in lines)
        assert [word for word in JARGON if word.lower() in said.lower()] == []


def listed(of: Report, kinds: list[ObjectKind]) -> list[tuple[str, int, str]]:
    results = encode(of, {IMAGE_UID: dx_source(64, 64)}, {IMAGE_UID: film(64, 0.6)}, kinds)
    datasets = [pydicom.dcmread(BytesIO(one.data)) for one in results]
    return [(one.SeriesDescription, int(one.InstanceNumber), one.ImageComments) for one in datasets]


def test_the_summary_is_one_and_the_pictures_of_findings_come_only_when_asked_for() -> None:
    maps = (map_of(OPAQUE, 64, RIGHT_LUNG), map_of(EFFUSED, 64, LEFT_LUNG))
    of_two = report(findings=(OPAQUE, EFFUSED, NOT), saliencies=maps)
    assert listed(of_two, [ObjectKind.SC]) == [("AI summary (not verified)", 1, "AI - NOT VERIFIED: summary")]
    assert listed(of_two, [ObjectKind.SC_FINDINGS]) == [
        ("AI finding (not verified)", 1, "AI - NOT VERIFIED: Lung opacity"),
        ("AI finding (not verified)", 2, "AI - NOT VERIFIED: Pleural effusion"),
    ]
