"""How the trail is sealed: the arithmetic of the chain, without a database.

Every event's hash is an HMAC-SHA256 over its number, its time, its fields and the hash of the event before it. With
the database but without the site key it is therefore not possible to change, remove or reorder an event and to repair
the chain after it. The head (number and hash of the last event) is sealed as well, so that cutting the tail shows. One
thing a database cannot show about itself is that all of it was put back to an earlier state: for that, `SignedHead`s
are signed with Ed25519, kept elsewhere and compared with the trail later.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.domain.trail import TrailEvent

GENESIS = "0" * 64
"""What the first event names as the hash before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEvent:
    """One link of the chain. `at`: ISO 8601, UTC. `previous` and `hash`: 64 hex digits."""

    seq: int
    at: str
    event: TrailEvent
    previous: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last link's number and hash, sealed."""

    seq: int
    hash: str
    seal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A head for keeping outside the database. `signature`: Ed25519 over number and hash, hex."""

    seq: int
    hash: str
    signature: str


def seal_event(key: bytes, seq: int, at: str, event: TrailEvent, previous: str) -> SealedEvent:
    """The next link after `previous`."""
    sealed = _hmac(key, {"seq": seq, "at": at, "event": asdict(event), "previous": previous})
    return SealedEvent(seq=seq, at=at, event=event, previous=previous, hash=sealed)


def seal_head(key: bytes, seq: int, last_hash: str) -> Head:
    """The mark that says where the trail ends."""
    return Head(seq=seq, hash=last_hash, seal=_hmac(key, {"head": seq, "hash": last_hash}))


def sign_head(seed: bytes, head: Head) -> SignedHead:
    """`head` with a signature that anyone with the public key can check."""
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(_signed_text(head.seq, head.hash))
    return SignedHead(seq=head.seq, hash=head.hash, signature=signature.hex())


def public_key(seed: bytes) -> Ed25519PublicKey:
    """What `SignedHead`s are checked with."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key()


def is_authentic(head: SignedHead, key: Ed25519PublicKey) -> bool:
    """Whether the holder of the site key signed this head."""
    try:
        key.verify(bytes.fromhex(head.signature), _signed_text(head.seq, head.hash))
    except (InvalidSignature, ValueError):
        return False
    return True


def problems_of_chain(
    key: bytes, links: Iterable[SealedEvent], head: Head | None, known: Sequence[SignedHead] = ()
) -> Iterator[str]:
    """One sentence for each thing that is wrong with `links`, which come in the order of their numbers.

    `known`: authentic heads that were kept elsewhere; the trail must still hold them.
    """
    expected_seq, expected_previous = 1, GENESIS
    kept = {signed.seq: signed.hash for signed in known}
    for link in links:
        if link.seq != expected_seq:
            yield _missing(expected_seq, link.seq - 1)
        elif link.previous != expected_previous:
            yield f"event {link.seq} does not follow from the one before it"
        if not hmac.compare_digest(seal_event(key, link.seq, link.at, link.event, link.previous).hash, link.hash):
            yield f"event {link.seq} was changed"
        if kept.pop(link.seq, link.hash) != link.hash:
            yield f"event {link.seq} is not the one that the head kept elsewhere speaks of"
        expected_seq, expected_previous = link.seq + 1, link.hash
    yield from _problems_of_end(key, expected_seq - 1, expected_previous, head)
    yield from (f"the trail was put back: the head kept elsewhere speaks of event {seq}" for seq in kept)


def _problems_of_end(key: bytes, last_seq: int, last_hash: str, head: Head | None) -> Iterator[str]:
    if head is None:
        yield "the head of the trail is missing"
    elif not hmac.compare_digest(seal_head(key, head.seq, head.hash).seal, head.seal):
        yield "the head of the trail was changed"
    elif head.seq > last_seq:
        yield _missing(last_seq + 1, head.seq)
    elif (head.seq, head.hash) != (last_seq, last_hash):
        yield "the trail does not end where its head says"


def _missing(first: int, last: int) -> str:
    return f"event {first} is missing" if first == last else f"events {first} to {last} are missing"


def _signed_text(seq: int, last_hash: str) -> bytes:
    return f"candor audit head {seq} {last_hash}".encode()


def _hmac(key: bytes, document: dict[str, object]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, canonical.encode("ascii"), hashlib.sha256).hexdigest()
