"""The picture that every viewer can show: the image as displayed, the saliency blended in, and what it means.

The words stand on a black band below the picture, so that no anatomy is covered; only the outline and the burnt
"AI - NOT VERIFIED" lie on the image. Colours are cividis (made for colour-blind readers) and the outline is light
on dark. Pixels that are not square are drawn with their true shape, and the picture is drawn at about the same
size whatever the matrix, so the words stay readable.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont
from PIL.ImageFont import ImageFont as BitmapFont

from core.domain.explanation import Faithfulness, Saliency
from core.domain.model import ModelVersion, OperatingPoint
from core.domain.report import CohortMetric, Finding
from core.domain.study import Image
from core.wording import NOT_MEASURED, point_in_words, rate_in_words, statement_of
from dicom_node.encode.shell import DISCLAIMER, REGION_WORDS
from dicom_node.encode.sources import NOT_VERIFIED

LONG_SIDE = 1024
_NARROWEST = 560
_MARGIN = 12
_FONT_PIXELS, _SMALL_PIXELS = 22, 17
_LINE_GAP = 6
_STRONGEST = 150  # of 255: how far the colour covers the image where the map is 1.0
_ORANGE, _WHITE, _GREY, _BLACK = (230, 159, 0), (255, 255, 255), (200, 200, 200), (0, 0, 0)
_CIVIDIS = (  # ten anchors of the cividis colour map (Nunez 2018)
    (0, 34, 78),
    (18, 53, 112),
    (59, 73, 108),
    (87, 93, 109),
    (112, 113, 115),
    (138, 134, 120),
    (165, 156, 116),
    (195, 179, 105),
    (225, 204, 85),
    (254, 232, 56),
)
Font = FreeTypeFont | BitmapFont


@dataclass(frozen=True, slots=True)
class Line:
    """One paragraph of the band below the picture."""

    words: str
    pixels: int = _SMALL_PIXELS
    colour: tuple[int, int, int] = _GREY


def draw_overlay(
    image: Image,
    finding: Finding,
    model: ModelVersion,
    saliency: Saliency | None,
    cohort: CohortMetric | None,
) -> Picture.Image:
    """Draw the overlay of one finding as an RGB picture, its long side at most 1024 pixels.

    `saliency` is blended in when it is shown; withheld or None leaves the plain image and says so.
    """
    lines = _lines(finding, model, saliency, cohort)
    size, width, band = _layout(image, lines)
    shown = saliency if saliency is not None and saliency.shown else None
    canvas = Picture.new("RGB", (width, size[1] + band), _BLACK)
    canvas.paste(_picture(image, shown, size), ((width - size[0]) // 2, 0))
    draw = ImageDraw.Draw(canvas)
    draw.text(
        (_MARGIN, _MARGIN), NOT_VERIFIED, font=_font(_FONT_PIXELS), fill=_WHITE, stroke_width=2, stroke_fill=_BLACK
    )
    _write_band(draw, lines, top=size[1] + _MARGIN, width=width)
    if shown is not None:
        _legend(canvas, width, size[1] + _MARGIN)
    return canvas


def _layout(image: Image, lines: list[Line]) -> tuple[tuple[int, int], int, int]:
    """The picture's (width, height), the canvas' width and the band's height, all in canvas pixels.

    A narrower canvas breaks the lines more often, so the band grows, so the picture shrinks: repeated until it rests.
    """
    width = LONG_SIDE
    while True:
        band = _band_height(lines, width)
        size = _picture_size(image, band)
        if max(size[0], _NARROWEST) >= width:
            return size, width, band
        width = max(size[0], _NARROWEST)


def _picture_size(image: Image, band: int) -> tuple[int, int]:
    """Width and height in canvas pixels: true shape, as large as fits above the band."""
    rows, columns = image.pixels.shape
    width, height = columns * image.column_spacing_mm, rows * image.row_spacing_mm
    scale = min(LONG_SIDE / width, max(LONG_SIDE // 4, LONG_SIDE - band) / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _picture(image: Image, saliency: Saliency | None, size: tuple[int, int]) -> Picture.Image:
    picture = _resized(image.pixels, size).convert("RGB")
    if saliency is None:
        return picture
    values = _resized(saliency.values, size)
    colour = values.convert("L")
    colour.putpalette(_palette())
    picture.paste(colour.convert("RGB"), mask=values.point([v * _STRONGEST // 255 for v in range(256)]))
    _draw_outlines(picture, image, saliency)
    return picture


def _resized(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], size: tuple[int, int]) -> Picture.Image:
    """Values 0..1 as an 8-bit picture of `size` (width, height)."""
    eight_bit = (np.clip(values, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    return Picture.fromarray(eight_bit).resize(size, Picture.Resampling.BILINEAR, reducing_gap=2.0)


@cache
def _palette() -> bytes:
    anchors = np.asarray(_CIVIDIS, np.float64)
    positions = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(positions, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()


def _draw_outlines(picture: Picture.Image, image: Image, saliency: Saliency) -> None:
    rows, columns = image.pixels.shape
    scale = np.array([picture.width / columns, picture.height / rows])
    draw = ImageDraw.Draw(picture)
    for region in saliency.regions:
        points = (np.asarray(region.points) * scale).ravel().tolist()
        draw.line(points, fill=_BLACK, width=5, joint="curve")
        draw.line(points, fill=_ORANGE, width=2, joint="curve")


def _lines(finding: Finding, model: ModelVersion, saliency: Saliency | None, cohort: CohortMetric | None) -> list[Line]:
    point = finding.operating_point
    above = "above" if finding.is_positive else "below"
    lines = [
        Line(
            f"{finding.code.meaning}: probability {finding.probability:.2f}, {above} the operating point "
            f"{point.threshold:.2f}",
            _FONT_PIXELS,
            _WHITE,
        ),
        Line(_rates_in_words(point)),
    ]
    if point.policy:
        lines.append(Line(f"Operating point {point_in_words(point)}", colour=_WHITE))
    if cohort is not None:
        lines.append(Line(f"Patients like this one, {statement_of(cohort)}"))
    lines.append(Line(_map_in_words(saliency)))
    if saliency is not None and saliency.shown and saliency.faithfulness is not None:
        lines.append(Line(faithfulness_in_words(saliency.faithfulness)))
    lines.append(Line(f"{model.name} {model.version}. {DISCLAIMER}"))
    return lines


def _rates_in_words(point: OperatingPoint) -> str:
    if not point.is_measured:
        return f"Sensitivity and specificity at this operating point: {NOT_MEASURED}"
    return (
        f"At this operating point: sensitivity {rate_in_words(point.sensitivity, point.sensitivity_interval)}, "
        f"specificity {rate_in_words(point.specificity, point.specificity_interval)}"
    )


def _map_in_words(saliency: Saliency | None) -> str:
    if saliency is None:
        return "No map was made for this finding."
    if not saliency.shown:
        return f"Map withheld because {saliency.withheld_reason or 'it did not pass the map gate'}."
    return f"Coloured and outlined: {REGION_WORDS} ({saliency.method.meaning})."


def faithfulness_in_words(measured: Faithfulness) -> str:
    """How far to trust the map, in one line."""
    sampled = " (measured on a sample of the studies)" if measured.sampled else ""
    return (
        f"Faithfulness of the map{sampled}: deletion {measured.deletion_auc:.2f}, insertion "
        f"{measured.insertion_auc:.2f}, better than {measured.null_percentile:.0f} % of null maps on this image, "
        f"stability {measured.stability:.2f}"
    )


def _band_height(lines: list[Line], width: int) -> int:
    wrapped = [(line.pixels, len(_wrapped(line, width))) for line in lines]
    return 2 * _MARGIN + sum(count * (pixels + _LINE_GAP) for pixels, count in wrapped)


def _write_band(draw: ImageDraw.ImageDraw, lines: list[Line], *, top: int, width: int) -> None:
    for line in lines:
        for words in _wrapped(line, width):
            draw.text((_MARGIN, top), words, font=_font(line.pixels), fill=line.colour)
            top += line.pixels + _LINE_GAP


def _wrapped(line: Line, width: int) -> list[str]:
    """The words of a line broken so that each row fits the canvas next to the legend's bar."""
    room = width - 2 * _MARGIN - _LEGEND_WIDTH
    rows, used = [""], 0.0
    for word in line.words.split():
        needed = _word_width(word + " ", line.pixels)
        if rows[-1] and used + needed > room:
            rows, used = [*rows, ""], 0.0
        rows[-1], used = f"{rows[-1]} {word}".strip(), used + needed
    return rows


@lru_cache(maxsize=4096)
def _word_width(word: str, pixels: int) -> float:
    return _font(pixels).getlength(word)


_LEGEND_WIDTH = 130


def _legend(canvas: Picture.Image, width: int, top: int) -> None:
    """The colour bar: how strongly a pixel influenced the model."""
    left, height = width - _LEGEND_WIDTH, 12
    ramp = Picture.fromarray(np.linspace(0, 255, _LEGEND_WIDTH - _MARGIN).astype(np.uint8)[None].repeat(height, 0))
    ramp.putpalette(_palette())
    canvas.paste(ramp.convert("RGB"), (left, top))
    draw = ImageDraw.Draw(canvas)
    draw.text((left, top + height + 2), "influence", font=_font(14), fill=_GREY)
    draw.text((left, top + height + 18), "weak - strong", font=_font(14), fill=_GREY)


@cache
def _font(pixels: int) -> Font:
    return ImageFont.load_default(size=pixels)
