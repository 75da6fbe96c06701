"""Objects kept apart until a person decides: other bytes under a known UID, late images of another patient."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Engine, Row, insert, select, update

from core.clock import Clock
from core.domain.trail import TrailEvent
from core.errors import ConfigurationError
from core.store.engine import read_only
from core.store.objects import ObjectStore
from core.store.studies.arrivals import Arrival
from core.store.tables.studies import quarantine
from core.store.trail import Trail


class QuarantineKind(StrEnum):
    """Why an object is kept apart."""

    OTHER_BYTES = "other_bytes"
    OTHER_PATIENT = "other_patient"


class QuarantineState(StrEnum):
    """What became of it."""

    HELD = "held"
    ACCEPTED = "accepted"
    DROPPED = "dropped"


REASONS = {
    QuarantineKind.OTHER_BYTES: "another object with the same SOP Instance UID was kept before",
    QuarantineKind.OTHER_PATIENT: "it names another patient than the images of its study that were read before",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """One object that is kept apart; without identity."""

    quarantine_id: int
    study_id: str
    kind: QuarantineKind
    state: QuarantineState
    reason: str
    calling_ae_title: str
    received_at: float
    object_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who decided about a quarantined object, and why."""

    by: str
    because: str


class QuarantineStore:
    """The objects that wait for a person."""

    def __init__(self, engine: Engine, objects: ObjectStore, trail: Trail, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._objects = objects
        self._trail = trail
        self._now = now

    def held(self, *, study_id: str = "", kind: QuarantineKind | None = None) -> list[Quarantined]:
        """What waits, oldest first; of one study, of one kind, or all."""
        query = select(quarantine).where(quarantine.c.state == QuarantineState.HELD)
        if study_id:
            query = query.where(quarantine.c.study_id == study_id)
        if kind is not None:
            query = query.where(quarantine.c.kind == kind)
        with self._reader.connect() as connection:
            return [_quarantined(row) for row in connection.execute(query.order_by(quarantine.c.quarantine_id))]

    def find(self, quarantine_id: int) -> Quarantined:
        """One object that waits; ConfigurationError when there is none of this number."""
        query = select(quarantine).where(quarantine.c.quarantine_id == quarantine_id)
        with self._reader.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise ConfigurationError(
                f"nothing in the quarantine has the number {quarantine_id}; list it: candor quarantine list"
            )
        if row.state != QuarantineState.HELD:
            raise ConfigurationError(f"number {quarantine_id} is not in the quarantine any more: it was {row.state}")
        return _quarantined(row)

    def part10_of(self, item: Quarantined) -> bytes:
        """The object as it arrived."""
        return self._objects.get(item.object_key)

    def drop(self, item: Quarantined, decision: Decision) -> None:
        """Forget an object; the trail keeps who decided that, and why."""
        with self._engine.begin() as connection:
            self.decide(connection, item, QuarantineState.DROPPED, decision)
        self._objects.delete(item.object_key)

    def decide(self, connection: Connection, item: Quarantined, state: QuarantineState, decision: Decision) -> None:
        """Say in the caller's transaction, as its last statement, what became of an object."""
        mine = (quarantine.c.quarantine_id == item.quarantine_id) & (quarantine.c.state == QuarantineState.HELD)
        changed = connection.execute(update(quarantine).where(mine).values(state=state, decided_at=self._now()))
        if not changed.rowcount:
            raise ConfigurationError(f"number {item.quarantine_id} is not in the quarantine any more")
        self._trail.record_in(
            connection,
            TrailEvent(
                action=f"quarantine.{state}",
                actor=decision.by,
                outcome="success",
                subject=item.study_id,
                reason=f"number {item.quarantine_id}, {item.kind}: {decision.because}",
            ),
        )

    def add(
        self,
        connection: Connection,
        arrival: Arrival,
        kind: QuarantineKind,
        *,
        study_id: str,
        object_key: str,
        sha256: str,
    ) -> None:
        """Keep an object apart, in the caller's transaction, as its last statement."""
        row = {
            "sop_instance_uid": arrival.instance.sop_instance_uid,
            "study_id": study_id,
            "object_key": object_key,
            "sha256": sha256,
            "reason": REASONS[kind],
            "received_at": self._now(),
            "kind": kind,
            "calling_ae_title": arrival.calling_ae_title,
            "state": QuarantineState.HELD,
        }
        connection.execute(insert(quarantine).values(row))
        self._trail.record_in(
            connection,
            TrailEvent(
                action="instance.quarantined",
                actor=arrival.calling_ae_title,
                outcome="refused",
                subject=study_id,
                reason=REASONS[kind],
            ),
        )

    def is_known(self, sop_instance_uid: str, sha256: str) -> bool:
        """Whether these bytes wait, or were dropped by a person: they are not kept apart a second time."""
        query = select(quarantine.c.quarantine_id).where(
            quarantine.c.sop_instance_uid == sop_instance_uid,
            quarantine.c.sha256 == sha256,
            quarantine.c.state != QuarantineState.ACCEPTED,
        )
        with self._reader.connect() as connection:
            return connection.execute(query).first() is not None


def _quarantined(row: Row[tuple[object, ...]]) -> Quarantined:
    return Quarantined(
        quarantine_id=row.quarantine_id,
        study_id=row.study_id,
        kind=QuarantineKind(row.kind),
        state=QuarantineState(row.state),
        reason=row.reason,
        calling_ae_title=row.calling_ae_title,
        received_at=row.received_at,
        object_key=row.object_key,
    )
