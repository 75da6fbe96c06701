"""Maps for models of which nothing is known but their scores: occlusion, RISE and SHAP.

Each takes `scores` (images (n, *shape) -> logits (n, findings)), one image of two or three dimensions, the number of a
finding and a seed, and gives a map of the image's shape, >= 0 where the image raised the score. They run the model
hundreds of times, tell how far they are, and can be cancelled.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from core.progress import Progress, silent
from explain.batches import PASSES, Floats, Scores, in_batches
from explain.perturbation import blurred, sized


def occlusion(
    scores: Scores, image: Floats, finding: int, *, cells: int = 14, progress: Progress = silent
) -> tuple[Floats, int]:
    """How much the score falls when a window is blurred away, for each of `cells` windows along each axis.

    Zeiler and Fergus, ECCV 2014. Costs one forward pass per window and one more. Returns the map and the passes.
    """
    hidden = blurred(image)
    edges = [np.linspace(0, length, cells + 1).round().astype(int) for length in image.shape]
    places = list(itertools.product(range(cells), repeat=image.ndim))

    def covered(start: int, end: int) -> Floats:
        batch = np.repeat(image[np.newaxis], end - start, axis=0)
        for row, place in enumerate(places[start:end]):
            window = tuple(slice(edge[i], edge[i + 1]) for edge, i in zip(edges, place, strict=True))
            batch[row][window] = hidden[window]
        return batch

    whole = float(scores(image[np.newaxis])[0, finding])
    falls = whole - in_batches(scores, covered, len(places), progress)[:, finding]
    grid = np.maximum(falls, 0.0).reshape([cells] * image.ndim)
    values = np.zeros(image.shape, np.float32)
    for place in places:
        values[tuple(slice(edge[i], edge[i + 1]) for edge, i in zip(edges, place, strict=True))] = grid[place]
    return values, len(places) + 1


def rise(
    scores: Scores,
    image: Floats,
    finding: int,
    *,
    masks: int = 400,
    cells: int = 8,
    seed: int = 1,
    progress: Progress = silent,
) -> tuple[Floats, int]:
    """Mean of random masks, weighted by the score of what they let through. Petsiuk et al., BMVC 2018.

    Half of the cells of each mask is open, enlarged linearly and moved by a random part of a cell; what is covered is
    blurred rather than black. Weights are centred on their mean, which takes out the masks' own unevenness. Costs
    `masks` forward passes.
    """
    random = np.random.default_rng(seed)
    hidden = blurred(image)
    seeds = random.integers(0, 2**31, masks)

    def opened(start: int, end: int) -> Floats:
        return np.stack([_mask(image.shape, cells, int(each)) for each in seeds[start:end]])

    def shown(start: int, end: int) -> Floats:
        open_ = opened(start, end)
        return (open_ * image + (1 - open_) * hidden).astype(np.float32)

    answers = in_batches(scores, shown, masks, progress)[:, finding]
    weights = answers - answers.mean()
    total = np.zeros(image.shape, np.float64)
    for start in range(0, masks, 16):
        end = min(masks, start + 16)
        total += np.tensordot(weights[start:end], opened(start, end), 1)
    return np.maximum(total / masks, 0.0).astype(np.float32), masks


def shap_partition(
    scores: Scores, image: Floats, finding: int, *, passes: int = 500, seed: int = 1, progress: Progress = silent
) -> tuple[Floats, int]:
    """Owen values of image regions, halved again and again where they matter. Lundberg and Lee, NeurIPS 2017.

    The library's partition explainer with an image masker that blurs; of two dimensions, because its masker knows
    no volumes, so a volume is laid out as one tall image whose slices lie below each other. Costs about `passes`.
    """
    import shap  # type: ignore[import-untyped]  # slow to import

    flat = image.reshape(-1, image.shape[-1])
    hidden = blurred(image).reshape(flat.shape)
    done = 0

    def answers(batch: NDArray[np.floating]) -> NDArray[np.float32]:
        nonlocal done
        progress(PASSES, min(done, passes), passes)
        given = np.asarray(batch, np.float32)[..., 0].reshape(-1, *image.shape)
        done += len(given)
        return scores(given)[:, finding : finding + 1]

    with _seeded(seed):
        masker = shap.maskers.Image(hidden[..., np.newaxis], (*flat.shape, 1))
        explainer = shap.PartitionExplainer(answers, masker)
        found = explainer(flat[np.newaxis, ..., np.newaxis], max_evals=passes, batch_size=16, silent=True)
    progress(PASSES, passes, passes)
    return np.maximum(found.values[0, ..., 0, 0].reshape(image.shape), 0.0).astype(np.float32), done


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The library draws from numpy's global generator: seed it, and leave it as it was found."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def _mask(shape: tuple[int, ...], cells: int, seed: int) -> Floats:
    random = np.random.default_rng(seed)
    grid = (random.random([cells + 1] * len(shape)) < 0.5).astype(np.float32)
    steps = [-(-length // cells) for length in shape]
    large = sized(grid, tuple(step * (cells + 1) for step in steps))
    corner = [int(random.integers(0, step)) for step in steps]
    return large[tuple(slice(at, at + length) for at, length in zip(corner, shape, strict=True))]
