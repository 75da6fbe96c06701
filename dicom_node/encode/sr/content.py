"""Short spellings for the content items that our report uses, on highdicom's checked value types (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Iterable

import highdicom.sr as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.domain.explanation import Region
from dicom_node.encode.concepts import LOWER_LIMIT, NO_UNITS, UPPER_LIMIT

CONTAINS = hd.RelationshipTypeValues.CONTAINS
HAS_PROPERTIES = hd.RelationshipTypeValues.HAS_PROPERTIES
HAS_CONCEPT_MOD = hd.RelationshipTypeValues.HAS_CONCEPT_MOD
HAS_OBS_CONTEXT = hd.RelationshipTypeValues.HAS_OBS_CONTEXT
HAS_ACQ_CONTEXT = hd.RelationshipTypeValues.HAS_ACQ_CONTEXT
Relationship = hd.RelationshipTypeValues
DIGITS = 3
"""Decimals of a probability or rate: what a person can use, and more than the intervals allow."""
_MOST_DIGITS = 6
Interval = tuple[float, float]
Outline = NDArray[np.float64]


def container(
    name: hd.CodedConcept,
    children: Iterable[hd.ContentItem],
    *,
    relationship: Relationship | None = CONTAINS,
    template: str | None = None,
) -> hd.ContainerContentItem:
    """A CONTAINER with `children`, a line for each of them (SEPARATE); `relationship` is None for the root."""
    item = hd.ContainerContentItem(
        name=name, is_content_continuous=False, relationship_type=relationship, template_id=template
    )
    item.ContentSequence = Sequence(children)  # highdicom makes it a checked ContentSequence
    return item


def text(name: hd.CodedConcept, value: str, relationship: Relationship = CONTAINS) -> hd.TextContentItem:
    """A TEXT item."""
    return hd.TextContentItem(name=name, value=value, relationship_type=relationship)


def code(name: hd.CodedConcept, value: hd.CodedConcept, relationship: Relationship = CONTAINS) -> hd.CodeContentItem:
    """A CODE item."""
    return hd.CodeContentItem(name=name, value=value, relationship_type=relationship)


def number(
    name: hd.CodedConcept,
    value: float,
    *,
    unit: hd.CodedConcept = NO_UNITS,
    relationship: Relationship = CONTAINS,
    children: Iterable[hd.ContentItem] = (),
) -> hd.NumContentItem:
    """A NUM item; `children` are its properties."""
    item = hd.NumContentItem(name=name, value=value, unit=unit, relationship_type=relationship)
    if isinstance(value, int):
        item.MeasuredValueSequence[0].NumericValue = str(value)  # highdicom would write 34 studies as 34.0
    if children := list(children):
        item.ContentSequence = Sequence(children)
    return item


def apart(value: float, point: float) -> tuple[float, float]:
    """Both rounded, with more digits where the value would else seem to be on the other side of the point."""
    for digits in range(DIGITS, _MOST_DIGITS):
        rounded = round(value, digits), round(point, digits)
        if (rounded[0] >= rounded[1]) == (value >= point):
            return rounded
    return value, point


def interval(limits: Interval | None) -> list[hd.ContentItem]:
    """The 95 % interval of a NUM as its children (TID 310); empty when there is none."""
    if limits is None:
        return []
    low, high = (round(limit, DIGITS) for limit in limits)
    return [
        number(LOWER_LIMIT, low, relationship=HAS_PROPERTIES),
        number(UPPER_LIMIT, high, relationship=HAS_PROPERTIES),
    ]


def outline(region: Region, source: Dataset) -> Outline:
    """The closed outline as (column, row) pairs, shape (n, 2), kept inside the source's pixel matrix."""
    points = np.asarray(region.points, np.float64)
    if not np.array_equal(points[0], points[-1]):
        points = np.vstack([points, points[:1]])
    return np.clip(points, 0.0, (float(source.Columns), float(source.Rows)))
