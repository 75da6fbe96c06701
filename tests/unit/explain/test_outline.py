"""Outlines lie where the map is, in DICOM's pixel coordinates."""

import numpy as np
import pytest

from explain.maps.outline import MAXIMUM_POINTS, outline


def block(rows, columns, top, left, height, width):
    values = np.zeros((rows, columns), np.float32)
    values[top : top + height, left : left + width] = 1.0
    return values


def test_an_outline_encloses_its_block():
    (region,) = outline(block(40, 60, 10, 20, 8, 12), 0.5)
    assert region.points.min(0) == pytest.approx((20.0, 10.0), abs=0.51)
    assert region.points.max(0) == pytest.approx((32.0, 18.0), abs=0.51)
    assert region.area_pixels == pytest.approx(96, rel=0.15)
    assert tuple(region.points[0]) == tuple(region.points[-1])


def test_a_region_at_the_border_is_closed_and_inside_the_image():
    (region,) = outline(block(32, 32, 0, 0, 10, 32), 0.5)
    assert tuple(region.points[0]) == tuple(region.points[-1])
    assert region.points.min() >= 0.0
    assert region.points.max() <= 32.0


def test_the_largest_region_comes_first():
    values = np.maximum(block(64, 64, 2, 2, 4, 4), block(64, 64, 30, 30, 20, 20))
    areas = [region.area_pixels for region in outline(values, 0.5)]
    assert len(areas) == 2
    assert areas == sorted(areas, reverse=True)


def test_a_ragged_outline_stays_drawable():
    rng = np.random.default_rng(1)
    regions = outline(rng.random((512, 512), np.float32), 0.5)
    assert max(len(region.points) for region in regions) <= MAXIMUM_POINTS + 2


def test_nothing_above_the_level_gives_no_outline():
    assert outline(np.zeros((8, 8), np.float32), 0.5) == ()


def test_a_large_smooth_map_is_outlined_to_the_pixel():
    rows, columns = np.mgrid[0:1024, 0:1536].astype(np.float32)
    values = np.maximum(0.0, 1.0 - np.hypot(rows - 400.0, columns - 700.0) / 400.0).astype(np.float32)
    (region,) = outline(values, 0.5)  # a circle of radius 200 around the pixel centre (700.5, 400.5)
    distance = np.hypot(region.points[:, 0] - 700.5, region.points[:, 1] - 400.5)
    assert distance == pytest.approx(200.0, abs=1.0)
