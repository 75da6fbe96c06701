"""The page of `candor models explain-report`: the gate, its curves, methods side by side, galleries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy import ndimage

from api.pages.kit import (
    Row,
    Section,
    Series,
    callout,
    facts,
    figure,
    folded,
    forest,
    gallery,
    grid,
    lines,
    page,
    paragraph,
    table,
)
from api.pages.kit.markup import tag
from core.statistics.estimate import Rounded
from core.wording import probability, with_interval
from explain.gate.document import ComparedMethod, Comparison, FaithfulnessCurve, GateCurves, Verdict
from explain.gate.result import NOT_JUDGED, GateResult
from explain.maps.methods import METHODS
from pipeline.registration.explain_report import Pictured

_REGION = (230, 159, 0)  # Okabe and Ito's orange: the outline of the region that influenced the model
_BOX = (86, 180, 233)  # and their sky blue: readers' boxes
_PICTURE = 320
_DASHES = np.add.outer(np.arange(_PICTURE), np.arange(_PICTURE)) // 5 % 2 == 0  # seen without colour too
Points = list[tuple[float, float]]
_MEASURES: tuple[tuple[str, Callable[[ComparedMethod], Rounded]], ...] = (
    ("Pointing game: the highest point is in a box", lambda method: method.pointing),
    ("AUPRC of the map's pixels against the boxes", lambda method: method.auprc),
    ("IoU of the region with the boxes", lambda method: method.iou),
)
_KINDS: tuple[tuple[str, Callable[[FaithfulnessCurve], Points]], ...] = (
    ("Deletion curve", lambda curve: list(zip(curve.shares, curve.deletion, strict=True))),
    ("Insertion curve", lambda curve: list(zip(curve.shares, curve.insertion, strict=True))),
)
_WORDS = {True: "passed", False: "failed", None: "not made"}


def report_page(result: GateResult, pictures: Sequence[Pictured]) -> str:
    """The whole HTML document."""
    sections = [Section(title="The gate", blocks=[_tests(result), *_curves(result.curves)])]
    if result.comparison:
        sections.append(Section(title="Methods side by side", blocks=_comparison(result.comparison)))
    if pictures:
        sections.append(Section(title="Pictures", blocks=_galleries(pictures)))
    return page(
        f"Explanations of {result.model} {result.version}",
        sections,
        subtitle="Regions that influenced the model, never locations of disease",
        lead=[_verdict(result), *_facts(result)],
    )


def _verdict(result: GateResult) -> Markup:
    if result.passed:
        return callout("ok", "The maps passed every test that was made, and may be shown.")
    if result.verdict is Verdict.NOT_JUDGED:
        return callout("insufficient", f"The maps were {NOT_JUDGED}: they are withheld.", word="Not judged")
    failed = ", ".join(result.failed) or "nothing was tested"
    return callout("warn", f"The maps did not pass ({failed}): they are withheld, and reports say why.")


def _facts(result: GateResult) -> list[Markup]:
    origin = facts({"Method": result.method, "Images": result.images, "Weights (SHA-256)": result.sha256})
    return [
        origin,
        *(
            [callout("insufficient", "No held-out patients.", result.weaker, word="Weaker evidence")]
            if result.weaker
            else []
        ),
    ]


def _tests(result: GateResult) -> Markup:
    rows = [[test.name, _result(test.passed), test.words] for test in result.tests]
    return table(("test", "result", "what was found"), rows, caption="Tests of the gate", text_columns=3)


def _result(passed: bool | None) -> Markup:
    return tag("i" if passed is None else "span" if passed else "b", _WORDS[passed])


def _curves(curves: GateCurves) -> list[Markup]:
    drawn = []
    if shuffled := curves.randomisation:
        points = list(zip(shuffled.shares, shuffled.ssim, strict=True))
        level = [(0.0, shuffled.random_pairs), (1.0, shuffled.random_pairs)]
        drawn.append(
            lines(
                [
                    Series(label="maps with shuffled weights", points=points, has_markers=True),
                    Series(label="random pairs of maps", points=level),
                ],
                title="Weight randomisation",
                x_label="share of the layers shuffled, from the scores downwards",
                y_label="SSIM with the real map",
            )
        )
    if found := curves.faithfulness:
        drawn += [_faithfulness(title, {name: of(each) for name, each in found.items()}) for title, of in _KINDS]
    return [grid(drawn)] if drawn else []


def _faithfulness(title: str, curves: dict[str, Points]) -> Markup:
    series = [Series(label=name, points=points, has_markers=True) for name, points in curves.items()]
    x_label = "share of the image, the map's highest first"
    return lines(series, title=title, x_label=x_label, y_label="mean probability")


def _comparison(comparison: Comparison) -> list[Markup]:
    low, high = comparison.published_pneumonia_auprc
    rows = [
        [
            METHODS[row.method].words,
            ", ".join(f"{name} {value}" for name, value in row.parameters.items()) or "-",
            str(row.forward_passes),
            *(with_interval(*estimate, digits=3) for estimate in (row.pointing, row.auprc, row.iou)),
            f"{row.gain_per_pass:.4f}",
        ]
        for row in comparison.methods
    ]
    columns = ("method", "parameters", "passes", "pointing game", "AUPRC", "IoU", "AUPRC gain per pass")
    plots = [_forest(comparison, words, of) for words, of in _MEASURES]
    return [
        grid(plots),
        table(columns, rows, caption=f"On {comparison.images} boxed images of test patients", text_columns=2),
        paragraph(f"Published for pneumonia boxes, other models and data: AUPRC {low:.3f} to {high:.3f} (Arun 2021)."),
    ]


def _forest(comparison: Comparison, words: str, of: Callable[[ComparedMethod], Rounded]) -> Markup:
    """The methods in the order of how well they do."""
    rows = [
        Row(
            label=METHODS[row.method].words,
            value=of(row)[0],
            low=of(row)[1],
            high=of(row)[2],
            counts=f"{row.forward_passes} passes",
        )
        for row in sorted(comparison.methods, key=lambda row: -(of(row)[0] or 0.0))
    ]
    return forest(rows, caption=words, value_label="95 %", counts_label="cost", bounds=(0.0, 1.0))


def _galleries(pictures: Sequence[Pictured]) -> list[Markup]:
    blocks = [
        paragraph("Orange line: outline of the region above half of the map's range. Blue dashes: readers' boxes.")
    ]
    for finding in dict.fromkeys(picture.finding for picture in pictures):
        mine = [picture for picture in pictures if picture.finding == finding]
        kinds = dict.fromkeys(picture.kind for picture in mine)
        inside = [gallery([_figure(one) for one in mine if one.kind == kind]) for kind in kinds]
        blocks.append(folded(finding.replace("_", " "), inside, is_open=not blocks[1:]))
    return blocks


def _figure(one: Pictured) -> Markup:
    words = f"{one.kind}, probability {probability(one.probability)}"
    return figure(_drawn(one), alt=f"Radiograph, {one.finding.replace('_', ' ')}: {words}", caption=words)


def _drawn(one: Pictured) -> bytes:
    grey = np.asarray(Pillow.fromarray(one.square).resize((_PICTURE, _PICTURE), Pillow.Resampling.BILINEAR))
    colours = np.repeat((np.clip(grey, 0, 1) * 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)
    for mask, colour in ((one.boxes, _BOX), (one.mask, _REGION)):
        if mask is not None:
            colours[_edge(mask) & (_DASHES if colour is _BOX else True)] = colour
    file = BytesIO()
    Pillow.fromarray(colours).save(file, "JPEG", quality=85)
    return file.getvalue()


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    large = np.asarray(Pillow.fromarray(mask).resize((_PICTURE, _PICTURE), Pillow.Resampling.NEAREST))
    edge: NDArray[np.bool_] = large & ~ndimage.binary_erosion(large, iterations=2)
    return edge
