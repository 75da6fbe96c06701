"""The one picture to look at first: every finding with a bar, the two strongest regions on the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from PIL import Image as Picture
from PIL import ImageDraw

from core.domain.explanation import Saliency
from core.domain.model import ModelVersion
from core.domain.report import Finding, Report
from core.domain.study import Image
from core.wording import probability
from dicom_node.encode.picture import words
from dicom_node.encode.picture.canvas import (
    BLACK,
    GREY,
    HEADING_PIXELS,
    LINE_GAP,
    MARGIN,
    TEXT_PIXELS,
    WHITE,
    Colour,
    font,
    layout,
    sheet,
    width_of,
    wrapped,
)
from dicom_node.encode.picture.marks import COLOURS, Mark, marked
from dicom_node.encode.picture.words import Line

_ROW = TEXT_PIXELS + LINE_GAP + 2
_BAR_PIXELS = 14
_TROUGH: Colour = (70, 70, 70)
_UNFLAGGED: Colour = (150, 150, 150)
_NAME_SHARE, _BAR_SHARE = 0.42, 0.26  # of the sheet's width


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finding and its map on the image of the picture; None where it has none there."""

    finding: Finding
    saliency: Saliency | None
    elsewhere: bool = False  # its region is in another slice

    @property
    def has_region(self) -> bool:
        """Whether there is something to outline."""
        return bool(self.saliency and self.saliency.shown and self.saliency.mask.any() and not self.finding.is_general)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    entry: Entry
    number: str
    colour: Colour


def excess(finding: Finding) -> float:
    """How far a finding is from its operating point, -1..1: 0 at it, 1 where the probability is 1."""
    point, probability = finding.operating_point.threshold, finding.probability
    room = (1.0 - point) if probability >= point else point
    return (probability - point) / room if room > 0 else 0.0


def strongest(entries: Sequence[Entry]) -> list[Entry]:
    """The flagged findings with a region that are furthest above their points: at most as many as there are colours."""
    drawable = [entry for entry in entries if entry.finding.is_positive and entry.has_region]
    return sorted(drawable, key=lambda entry: -excess(entry.finding))[: len(COLOURS)]


def draw_summary(
    report: Report,
    models: Sequence[ModelVersion],
    image: Image,
    entries: Sequence[Entry],
    zone: tzinfo | None = None,
) -> Picture.Image:
    """Draw the summary of the findings on one image as an RGB picture, its long side at most 1024 pixels.

    `zone`: in which times are given, by default this machine's.
    """
    drawn = strongest(entries)
    rows = _rows(entries, drawn)
    said = words.conclusion([row.entry.finding for row in rows])
    heading = [Line(words=said, pixels=HEADING_PIXELS, colour=WHITE)]
    notes = _notes(report, models, entries, drawn, zone)

    def band_height(width: int) -> int:
        table = LINE_GAP + sum(_height(row, width) for row in rows) + _ROW
        return 2 * MARGIN + words.height_of(heading, width) + table + words.height_of(notes, width)

    size, width, band = layout(image, band_height)
    marks = [
        Mark(saliency=row.entry.saliency, colour=row.colour, number=row.number)
        for row in rows
        if row.number and row.entry.saliency is not None
    ]
    canvas = sheet(marked(image, marks, size), width, band)
    draw = ImageDraw.Draw(canvas)
    top = words.write(draw, heading, top=size[1] + MARGIN, width=width) + LINE_GAP
    for row in rows:
        _write_row(draw, row, top, width)
        top += _height(row, width)
    top = _write_scale(draw, top, width)
    words.write(draw, notes, top=top, width=width)
    return canvas


def _rows(entries: Sequence[Entry], drawn: Sequence[Entry]) -> list[_Row]:
    """Flagged findings first, those with a place before "abnormal", the furthest above its point at the top."""

    def order(entry: Entry) -> tuple[bool, bool, float]:
        return not entry.finding.is_flagged, entry.finding.is_general, -excess(entry.finding)

    ordered = sorted(entries, key=order)
    rows = []
    for entry in ordered:
        place = next((number for number, one in enumerate(drawn) if one is entry), None)
        colour = WHITE if entry.finding.is_flagged else _UNFLAGGED
        rows.append(
            _Row(
                entry=entry,
                number="" if place is None else str(place + 1),
                colour=colour if place is None else COLOURS[place],
            )
        )
    return rows


