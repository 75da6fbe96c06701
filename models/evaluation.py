"""Evaluates scores and maps against what is known of held-out patients, overall and within cohorts.

Primary figures are those on adult patients' images of at least 512 px: smaller ones are easier or harder for reasons
that have nothing to do with a hospital's images. For any abnormality and lung opacity only radiologists' words count.
Nothing here knows where scores and maps came from: the shipped ONNX file, a network in training, a control.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from core.statistics import (
    Estimate,
    auroc,
    average_precision,
    bins_sorted,
    bootstrap,
    calibration_error,
    calibration_error_if_perfect,
    debiased_calibration_error,
    wilson,
)
from models.examples import Example, box_mask

ADULT_YEARS = 18
PRIMARY_ROWS = 512
AGE_BANDS = ((18, 39), (40, 59), (60, 79), (80, 200))
RADIOLOGISTS_ONLY = frozenset({"any_abnormality", "lung_opacity"})
_GRID = 128  # maps and boxes are compared on a grid of this many rows and columns
_POINTS = 60  # of a curve: more than a page can show
_RELIABILITY_BINS = 10

Mask = NDArray[np.bool_]
Probabilities = NDArray[np.float64]


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

    def only(self, rows: Mask) -> Scored:
        """The examples where `rows` is true."""
        kept = [example for example, keep in zip(self.examples, rows, strict=True) if keep]
        return Scored(kept, self.findings, self.logits[rows], self.maps[rows])

    def of_split(self, split: str) -> Scored:
        """The examples of one side of the split."""
        return self.only(np.array([example.split == split for example in self.examples]))

    def at(self, *tiers: int) -> Mask:
        """Which examples are stored with one of these numbers of rows."""
        return np.array([example.tier in tiers for example in self.examples])

    @property
    def primary(self) -> Mask:
        """Which examples the primary figures are about."""
        return np.array([example.tier >= PRIMARY_ROWS for example in self.examples])


def truths_of(examples: Sequence[Example], finding: str, *, text_too: bool = False) -> tuple[NDArray[np.bool_], Mask]:
    """Truth per example, and for which adults it is known.

    Where radiologists spoke of the finding only their words count, unless `text_too` lets text-mined labels in.
    """
    targets = [example.targets[finding] for example in examples]
    allowed = {"radiologists"} if finding in RADIOLOGISTS_ONLY and not text_too else {"radiologists", "text-mined"}
    pairs = zip(examples, targets, strict=True)
    known = np.array([example.age_years >= ADULT_YEARS and target.source in allowed for example, target in pairs])
    return np.array([target.value > 0.5 for target in targets]), known


def is_labelled(scored: Scored, finding: str) -> bool:
    """Whether there are images with and images without the finding among those that the primary figures are about."""
    truths, known = truths_of(scored.examples, finding)
    told = truths[known & scored.primary]
    return bool(told.any() and not told.all())


def cohorts(examples: Sequence[Example]) -> Iterator[tuple[str, Mask]]:
    """Name and members of each cohort: all, view, sex, age band."""
    yield "all", np.ones(len(examples), bool)
    for field, values in (("view", ("PA", "AP")), ("sex", ("F", "M"))):
        for value in values:
            yield f"{field}={value}", np.array([getattr(example, field) == value for example in examples])
    for low, high in AGE_BANDS:
        label = f"age_band={low}-{high}" if high < 200 else f"age_band={low}+"
        yield label, np.array([low <= example.age_years <= high for example in examples])


def sources(examples: Sequence[Example]) -> Iterator[tuple[str, Mask]]:
    """Name and members of each source: a data set at one resolution."""
    names = np.array([f"{example.source}, {example.tier} px" for example in examples])
    for name in sorted(set(names.tolist())):
        yield name, names == name


def evaluate(scored: Scored, finding: str, probabilities: NDArray[np.float64], threshold: float) -> dict[str, Any]:
    """Every figure of one finding on (test) patients, as it goes into `evaluation.json`.

    `probabilities`: calibrated, shape (examples,), 0..1; `threshold`: the operating point's.
    """

    def both(members: Mask) -> dict[str, Any]:
        return {
            **discrimination(scored, finding, members),
            **at_threshold(scored, finding, members, probabilities, threshold),
        }

    primary = scored.primary
    return {
        "expected_calibration_error": calibration(scored, finding, primary, probabilities),
        "calibration_error_debiased": debiased_calibration(scored, finding, primary, probabilities),
        "calibration_error_if_perfect": perfect_calibration(scored, finding, primary, probabilities),
        "test_512": {name: both(primary & members) for name, members in cohorts(scored.examples)},
        "by_source": {name: both(members) for name, members in sources(scored.examples)},
        "text_mined_too": discrimination(scored, finding, primary, text_too=True),
        "curves": curves(scored, finding, primary, probabilities),
    }


def curves(scored: Scored, finding: str, members: Mask, probabilities: NDArray[np.float64]) -> dict[str, Any]:
    """ROC, precision-recall and reliability of one finding, each at most 60 points, all axes 0..1."""
    truths, known = truths_of(scored.examples, finding)
    rows = known & members
    truth, said = truths[rows], probabilities[rows]
    if not truth.any() or truth.all():
        return {}
    hits = truth[np.argsort(-said, kind="stable")]
    true, false = np.cumsum(hits), np.cumsum(~hits)
    ends = np.unique(np.linspace(0, len(hits) - 1, _POINTS - 1).round().astype(int))
    recall, fallout = true[ends] / true[-1], false[ends] / false[-1]
    return {
        "roc": [[0.0, 0.0], *_pairs(fallout, recall)],
        "precision_recall": _pairs(recall, true[ends] / (ends + 1)),
        "reliability": _reliability(truth, said),
    }


def _pairs(first: NDArray[np.float64], second: NDArray[np.float64]) -> list[list[float]]:
    pairs: list[list[float]] = np.column_stack([first, second]).round(4).tolist()
    return pairs


def _reliability(truths: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Bins of equal numbers of images: what was predicted, what was seen."""
    order = np.argsort(probabilities, kind="stable")
    points = []
    for part in np.array_split(order, _RELIABILITY_BINS):
        if len(part):
            seen = wilson(int(truths[part].sum()), len(part))
            predicted = round(float(probabilities[part].mean()), 4)
            value, low, high = seen.as_list()
            points.append({"predicted": predicted, "observed": value, "low": low, "high": high, "n": len(part)})
    return points


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


