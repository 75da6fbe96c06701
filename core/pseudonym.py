"""Names for studies, patients and instances that say nothing: what logs, metrics and workflows use instead of UIDs.

A pseudonym is a keyed hash, so that without the site key a known patient or UID cannot be found in them by hashing
candidates. The kind is part of what is hashed: a patient and a study never share a pseudonym.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Literal

DIGEST_BYTES = 12  # 96 bits: a collision among ten million studies has odds of 1 to 10^15
Kind = Literal["study", "series", "instance", "patient", "reader"]


def pseudonym(key: bytes, kind: Kind, value: str) -> str:
    """20 characters a-z and 2-7 for `value`, the same for ever; `key` is `SiteKey.pseudonym_key`."""
    digest = hmac.digest(key, f"{kind}\0{value}".encode(), hashlib.sha256)
    return base64.b32encode(digest[:DIGEST_BYTES]).decode("ascii").rstrip("=").lower()


def fraction(key: bytes, purpose: str, value: str) -> float:
    """A number 0 <= x < 1 that is even over all values and always the same for one: a draw without choice."""
    digest = hmac.digest(key, f"{purpose}\0{value}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:6], "big") / 2**48