def _name_rows(row: _Row, width: int) -> list[str]:
    name = f"{row.number}  {row.entry.finding.code.meaning}" if row.number else row.entry.finding.code.meaning
    return wrapped(name, TEXT_PIXELS, _NAME_SHARE * width - MARGIN)


def _height(row: _Row, width: int) -> int:
    return _ROW + (len(_name_rows(row, width)) - 1) * (TEXT_PIXELS + LINE_GAP)


def _bar(width: int) -> tuple[int, int]:
    """Where bars begin and end."""
    left = round(_NAME_SHARE * width) + MARGIN
    return left, left + round(_BAR_SHARE * width)


def _write_row(draw: ImageDraw.ImageDraw, row: _Row, top: int, width: int) -> None:
    finding, (left, right) = row.entry.finding, _bar(width)
    colour = row.colour if finding.is_flagged else GREY
    for number, name in enumerate(_name_rows(row, width)):
        draw.text((MARGIN, top + number * (TEXT_PIXELS + LINE_GAP)), name, font=font(TEXT_PIXELS), fill=colour)
    middle, bar_top = (left + right) // 2, top + (TEXT_PIXELS - _BAR_PIXELS) // 2 + 3
    draw.rectangle((left, bar_top, right, bar_top + _BAR_PIXELS), fill=_TROUGH)
    end = middle + round(excess(finding) * (right - left) / 2)
    if end > left:
        draw.rectangle((left, bar_top, end, bar_top + _BAR_PIXELS), fill=row.colour)
    draw.rectangle((middle - 3, bar_top, middle + 3, bar_top + _BAR_PIXELS), fill=BLACK)  # white on white is no line
    draw.rectangle((middle - 1, bar_top - 5, middle + 1, bar_top + _BAR_PIXELS + 5), fill=WHITE)
    draw.text((right + MARGIN, top), verdict_of(finding), font=font(TEXT_PIXELS), fill=colour)


def verdict_of(finding: Finding) -> str:
    """The words to the right of a bar: the same verdict as in the headline, also for a finding that others imply."""
    verdict = "flagged" if finding.is_flagged else "not flagged"
    return f"{verdict}  {probability(finding.probability)}"


def _write_scale(draw: ImageDraw.ImageDraw, top: int, width: int) -> int:
    """Say once what the white line across the bars is."""
    left, right = _bar(width)
    said = "line: flagged from here"
    place = min((left + right) // 2 - width_of(said, TEXT_PIXELS) / 2, width - MARGIN - width_of(said, TEXT_PIXELS))
    draw.text((place, top), said, font=font(TEXT_PIXELS), fill=GREY)
    return top + _ROW


def _notes(
    report: Report,
    models: Sequence[ModelVersion],
    entries: Sequence[Entry],
    drawn: Sequence[Entry],
    zone: tzinfo | None = None,
) -> list[Line]:
    notes = [point for entry in entries for point in words.chosen_point(entry.finding.operating_point)]
    notes += [line for entry in entries for line in words.implied(entry.finding)]
    if drawn:
        notes.append(words.meaning_of_the_outline())
    if not_drawn := _not_drawn(entries, drawn):
        notes.append(Line(words=f"Not outlined: {'; '.join(not_drawn)}."))
    return [*notes, *words.not_looked_for(report), words.origin(report, models, zone)]


def _not_drawn(entries: Sequence[Entry], drawn: Sequence[Entry]) -> list[str]:
    """Each flagged finding that has a place and is not outlined, with the reason."""
    said = []
    for entry in entries:
        if entry.finding.is_positive and not entry.finding.is_general and not any(entry is one for one in drawn):
            said.append(f"{entry.finding.code.meaning} ({_why_not(entry)})")
    return said


def _why_not(entry: Entry) -> str:
    if entry.elsewhere:
        return "in another slice"
    return "weaker than the two shown" if entry.has_region else words.region_in_words(entry.saliency)
