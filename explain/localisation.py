"""How well a map finds what readers boxed: the pointing game, AUPRC and IoU, each with what chance would give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.statistics.maps import localisation
from explain.batches import Floats
from explain.perturbation import sized

AGAINST_CHANCE = {"pointing": "pointing_chance", "auprc": "auprc_chance", "iou": "iou_chance"}
PUBLISHED_PNEUMONIA_AUPRC = (0.160, 0.519)
"""Range over eight methods for pneumonia boxes (Arun et al., Radiology: Artificial Intelligence 2021)."""
GRID = 128
"""Maps and boxes are compared on a grid of so many cells along each axis."""


def measures(values: Floats, boxes: NDArray[np.bool_]) -> dict[str, float]:
    """Figures of one map (any grid over the square) against the union of boxes, bool (side, side).

    As `core.statistics.maps.localisation` defines them, each with what chance gives: a random point, a random order,
    and a random region of the same size as the map's.
    """
    fine = sized(np.asarray(values, np.float32), (GRID, GRID))
    found = localisation(fine, sized(boxes.astype(np.float32), (GRID, GRID)) >= 0.5)
    return {
        "pointing": found.pointing,
        "pointing_chance": found.covered,
        "auprc": found.auprc,
        "auprc_chance": found.covered,
        "iou": found.iou,
        "iou_chance": found.iou_by_chance,
    }
