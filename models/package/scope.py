"""What a model does not look for: said in every report, because silence would read as "not there"."""

from __future__ import annotations

import re

from models.package.description import Description

_OF_A_CHEST = (  # in words, and what a finding of it is named
    ("pneumothorax", r"pneumothora"),
    ("nodule", r"nodul"),
    ("mass", r"\bmass|tumou?r"),
    ("fracture", r"fractur"),
    ("free air", r"free air|pneumoperiton"),
    ("lines and tubes", r"tube|catheter|\bline|device"),
)
_EXPECTED = {"CHEST": _OF_A_CHEST, "THORAX": _OF_A_CHEST, "LUNG": _OF_A_CHEST}


def not_looked_for(description: Description) -> tuple[str, ...]:
    """What readers expect of images of this body part and the model has no finding for, unless the maker says it."""
    if description.not_looked_for is not None:
        return description.not_looked_for
    body_part = next(iter(description.accepts.body_parts), "")
    names = " ".join(f"{finding.name} {finding.code.meaning}" for finding in description.findings)
    named = names.replace("_", " ").lower()
    return tuple(words for words, pattern in _EXPECTED.get(body_part, ()) if not re.search(pattern, named))
