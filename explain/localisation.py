"""How well a map finds what readers boxed: the pointing game, AUPRC and IoU, each with what chance would give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.statistics import average_precision
from explain.batches import Floats
from explain.perturbation import sized

AGAINST_CHANCE = {"pointing": "pointing_chance", "auprc": "auprc_chance", "iou": "iou_chance"}
PUBLISHED_PNEUMONIA_AUPRC = (0.160, 0.519)
"""Range over eight methods for pneumonia boxes (Arun et al., Radiology: Artificial Intelligence 2021)."""
GRID = 128
"""Maps and boxes are compared on a grid of so many cells along each axis."""


def measures(values: Floats, boxes: NDArray[np.bool_]) -> dict[str, float]:
    """Figures of one map (any grid over the square) against the union of boxes, bool (side, side).

    `pointing`: 1 where the map's highest cell is in a box. `auprc`: average precision of the map's cells. `iou`: of
    the boxes and the cells above half the map's range. Chance: a random point, a random order, and a random region of
    the same size as the map's.
    """
    fine = sized(np.asarray(values, np.float32), (GRID, GRID))
    inside = sized(boxes.astype(np.float32), (GRID, GRID)) >= 0.5
    mask = fine >= (fine.max() + fine.min()) / 2
    share, marked = float(inside.mean()), float(mask.mean())
    return {
        "pointing": float(inside.flat[int(fine.argmax())]),
        "pointing_chance": share,
        "auprc": average_precision(inside.ravel(), fine.ravel()),
        "auprc_chance": share,
        "iou": float((mask & inside).sum() / max(1, (mask | inside).sum())),
        "iou_chance": share * marked / max(1e-9, share + marked - share * marked),
    }
