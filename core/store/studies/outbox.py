"""The durable outbox: one row per payload and destination, in the order in which reports were filed.

Sending is at-least-once; because every payload id is derived, sending twice is harmless. A destination that is
away pauses with growing intervals, for days if need be, and never holds up another destination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, func, select, update

from core.backoff import Backoff
from core.clock import Clock
from core.domain.delivery import Delivery, DeliveryStatus
from core.domain.report import ObjectKind
from core.domain.trail import TrailEvent
from core.store.engine import read_only
from core.store.statements import insert_if_absent, upsert
from core.store.studies.patient.withdrawal import names_former_patient, of_former_patients
from core.store.studies.revisions import Revision
from core.store.tables.reports import deliveries, destinations, payloads
from core.store.trail import Trail

COMMITMENT_ATTEMPTS = 5
"""After so many sendings that the destination did not commit to, a person has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationState:
    """How a destination has been doing."""

    destination: str
    pending: int
    sent: int
    committed: int
    refused: int
    failures: int
    next_attempt_at: float
    last_error: str
    last_success_at: float | None


class Outbox:
    """What is still to be sent, and how each sending ended."""

    def __init__(self, engine: Engine, trail: Trail, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._trail = trail
        self._now = now

    def pending(self, destination: str, *, limit: int = 64) -> list[Delivery]:
        """The next deliveries to a destination in order; empty while it pauses after a failure."""
        paused = select(destinations.c.next_attempt_at).where(destinations.c.destination == destination)
        mine = (deliveries.c.destination == destination, deliveries.c.status == DeliveryStatus.PENDING)
        query = delivery_rows(*mine).limit(limit)
        with self._reader.connect() as connection:
            if (connection.execute(paused).scalar_one_or_none() or 0.0) > self._now():
                return []
            return [delivery_of(row) for row in connection.execute(query)]

    def mark_sent(self, delivered: Sequence[Delivery], *, commitment_transaction_uid: str | None = None) -> None:
        """The destination has taken these payloads."""
        now = self._now()
        ids = [d.delivery_id for d in delivered]
        with self._engine.begin() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.delivery_id.in_(ids))
                .values(
                    status=DeliveryStatus.SENT,
                    sent_at=now,
                    last_error="",
                    attempts=deliveries.c.attempts + 1,
                    commitment_transaction_uid=commitment_transaction_uid,
                    commitment_due_at=None,
                )
            )
            self._end_pause(connection, delivered[0].destination, now)
            for study_id, destination in {(d.study_id, d.destination) for d in delivered}:
                event = TrailEvent(
                    action="report.delivered", actor="worker", outcome="success", subject=study_id, source=destination
                )
                self._trail.record_in(connection, event)

    def count_attempt(self, delivery: Delivery) -> None:
        """Count an attempt that the destination answered, and failed on for now."""
        statement = update(deliveries).where(deliveries.c.delivery_id == delivery.delivery_id)
        with self._engine.begin() as connection:
            connection.execute(statement.values(attempts=deliveries.c.attempts + 1))

    def set_aside(self, delivery: Delivery, error: str) -> None:
        """The destination will never take this payload; the operator sees why."""
        with self._engine.begin() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.delivery_id == delivery.delivery_id)
                .values(status=DeliveryStatus.REFUSED, last_error=error, attempts=deliveries.c.attempts + 1)
            )
            event = TrailEvent(
                action="report.delivered",
                actor="worker",
                outcome="refused",
                subject=delivery.study_id,
                source=delivery.destination,
                reason=error,
            )
            self._trail.record_in(connection, event)

    def pause(self, destination: str, error: str, *, backoff: Backoff) -> float:
        """Pause a destination that could not be reached or is out of resources; returns the pause in seconds."""
        with self._engine.begin() as connection:
            failures = (
                connection.execute(
                    select(destinations.c.failures).where(destinations.c.destination == destination)
                ).scalar_one_or_none()
                or 0
            ) + 1
            pause = backoff.seconds(failures)
            upsert(
                connection,
                destinations,
                {"destination": destination},
                {"failures": failures, "next_attempt_at": self._now() + pause, "last_error": error},
            )
        return pause

    def wake(self, destination: str) -> None:
        """Try again now, whatever the pause."""
        statement = update(destinations).where(destinations.c.destination == destination)
        with self._engine.begin() as connection:
            connection.execute(statement.values(next_attempt_at=0.0, failures=0))

    def redeliver_refused(self, destination: str) -> int:
        """Put refused payloads back in line, once the destination's setting is right; returns how many."""
        statement = (
            update(deliveries)
            .where(deliveries.c.destination == destination, deliveries.c.status == DeliveryStatus.REFUSED)
            .where(deliveries.c.payload_id.not_in(of_former_patients()))
            .values(status=DeliveryStatus.PENDING)
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount

    def enqueue_again(
        self, revision: Revision, destination: str, kinds: frozenset[ObjectKind], *, missing: bool = False
    ) -> int:
        """Put the objects of a report in line once more, or, if `missing`, those never taken; returns how many.

        None where the patient was corrected since: the report that follows is sent by itself.
        """
        query = select(payloads).where(payloads.c.report_id == revision.report_id, payloads.c.kind.in_(kinds))
        with self._engine.begin() as connection:
            if names_former_patient(connection, revision.study_id, revision.revision):
                return 0
            found = connection.execute(query.order_by(payloads.c.kind != ObjectKind.SR, payloads.c.position)).all()
            return sum(self._enqueue(connection, row.payload_id, revision, destination, missing) for row in found)

    def _enqueue(
        self, connection: Connection, payload_id: str, revision: Revision, destination: str, missing: bool
    ) -> int:
        row = {
            "destination": destination,
            "study_id": revision.study_id,
            "payload_id": payload_id,
            "status": DeliveryStatus.PENDING,
            "enqueued_at": self._now(),
        }
        if insert_if_absent(connection, deliveries, row):
            return 1
        again = [DeliveryStatus.REFUSED] if missing else list(DeliveryStatus)
        statement = update(deliveries).where(
            deliveries.c.destination == destination,
            deliveries.c.payload_id == payload_id,
            deliveries.c.status.in_(again),
        )
        return connection.execute(statement.values(status=DeliveryStatus.PENDING, attempts=0)).rowcount

    def mark_committed(self, transaction_uid: str, payload_ids: Sequence[str]) -> int:
        """The destination confirmed that it keeps these payloads; returns how many."""
        statement = (
            update(deliveries)
            .where(
                deliveries.c.commitment_transaction_uid == transaction_uid,
                deliveries.c.payload_id.in_(payload_ids),
            )
            .values(status=DeliveryStatus.COMMITTED, committed_at=self._now())
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount

    def send_again(self, transaction_uid: str, payload_ids: Sequence[str]) -> int:
        """The destination does not keep these payloads: send them again, a few times; returns how many."""
        mine = update(deliveries).where(
            deliveries.c.commitment_transaction_uid == transaction_uid,
            deliveries.c.payload_id.in_(payload_ids),
        )
        error = "the destination did not commit to keeping it"
        tired = deliveries.c.attempts >= COMMITMENT_ATTEMPTS
        with self._engine.begin() as connection:
            mine = mine.where(deliveries.c.payload_id.not_in(of_former_patients()))
            connection.execute(mine.where(tired).values(status=DeliveryStatus.REFUSED, last_error=error))
            again = mine.where(~tired).values(status=DeliveryStatus.PENDING, last_error=error)
            return connection.execute(again).rowcount

    def states(self, names: Sequence[str]) -> list[DestinationState]:
        """How each destination has been doing, in the order of `names`."""
        counts = select(deliveries.c.destination, deliveries.c.status, func.count()).group_by(
            deliveries.c.destination, deliveries.c.status
        )
        with self._reader.connect() as connection:
            found = {(d, DeliveryStatus(s)): int(n) for d, s, n in connection.execute(counts)}
            rows = {row.destination: row for row in connection.execute(select(destinations))}
        return [_state(name, found, rows.get(name)) for name in names]

    def waiting(self) -> dict[str, int]:
        """How many objects are in line, by destination, also for destinations that are not configured any more."""
        query = select(deliveries.c.destination, func.count()).where(deliveries.c.status == DeliveryStatus.PENDING)
        with self._reader.connect() as connection:
            return {name: int(n) for name, n in connection.execute(query.group_by(deliveries.c.destination))}

    def _end_pause(self, connection: Connection, destination: str, now: float) -> None:
        upsert(
            connection,
            destinations,
            {"destination": destination},
            {"failures": 0, "next_attempt_at": 0.0, "last_error": "", "last_success_at": now},
        )


def delivery_rows(*which: ColumnElement[bool]) -> Select[Any]:
    """Rows of the outbox with what they carry, in the order of filing."""
    return (
        select(deliveries, payloads.c.kind, payloads.c.payload_type, payloads.c.object_key)
        .join(payloads, payloads.c.payload_id == deliveries.c.payload_id)
        .where(*which)
        .order_by(deliveries.c.delivery_id)
    )


def delivery_of(row: Row[tuple[object, ...]]) -> Delivery:
    """A row of `delivery_rows` as a noun."""
    return Delivery(
        delivery_id=row.delivery_id,
        study_id=row.study_id,
        destination=row.destination,
        kind=ObjectKind(row.kind),
        payload_id=row.payload_id,
        payload_type=row.payload_type,
        object_key=row.object_key,
        status=DeliveryStatus(row.status),
        attempts=row.attempts,
        last_error=row.last_error,
    )


def _state(
    name: str, counts: dict[tuple[str, DeliveryStatus], int], row: Row[tuple[object, ...]] | None
) -> DestinationState:
    def of(status: DeliveryStatus) -> int:
        return counts.get((name, status), 0)

    return DestinationState(
        destination=name,
        pending=of(DeliveryStatus.PENDING),
        sent=of(DeliveryStatus.SENT),
        committed=of(DeliveryStatus.COMMITTED),
        refused=of(DeliveryStatus.REFUSED),
        failures=row.failures if row else 0,
        next_attempt_at=row.next_attempt_at if row else 0.0,
        last_error=row.last_error if row else "",
        last_success_at=row.last_success_at if row else None,
    )
