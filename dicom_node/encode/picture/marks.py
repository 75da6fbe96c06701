"""What is drawn on the image itself: "AI - NOT VERIFIED", and the regions by colour, outline and number.

Each line has a black rim and a bright core (Okabe and Ito's orange and sky blue, which colour-blind readers tell
apart): the rim is seen on white lung, the core on black. Numbers repeat the colours for viewers that show grey only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw
from scipy import ndimage

from core.domain.explanation import Saliency
from core.domain.study import Image
from dicom_node.encode.picture.canvas import BLACK, MARGIN, WHITE, Colour, font, resized, width_of
from dicom_node.encode.picture.lines import lines_of
from dicom_node.encode.sources import NOT_VERIFIED

COLOURS: tuple[Colour, ...] = ((230, 159, 0), (86, 180, 233))
"""Of the first and the second region."""
_TINT = 0.25
_RIM_WIDTH, _CORE_WIDTH = 9, 4
_NUMBER_PIXELS = 26
_NOTICE_PIXELS = 26
_JUMP = 30  # of 255: more than the edge of a rib, less than that of a letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One region on the image: its map, its colour, and the number by which the words speak of it ("" for none)."""

    saliency: Saliency
    colour: Colour
    number: str = ""


def marked(image: Image, marks: Iterable[Mark], size: tuple[int, int]) -> Picture.Image:
    """The image in true shape as RGB of `size` (width, height), with its regions drawn."""
    picture = resized(image.pixels, size).convert("RGB")
    marks = list(marks)
    for mark in marks:
        _tint(picture, mark)
    for mark in marks:
        _draw_outlines(picture, mark)
    for mark in marks:
        _write_number(picture, mark)
    _write(ImageDraw.Draw(picture), _quiet_corner(picture), NOT_VERIFIED, WHITE, _NOTICE_PIXELS)
    return picture


def _quiet_corner(picture: Picture.Image) -> tuple[float, float]:
    """Where the notice goes: top left, unless it would hide the film's own letters (a side marker) or an outline there.

    Of the four corners the one with the smallest share of sharp edges, the first of equals.
    """
    across, down = round(width_of(NOT_VERIFIED, _NOTICE_PIXELS)) + MARGIN, _NOTICE_PIXELS + MARGIN
    right, bottom = max(MARGIN, picture.width - across), max(MARGIN, picture.height - down - MARGIN)
    corners = [(column, row) for row in (MARGIN, bottom) for column in (MARGIN, right)]
    return min(
        corners, key=lambda corner: round(_sharpness(picture.crop((*corner, corner[0] + across, corner[1] + down))), 2)
    )


def _sharpness(part: Picture.Image) -> float:
    """The share of pixels where the brightness jumps as it does at letters and lines, 0..1."""
    grey = np.asarray(part.convert("L"), np.int16)
    jumps = np.abs(np.diff(grey, axis=1))[:-1] + np.abs(np.diff(grey, axis=0))[:, :-1]
    return float((jumps > _JUMP).mean())


def _tint(picture: Picture.Image, mark: Mark) -> None:
    region = resized(mark.saliency.mask.astype(np.float32), (picture.width, picture.height))
    picture.paste(mark.colour, mask=region.point([round(value * _TINT) for value in range(256)]))


def _draw_outlines(picture: Picture.Image, mark: Mark) -> None:
    draw = ImageDraw.Draw(picture)
    lines = [points for line in _lines(mark.saliency) if len(points := _scaled(line, mark.saliency, picture)) > 1]
    for colour, width in ((BLACK, _RIM_WIDTH), (mark.colour, _CORE_WIDTH)):
        for points in lines:
            draw.line(points, fill=colour, width=width, joint="curve")


def _lines(saliency: Saliency) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    rows, columns = saliency.mask.shape
    outlines = (np.asarray(region.points, np.float64) for region in saliency.regions)
    return [line for outline in outlines for line in lines_of(outline, rows, columns)]


def _scaled(
    line: np.ndarray[tuple[int, ...], np.dtype[np.float64]], saliency: Saliency, picture: Picture.Image
) -> list[tuple[float, float]]:
    rows, columns = saliency.mask.shape
    scaled = line * (picture.width / columns, picture.height / rows)
    return [(float(x), float(y)) for x, y in scaled]


def _write_number(picture: Picture.Image, mark: Mark) -> None:
    """Put the number inside the region, as far up as there is room for it."""
    if mark.number and mark.saliency.mask.any():
        x, y = _place_of_number(mark, (picture.width, picture.height))
        place = (x - width_of(mark.number, _NUMBER_PIXELS) / 2, y - _NUMBER_PIXELS / 2)
        _write(ImageDraw.Draw(picture), place, mark.number, mark.colour, _NUMBER_PIXELS)


def _place_of_number(mark: Mark, size: tuple[int, int]) -> tuple[int, int]:
    """The highest point of the region with room round it, else its deepest: (column, row) of the picture."""
    inside = np.asarray(resized(mark.saliency.mask.astype(np.float32), size)) > 127
    depths = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    rows, columns = np.nonzero(depths >= min(_NUMBER_PIXELS, depths.max()))
    return int(columns[0]), int(rows[0])


def _write(draw: ImageDraw.ImageDraw, place: tuple[float, float], words: str, colour: Colour, pixels: int) -> None:
    """Words on a black plate: readable on white lung and on black."""
    left, top, right, bottom = draw.textbbox(place, words, font=font(pixels))
    draw.rectangle((left - 5, top - 4, right + 5, bottom + 4), fill=BLACK)
    draw.text(place, words, font=font(pixels), fill=colour)
