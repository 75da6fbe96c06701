"""Storage commitment as the outbox sees it: what was asked for, what was answered, and what is asked for again.

A destination may take its time, so that a transaction without an answer is followed by another one only after a day;
a request that the destination did not take is made again soon.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, Update, func, select, update

from core.clock import Clock
from core.domain.delivery import Delivery, DeliveryStatus
from core.store.engine import read_only
from core.store.statements import upsert
from core.store.studies.outbox import Outbox, delivery_of, delivery_rows
from core.store.tables.reports import deliveries, destinations

ANSWER_SECONDS = 24 * 3600.0
"""So long may a destination take to answer."""

REFUSED_SECONDS = 600.0
"""So long after a request that was not taken the next one is made."""

OVERDUE_SECONDS = 3600.0
"""What is not committed after this long is shown to the operator."""

_UNCOMMITTED = (deliveries.c.status == DeliveryStatus.SENT, deliveries.c.commitment_transaction_uid.is_not(None))


class Commitments:
    """Which deliveries wait for the promise of a destination."""

    def __init__(self, engine: Engine, outbox: Outbox, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._outbox = outbox
        self._now = now

    def due(self, destination: str, *, limit: int = 64) -> list[Delivery]:
        """What to ask for again, oldest first."""
        due = deliveries.c.commitment_due_at <= self._now()
        query = delivery_rows(*_UNCOMMITTED, deliveries.c.destination == destination, due).limit(limit)
        with self._reader.connect() as connection:
            return [delivery_of(row) for row in connection.execute(query)]

    def asked(self, asked: Sequence[Delivery], transaction_uid: str) -> None:
        """Note a transaction before its request is made: the answer may come before the request returns."""
        self._change(asked, commitment_transaction_uid=transaction_uid, commitment_due_at=self._now() + ANSWER_SECONDS)

    def refused(self, asked: Sequence[Delivery], error: str) -> None:
        """The destination did not take the request: ask again soon, and let the operator see why."""
        with self._engine.begin() as connection:
            connection.execute(_of(asked).values(commitment_due_at=self._now() + REFUSED_SECONDS))
            self._note(connection, asked[0].destination, error)

    def answered(self, transaction_uid: str, committed: Sequence[str], failed: Sequence[str]) -> int:
        """A destination says what it keeps, by payload id; what it does not keep is sent again. Returns how many."""
        of_transaction = select(deliveries.c.destination).where(
            deliveries.c.commitment_transaction_uid == transaction_uid
        )
        with self._reader.connect() as connection:
            destination = connection.execute(of_transaction.limit(1)).scalar_one_or_none()
        if destination is None:
            return 0
        self._outbox.mark_committed(transaction_uid, committed)
        again = self._outbox.send_again(transaction_uid, failed)
        with self._engine.begin() as connection:
            self._note(connection, destination, _sentence(len(failed), len(failed) + len(committed)))
        return again

    def ask_now(self, destination: str) -> int:
        """Let everything that is sent and not committed be asked for again; returns how many objects."""
        mine = update(deliveries).where(*_UNCOMMITTED, deliveries.c.destination == destination)
        with self._engine.begin() as connection:
            return connection.execute(mine.values(commitment_due_at=0.0)).rowcount

    def overdue(self) -> dict[str, int]:
        """How many objects each destination took more than an hour ago and has not committed to."""
        late = deliveries.c.sent_at <= self._now() - OVERDUE_SECONDS
        query = select(deliveries.c.destination, func.count()).where(*_UNCOMMITTED, late)
        with self._reader.connect() as connection:
            return {name: int(n) for name, n in connection.execute(query.group_by(deliveries.c.destination))}

    def errors(self) -> dict[str, str]:
        """What went wrong last with the storage commitment of each destination; empty where nothing did."""
        with self._reader.connect() as connection:
            query = select(destinations.c.destination, destinations.c.commitment_error)
            return {row.destination: row.commitment_error for row in connection.execute(query)}

    def _change(self, which: Sequence[Delivery], **values: str | float) -> None:
        with self._engine.begin() as connection:
            connection.execute(_of(which).values(**values))

    def _note(self, connection: Connection, destination: str, error: str) -> None:
        upsert(connection, destinations, {"destination": destination}, {"commitment_error": error})


def _of(which: Sequence[Delivery]) -> Update:
    return update(deliveries).where(deliveries.c.delivery_id.in_([d.delivery_id for d in which]))


def _sentence(failed: int, asked: int) -> str:
    return f"it did not commit to {failed} of {asked} objects; they are sent again" if failed else ""
