"""Where a finding comes from, and how far to trust that."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.domain.code import Code
from core.geometry import FloatMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A closed outline in source pixel space.

    `points`: float array, shape (n, 2), (column, row) with the DICOM convention that (0.0, 0.0) is the top left
    corner of the top left pixel (PS3.3 C.10.5.1.2); the first point equals the last. A region with a hole is one line
    that goes into the hole and comes back by the same way: what it encloses is the region without its holes.
    """

    points: NDArray[np.float32] = field(repr=False, compare=False)
    area_pixels: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness:
    """How far one map tells the truth about the model on this very image.

    `deletion_auc`: area under the probability, 0..1, while the map's highest regions are blurred away first (a true
    map makes it fall early: low is good). `insertion_auc`: the same while they are brought back first into the
    blurred image (high is good). Petsiuk et al., RISE, BMVC 2018. `null_percentile`: 0..100, the rank of insertion
    minus deletion among maps of this image that cannot know the model. `stability`: SSIM, -1..1, with the map after
    1 % noise or a shift of one pixel. `forward_passes`: what it cost. `sampled`: measured on a sample of the studies
    only, because this machine is slow; a study without figures was not drawn.
    """

    deletion_auc: float
    insertion_auc: float
    null_percentile: float
    stability: float
    forward_passes: int
    sampled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Saliency:
    """The region that influenced the model for one finding, in the source's rows and columns.

    `values`: float32, shape (rows, columns), 0..1. `mask`: bool, same shape, the part that counted most (what SEG
    and outlines show); empty where the map has no region, and `no_region` then says why ("diffuse: ...").
    `faithfulness`: None when not measured.
    `shown` is False when the map failed its gate: then no carrier shows it and the SR gives `withheld_reason`.
    """

    finding_name: str
    sop_instance_uid: str = field(repr=False)
    method: Code
    values: FloatMap = field(repr=False, compare=False)
    mask: NDArray[np.bool_] = field(repr=False, compare=False)
    regions: tuple[Region, ...] = ()
    parameters: dict[str, float | int | str] = field(default_factory=dict)
    faithfulness: Faithfulness | None = None
    shown: bool = True
    withheld_reason: str = ""
    no_region: str = ""
