"""The picture of one finding: the image as displayed, its region outlined, and what the model says of it."""

from __future__ import annotations

from PIL import Image as Picture
from PIL import ImageDraw

from core.domain.explanation import Saliency
from core.domain.model import ModelVersion
from core.domain.report import CohortMetric, Finding
from core.domain.study import Image
from core.wording import performance_in_words, probability, verdict_in_words
from dicom_node.encode.picture import words
from dicom_node.encode.picture.canvas import HEADING_PIXELS, MARGIN, WHITE, layout, sheet
from dicom_node.encode.picture.marks import COLOURS, Mark, marked
from dicom_node.encode.picture.words import Line
from dicom_node.encode.shell import DISCLAIMER


def draw_finding(
    image: Image,
    finding: Finding,
    model: ModelVersion,
    saliency: Saliency | None,
    cohort: CohortMetric | None,
) -> Picture.Image:
    """Draw one finding as an RGB picture, its long side at most 1024 pixels.

    The region of `saliency` is outlined when it is shown; withheld, without a region or None leaves the plain image and
    says so.
    """
    lines = _lines(finding, model, saliency, cohort)
    size, width, band = layout(image, lambda width: 2 * MARGIN + words.height_of(lines, width))
    marks = [Mark(saliency=saliency, colour=COLOURS[0])] if saliency is not None and saliency.shown else []
    canvas = sheet(marked(image, marks, size), width, band)
    words.write(ImageDraw.Draw(canvas), lines, top=size[1] + MARGIN, width=width)
    return canvas


def _lines(finding: Finding, model: ModelVersion, saliency: Saliency | None, cohort: CohortMetric | None) -> list[Line]:
    verdict = "flagged" if finding.is_flagged else "not flagged"
    point = finding.operating_point
    figures = f"{probability(finding.probability)} (flagged from {probability(point.threshold)})"
    where = words.region_in_words(saliency)
    return [
        Line(
            words=f"{finding.code.meaning}: {verdict}, {figures}",
            pixels=HEADING_PIXELS,
            colour=WHITE,
        ),
        Line(words=verdict_in_words(finding, cohort)),
        Line(words=performance_in_words(cohort)),
        *words.chosen_point(point),
        words.meaning_of_the_outline() if where == "outlined" else Line(words=f"Not outlined: {where}."),
        Line(words=f"{model.name} {model.version}. {DISCLAIMER}"),
    ]
