"""Which part of a map is its region: what is above the level, without specks, or nothing when that is no place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]

LARGEST_SHARE = 0.4
"""Of the image: what covers more of it is everywhere, and an outline of it would run round what did not count."""
SMALLEST_SHARE = 0.01
"""Of the image: smaller islands are dropped."""
_COMPACT_SHARE = 0.5
_EVERY_NEIGHBOUR = np.ones((3, 3), np.int8)


def region_of(above: Mask) -> tuple[Mask, str]:
    """The region in `above`, shape (rows, columns), and "", or an empty mask and why there is none.

    Islands under `SMALLEST_SHARE` of the image are dropped. A map of which nothing else is left keeps the largest when
    that is most of it (a small finding), else it is scattered.
    """
    kept = _without_islands(above)
    share = float(kept.mean())
    if share > LARGEST_SHARE:
        return np.zeros_like(above), f"diffuse: it would cover {100 * share:.0f} % of the image"
    if above.any() and not kept.any():
        return kept, "scattered: no part of it is larger than a hundredth of the image"
    return kept, ""


def _without_islands(above: Mask) -> Mask:
    labels, count = ndimage.label(above, _EVERY_NEIGHBOUR)
    if count == 0:
        return above
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    keep = sizes >= SMALLEST_SHARE * above.size
    if not keep.any() and sizes.max() >= _COMPACT_SHARE * sizes.sum():
        keep[sizes.argmax()] = True
    return np.asarray(keep[labels], np.bool_)
