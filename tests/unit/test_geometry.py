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
