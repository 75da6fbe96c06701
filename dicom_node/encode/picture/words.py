"""The words below a picture, for a person who has ten seconds: no figure of a method, nothing that needs a glossary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import ImageDraw

from core.domain.explanation import Saliency
from core.domain.model import ModelVersion, OperatingPoint
from core.domain.report import CohortMetric, Finding, Report
from core.wording import point_in_words
from dicom_node.encode.picture.canvas import GREY, LINE_GAP, MARGIN, TEXT_PIXELS, Colour, font, wrapped
from dicom_node.encode.shell import DISCLAIMER, REGION_WORDS

NOT_MEASURED = "How often it is right was not measured."


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
    flagged = dict.fromkeys(finding.code.meaning for finding in findings if finding.is_positive)
    return f"Flagged: {', '.join(flagged)}" if flagged else "Nothing flagged"


def region_in_words(saliency: Saliency | None) -> str:
    """Where a finding is outlined, or in a word or two why not."""
    if saliency is None:
        return "no region was made"
    if not saliency.shown:
        return "its region did not pass its checks"
    return saliency.no_region.partition(":")[0] or "outlined"


def accuracy(finding: Finding, cohort: CohortMetric | None) -> str:
    """How often the model is right about a finding, from test patients, in one sentence."""
    if cohort is not None and cohort.sensitivity is not None and cohort.specificity is not None:
        return _accuracy(cohort.sensitivity, cohort.specificity)
    point = finding.operating_point
    if point.positives and point.negatives:
        return _accuracy(point.sensitivity, point.specificity)
    return NOT_MEASURED


def _accuracy(sensitivity: float, specificity: float) -> str:
    return (
        f"In tests it flagged {100 * sensitivity:.0f} of 100 patients who had it "
        f"and {100 * (1 - specificity):.0f} of 100 who did not."
    )


def chosen_point(point: OperatingPoint) -> list[Line]:
    """Where the operating point comes from, when a person chose it."""
    return [Line(words=f"Operating point {point_in_words(point)}")] if point.policy else []


def meaning_of_the_outline() -> Line:
    """What an outline says, and what it does not."""
    return Line(words=f"Outlined: {REGION_WORDS}, not the extent of a disease.")


def origin(report: Report, models: Iterable[ModelVersion]) -> Line:
    """Which revision by which model, and what this is not."""
    names = ", ".join(f"{model.name} {model.version}" for model in models)
    revision = f"Revision {report.study.revision}. " if report.study.revision > 1 else ""
    return Line(words=f"{revision}{names}. {DISCLAIMER}")
