"""Maps that cannot know the model: what a real map has to beat on the same image.

Two kinds. `surrogate`: the map's own amplitude spectrum with random phases (Theiler et al., Physica D 1992), so as
smooth and as patchy as the map, but anywhere. `centred`: one Gaussian in the middle, because the middle of a
radiograph is where things are and a map need know nothing to point there. Maps of other findings are not taken: they
know the model and the image, and findings overlap.
"""

from __future__ import annotations

import numpy as np

from explain.batches import Floats


def surrogate(values: Floats, seed: int) -> Floats:
    """A random map with the amplitude spectrum of `values`, of any number of dimensions."""
    phases = np.fft.rfftn(np.random.default_rng(seed).normal(size=values.shape))
    spectrum = np.abs(np.fft.rfftn(values - values.mean()))
    drawn = np.fft.irfftn(spectrum * phases / np.maximum(np.abs(phases), 1e-12), values.shape, range(values.ndim))
    return np.asarray(drawn, np.float32)


def centred(shape: tuple[int, ...]) -> Floats:
    """A Gaussian in the middle whose width (sigma) is a quarter of each side."""
    axes = [(np.arange(length) + 0.5) / length * 4.0 - 2.0 for length in shape]
    squares = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))
    return np.exp(-np.asarray(squares) / 2.0).astype(np.float32)


def null_maps(values: Floats, count: int, *, seed: int) -> list[Floats]:
    """`count` maps against which `values` is ranked: the centred one, and surrogates."""
    drawn = [surrogate(values, seed + number) for number in range(max(0, count - 1))]
    return [centred(values.shape), *drawn][:count]
