"""Long methods tell how far they are, and stop when nobody wants their answer any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import Cancelled

Floats = NDArray[np.float32]
Scores = Callable[[Floats], Floats]
"""Logits, shape (n, findings), of images, shape (n, *shape), 0 (black) .. 1 (white)."""

BATCH = 16
"""Images per call of a model: more only costs memory on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told `progress(forward passes done, in all)` and asked `cancelled()` between batches."""

    progress: Callable[[int, int], None] | None = None
    cancelled: Callable[[], bool] | None = None

    def look(self, done: int, total: int) -> None:
        """Tell how far it is; raises Cancelled when the answer is not wanted any more."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled(f"the explanation was cancelled after {done} of {total} forward passes")
        if self.progress is not None:
            self.progress(done, total)


UNWATCHED = Watch()


def in_batches(
    scores: Scores, images: Callable[[int, int], Floats], count: int, watch: Watch = UNWATCHED
) -> NDArray[np.float32]:
    """Logits, shape (count, findings), where `images(start, end)` makes each batch just before it is needed."""
    answers = []
    for start in range(0, count, BATCH):
        watch.look(start, count)
        answers.append(scores(images(start, min(count, start + BATCH))))
    watch.look(count, count)
    return np.concatenate(answers)
