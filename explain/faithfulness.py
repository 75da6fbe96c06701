"""How far one map tells the truth about the model on this very image, in at most 25 forward passes.

Deletion and insertion (Petsiuk et al., RISE, BMVC 2018): blur the map's highest regions away, or bring them back into
the blurred image, and watch the probability. A true map makes it fall early and come back early. What random maps
of the same smoothness reach on the same image is measured too, because a probability that falls whatever is blurred
says nothing of the map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain.explanation import Faithfulness
from core.progress import Progress, silent
from explain.batches import BATCH, PASSES, Floats
from explain.null_maps import null_maps
from explain.perturbation import blurred, noisy, shifted, sized
from explain.structure import similarity

Probabilities = Callable[[Floats], NDArray[np.float64]]
"""Calibrated probabilities of the finding, shape (n,), of images (n, *shape)."""
Again = Callable[[Floats], Floats]
"""The same method's maps, shape (n, *any), of images (n, *shape)."""

NULL_SHARE = 0.25
"""The share of the image at which null maps are compared; one of every budget's `shares`."""
STABILITY_PASSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How finely to measure. `shares`: of the image that is blurred or brought back; `nulls`: how many null maps.

    Costs `2 + 2 * shares + 2 * nulls` forward passes, and twice what the map itself costs for its stability.
    """

    shares: tuple[float, ...]
    nulls: int
    sampled: bool = False

    @property
    def forward_passes(self) -> int:
        """For a map that costs one pass."""
        return 2 + 2 * len(self.shares) + 2 * self.nulls + STABILITY_PASSES


STANDARD = Budget(shares=(0.1, NULL_SHARE, 0.5), nulls=7)
MORE = Budget(shares=(0.05, 0.1, 0.15, 0.2, NULL_SHARE, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), nulls=36)
LESS = Budget(shares=(NULL_SHARE,), nulls=4)
SAMPLED = Budget(shares=STANDARD.shares, nulls=STANDARD.nulls, sampled=True)
BUDGETS: dict[str, Budget] = {"less": LESS, "standard": STANDARD, "more": MORE, "sampled": SAMPLED}
"""By the word a setting says. `sampled` is for slow machines: the caller draws the studies, the figures say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Probabilities while the map's highest shares of the image are deleted or inserted; `shares` run from 0 to 1."""

    shares: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]

    @property
    def deletion_auc(self) -> float:
        return _area(self.shares, self.deletion)

    @property
    def insertion_auc(self) -> float:
        return _area(self.shares, self.insertion)

    @property
    def difference(self) -> float:
        """Insertion minus deletion AUC, -1..1."""
        return self.insertion_auc - self.deletion_auc


def measure(
    probabilities: Probabilities,
    again: Again,
    image: Floats,
    values: Floats,
    *,
    budget: Budget = STANDARD,
    seed: int = 1,
    passes_per_map: int = 1,
    progress: Progress = silent,
) -> Faithfulness:
    """The figures of the map `values` (any grid over the whole image) of `image` (*shape), 0..1.

    `again` makes the same map of the two slightly changed images; it costs `passes_per_map` forward passes each.
    """
    fine = sized(values, image.shape)
    nulls = [sized(null, image.shape) for null in null_maps(values, budget.nulls, seed=seed)]
    own, others = curves_of(probabilities, image, fine, nulls, budget.shares, progress=progress)
    return Faithfulness(
        deletion_auc=own.deletion_auc,
        insertion_auc=own.insertion_auc,
        null_percentile=percentile(_at_null_share(own), [other.difference for other in others]),
        stability=stability(again, image, values, seed=seed),
        forward_passes=2 + 2 * len(budget.shares) + 2 * budget.nulls + STABILITY_PASSES * passes_per_map,
        sampled=budget.sampled,
    )


def curves_of(
    probabilities: Probabilities,
    image: Floats,
    values: Floats,
    nulls: list[Floats],
    shares: tuple[float, ...],
    *,
    progress: Progress = silent,
) -> tuple[Curves, list[Curves]]:
    """Curves of a map at `shares`, and of null maps at `NULL_SHARE`, all of the image's shape; passes are batched."""
    hidden = blurred(image)
    masks = [*(highest(values, share) for share in shares), *(highest(null, NULL_SHARE) for null in nulls)]
    jobs: list[tuple[Floats, Floats, NDArray[np.bool_] | None]] = [(image, hidden, None), (hidden, image, None)]
    jobs += [job for mask in masks for job in ((image, hidden, mask), (hidden, image, mask))]
    answers: list[float] = []
    for start in range(0, len(jobs), BATCH):
        progress(PASSES, start, len(jobs))
        batch = [kept if mask is None else np.where(mask, put, kept) for kept, put, mask in jobs[start : start + BATCH]]
        answers += probabilities(np.stack(batch).astype(np.float32)).tolist()
    whole, none, *rest = answers
    pairs = list(zip(rest[::2], rest[1::2], strict=True))
    own = _curves(whole, none, shares, pairs[: len(shares)])
    return own, [_curves(whole, none, (NULL_SHARE,), [pair]) for pair in pairs[len(shares) :]]


def highest(values: Floats, share: float) -> NDArray[np.bool_]:
    """The pixels with the highest `share` of values; ties go to those that come first, so the share is exact."""
    count = round(share * values.size)
    mask = np.zeros(values.size, np.bool_)
    mask[np.argsort(-values.reshape(-1), kind="stable")[:count]] = True
    return mask.reshape(values.shape)


def percentile(value: float, others: list[float]) -> float:
    """0..100: the share of `others` below `value`, ties counted half; 50 when there is nothing to rank against."""
    if not others:
        return 50.0
    ranks = [1.0 if other < value else 0.5 if other == value else 0.0 for other in others]
    return 100.0 * sum(ranks) / len(ranks)


def stability(again: Again, image: Floats, values: Floats, *, seed: int) -> float:
    """Mean SSIM of the map with those after 1 % noise and after a shift of one pixel, which is undone on the map."""
    noise, shift = again(np.stack([noisy(image, seed=seed), shifted(image, 1)]))
    back = shifted(sized(shift, image.shape), -1)
    return (similarity(values, noise) + similarity(sized(values, image.shape), back)) / 2


def _curves(whole: float, none: float, shares: tuple[float, ...], pairs: list[tuple[float, float]]) -> Curves:
    deleted, inserted = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    return Curves(shares=(0.0, *shares, 1.0), deletion=(whole, *deleted, none), insertion=(none, *inserted, whole))


def _at_null_share(own: Curves) -> float:
    """The map's insertion minus deletion, measured no finer than that of the null maps."""
    at = own.shares.index(NULL_SHARE)
    pair = (own.deletion[at], own.insertion[at])
    return _curves(own.deletion[0], own.deletion[-1], (NULL_SHARE,), [pair]).difference


def _area(shares: tuple[float, ...], values: tuple[float, ...]) -> float:
    return float(np.trapezoid(values, shares))
