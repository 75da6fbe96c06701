"""What an installation signs when it takes a model version: which bytes, when, by whom, how the checks ended.

The record is signed with Ed25519 by the site's own key (`SiteKey.model_signing_seed`), so that a package can be
checked against it at every start, and a copy of it proves elsewhere which model ran. A version never changes its
bytes; what may change is its state, and each change is signed again and leaves an event in the trail.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import TypeAdapter, ValidationError

from core.documents.model import KNOWN_KEYS_ONLY, Document, KeepsUnknownKeys, absent

_CONTEXT = b"candor model registration 1\n"


class ModelState(StrEnum):
    """What a registered version is for."""

    LIVE = "live"  # selected, and reported
    SHADOW = "shadow"  # runs on the same studies once their report is out; recorded, never reported
    RETIRED = "retired"  # never runs


class Judged(Document):
    """Which audit was judged."""

    rows: int
    patients: int
    made_at: str
    source: str


class CheckResult(KeepsUnknownKeys):
    """What one registration check found: `level` (ok, warn or block) and a sentence for each reason.

    `judged`: of the fairness check. The others are of the map gate: `passed`; `made_here`: run by the site, not taken
    from the package; `document`: its explanation.json, as it was.
    """

    level: str
    reasons: tuple[str, ...] = ()
    judged: Judged | None = absent()
    passed: bool | None = absent()
    made_here: bool | None = absent()
    document: KeepsUnknownKeys | None = absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondReader:
    """A person's signature that a model reads what another live model reads too: who answers for it, and why."""

    by: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One model version of this installation.

    `files`: SHA-256 of every file of the package, by its path in it. `signed_by`: the publisher's public key,
    base64, "" when the publisher did not sign. `gates`: what each check found, by its name. Times are ISO 8601, UTC.
    """

    __pydantic_config__ = KNOWN_KEYS_ONLY

    name: str
    version: str
    sha256: str  # of the weights
    files: dict[str, str]
    origin: Literal["site", "shipped"]
    state: ModelState
    signed_by: str = ""
    verdict: str = "ok"  # the worst that a check came to: ok, warn (or block, which is never registered)
    gates: dict[str, CheckResult] = field(default_factory=dict)
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


_RECORD = TypeAdapter(Registration)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRegistration:
    """A registration with the site's signature, base64; `text` is the JSON that was kept.

    `registration` is None when the record is not readable.
    """

    title: str
    text: str
    signature: str
    registration: Registration | None


def sign(seed: bytes, registration: Registration) -> SignedRegistration:
    """`registration` with a signature that anybody who has the site's public key can check."""
    text = text_of_registration(registration)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(_signed_text(text))
    return SignedRegistration(
        title=registration.title,
        text=text,
        signature=base64.b64encode(signature).decode("ascii"),
        registration=registration,
    )


def text_of_registration(registration: Registration) -> str:
    """A registration as JSON text."""
    return json.dumps(_RECORD.dump_python(registration, mode="json"), allow_nan=False)


def read_record(title: str, text: str, signature: str) -> SignedRegistration:
    """A record as it was kept; whether it is authentic is another question."""
    try:
        registration = _RECORD.validate_json(text)
    except ValidationError:
        registration = None
    return SignedRegistration(title=title, text=text, signature=signature, registration=registration)


def is_authentic(record: SignedRegistration, key: bytes) -> bool:
    """Whether the holder of the site key signed this very record, under this very title. `key`: public, raw."""
    if record.registration is None or record.registration.title != record.title:
        return False
    try:
        signature = base64.b64decode(record.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _signed_text(record.text))
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed_text(text: str) -> bytes:
    entries = json.loads(text)
    canonical = json.dumps(entries, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return _CONTEXT + canonical.encode("ascii")
