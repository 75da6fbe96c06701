"""A coded concept, as DICOM codes it."""

from __future__ import annotations

from dataclasses import dataclass

from core.documents.model import KNOWN_KEYS_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded concept: value, coding scheme designator, meaning (PS3.3 8.8; meaning <= 64 characters)."""

    __pydantic_config__ = KNOWN_KEYS_ONLY

    value: str
    scheme: str
    meaning: str

    @property
    def names_a_lesion(self) -> bool:
        """Whether the concept says what is found; false for "imaging result abnormal" and its like."""
        return (self.scheme, self.value) not in _SAY_ONLY_THAT_SOMETHING_IS_FOUND


_SAY_ONLY_THAT_SOMETHING_IS_FOUND = frozenset(
    {
        ("SCT", "408574004"),  # Imaging result abnormal
        ("SCT", "263654008"),  # Abnormal
        ("SCT", "365853002"),  # Imaging finding
        ("SCT", "404684003"),  # Clinical finding
        ("SCT", "64572001"),  # Disease
        ("SCT", "49755003"),  # Morphologically abnormal structure
    }
)
