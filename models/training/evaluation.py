"""Evaluates scores and maps against what is known of held-out patients, overall and within cohorts.

Primary figures are those on adult patients' images of the largest tier (512 px): the smaller tiers are easier or
harder for reasons that have nothing to do with a hospital's images. For any abnormality and lung opacity only
radiologists' words count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from models.training.examples import Example, box_mask
from models.training.statistics import Estimate, auroc, average_precision, bootstrap, calibration_error, wilson

ADULT_YEARS = 18
RADIOLOGISTS_ONLY = frozenset({"any_abnormality", "lung_opacity"})
_GRID = 128  # maps and boxes are compared on a grid of this many rows and columns

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scored:
    """Held-out examples with their logits (N, K), maps (N, K, h, w) and the names of the K findings."""

    examples: Sequence[Example]
    findings: Sequence[str]
    logits: NDArray[np.float32]
    maps: NDArray[np.float32]

    def column(self, finding: str) -> NDArray[np.float32]:
        """The logits of one finding."""
        return self.logits[:, self.findings.index(finding)]


def truths_of(examples: Sequence[Example], finding: str, *, text_too: bool = False) -> tuple[NDArray[np.bool_], Mask]:
    """Truth per example, and for which adults it is known.

    Where radiologists spoke of the finding only their words count, unless `text_too` lets text-mined labels in.
    """
    targets = [example.targets[finding] for example in examples]
    allowed = {"radiologists"} if finding in RADIOLOGISTS_ONLY and not text_too else {"radiologists", "text-mined"}
    pairs = zip(examples, targets, strict=True)
    known = np.array([example.age_years >= ADULT_YEARS and target.source in allowed for example, target in pairs])
    return np.array([target.value > 0.5 for target in targets]), known


def cohorts(examples: Sequence[Example]) -> Iterator[tuple[str, Mask]]:
    """Name and members of each cohort: all, view, sex, age band."""
    yield "all", np.ones(len(examples), bool)
    for field, values in (("view", ("PA", "AP")), ("sex", ("F", "M"))):
        for value in values:
            yield f"{field}={value}", np.array([getattr(example, field) == value for example in examples])
    for low, high in ((18, 39), (40, 64), (65, 120)):
        label = f"age={low}-{high}" if high < 120 else f"age={low}+"
        yield label, np.array([low <= example.age_years <= high for example in examples])


def discrimination(scored: Scored, finding: str, members: Mask, *, text_too: bool = False) -> dict[str, Any]:
    """AUROC and average precision of one finding among `members`."""
    truths, known = truths_of(scored.examples, finding, text_too=text_too)
    rows = known & members
    area = auroc(truths[rows], scored.column(finding)[rows])
    return {
        "positives": int(truths[rows].sum()),
        "negatives": int((~truths[rows]).sum()),
        "auroc": area.as_list(),
        "average_precision": round(average_precision(truths[rows], scored.column(finding)[rows]), 4)
        if truths[rows].any()
        else None,
    }


def at_threshold(
    scored: Scored, finding: str, members: Mask, probabilities: NDArray[np.float64], threshold: float
) -> dict[str, Any]:
    """Sensitivity and specificity at the operating point among `members`, with Wilson intervals."""
    truths, known = truths_of(scored.examples, finding)
    positive, negative = known & members & truths, known & members & ~truths
    called = probabilities >= threshold
    hits = wilson(int(called[positive].sum()), int(positive.sum()))
    passes = wilson(int((~called)[negative].sum()), int(negative.sum()))
    return {"sensitivity": hits.as_list(), "specificity": passes.as_list()}


def calibration(scored: Scored, finding: str, members: Mask, probabilities: NDArray[np.float64]) -> list[float | None]:
    """Expected calibration error among `members`, with an interval by bootstrap over patients."""
    truths, known = truths_of(scored.examples, finding)
    rows = np.flatnonzero(known & members)
    patients = np.array([scored.examples[row].patient for row in rows.tolist()])

    def error(drawn: NDArray[np.intp]) -> float:
        return calibration_error(truths[rows[drawn]], probabilities[rows[drawn]])

    return bootstrap(patients, error).as_list()


def localisation(scored: Scored, finding: str, members: Mask) -> dict[str, Any]:
    """Pointing game, average precision and IoU of the map against readers' boxes, and what chance would give.

    Chance in the pointing game is the share of the image that the boxes cover; the mask for IoU is where the map is
    above half its range.
    """
    column = scored.findings.index(finding)
    boxed = [any(box.finding == finding for box in example.boxes) for example in scored.examples]
    rows: list[int] = np.flatnonzero(members & np.array(boxed)).tolist()
    if not rows:
        return {"images": 0}
    pairs = [(_enlarged(scored.maps[i, column]), box_mask(scored.examples[i].boxes, finding, _GRID) > 0) for i in rows]
    patients = np.array([scored.examples[i].patient for i in rows])
    figures = {
        "pointing": np.array([float(inside.flat[int(map_.argmax())]) for map_, inside in pairs]),
        "chance": np.array([float(inside.mean()) for _, inside in pairs]),
        "average_precision": np.array([average_precision(inside.ravel(), map_.ravel()) for map_, inside in pairs]),
        "iou": np.array([_iou(map_ > (map_.max() + map_.min()) / 2, inside) for map_, inside in pairs]),
    }
    centre = _centred_gaussian()
    figures["pointing_centre"] = np.array([float(inside.flat[int(centre.argmax())]) for _, inside in pairs])
    ratio = bootstrap(
        patients, lambda drawn: float(figures["pointing"][drawn].mean() / figures["chance"][drawn].mean())
    )
    means = {name: _mean(patients, values).as_list() for name, values in figures.items()}
    return {"images": len(rows), **means, "times_chance": ratio.as_list(2)}


def _mean(patients: NDArray[np.str_], values: NDArray[np.float64]) -> Estimate:
    figure: Callable[[NDArray[np.intp]], float] = lambda drawn: float(values[drawn].mean())  # noqa: E731
    return bootstrap(patients, figure)


def _iou(mask: Mask, inside: Mask) -> float:
    return float((mask & inside).sum() / max(1, (mask | inside).sum()))


def _enlarged(map_: NDArray[np.float32]) -> NDArray[np.float32]:
    image = PillowImage.fromarray(map_).resize((_GRID, _GRID), PillowImage.Resampling.BILINEAR)
    return np.asarray(image, np.float32)


def _centred_gaussian() -> NDArray[np.float64]:
    axis = np.linspace(-1, 1, _GRID)
    return np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2))
