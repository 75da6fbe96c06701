"""Whether an image shows what a model reads: the body part and the view, by codes before words.

A code that says another part or view than the word next to it is a contradiction: what may be ours is then not
analysed, and never passed over in silence. Patient Orientation comes before the words of a description (PS3.3
C.7.6.1.1.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.domain.report import ReportStatus
from core.domain.study import Instance
from inference.terms import BODY_PARTS, MODALITIES, VIEWS, body_part_of, is_one_of, term
from models.package.format import Accepts

FRONTAL = "FRONTAL"
_LATERALS = frozenset({"LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT"})
_WORD = r"(?<![^\W\d_])(?:{part})?(?:%s)(?:{part})?(?![^\W\d_])".format(part="CHEST|THORAX|TORAX|CXR")
"""A word of its own, or joined with the body part."""
_FRONTAL_WORD = re.compile(_WORD % "PA|AP|FRONTAL", re.IGNORECASE)
_SAYS = {
    "a lateral": re.compile(
        _WORD % "LAT|LATERAL|LATERALE|LATERALES|LATEROLATERAL|LATEROLATERALE|LL|LLAT|RLAT|PROFIL|PERFIL|SEITLICH|SEITL|"
        "BOCZNE|BOCZNA|BOČNÍ|BOCNI|DWARS|ZIJDELINGS|БОКОВАЯ|ΠΛΑΓΙΑ" + "|侧位|側位|側面",
        re.IGNORECASE,
    ),
    "an oblique view": re.compile(_WORD % "OBL|OBLIQUE|LAO|RAO|LPO|RPO", re.IGNORECASE),
    "a decubitus view": re.compile(_WORD % "DECUB|DECUBITUS|LLD|RLD", re.IGNORECASE),
}
_UNKNOWN_WORDS = (
    "the body part is given in words that are not known here; name them in the setting body_part_words if it is ours"
)


def why_not_the_part(image: Instance, accepts: Accepts) -> tuple[ReportStatus, str] | None:
    """Why this is no image of what the model reads, None when it is one."""
    if image.modality not in accepts.modalities:
        return ReportStatus.REFUSED, f"no model takes modality {term(image.modality, MODALITIES)}"
    coded, words = image.anatomic_region, image.body_part_examined.upper()
    if is_one_of(coded, accepts.body_parts):
        return None
    named = body_part_of(words, accepts.body_part_words)
    if coded and named != coded and is_one_of(named, accepts.body_parts):
        reason = f"the body part is {term(coded, BODY_PARTS)} by its code and {named} by its word"
        return ReportStatus.NOT_ANALYSED, reason
    if coded or (named in BODY_PARTS and not is_one_of(named, accepts.body_parts)):
        part = term(coded or named, BODY_PARTS)
        return ReportStatus.REFUSED, f"no model takes {image.modality} of body part {part}"
    if not words:
        is_enough = accepts.body_part_may_be_missing
        return None if is_enough else (ReportStatus.REFUSED, "the body part is not given")
    return None if is_one_of(named, accepts.body_parts) else (ReportStatus.NOT_ANALYSED, _UNKNOWN_WORDS)


def why_not_the_view(image: Instance, accepts: Accepts) -> str | None:
    """Why the view is not one that the model reads, None when it is."""
    coded, words = image.view_code, image.view_position.upper()
    view = view_of(image, accepts)
    if coded and coded != FRONTAL and coded not in accepts.views:
        return f"the view {term(coded, VIEWS)} is outside the model's intended use"
    if view not in accepts.views:
        return f"the view {term(view, VIEWS)} is outside the model's intended use"
    if _LATERALS & set(accepts.views):
        return None
    if coded and words in _LATERALS:
        return f"the view is {term(coded, VIEWS | {FRONTAL})} by its code and {words} by its word"
    return None if coded else _looks_lateral(image, is_stated=bool(view))


def view_of(image: Instance, accepts: Accepts) -> str:
    """The view as ViewPosition would say it: by its code, else by its word; "" when a frontal does not say which."""
    words = image.view_position.upper()
    if image.view_code == FRONTAL:
        return words if words in accepts.views else ""
    return image.view_code or words


def contradictions(image: Instance, accepts: Accepts) -> Iterator[str]:
    """What a report says of an image that is read although a word differs from a code."""
    named = body_part_of(image.body_part_examined, accepts.body_part_words)
    if image.anatomic_region and named and not is_one_of(named, accepts.body_parts):
        yield f"The body part is {image.anatomic_region} by its code and {named} by its word: the code counts"


def _looks_lateral(image: Instance, *, is_stated: bool) -> str | None:
    """A lateral gives itself away by its rows, and by its descriptions where neither they nor a view say otherwise."""
    along_row, along_column = ([part.upper() for part in image.patient_orientation] + ["", ""])[:2]
    given = "" if is_stated else "the view is not given, and "
    if along_row.startswith(("A", "P")):
        return f"{given}the image's rows run between front and back: a lateral"
    if along_row and along_column.startswith(("A", "P")):
        return f"{given}the image's columns run between front and back: not a frontal"
    if along_row or is_stated:
        return None
    return _view_in_descriptions(image)


def _view_in_descriptions(image: Instance) -> str | None:
    """A view that descriptions give away; where one names several views, another that names a frontal alone decides."""
    descriptions = (
        ("processing description", image.acquisition_device_processing_description),
        ("series description", image.series_description),
        ("protocol name", image.protocol_name),
        ("body part", image.body_part_examined),
    )
    several: list[str] = []
    names_frontal = False
    for element, words in descriptions:
        view = next((view for view, pattern in _SAYS.items() if pattern.search(words)), "")
        is_frontal = _FRONTAL_WORD.search(words) is not None
        names_frontal |= is_frontal and not view
        reason = f"the view is not given, and the {element} says that it is {view}"
        if view and not is_frontal:
            return reason
        several += [reason] if view else []
    return several[0] if several and not names_frontal else None
