"""Where an image is: of an enhanced CT or MR in its functional groups, of a radiograph nowhere (PS3.3 C.7.6.16).

highdicom places a segmentation or a Parametric Map by the attributes that a classic image has at its top level. An
enhanced image says the same per frame; with one frame that is a matter of moving four attributes.

A radiograph has no place in a patient's space. Viewers show a segmentation only where it has one, so the plane of its
pixels becomes a Frame of Reference of its own, under a UID derived from the image: the same in every result.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_node.encode.uids import derive_uid

_PLANE = {
    "ImagePositionPatient": [0.0, 0.0, 0.0],
    "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    "SliceThickness": 1.0,  # type 1C in Pixel Measures; a projection has none
}
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_WHERE = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
}


def space_of_single_frame(raw: Dataset) -> dict[str, str]:
    """Position, orientation, spacing and thickness out of the functional groups, as text; empty unless one frame."""
    try:
        if len(raw.get(GROUPS[1]) or ()) != 1:
            return {}
        return dict(_found(raw))
    except (AttributeError, KeyError, ValueError, TypeError, IndexError):
        return {}  # malformed groups place nothing


def _found(raw: Dataset) -> Iterator[tuple[str, str]]:
    for group in (raw[name].value[0] for name in GROUPS if raw.get(name)):
        for macro, keywords in _WHERE.items():
            for item in group.get(macro) or ():
                yield from ((keyword, _text(item[keyword].value)) for keyword in keywords if keyword in item)


def _text(value: object) -> str:
    return "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)


def in_its_own_plane(source: Dataset) -> Dataset:
    """The header with a Frame of Reference: the image's where it has one, else that of the plane of its pixels."""
    if "FrameOfReferenceUID" in source:
        return source
    placed = Dataset()
    placed.update(source)
    placed.FrameOfReferenceUID = derive_uid("frame of reference", str(source.SOPInstanceUID))
    for keyword, value in _PLANE.items():
        setattr(placed, keyword, value)
    placed.PixelSpacing = _spacing(source)
    return placed


def _spacing(source: Dataset) -> list[float]:
    """Millimetres between rows and columns as far as the image says, else the shape of its pixels."""
    said = source.get("PixelSpacing") or source.get("ImagerPixelSpacing") or source.get("PixelAspectRatio") or (1, 1)
    return [float(value) for value in said]
