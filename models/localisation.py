"""Do maps point at what readers boxed? The figures of `core.statistics.maps.localisation` over held-out images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.geometry import resized
from core.statistics.estimate import Estimate
from core.statistics.maps import localisation
from core.statistics.resampling import bootstrap
from models.documents.evaluation import LocalisationFigures
from models.evaluation import Mask, Scored
from models.examples import box_mask

_GRID = 128  # maps and boxes are compared on a grid of this many rows and columns
Columns = dict[str, NDArray[np.float64]]
"""One value per image for each figure."""


def localise(scored: Scored, finding: str, members: Mask) -> LocalisationFigures:
    """Pointing game, average precision and IoU of the maps of `members` against readers' boxes, and the chance of each.

    `chance`: the share of the image that the boxes cover. `pointing_centre`: a map that always points at the middle.
    """
    rows = _boxed(scored, finding, members)
    if not rows:
        return LocalisationFigures(images=0)
    figures = _per_image(scored, finding, rows)
    patients = _patients(scored, rows)
    ratio = bootstrap(
        patients, lambda drawn: float(figures["pointing"][drawn].mean() / figures["chance"][drawn].mean())
    )
    means = {name: _mean(patients, values).rounded() for name, values in figures.items()}
    return LocalisationFigures(images=len(rows), **means, times_chance=ratio.rounded(2))


def localisation_gain(scored: Scored, other: Scored, finding: str, members: Mask) -> LocalisationFigures:
    """How much better the maps of `scored` point than those of `other` on the same images, paired, with intervals."""
    rows = _boxed(scored, finding, members)
    place = {example.name: index for index, example in enumerate(other.examples)}
    ours = _per_image(scored, finding, rows)
    theirs = _per_image(other, finding, [place[scored.examples[i].name] for i in rows])
    patients = _patients(scored, rows)
    gains = {name: ours[name] - theirs[name] for name in ("pointing", "average_precision", "iou")}
    return LocalisationFigures(
        images=len(rows), **{name: _mean(patients, gain).rounded() for name, gain in gains.items()}
    )


def _boxed(scored: Scored, finding: str, members: Mask) -> list[int]:
    boxed = [any(box.finding == finding for box in example.boxes) for example in scored.examples]
    rows: list[int] = np.flatnonzero(members & np.array(boxed)).tolist()
    return rows


def _patients(scored: Scored, rows: Sequence[int]) -> NDArray[np.str_]:
    return np.array([scored.examples[row].patient for row in rows])


def _per_image(scored: Scored, finding: str, rows: Sequence[int]) -> Columns:
    column, centre = scored.findings.index(finding), _centred_gaussian()
    boxes = [box_mask(scored.examples[row].boxes, finding, _GRID) > 0 for row in rows]
    maps = [resized(scored.maps[row, column], _GRID, _GRID) for row in rows]
    found = [localisation(map_, inside) for map_, inside in zip(maps, boxes, strict=True)]
    return {
        "pointing": np.array([one.pointing for one in found]),
        "chance": np.array([one.covered for one in found]),
        "average_precision": np.array([one.auprc for one in found]),
        "iou": np.array([one.iou for one in found]),
        "pointing_centre": np.array([localisation(centre, inside).pointing for inside in boxes]),
    }


def _mean(patients: NDArray[np.str_], values: NDArray[np.float64]) -> Estimate:
    def mean(drawn: NDArray[np.intp]) -> float:
        return float(values[drawn].mean())

    return bootstrap(patients, mean)


def _centred_gaussian() -> NDArray[np.float64]:
    axis = np.linspace(-1, 1, _GRID)
    return np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2))
