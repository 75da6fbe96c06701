"""What a package declares about its graph, applied: from a square image to the input, from the output to logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.geometry import resized
from models.package.described_input import InputDescription

_CLOSEST = 1e-6  # to 0 or 1 that a probability counts
_TYPES = {"tensor(float16)": np.float16, "tensor(double)": np.float64}  # as ONNX Runtime names them

Floats = NDArray[np.float32]


def prepare(arrays: Floats, reads: InputDescription) -> Floats:
    """The input of the graph: sized, brought to its range, repeated for each channel, normalised.

    `arrays`: 0 (black) .. 1 (white), shape (n, 1, rows, columns), of volumes (n, 1, slices, rows, columns).
    """
    if reads.size and arrays.shape[2:] != (reads.size, reads.size):
        arrays = np.stack([resized(image[0], reads.size, reads.size)[np.newaxis] for image in arrays])
    black, white = reads.range
    if (black, white) != (0.0, 1.0):
        arrays = black + (white - black) * arrays
    if reads.channels > 1:
        arrays = np.repeat(arrays, reads.channels, axis=1)
    if reads.mean:
        mean, std = (np.array(values, np.float32).reshape(1, -1, 1, 1) for values in (reads.mean, reads.std))
        arrays = (arrays - mean) / std
    if reads.layout == "NHWC":
        arrays = np.moveaxis(arrays, 1, -1)
    return np.ascontiguousarray(arrays, np.float32)


def in_type(arrays: Floats, name: str) -> NDArray[Any]:
    """The input in the type that the graph takes, as ONNX Runtime names it; whole numbers are rounded, 0..255."""
    if name == "tensor(uint8)":
        return np.clip(np.rint(arrays), 0, 255).astype(np.uint8)
    return arrays.astype(_TYPES.get(name, np.float32))


def logits_of(scores: NDArray[Any], reads: InputDescription) -> Floats:
    """Logits of what the graph gives, shape (n, findings); ValueError for "probabilities" outside 0..1.

    Scores may also have the shape (n) or (n, findings, 1, 1).
    """
    scores = scores.reshape(len(scores), -1)
    if reads.activation == "sigmoid":
        return scores.astype(np.float32)
    values = scores.astype(np.float64)
    if reads.activation == "softmax":
        shares = np.exp(values - values.max(axis=1, keepdims=True))
        values = shares / shares.sum(axis=1, keepdims=True)
    elif np.any((values < -_CLOSEST) | (values > 1 + _CLOSEST)):
        raise ValueError("the outputs are declared as probabilities (activation none), and are not within 0..1")
    clipped = np.clip(values, _CLOSEST, 1 - _CLOSEST)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float32)
