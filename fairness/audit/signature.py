"""Signs an audit.json with Ed25519, so that a figure that is quoted later can be checked.

Without a site key it is signed with a fresh one: that proves the file was not changed since, not who made it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.documents.reading import read_document, text_of
from core.errors import ConfigurationError, IntegrityError
from fairness.audit.document import AuditDocument, SignatureEntry, signed_bytes
from fairness.audit.nouns import Audit

ALGORITHM = "Ed25519"
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
        """One that is thrown away after this audit."""
        return cls(Ed25519PrivateKey.generate(), "fresh")

    @property
    def public_key(self) -> str:
        return self.key.public_key().public_bytes_raw().hex()


def sign(audit: Audit, signer: Signer) -> AuditDocument:
    """The document of audit.json."""
    document = AuditDocument.of(audit)
    signature = signer.key.sign(_BEFORE + signed_bytes(text_of(document))).hex()
    entry = SignatureEntry(algorithm=ALGORITHM, key=signer.whose, public_key=signer.public_key, signature=signature)
    return document.model_copy(update={"signature": entry})


@dataclass(frozen=True, slots=True)
class Verified:
    """An audit whose signature holds; `public_key` as 64 hexadecimal digits."""

    audit: Audit
    public_key: str
    whose: str


def verify(text: str | bytes, *, public_key: str = "", what: str = "this file") -> Verified:
    """The audit in the text of an audit.json; `what` is what errors call it.

    Raises IntegrityError when it was changed since it was signed or, where `public_key` is given, was signed by
    another; ConfigurationError when it is no signed audit at all.
    """
    document = read_document(AuditDocument, text, what)
    if document.signature is None:
        raise ConfigurationError(f"{what} is not signed; make the audit again")
    entry = document.signature
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(entry.public_key))
        signature = bytes.fromhex(entry.signature)
    except ValueError as error:
        raise ConfigurationError(f"the signature in {what} cannot be read; make the audit again") from error
    try:
        key.verify(signature, _BEFORE + signed_bytes(text))
    except InvalidSignature:
        raise IntegrityError("the audit was changed after it was signed; make it again") from None
    if public_key and public_key.lower() != entry.public_key.lower():
        raise IntegrityError("the audit is signed, but not with the key that was given")
    return Verified(document.audit(), entry.public_key, entry.key)
