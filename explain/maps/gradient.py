"""Maps from gradients: Grad-CAM, HiResCAM and integrated gradients, for models that torch can run.

All take a model that answers in numpy (`models.runtimes.torch_network.TorchNetwork`) and one image, shape (rows,
columns) or (slices, rows, columns); all give a map of that shape or of the feature layer's cells, >= 0 where the score
was raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from core.progress import Progress, silent
from explain.batches import BATCH, PASSES, Floats
from explain.perturbation import blurred, sized


class Layer(Protocol):
    """A feature layer: activations and gradients (channels, *cells); mirrored if it saw the image mirrored."""

    @property
    def activations(self) -> Floats: ...
    @property
    def gradients(self) -> Floats: ...
    @property
    def mirrored(self) -> bool: ...


class GradientModel(Protocol):
    """A model that can be asked for the slope of a score."""

    def gradients(self, images: Floats, finding: int) -> Floats:
        """Slope of a score at each pixel of images (n, *shape)."""

    def activations_and_gradients(self, image: Floats, finding: int) -> Sequence[Layer]:
        """The last feature layers of one image, each with the slope of the score at each cell."""


def grad_cam(model: GradientModel, image: Floats, finding: int) -> Floats:
    """Gradient-weighted class activation: channels weighted by their mean slope. Selvaraju et al., ICCV 2017."""

    def weighted(layer: Layer) -> Floats:
        weights = layer.gradients.mean(axis=tuple(range(1, layer.gradients.ndim)), keepdims=True)
        return np.asarray((layer.activations * weights).sum(0), np.float32)

    return _positive(model.activations_and_gradients(image, finding), weighted, image.shape)


def hires_cam(model: GradientModel, image: Floats, finding: int) -> Floats:
    """Activation times slope, cell by cell, so that only what was used shows. Draelos and Carin, 2020."""

    def weighted(layer: Layer) -> Floats:
        return np.asarray((layer.activations * layer.gradients).sum(0), np.float32)

    return _positive(model.activations_and_gradients(image, finding), weighted, image.shape)


def integrated_gradients(
    model: GradientModel, image: Floats, finding: int, *, steps: int = 20, progress: Progress = silent
) -> Floats:
    """Slope along the way from the blurred image to the image, times the difference. Sundararajan et al., ICML 2017.

    The midpoint rule over `steps`; the sum over the map is the change of the score, up to that rule's error. Only
    what raised the score is kept. Costs a forward and a backward pass for each step.
    """
    difference = image - blurred(image)
    at = ((np.arange(steps) + 0.5) / steps).reshape(-1, *[1] * image.ndim).astype(np.float32)
    total = np.zeros(image.shape, np.float64)
    for start in range(0, steps, BATCH):
        progress(PASSES, start, steps)
        total += model.gradients(image - (1 - at[start : start + BATCH]) * difference, finding).sum(0)
    progress(PASSES, steps, steps)
    return np.maximum(total / steps * difference, 0.0).astype(np.float32)


def _positive(layers: Sequence[Layer], weighted: Callable[[Layer], Floats], shape: tuple[int, ...]) -> Floats:
    maps = [np.flip(weighted(layer), -1) if layer.mirrored else weighted(layer) for layer in layers]
    return sized(np.maximum(np.mean(maps, axis=0), 0.0).astype(np.float32), shape)
