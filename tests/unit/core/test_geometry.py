"""Model space and source space: a map comes back to exactly the pixels it was made from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.geometry import SquareFrame

sizes = st.integers(16, 300)
spacings = st.sampled_from([0.1, 0.139, 0.2, 0.5, 1.0])


@given(rows=sizes, columns=sizes, row_spacing=spacings, column_spacing=spacings)
@settings(max_examples=60, deadline=None)
def test_a_map_has_the_rows_and_columns_of_its_source(rows, columns, row_spacing, column_spacing):
    frame = SquareFrame.of(rows, columns, row_spacing, column_spacing)
    assert frame.to_square(np.ones((rows, columns), np.float32)).shape == (frame.side, frame.side)
    assert frame.to_source(np.ones((7, 7), np.float32)).shape == (rows, columns)


@given(rows=sizes, columns=sizes, row_spacing=spacings, column_spacing=spacings, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_block_comes_back_to_where_it_was(rows, columns, row_spacing, column_spacing, data):
    top = data.draw(st.integers(0, rows - 8))
    left = data.draw(st.integers(0, columns - 8))
    pixels = np.zeros((rows, columns), np.float32)
    pixels[top : top + 8, left : left + 8] = 1.0
    frame = SquareFrame.of(rows, columns, row_spacing, column_spacing)
    back = frame.to_source(frame.to_square(pixels))
    weight = back / back.sum()
    centre_row = float((weight.sum(1) * np.arange(rows)).sum())
    centre_column = float((weight.sum(0) * np.arange(columns)).sum())
    assert centre_row == pytest.approx(top + 3.5, abs=1.0)
    assert centre_column == pytest.approx(left + 3.5, abs=1.0)


def test_a_square_image_of_square_pixels_is_left_alone():
    pixels = np.random.default_rng(0).random((64, 64), np.float32)
    assert SquareFrame.of(64, 64).to_square(pixels) is pixels


def test_padding_is_black_and_centred():
    square = SquareFrame.of(10, 4).to_square(np.ones((10, 4), np.float32))
    assert square[:, 3:7].all()
    assert not square[:, :3].any()
    assert not square[:, 7:].any()


def ramps(rows, columns, length):
    """Two maps whose values are their own place, in pixels of a square of `length`: linear, so resampling is exact."""
    down = (np.arange(rows, dtype=np.float32) + 0.5) * np.float32(length / rows)
    across = (np.arange(columns, dtype=np.float32) + 0.5) * np.float32(length / columns)
    return np.repeat(down[:, None], columns, 1), np.repeat(across[None], rows, 0)


@given(rows=sizes, columns=sizes, row_spacing=spacings, column_spacing=spacings, cells=st.integers(7, 64))
@settings(max_examples=150, deadline=None)
def test_every_pixel_reads_the_map_at_its_own_place_and_writes_it_back_there(
    rows, columns, row_spacing, column_spacing, cells
):
    """Model space -> source space -> model space, for every pixel at once, to one pixel of the square."""
    frame = SquareFrame.of(rows, columns, row_spacing, column_spacing)
    half = frame.side / cells / 2  # no map tells anything beyond the centres of its outermost cells
    for ramp, axis in zip(ramps(cells, cells, frame.side), (0, 1), strict=True):
        length, extent, start = ((rows, frame.height, frame.top), (columns, frame.width, frame.left))[axis]
        there = frame.to_source(ramp)
        place = start + (np.arange(length) + 0.5) * extent / length
        known = (place >= half) & (place <= frame.side - half)
        found = there.mean(1 - axis)
        tolerance = max(1.0, extent / length)  # a source pixel is as long as this in the square
        assert np.abs(found - place)[known].max(initial=0.0) <= tolerance
        assert np.ptp(there, 1 - axis).max() <= 1e-2, "the other axis does not matter"
        back = frame.to_square(there)
        inside = back[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width].mean(1 - axis)
        square_place = start + np.arange(extent) + 0.5
        edge = max(half, start + tolerance)
        seen = (square_place >= edge) & (square_place <= frame.side - edge)
        assert np.abs(inside - square_place)[seen].max(initial=0.0) <= tolerance
