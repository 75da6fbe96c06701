"""audit.json: canonical, signed with Ed25519, so that a figure that is quoted later can be held against it.

The signature covers the document without its own entry, written with sorted keys, no blanks and ASCII only. Who has no
site key signs with a fresh one: that proves the file was not changed since, not who made it, and `key` says which.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.errors import ConfigurationError, IntegrityError
from fairness.audit.nouns import Audit, audit_from

ALGORITHM = "Ed25519"
_ENTRY = "signature"
_BEFORE = b"candor fairness audit 1\n"  # so that no other thing signed with the key passes for an audit


@dataclass(frozen=True, slots=True)
class Signer:
    """A key and whose it is: "site" or "fresh"."""

    key: Ed25519PrivateKey
    whose: str

    @classmethod
    def site(cls, seed: bytes) -> Signer:
        """The site's, from the 32 bytes of `SiteKey.fairness_signing_seed`."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed), "site")

    @classmethod
    def fresh(cls) -> Signer:
        """One that nobody has after this audit."""
        return cls(Ed25519PrivateKey.generate(), "fresh")

    @property
    def public_key(self) -> str:
        return self.key.public_key().public_bytes_raw().hex()


def signed(audit: Audit, signer: Signer) -> dict[str, Any]:
    """The document of audit.json."""
    document = json.loads(json.dumps(audit.as_document(), allow_nan=False))
    signature = signer.key.sign(_BEFORE + canonical(document)).hex()
    entry = {"algorithm": ALGORITHM, "key": signer.whose, "public_key": signer.public_key, "signature": signature}
    return {**document, _ENTRY: entry}


def canonical(document: dict[str, Any]) -> bytes:
    """The one way to write a document."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


@dataclass(frozen=True, slots=True)
class Verified:
    """An audit whose signature holds; `public_key` as 64 hexadecimal digits."""

    audit: Audit
    public_key: str
    whose: str


def verify(document: dict[str, Any], *, public_key: str = "") -> Verified:
    """The audit in a document of audit.json.

    Raises IntegrityError when it was changed since it was signed or, where `public_key` is given, was signed by
    another; ConfigurationError when it is no audit at all.
    """
    try:
        entry = document[_ENTRY]
        audit = audit_from(document)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(entry["public_key"]))
        signature = bytes.fromhex(entry["signature"])
        whose = str(entry["key"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError("this is not the audit.json of an audit") from error
    try:
        rest = {name: value for name, value in document.items() if name != _ENTRY}
        key.verify(signature, _BEFORE + canonical(rest))
    except InvalidSignature:
        raise IntegrityError("the audit was changed after it was signed; make it again") from None
    if public_key and public_key.lower() != entry["public_key"].lower():
        raise IntegrityError("the audit is signed, but not by the key it was held against")
    return Verified(audit, entry["public_key"], whose)
