"""A coded concept, as DICOM codes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from core.documents.model import KNOWN_KEYS_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded concept: value, coding scheme designator, meaning (PS3.3 8.8; meaning <= 64 characters)."""

    __pydantic_config__ = KNOWN_KEYS_ONLY

    value: Annotated[str, Field(min_length=1, max_length=64)]  # SH, else LO or UR: PS3.3 table 8.8-1a
    scheme: Annotated[str, Field(min_length=1, max_length=16)]
    meaning: Annotated[str, Field(min_length=1, max_length=64)]
