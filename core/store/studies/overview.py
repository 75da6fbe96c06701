"""What people and monitors look at: how long each hop took, how much is where. Read-only, and without identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, FromClause, Select, case, func, select

from core.domain.delivery import DeliveryStatus
from core.domain.report import ObjectKind, ReportStatus
from core.domain.study import StudyState
from core.store.engine import read_only
from core.store.studies.arrivals import InstanceRole
from core.store.studies.patient.quarantine import QuarantineState
from core.store.tables.reports import deliveries, payloads, reports
from core.store.tables.studies import instances, quarantine, studies

_OUTCOMES = (StudyState.REPORTED, StudyState.NOT_ANALYSED, StudyState.REFUSED, StudyState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTimes:
    """When a study reached each hop, seconds since the epoch; None: not yet, or never.

    All speak of its newest report: `reported_at` is when that was filed, `delivered_at` when every destination had
    taken its SR, `illustrated_at` when every destination had taken all of its objects. `waiting`: objects of the
    study that are still in the outbox.
    """

    study_id: str
    state: StudyState
    reason: str
    revision: int
    images: int
    waiting: int
    first_received_at: float
    last_received_at: float
    completed_at: float | None
    reported_at: float | None
    delivered_at: float | None
    illustrated_at: float | None

    @property
    def is_over(self) -> bool:
        """The study has its outcome, and whatever was to be sent was taken."""
        return self.state in _OUTCOMES and not self.waiting

    def hops(self) -> dict[str, float]:
        """Seconds of each hop that happened.

        `received`: first to last image; `assembled`: last image to complete; `reported`: complete to filed;
        `delivered`: filed to SR taken; `illustrated`: SR taken to all taken; `total`: last image to SR taken, or to
        the last hop before that.
        """
        seconds = {"received": max(0.0, self.last_received_at - self.first_received_at)}
        before = self.last_received_at
        for hop in ("assembled", "reported", "delivered"):
            at = getattr(self, _MARKS[hop])
            if at is not None:
                seconds[hop], before = max(0.0, at - before), at
        seconds["total"] = max(0.0, before - self.last_received_at)
        if self.illustrated_at is not None and self.delivered_at is not None:
            seconds["illustrated"] = max(0.0, self.illustrated_at - self.delivered_at)
        return seconds


_MARKS = {"assembled": "completed_at", "reported": "reported_at", "delivered": "delivered_at"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SentObject:
    """One result object that a destination has taken."""

    delivery_id: int
    kind: ObjectKind
    finding_name: str
    sop_class_uid: str


class Overview:
    """Counts and times out of the database of a store."""

    def __init__(self, engine: Engine) -> None:
        self._reader = read_only(engine)

    def times(self, *, limit: int = 100, offset: int = 0) -> list[StudyTimes]:
        """The newest studies."""
        return self._times(_TIMES.order_by(studies.c.first_received_at.desc()).limit(limit).offset(offset))

    def times_of(self, study_id: str) -> StudyTimes | None:
        """One study; None when there is no such one."""
        found = self._times(_TIMES.where(studies.c.study_id == study_id))
        return found[0] if found else None

    def failed(self, *, limit: int = 5) -> list[StudyTimes]:
        """The newest studies that failed."""
        failed = _TIMES.where(studies.c.state == StudyState.FAILED)
        return self._times(failed.order_by(studies.c.completed_at.desc()).limit(limit))

    def sent_objects(self, study_id: str, destination: str) -> list[SentObject]:
        """What `destination` has taken of the study's newest report, in the order of sending."""
        query = (
            select(deliveries.c.delivery_id, payloads)
            .join(payloads, payloads.c.payload_id == deliveries.c.payload_id)
            .join(reports, reports.c.report_id == payloads.c.report_id)
            .join(studies, (studies.c.study_id == reports.c.study_id) & (studies.c.revision == reports.c.revision))
            .where(studies.c.study_id == study_id, deliveries.c.destination == destination)
            .where(deliveries.c.sent_at.is_not(None))
            .order_by(deliveries.c.delivery_id)
        )
        with self._reader.connect() as connection:
            return [
                SentObject(
                    delivery_id=row.delivery_id,
                    kind=ObjectKind(row.kind),
                    finding_name=row.finding_name,
                    sop_class_uid=row.payload_type,
                )
                for row in connection.execute(query)
            ]

    def instances_by_role(self) -> dict[InstanceRole, int]:
        """How many objects are kept, by what they are to us."""
        found = self._counts(instances.c.role)
        return {role: found.get(role, 0) for role in InstanceRole}

    def reports_by_status(self) -> dict[ReportStatus, int]:
        """How many reports were filed, superseded ones included."""
        found = self._counts(reports.c.status)
        return {status: found.get(status, 0) for status in ReportStatus}

    def deliveries(self) -> dict[tuple[str, DeliveryStatus], int]:
        """How many objects are in the outbox, by destination and status."""
        query = select(deliveries.c.destination, deliveries.c.status, func.count()).group_by(
            deliveries.c.destination, deliveries.c.status
        )
        with self._reader.connect() as connection:
            return {(name, DeliveryStatus(status)): int(n) for name, status, n in connection.execute(query)}

    def quarantined(self) -> int:
        """How many objects were ever kept apart."""
        with self._reader.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(quarantine)).scalar_one())

    def in_quarantine(self) -> int:
        """How many objects are kept apart until a person decides."""
        held = select(func.count()).where(quarantine.c.state == QuarantineState.HELD)
        with self._reader.connect() as connection:
            return int(connection.execute(held).scalar_one())

    def ping(self) -> None:
        """Ask the database for nothing; raises Unavailable when it does not answer."""
        with self._reader.connect() as connection:
            connection.execute(select(1))

    def _times(self, query: Select[Any]) -> list[StudyTimes]:
        with self._reader.connect() as connection:
            return [
                StudyTimes(**{**row._asdict(), "state": StudyState(row.state)}) for row in connection.execute(query)
            ]

    def _counts(self, column: ColumnElement[str]) -> dict[str, int]:
        with self._reader.connect() as connection:
            return {value: int(n) for value, n in connection.execute(select(column, func.count()).group_by(column))}


def _sent(*which: ColumnElement[bool]) -> ColumnElement[Any]:
    """When the last of these deliveries of the study's newest report was taken; NULL while one is on its way."""
    all_taken = func.count() == func.count(deliveries.c.sent_at)
    return (
        select(case((all_taken, func.max(deliveries.c.sent_at))))
        .join(payloads, payloads.c.payload_id == deliveries.c.payload_id)
        .where(payloads.c.report_id == reports.c.report_id, *which)
        .correlate(reports)
        .scalar_subquery()
    )


def _count(table: FromClause, *which: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows of `table` belong to the study."""
    mine = table.c.study_id == studies.c.study_id
    return select(func.count()).select_from(table).where(mine, *which).correlate(studies).scalar_subquery()


_TIMES = select(
    studies.c.study_id,
    studies.c.state,
    studies.c.reason,
    studies.c.revision,
    _count(instances, instances.c.role == InstanceRole.SOURCE).label("images"),
    _count(deliveries, deliveries.c.status == DeliveryStatus.PENDING).label("waiting"),
    studies.c.first_received_at,
    studies.c.last_received_at,
    studies.c.completed_at,
    reports.c.filed_at.label("reported_at"),
    _sent(payloads.c.kind == ObjectKind.SR).label("delivered_at"),
    _sent().label("illustrated_at"),
).outerjoin(reports, (reports.c.study_id == studies.c.study_id) & (reports.c.revision == studies.c.revision))
