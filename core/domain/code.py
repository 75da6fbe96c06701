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
