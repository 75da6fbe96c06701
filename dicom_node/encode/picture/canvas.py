"""The sheet that a picture is drawn on: the image in true shape, and a black band of words below it.

Every sheet has about the same size whatever the matrix of the image, and no letter is smaller than a fiftieth of its
long side: shown on 512 pixels they are ten pixels high, on 3000 sixty.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
from PIL import Image as Picture
from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont
from PIL.ImageFont import ImageFont as BitmapFont

from core.domain.study import Image

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
GREY: Colour = (200, 200, 200)
BLACK: Colour = (0, 0, 0)
LONG_SIDE = 1024
MARGIN = 12
HEADING_PIXELS, TEXT_PIXELS = 27, 22
LINE_GAP = 6
_NARROWEST = 760
Font = FreeTypeFont | BitmapFont
Sizes = tuple[tuple[int, int], int, int]
"""The image's (width, height), the sheet's width and the band's height."""


def layout(image: Image, band_height: Callable[[int], int]) -> Sizes:
    """How large everything is; `band_height` answers how high the band is on a sheet of a width.

    A narrower sheet breaks the lines more often, so the band grows, so the image shrinks: repeated until it rests.
    """
    width = LONG_SIDE
    while True:
        band = band_height(width)
        size = _image_size(image, band)
        if max(size[0], _NARROWEST) >= width:
            return size, width, band
        width = max(size[0], _NARROWEST)


def _image_size(image: Image, band: int) -> tuple[int, int]:
    """Width and height: true shape, as large as fits above the band."""
    rows, columns = image.pixels.shape
    width, height = columns * image.column_spacing_mm, rows * image.row_spacing_mm
    scale = min(LONG_SIDE / width, max(LONG_SIDE // 4, LONG_SIDE - band) / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def sheet(picture: Picture.Image, width: int, band: int) -> Picture.Image:
    """A black sheet with the picture at its top."""
    canvas = Picture.new("RGB", (width, picture.height + band), BLACK)
    canvas.paste(picture, ((width - picture.width) // 2, 0))
    return canvas


def resized(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], size: tuple[int, int]) -> Picture.Image:
    """Values 0..1 as an 8-bit picture of `size` (width, height)."""
    eight_bit = (np.clip(values, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    return Picture.fromarray(eight_bit).resize(size, Picture.Resampling.BILINEAR, reducing_gap=2.0)


def wrapped(words: str, pixels: int, room: float) -> list[str]:
    """The words broken into rows that fit `room`."""
    rows, used = [""], 0.0
    for word in words.split():
        needed = width_of(word + " ", pixels)
        if rows[-1] and used + needed > room:
            rows, used = [*rows, ""], 0.0
        rows[-1], used = f"{rows[-1]} {word}".strip(), used + needed
    return rows


@lru_cache(maxsize=4096)
def width_of(words: str, pixels: int) -> float:
    """How wide words are."""
    return font(pixels).getlength(words)


@cache
def font(pixels: int) -> Font:
    """The font that Pillow brings."""
    return ImageFont.load_default(size=pixels)
