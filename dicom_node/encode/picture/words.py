"""The words below a picture, for a person who has ten seconds: no figure of a method, nothing that needs a glossary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from PIL import ImageDraw

from core.conclusion import conclusion_of, revision_in_words
from core.domain.explanation import Saliency
from core.domain.model import ModelVersion, OperatingPoint
from core.domain.report import Finding, Report, ReportStatus
from core.wording import point_in_words
from dicom_node.encode.picture.canvas import GREY, LINE_GAP, MARGIN, TEXT_PIXELS, Colour, font, wrapped
from dicom_node.encode.shell import DISCLAIMER, REGION_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One paragraph of the band below the image."""

    words: str
    pixels: int = TEXT_PIXELS
    colour: Colour = GREY


def height_of(lines: Iterable[Line], width: int) -> int:
    """How high paragraphs are on a sheet of `width`."""
    return sum(len(_rows(line, width)) * (line.pixels + LINE_GAP) for line in lines)


def write(draw: ImageDraw.ImageDraw, lines: Iterable[Line], *, top: int, width: int) -> int:
    """Write paragraphs from `top` down; returns where the next one begins."""
    for line in lines:
        for row in _rows(line, width):
            draw.text((MARGIN, top), row, font=font(line.pixels), fill=line.colour)
            top += line.pixels + LINE_GAP
    return top


def _rows(line: Line, width: int) -> list[str]:
    return wrapped(line.words, line.pixels, width - 2 * MARGIN)


def conclusion(findings: Sequence[Finding]) -> str:
    """What is flagged, by name, in one sentence."""
    flagged = dict.fromkeys(finding.code.meaning for finding in findings if finding.is_flagged)
    return f"Flagged: {', '.join(flagged)}" if flagged else "Nothing flagged"


def region_in_words(saliency: Saliency | None) -> str:
    """Where a finding is outlined, or in a word or two why not."""
    if saliency is None:
        return "no region was made"
    if not saliency.shown:
        return "its region did not pass its checks"
    return saliency.no_region.partition(":")[0] or "outlined"


def chosen_point(point: OperatingPoint) -> list[Line]:
    """Where the operating point comes from, when a person chose it."""
    return [Line(words=f"Operating point {point_in_words(point)}")] if point.policy else []


def meaning_of_the_outline() -> Line:
    """What an outline says, and what it does not."""
    return Line(words=f"Outlined: {REGION_WORDS}, not the extent of a disease.")


def not_looked_for(report: Report) -> list[Line]:
    """What no model looked for, in the words of the report."""
    if report.status is not ReportStatus.REPORTED:
        return []
    return [Line(words=words) for words in conclusion_of(report) if words.startswith("Not looked for")]


def implied(finding: Finding) -> list[Line]:
    """Why a finding is flagged that is below its own point."""
    because = ", ".join(finding.implied_by)
    return [Line(words=f"{finding.code.meaning} is flagged because of: {because}.")] if because else []


def origin(report: Report, models: Iterable[ModelVersion], zone: tzinfo | None = None) -> Line:
    """Which revision by which model, and what this is not."""
    names = ", ".join(f"{model.name} {model.version}" for model in models)
    revision = revision_in_words(report, zone)
    return Line(words=f"{revision.capitalize()}{'. ' if revision else ''}{names}. {DISCLAIMER}")
