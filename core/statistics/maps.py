"""How well a map finds what readers boxed: the pointing game, average precision and intersection over union."""

from __future__ import annotations

from dataclasses import dataclass

from core.statistics.estimate import Floats, Truths
from core.statistics.ranking import average_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Localisation:
    """How well one map finds the boxes; `covered` and `marked` are the shares of the image in boxes and in the region.

    `pointing`: 1.0 where the map's highest cell is in a box (Zhang et al., IJCV 2018), else 0.0. `auprc`: average
    precision of the cells. `iou`: intersection over union of boxes and region (Everingham et al., IJCV 2010).
    """

    pointing: float
    auprc: float
    iou: float
    covered: float
    marked: float

    @property
    def iou_by_chance(self) -> float:
        """The IoU of a random region of the same size; a random point or order is right in `covered` of the image."""
        both = self.covered * self.marked
        return both / max(1e-9, self.covered + self.marked - both)


def localisation(values: Floats, boxes: Truths) -> Localisation:
    """Compare a map with the union of readers' boxes, both on one grid (rows, columns).

    The region is where the map is at or above half its range, as reports draw it. A flat map has no region.
    """
    low, high = values.min(), values.max()
    region = (values >= (low + high) / 2) & (high > low)
    return Localisation(
        pointing=float(boxes.flat[int(values.argmax())]),
        auprc=average_precision(boxes.ravel(), values.ravel()),
        iou=float((region & boxes).sum() / max(1, (region | boxes).sum())),
        covered=float(boxes.mean()),
        marked=float(region.mean()),
    )
