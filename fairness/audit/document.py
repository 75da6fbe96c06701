"""audit.json: an audit as it is written, signed and read again.

The signature covers the document without its own entry, written with sorted keys, no blanks and ASCII only.
"""

from __future__ import annotations

import json
from typing import ClassVar

from core.documents.model import Document, absent
from fairness.audit.nouns import Advice, Audit, Curve, Provenance, Row, Test


class SignatureEntry(Document):
    """Who signed; `key` is "site", or "fresh" for a key that was made for this audit alone. Hexadecimal."""

    algorithm: str
    key: str
    public_key: str
    signature: str


class AuditDocument(Document):
    """The whole of audit.json."""

    noun: ClassVar[str] = "an audit"

    provenance: Provenance
    rows: tuple[Row, ...]
    tests: tuple[Test, ...] = ()
    curves: tuple[Curve, ...] = ()
    advice: tuple[Advice, ...] = ()
    signature: SignatureEntry | None = absent()

    @classmethod
    def of(cls, audit: Audit) -> AuditDocument:
        """An audit without a signature."""
        return cls(
            provenance=audit.provenance,
            rows=audit.rows,
            tests=audit.tests,
            curves=audit.curves,
            advice=audit.advice,
        )

    def audit(self) -> Audit:
        """The audit in this document."""
        return Audit(
            provenance=self.provenance, rows=self.rows, tests=self.tests, curves=self.curves, advice=self.advice
        )


def signed_bytes(text: str | bytes) -> bytes:
    """What a signature of an audit.json covers; keys that this version does not know are covered too."""
    entries = json.loads(text)
    entries.pop("signature", None)
    return json.dumps(entries, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode(
        "ascii"
    )