def debiased_calibration(scored: Scored, finding: str, members: Mask, probabilities: Probabilities) -> float:
    """The calibration error among `members` less what so few images add to it by chance."""
    truths, known = truths_of(scored.examples, finding)
    rows = known & members
    order = np.argsort(probabilities[rows], kind="stable")
    return round(debiased_calibration_error(bins_sorted(truths[rows][order], probabilities[rows][order])), 4)


def perfect_calibration(scored: Scored, finding: str, members: Mask, probabilities: Probabilities) -> list[float]:
    """What a perfectly calibrated model would show on as many images: mean and the middle 95 % of the draws."""
    _, known = truths_of(scored.examples, finding)
    errors = calibration_error_if_perfect(probabilities[known & members])
    return [round(float(value), 4) for value in (errors.mean(), *np.percentile(errors, [2.5, 97.5]))]


def localisation(scored: Scored, finding: str, members: Mask) -> dict[str, Any]:
    """Pointing game, average precision and IoU of the map against readers' boxes, and what chance would give.

    Chance in the pointing game is the share of the image that the boxes cover; the mask for IoU is where the map is
    above half its range.
    """
    rows = _boxed(scored, finding, members)
    if not rows:
        return {"images": 0}
    figures = _per_image(scored, finding, rows)
    patients = np.array([scored.examples[i].patient for i in rows])
    ratio = bootstrap(
        patients, lambda drawn: float(figures["pointing"][drawn].mean() / figures["chance"][drawn].mean())
    )
    means = {name: _mean(patients, values).as_list() for name, values in figures.items()}
    return {"images": len(rows), **means, "times_chance": ratio.as_list(2)}


def localisation_gain(scored: Scored, other: Scored, finding: str, members: Mask) -> dict[str, Any]:
    """How much better the maps of `scored` point than those of `other` on the same images, paired, with intervals."""
    rows = _boxed(scored, finding, members)
    place = {example.name: index for index, example in enumerate(other.examples)}
    ours = _per_image(scored, finding, rows)
    theirs = _per_image(other, finding, [place[scored.examples[i].name] for i in rows])
    patients = np.array([scored.examples[i].patient for i in rows])
    names = ("pointing", "average_precision", "iou")
    return {"images": len(rows)} | {name: _mean(patients, ours[name] - theirs[name]).as_list() for name in names}


def _boxed(scored: Scored, finding: str, members: Mask) -> list[int]:
    boxed = [any(box.finding == finding for box in example.boxes) for example in scored.examples]
    rows: list[int] = np.flatnonzero(members & np.array(boxed)).tolist()
    return rows


def _per_image(scored: Scored, finding: str, rows: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    column, centre = scored.findings.index(finding), _centred_gaussian()
    pairs = [(_enlarged(scored.maps[i, column]), box_mask(scored.examples[i].boxes, finding, _GRID) > 0) for i in rows]
    return {
        "pointing": np.array([float(inside.flat[int(map_.argmax())]) for map_, inside in pairs]),
        "chance": np.array([float(inside.mean()) for _, inside in pairs]),
        "average_precision": np.array([average_precision(inside.ravel(), map_.ravel()) for map_, inside in pairs]),
        "iou": np.array([_iou(map_ > (map_.max() + map_.min()) / 2, inside) for map_, inside in pairs]),
        "pointing_centre": np.array([float(inside.flat[int(centre.argmax())]) for _, inside in pairs]),
    }


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
