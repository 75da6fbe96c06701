"""Where an image comes from: an original, a processed copy, raw data, a capture; the best of each exposure is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from core.domain.study import Instance

_FOR_PROCESSING, _FOR_PRESENTATION = "FOR PROCESSING", "FOR PRESENTATION"
_RAW_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.1.{number}.1" for number in (1, 2, 3))  # DX, MG, IO for processing
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and the multi-frame classes below it
_RAW_WORDS = re.compile(r"RAW([ _]?(DATA|IMAGE))?|FOR[ _]PROCESSING|UNPROCESSED")
_PARTS_OF_A_PICTURE = ("BONE", "SOFT", "SUBTRACT", "DIFFERENCE", "SUPPRESS", "ENHANC", "CAD", "REFORMATTED")

ORIGINAL, PROCESSED, RAW, CAPTURE = range(4)
"""Ranks, the preferred one first; PROCESSED is derived and primary, as many devices call what they show."""


def rank(image: Instance) -> int:
    """What an image is by Image Type (PS3.3 C.7.6.1.1.2), SOP class and Presentation Intent Type."""
    kind = [value.upper() for value in image.image_type]
    is_part = any(word in value for value in kind[2:] for word in _PARTS_OF_A_PICTURE)
    if image.sop_class_uid.startswith(_SECONDARY_CAPTURE) or "SECONDARY" in kind[1:2] or is_part:
        return CAPTURE
    if is_raw(image):
        return RAW
    return PROCESSED if "DERIVED" in kind[:1] else ORIGINAL


def is_raw(image: Instance) -> bool:
    """Whether this is raw data: no viewer shows it so, and models were not trained on it.

    A CR has no Presentation Intent Type: there a device says it in a later value of Image Type.
    """
    is_said = any(_RAW_WORDS.fullmatch(value.upper()) for value in image.image_type[2:])
    return is_said or _intent(image) == _FOR_PROCESSING or image.sop_class_uid in _RAW_CLASSES


def why_another_is_read(image: Instance, fitting: Iterable[Instance]) -> str:
    """Why a better image of the same exposure is read instead, "" when there is none; `fitting`: all that would do."""
    mine = rank(image)
    better = [other for other in fitting if rank(other) < mine]
    if mine == CAPTURE and better:
        return "it is a secondary or partial image, and an original of the study is read"
    if mine == RAW and any(_is_shown(other) and _is_same_exposure(image, other) for other in better):
        return "the same image made for presentation is read"
    if mine == PROCESSED and any(_is_same_exposure(image, other) for other in better):
        return "it is derived, and the original of the same view is read"
    return ""


def limits_of_origin(image: Instance) -> Iterator[str]:
    """What a report says of an image that is read for want of a better one."""
    if is_raw(image):
        yield "The image is raw data (FOR PROCESSING), which models are not trained on: its result may be wrong"
    elif rank(image) == CAPTURE:
        yield "The image is a secondary or partial one (Image Type): it may differ from what the device recorded"


def _intent(image: Instance) -> str:
    return " ".join(image.presentation_intent_type.upper().replace("_", " ").split())


def _is_shown(image: Instance) -> bool:
    return _intent(image) in ("", _FOR_PRESENTATION)


def _is_same_exposure(one: Instance, other: Instance) -> bool:
    """Whether two images may be of one exposure: taken at the same time as far as they say, with the same view."""
    moments = {image.acquired_at for image in (one, other) if image.acquired_at is not None}
    names = ("view_position", "image_laterality")
    return len(moments) < 2 and all(getattr(one, name) == getattr(other, name) for name in names)
