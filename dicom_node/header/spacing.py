"""How far apart the pixels of an image are, where its header can be believed."""

from __future__ import annotations

from collections.abc import Sequence

from dicom_node.header.values import Values

_IN_MM = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
SMALLEST_MM, LARGEST_MM, LARGEST_RATIO = 0.01, 10.0, 4.0


def read_spacing(parts: Sequence[Values]) -> tuple[float, float]:
    """Distance of rows and of columns in mm, (1, 1) when nothing is said; from the aspect ratio only their relation.

    `parts`: the most specific first. What no device makes is ignored and noted: it would stretch the image into a
    square of gigabytes.
    """
    for keyword in (*_IN_MM, "PixelAspectRatio"):
        for part in parts:
            spacing = part.numbers(keyword)
            if len(spacing) != 2 or min(spacing) <= 0:
                continue
            if _is_plausible(spacing, in_mm=keyword in _IN_MM):
                return spacing[0], spacing[1]
            part.note(f"{keyword} is not one that a device makes, so it is not used")
    return 1.0, 1.0


def _is_plausible(spacing: Sequence[float], *, in_mm: bool) -> bool:
    smallest, largest = min(spacing), max(spacing)
    return largest <= LARGEST_RATIO * smallest and (not in_mm or (smallest >= SMALLEST_MM and largest <= LARGEST_MM))
