"""Purge: remove old studies whose reports are where they belong, rows and objects, and leave a note in the trail.

What stays: the trail, the pseudonymous rows that audits are made of, and the number of the last revision, so that a
study that comes again is not reported under the UIDs of its first reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, delete, exists, func, or_, select

from core.clock import Clock
from core.domain.delivery import DeliveryStatus
from core.domain.input import SQUARE, input_key
from core.domain.study import StudyState
from core.domain.trail import TrailEvent
from core.store.engine import read_only
from core.store.objects import ObjectStore
from core.store.statements import upsert
from core.store.tables.explanations import explanation_jobs, faithfulness
from core.store.tables.models import predictions, shadow_readings
from core.store.tables.reports import deliveries, payloads, reports
from core.store.tables.studies import corrections, instances, purged_studies, quarantine, studies
from core.store.trail import Trail

AT_WORK = (StudyState.RECEIVING, StudyState.COMPLETE, StudyState.READING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgePlan:
    """What a purge would remove, and what it would keep although it is old, with the number of studies each."""

    study_ids: tuple[str, ...]
    objects: int
    size_bytes: int
    kept: dict[str, int]


class Purge:
    """Plan a purge, and do it."""

    def __init__(self, engine: Engine, objects: ObjectStore, trail: Trail, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._objects = objects
        self._trail = trail
        self._now = now

    def plan(self, *, older_than_seconds: float, forced: bool = False) -> PurgePlan:
        """The studies whose last image came so long ago; those that are not delivered only if `forced`.

        A study that is being received or read is never purged. A refused one has no report that anybody waits for.
        """
        old = studies.c.last_received_at <= self._now() - older_than_seconds
        with self._reader.connect() as connection:
            states = (_is_waiting().label("is_waiting"), _is_nowhere().label("is_nowhere"))
            query = select(studies.c.study_id, studies.c.state, *states).where(old)
            found = connection.execute(query.order_by(studies.c.last_received_at)).all()
            kept: dict[str, int] = {}
            chosen = []
            for row in found:
                state = StudyState(row.state)
                is_open = row.is_waiting or (row.is_nowhere and state is not StudyState.REFUSED)
                why = _why_kept(state, is_open, forced=forced)
                if why:
                    kept[why] = kept.get(why, 0) + 1
                else:
                    chosen.append(row.study_id)
            counts = [connection.execute(_received(study_id)).one() for study_id in chosen]
            keys = [_object_keys(connection, study_id) for study_id in chosen]
        return PurgePlan(
            study_ids=tuple(chosen),
            objects=sum(map(len, keys)),
            size_bytes=sum(int(count.size_bytes) for count in counts),
            kept=kept,
        )

    def remove(self, study_id: str, *, actor: str, reason: str) -> bool:
        """Remove one study; False when an image of it arrived or it is being read since the plan was made.

        Rows and the event of the trail are one commit; the objects, which nothing refers to any more, follow.
        """
        with self._engine.begin() as connection:
            mine = studies.c.study_id == study_id
            row = connection.execute(select(studies).where(mine).with_for_update()).one_or_none()
            if row is None or row.state in AT_WORK or row.revision != row.settled_revision:
                return False
            keys = _object_keys(connection, study_id)
            _delete_rows(connection, study_id)
            last = {"revision": row.revision, "purged_at": self._now()}
            upsert(connection, purged_studies, {"study_id": study_id}, last)
            event = TrailEvent(action="study.purged", actor=actor, outcome="success", subject=study_id, reason=reason)
            self._trail.record_in(connection, event)
        for object_key in keys:
            self._objects.delete(object_key)
        return True


def _why_kept(state: StudyState, is_open: bool, *, forced: bool) -> str:
    """Why an old study is kept, "" when it is not."""
    if state in AT_WORK:
        return "being received or read"
    if forced:
        return ""
    if state is StudyState.FAILED:
        return "failed, so that no report of it was delivered; try again: candor retry"
    return "with a report that a destination has not taken, or not committed to" if is_open else ""


def _is_waiting() -> ColumnElement[bool]:
    """Whether a destination is still to take, or to commit to, something of a study."""
    uncommitted = and_(deliveries.c.status == DeliveryStatus.SENT, deliveries.c.commitment_transaction_uid.is_not(None))
    stopped = deliveries.c.status.in_([DeliveryStatus.PENDING, DeliveryStatus.REFUSED])
    return exists().where(deliveries.c.study_id == studies.c.study_id, or_(stopped, uncommitted))


def _is_nowhere() -> ColumnElement[bool]:
    """Whether no destination has the newest report of a study, or is to get it."""
    mine = and_(
        deliveries.c.payload_id == payloads.c.payload_id,
        payloads.c.report_id == reports.c.report_id,
        reports.c.study_id == studies.c.study_id,
        reports.c.revision == studies.c.revision,
    )
    return ~exists().where(mine)


def _received(study_id: str) -> Select[tuple[int]]:
    """The bytes of the images and other objects that came of a study."""
    size = func.coalesce(func.sum(instances.c.size_bytes), 0).label("size_bytes")
    return select(size).where(instances.c.study_id == study_id)


def _reports_of(study_id: str) -> Select[tuple[str]]:
    return select(reports.c.report_id).where(reports.c.study_id == study_id)


def _object_keys(connection: Connection, study_id: str) -> list[str]:
    """Every object on disk that only this study refers to."""
    queries: Sequence[Select[tuple[str]]] = (
        select(instances.c.object_key).where(instances.c.study_id == study_id),
        select(corrections.c.object_key).where(corrections.c.study_id == study_id),
        select(quarantine.c.object_key).where(quarantine.c.study_id == study_id),
        select(payloads.c.object_key).where(payloads.c.report_id.in_(_reports_of(study_id))),
        select(explanation_jobs.c.picture_key).where(explanation_jobs.c.study_id == study_id),
    )
    return [str(key) for query in queries for key in connection.scalars(query) if key]


def _input_keys(connection: Connection, study_id: str) -> list[str]:
    """The inputs that were read of a study; older predictions do not say whose they are, and are of one image."""
    uids = connection.scalars(select(instances.c.sop_instance_uid).where(instances.c.study_id == study_id))
    read = connection.scalars(select(predictions.c.input_key).where(predictions.c.study_id == study_id).distinct())
    return [*read, *(input_key([uid], [], SQUARE) for uid in uids)]


def _delete_rows(connection: Connection, study_id: str) -> None:
    """Delete every row about a study, those that refer to others first."""
    inputs = _input_keys(connection, study_id)
    for table, which in (
        (deliveries, deliveries.c.study_id == study_id),
        (payloads, payloads.c.report_id.in_(_reports_of(study_id))),
        (shadow_readings, shadow_readings.c.report_id.in_(_reports_of(study_id))),
        (reports, reports.c.study_id == study_id),
        (explanation_jobs, explanation_jobs.c.study_id == study_id),
        (predictions, predictions.c.input_key.in_(inputs)),
        (faithfulness, faithfulness.c.input_key.in_(inputs)),
        (instances, instances.c.study_id == study_id),
        (corrections, corrections.c.study_id == study_id),
        (quarantine, quarantine.c.study_id == study_id),
        (studies, studies.c.study_id == study_id),
    ):
        connection.execute(delete(table).where(which))
