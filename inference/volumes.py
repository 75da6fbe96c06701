"""A series as one volume: its slices in the order of their positions, or why they are none.

The order is that of the positions along the normal of the slices, never of instance numbers or of arrival. Slices that
are not evenly spaced, or differ in matrix, spacing or orientation, are no volume: a gap is never closed in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.domain.input import Geometry, ModelInput
from core.domain.study import Instance
from models.package.described_input import FEWEST_SLICES, InputDescription

_SAME_ORIENTATION = 1e-3
_SAME_STEP = 0.05  # of a step
_LARGEST_TILT_DEGREES = 0.5


def volume_of(instances: Sequence[Instance], described: InputDescription) -> ModelInput | str:
    """The input that the slices of one series are, else the reason why they are none."""
    if reason := _why_no_stack(instances):
        return reason
    first = instances[0]
    along_row, along_column = np.array(first.image_orientation_patient).reshape(2, 3)
    normal = np.cross(along_row, along_column)
    ordered = sorted(instances, key=lambda instance: float(np.dot(instance.image_position_patient, normal)))
    places = np.array([instance.image_position_patient for instance in ordered])
    if reason := _why_uneven(places, normal):
        return reason
    if described.slices not in (0, len(ordered)):
        return f"the model takes {described.slices} slices, and the series has {len(ordered)}"
    step = float(np.linalg.norm(places[-1] - places[0])) / (len(ordered) - 1)
    row_mm, column_mm = first.pixel_spacing
    a, b, c, d, e, f = first.image_orientation_patient
    x, y, z = ordered[0].image_position_patient
    geometry = Geometry(
        rows=first.rows,
        columns=first.columns,
        slices=len(ordered),
        spacing=(step, row_mm, column_mm),
        orientation=(a, b, c, d, e, f),
        origin=(x, y, z),
    )
    return ModelInput(instances=tuple(ordered), geometry=geometry, prepared_as=described.prepared_as)


def _why_no_stack(instances: Sequence[Instance]) -> str:
    """Why these images cannot lie on one another, "" when they can."""
    if len(instances) < FEWEST_SLICES:
        return f"the series has {len(instances)} slices, and a volume at least {FEWEST_SLICES}"
    if any(not (i.image_position_patient and i.image_orientation_patient and i.pixel_spacing) for i in instances):
        return "a slice does not say where it is in the patient"
    same: list[tuple[str, Callable[[Instance], object]]] = [
        ("matrix", lambda instance: (instance.rows, instance.columns)),
        ("pixel spacing", lambda instance: instance.pixel_spacing),
        ("Frame of Reference", lambda instance: instance.frame_of_reference_uid),
    ]
    for words, value in same:
        if len({value(instance) for instance in instances}) > 1:
            return f"the slices differ in their {words}"
    cosines = np.array([instance.image_orientation_patient for instance in instances])
    if np.abs(cosines - cosines[0]).max() > _SAME_ORIENTATION:
        return "the slices differ in their orientation"
    return ""


def _why_uneven(places: NDArray[np.float64], normal: NDArray[np.float64]) -> str:
    """Why ordered positions, shape (slices, 3), are no evenly spaced stack, "" when they are one."""
    heights = places @ normal
    step = (heights[-1] - heights[0]) / (len(heights) - 1)
    if step <= 0 or np.isclose(np.diff(heights), 0.0, atol=_SAME_STEP * step).any():
        return "several slices are at the same place"
    line = places[0] + np.linspace(0.0, 1.0, len(places))[:, np.newaxis] * (places[-1] - places[0])
    if np.linalg.norm(places - line, axis=1).max() > _SAME_STEP * step:
        return "the slices are not evenly spaced: one is missing, or they are not one stack"
    direction = (places[-1] - places[0]) / np.linalg.norm(places[-1] - places[0])
    if np.degrees(np.arccos(np.clip(direction @ normal, -1.0, 1.0))) > _LARGEST_TILT_DEGREES:
        return "the slices are tilted against the direction in which they follow each other"
    return ""
