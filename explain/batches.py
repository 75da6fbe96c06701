"""A model is shown many images in batches; between two of them the work says how far it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.progress import Progress, silent

Floats = NDArray[np.float32]
Scores = Callable[[Floats], Floats]
"""Logits, shape (n, findings), of images, shape (n, *shape), 0 (black) .. 1 (white)."""

BATCH = 16
"""Images per call of a model: more only costs memory on a CPU."""
PASSES = "forward passes"
"""What explanations count."""


def in_batches(
    scores: Scores, images: Callable[[int, int], Floats], count: int, progress: Progress = silent
) -> NDArray[np.float32]:
    """Logits, shape (count, findings), where `images(start, end)` makes each batch just before it is needed."""
    answers = []
    for start in range(0, count, BATCH):
        progress(PASSES, start, count)
        answers.append(scores(images(start, min(count, start + BATCH))))
    progress(PASSES, count, count)
    return np.concatenate(answers)
