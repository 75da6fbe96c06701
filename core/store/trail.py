"""The trail in the database: rows are only ever added, each sealed to the one before (see `core.trail`).

The head row serialises writers: an event gets its number and its place in the chain while the transaction it belongs
to is open, so the change and its trail event are both in, or neither. On PostgreSQL the head stays locked until the
caller commits: record last, then commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, insert, select, update

from core.clock import Clock
from core.domain.trail import TrailEvent
from core.errors import IntegrityError
from core.store.engine import read_only
from core.store.keys import SiteKey
from core.store.statements import insert_if_absent
from core.store.tables.trail import trail_events, trail_head
from core.trail import (
    GENESIS,
    Head,
    SealedEvent,
    SignedHead,
    is_authentic,
    problems_of_chain,
    public_key,
    seal_event,
    seal_head,
    sign_head,
)

_READ_HEAD = select(trail_head.c.seq, trail_head.c.hash, trail_head.c.seal)
_LOCK_HEAD = _READ_HEAD.with_for_update()  # SQLite has no such clause: its transaction holds the write lock already
_READ_ALL = select(trail_events).order_by(trail_events.c.seq).execution_options(yield_per=1000)
_ADD = insert(trail_events)
_MOVE_HEAD = update(trail_head)


class Trail:
    """Who did what, when, from where, and how it ended; holds pseudonyms only."""

    def __init__(self, engine: Engine, key: SiteKey, *, now: Clock) -> None:
        self._engine = engine
        self._key = key.trail_key
        self._signing_seed = key.trail_signing_seed
        self._now = now

    def record(self, event: TrailEvent) -> None:
        """Add `event` in a transaction of its own."""
        with self._engine.begin() as connection:
            self.record_in(connection, event)

    def record_in(self, connection: Connection, event: TrailEvent) -> None:
        """Add `event` in the caller's write transaction, as its last statement."""
        head = self._locked_head(connection)
        at = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="microseconds")
        link = seal_event(self._key, head.seq + 1, at, event, head.hash)
        connection.execute(
            _ADD, {"seq": link.seq, "at": at, **asdict(event), "previous": link.previous, "hash": link.hash}
        )
        connection.execute(_MOVE_HEAD, asdict(seal_head(self._key, link.seq, link.hash)))

    def events(self) -> Iterator[SealedEvent]:
        """The whole trail, oldest first."""
        with read_only(self._engine).connect() as connection:
            yield from _links(connection)

    def head(self) -> SignedHead | None:
        """The end of the trail, signed, for keeping outside the database; None while the trail is empty."""
        with read_only(self._engine).connect() as connection:
            head = _head(connection)
        return sign_head(self._signing_seed, head) if head else None

    def verify(self, known: Sequence[SignedHead] = ()) -> list[str]:
        """One sentence for each edit, deletion or reordering; empty when the trail is whole.

        `known`: heads that were kept elsewhere. IntegrityError when one of them was not signed with this site's key.
        """
        key = public_key(self._signing_seed)
        if not all(is_authentic(signed, key) for signed in known):
            raise IntegrityError("a head given for comparison was not signed with this site's key")
        with read_only(self._engine).connect() as connection:  # one snapshot: events that arrive meanwhile do not count
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            head = _head(connection)
            return list(problems_of_chain(self._key, _links(connection), head, known))

    def _locked_head(self, connection: Connection) -> Head:
        row = connection.execute(_LOCK_HEAD).first()
        if row is None:
            insert_if_absent(connection, trail_head, {"head_id": 1, **asdict(seal_head(self._key, 0, GENESIS))})
            row = connection.execute(_LOCK_HEAD).one()
        return Head(seq=row.seq, hash=row.hash, seal=row.seal)


def _head(connection: Connection) -> Head | None:
    row = connection.execute(_READ_HEAD).first()
    return Head(seq=row.seq, hash=row.hash, seal=row.seal) if row else None


def _links(connection: Connection) -> Iterator[SealedEvent]:
    for row in connection.execute(_READ_ALL):
        event = TrailEvent(
            action=row.action,
            actor=row.actor,
            outcome=row.outcome,
            subject=row.subject,
            source=row.source,
            reason=row.reason,
        )
        yield SealedEvent(seq=row.seq, at=row.at, event=event, previous=row.previous, hash=row.hash)
