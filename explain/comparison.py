"""Methods side by side on the images that readers boxed: how well each finds the boxes, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.progress import Progress, silent
from core.statistics.estimate import Estimate
from core.statistics.resampling import bootstrap
from explain.explanation import Parameters, map_of
from explain.gate.document import Chance, ComparedMethod, Comparison
from explain.localisation import AGAINST_CHANCE, PUBLISHED_PNEUMONIA_AUPRC, measures
from explain.maps.methods import METHODS
from explain.subject import Subject

BUDGET: dict[str, Parameters] = {
    "class_activation": {},
    "grad_cam": {},
    "hires_cam": {},
    "integrated_gradients": {"steps": 8},
    "occlusion": {"cells": 7},
    "rise": {"masks": 64},
    "shap": {"passes": 64},
}
"""What the comparison spends on one image: less than on demand, so that it ends in minutes; the table says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxed:
    """One image as a subject, with the union of a finding's boxes, bool (side, side)."""

    subject: Subject
    patient: str = field(repr=False)
    boxes: NDArray[np.bool_]


def compare(
    boxed: Sequence[Boxed],
    finding: str,
    *,
    budget: dict[str, Parameters] | None = None,
    seed: int = 1,
    progress: Progress = silent,
) -> Comparison:
    """Pointing game, AUPRC and IoU of each method over `boxed`, with intervals by bootstrap over patients.

    `gain_per_pass`: AUPRC above chance for each forward pass (a backward pass counts as one). `progress` counts maps.
    """
    spent = BUDGET if budget is None else budget
    patients = np.array([one.patient for one in boxed])
    rows = []
    for number, (name, changes) in enumerate(spent.items()):
        settings = {**METHODS[name].parameters, **changes}
        found, passes = [], 0
        for done, one in enumerate(boxed):
            progress("maps", number * len(boxed) + done, len(spent) * len(boxed))
            values, passes = map_of(one.subject, one.subject.square, finding, METHODS[name], settings, seed=seed)
            found.append(measures(values, one.boxes))
        rows.append(_row(name, settings, passes, found, patients))
    progress("maps", len(spent) * len(boxed), len(spent) * len(boxed))
    return Comparison(
        finding=finding,
        images=len(boxed),
        patients=len(set(patients.tolist())),
        published_pneumonia_auprc=PUBLISHED_PNEUMONIA_AUPRC,
        methods=tuple(rows),
        most_per_pass=max(rows, key=lambda row: row.gain_per_pass).method,
    )


def _row(
    name: str, settings: Parameters, passes: int, found: list[dict[str, float]], patients: NDArray[np.str_]
) -> ComparedMethod:
    columns = {key: np.array([one[key] for one in found]) for key in found[0]}
    gain = float((columns["auprc"] - columns["auprc_chance"]).mean())
    estimates = {key: _mean(patients, columns[key]).rounded() for key in AGAINST_CHANCE}
    chances = {key: round(float(columns[chance].mean()), 4) for key, chance in AGAINST_CHANCE.items()}
    return ComparedMethod(
        method=name,
        parameters=settings,
        forward_passes=passes,
        **estimates,
        chance=Chance(**chances),
        gain_per_pass=round(gain / passes, 5),
    )


def _mean(patients: NDArray[np.str_], values: NDArray[np.float64]) -> Estimate:
    def mean(drawn: NDArray[np.intp]) -> float:
        return float(values[drawn].mean())

    return bootstrap(patients, mean)
