"""What an installation signs when it takes a model version: which bytes, when, by whom, how the gates ended.

The record is signed with Ed25519 by the site's own key (`SiteKey.model_signing_seed`), so that a package can be
checked against it at every start, and a copy of it proves elsewhere which model ran. A version never changes its
bytes; what may change is its state, and each change is signed again and leaves an event in the trail.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_CONTEXT = b"candor model registration 1\n"


class ModelState(StrEnum):
    """What a registered version is for."""

    LIVE = "live"  # selected, and reported
    SHADOW = "shadow"  # runs on the same studies once their report is out; recorded, never reported
    RETIRED = "retired"  # never runs


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondReader:
    """A person's signature that a model reads what another live model reads too: who answers for it, and why."""

    by: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One model version of this installation.

    `files`: SHA-256 of every file of the package, by its path in it. `signed_by`: the publisher's public key,
    base64, "" when the publisher did not sign. `gates`: what each gate found, JSON values. Times are ISO 8601, UTC.
    """

    name: str
    version: str
    sha256: str  # of the weights
    files: dict[str, str]
    origin: Literal["site", "shipped"]
    state: ModelState
    signed_by: str = ""
    verdict: str = "ok"  # the worst that a gate came to: ok, warn (or block, which is never registered)
    gates: dict[str, Any] = field(default_factory=dict)
    registered_at: str = ""
    registered_by: str = ""
    state_changed_at: str = ""
    state_changed_by: str = ""
    second_reader_signed_by: str = ""  # "" unless a person signed that it reads what another live model reads too
    second_reader_because: str = ""

    @property
    def title(self) -> str:
        """Name and version, as people say it."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRegistration:
    """A registration with the site's signature, base64; `registration` is None when the record is not readable."""

    title: str
    document: dict[str, Any]
    signature: str
    registration: Registration | None


def signed(seed: bytes, registration: Registration) -> SignedRegistration:
    """`registration` with a signature that anyone with the site's public key can check."""
    document = {**asdict(registration), "state": registration.state.value}
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(_signed_text(document))
    return SignedRegistration(
        title=registration.title,
        document=document,
        signature=base64.b64encode(signature).decode("ascii"),
        registration=registration,
    )


def read_record(title: str, document: dict[str, Any], signature: str) -> SignedRegistration:
    """A record as it was kept; whether it is authentic is another question."""
    try:
        registration = Registration(**{**document, "state": ModelState(document["state"])})
    except (KeyError, TypeError, ValueError):
        registration = None
    return SignedRegistration(title=title, document=document, signature=signature, registration=registration)


def is_authentic(record: SignedRegistration, key: bytes) -> bool:
    """Whether the holder of the site key signed this very record, under this very title. `key`: public, raw."""
    if record.registration is None or record.registration.title != record.title:
        return False
    try:
        signature = base64.b64decode(record.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _signed_text(record.document))
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed_text(document: dict[str, Any]) -> bytes:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return _CONTEXT + canonical.encode("ascii")
