"""Where the one frame of an enhanced CT or MR is: said in its functional groups, needed at the top (PS3.3 C.7.6.16).

highdicom places a segmentation or a Parametric Map by the attributes that a classic image has at its top level. An
enhanced image says the same per frame; with one frame that is a matter of moving four attributes.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

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
