"""The pictures of OHIF in docs/pictures: what is drawn in a new one is in the same place."""

from __future__ import annotations

import pytest
from scipy import ndimage

from tests.ohif.pictures import DRAWN, PICTURES, Mask, drawn_in, pictures
from tests.ohif.screen import missing_tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PIXELS_OFF = 6


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    if missing := missing_tools():
        pytest.skip(missing)
    return pictures(tmp_path_factory.mktemp("pictures"))


def is_inside(one: Mask, other: Mask) -> float:
    """The share of what is drawn in one that is drawn in the other, give or take a few pixels."""
    return float(ndimage.binary_dilation(other, iterations=PIXELS_OFF)[one].mean())


@pytest.mark.parametrize("name", DRAWN)
def test_the_documented_picture_shows_what_the_viewer_shows(new: dict[str, bytes], name: str) -> None:
    committed, shown = drawn_in(name, (PICTURES / name).read_bytes()), drawn_in(name, new[name])
    assert committed.shape == shown.shape
    assert committed.sum() > 300
    assert min(is_inside(committed, shown), is_inside(shown, committed)) > 0.95
