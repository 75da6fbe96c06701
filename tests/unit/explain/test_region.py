"""Which part of a map is drawn: never what did not count, never specks, never a region that is everywhere.

What is enclosed is counted by Pillow's polygon filling, against areas written by hand.
"""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.domain.code import Code
from explain.maps.class_activation import FLAT, saliencies_of
from explain.maps.outline import MAXIMUM_POINTS, outline
from explain.maps.region import region_of

METHOD = Code(value="130402", scheme="DCM", meaning="Class activation")


def field(side, *blocks):
    """A map of (side, side): 1.0 in each (top, left, bottom, right), given in hundredths of the side;."""
    values = np.zeros((side, side), np.float32)
    for strength, *box in blocks:
        top, left, bottom, right = (round(side * part / 100) for part in box)
        values[top:bottom, left:right] = strength
    return values


def of(values):
    (found,) = saliencies_of([values], "mass", ("1.2.3",), METHOD)
    return found


def enclosed(region, shape):
    """The pixels inside one closed line, as Pillow fills it at four times the resolution (even-odd)."""
    rows, columns = shape
    canvas = Image.new("1", (4 * columns, 4 * rows))
    ImageDraw.Draw(canvas).polygon([(4 * x - 0.5, 4 * y - 0.5) for x, y in region.points.tolist()], fill=1)
    fine = np.asarray(canvas, np.float32).reshape(rows, 4, columns, 4).mean((1, 3))
    return fine >= 0.5


BLOCK, SECOND, SPECK = (1.0, 20, 20, 50, 50), (0.8, 60, 60, 80, 85), (0.9, 2, 2, 8, 8)
HOLE = (0.0, 30, 30, 42, 42)
# by hand: blocks of the map, the share of the image that is region in hundredths, how many regions
TABLE = {
    "one block": ((BLOCK,), 9.0, 1),
    "two blocks": ((BLOCK, SECOND), 14.0, 2),
    "a block and a speck of a third of a hundredth": ((BLOCK, SPECK), 9.0, 1),
    "a block with a hole": ((BLOCK, HOLE), 7.56, 1),
    "two holes": (((1.0, 10, 10, 60, 70), (0.0, 20, 20, 40, 35), (0.0, 25, 45, 45, 60)), 24.0, 1),
    "a ring at the frame": (((1.0, 0, 0, 100, 100), (0.0, 8, 8, 92, 92)), 29.44, 1),
    "a corner": (((1.0, 0, 0, 30, 40),), 12.0, 1),
    "a band from edge to edge": (((1.0, 40, 0, 60, 100),), 20.0, 1),
    "just under the limit": (((1.0, 10, 10, 70, 76),), 39.6, 1),
    "a small finding alone": (((1.0, 50, 50, 58, 58),), 0.64, 1),
}


@pytest.mark.parametrize("side", [100, 300, 1000])
@pytest.mark.parametrize("name", TABLE)
def test_each_line_encloses_what_counted_and_nothing_else(name, side):
    blocks, share, count = TABLE[name]
    found = of(field(side, *blocks))
    assert (len(found.regions), found.no_region, found.shown) == (count, "", True)
    assert 100 * found.mask.mean() == pytest.approx(share, abs=0.01)
    inside = np.zeros(found.mask.shape, bool)
    for region in found.regions:
        alone = enclosed(region, found.mask.shape)
        step = max(1, side // 256)
        room = 2.0 * step * np.abs(np.diff(found.mask.astype(int))).sum() + 8 * step * step
        assert (alone & ~found.mask).sum() <= max(room, 0.01 * found.mask.sum()), "a line encloses what did not count"
        assert region.area_pixels == pytest.approx(alone.sum(), rel=0.06, abs=10)
        inside |= alone
    assert (inside & found.mask).sum() >= 0.93 * found.mask.sum()
    assert (inside & ~found.mask).sum() <= 0.07 * found.mask.sum()


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        (((1.0, 0, 0, 100, 100), (0.0, 35, 35, 80, 75)), "diffuse: it would cover 82 % of the image"),
        (((1.0, 0, 0, 41, 100),), "diffuse: it would cover 41 % of the image"),
        (((1.0, 0, 0, 100, 22), (1.0, 0, 80, 100, 100)), "diffuse: it would cover 42 % of the image"),
    ],
)
def test_a_region_that_is_everywhere_is_none(blocks, words):
    found = of(field(200, *blocks))
    assert (found.regions, found.mask.any(), found.no_region, found.shown) == ((), False, words, True)


def test_specks_alone_are_no_region():
    specks = [(1.0, top, left, top + 5, left + 5) for top in (10, 50, 80) for left in (10, 50, 80)]
    found = of(field(200, *specks))
    assert (found.regions, found.mask.any()) == ((), False)
    assert found.no_region.startswith("scattered")


def test_a_flat_map_is_withheld_as_before():
    found = of(np.full((40, 40), 0.3, np.float32))
    assert (found.shown, found.withheld_reason, found.no_region) == (False, FLAT, "")


def test_a_line_with_holes_stays_drawable_and_closed():
    rows, columns = np.mgrid[0:600, 0:600].astype(np.float32)
    values = (np.sin(rows / 30) * np.sin(columns / 30) < 0.6).astype(np.float32)
    (region, *_) = outline(values, 0.5)
    assert len(region.points) <= MAXIMUM_POINTS + 2
    assert tuple(region.points[0]) == tuple(region.points[-1])
    assert (enclosed(region, values.shape) & (values < 0.5)).mean() < 0.08


def test_islands_count_by_the_image_and_touch_by_their_corners():
    above = np.zeros((100, 100), bool)
    above[10:17, 10:17] = above[17:24, 17:24] = True  # 98 pixels, joined at a corner: one island under a hundredth
    above[60:80, 60:80] = True
    kept, words = region_of(above)
    assert (kept.sum(), words) == (400, "")
