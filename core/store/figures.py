"""Figures for people and monitors: how long each hop took, how much is where. Read-only, and without identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, case, func, select

from core.domain import DeliveryStatus, ObjectKind, ReportStatus, StudyState
from core.store.database import reading
from core.store.intake import InstanceRole
from core.store.tables import deliveries, instances, quarantine, reports, result_objects, studies


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTimes:
    """When a study reached each hop, seconds since the epoch; None: not yet, or never.

    `reading_at` is when its newest report was begun, `filed_at` when that lay in the outbox (None when no destination
    wanted it), `delivered_at` when its last object was taken, None while one is still on its way.
    """

    study_id: str
    state: StudyState
    reason: str
    revision: int
    images: int
    first_received_at: float
    last_received_at: float
    completed_at: float | None
    reading_at: float | None
    filed_at: float | None
    delivered_at: float | None

    def hops(self) -> dict[str, float]:
        """Seconds from each hop to the next one that happened, and `total` from the last image to the last hop.

        `received`: first to last image; `assembled`: last image to complete; `reported`: complete to filed (or to
        the end of the reading); `delivered`: filed to taken by every destination.
        """
        reported_at = self.filed_at or self.reading_at
        marks = {
            "received": self.last_received_at,
            "assembled": self.completed_at,
            "reported": reported_at,
            "delivered": self.delivered_at,
        }
        seconds, before = {}, self.first_received_at
        for hop, at in marks.items():
            if at is not None:
                seconds[hop], before = max(0.0, at - before), at
        seconds["total"] = max(0.0, before - self.last_received_at)
        return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SentObject:
    """One result object that a destination has taken."""

    delivery_id: int
    kind: ObjectKind
    finding_name: str
    sop_class_uid: str


class Figures:
    """Counts and times out of the database of a store."""

    def __init__(self, engine: Engine) -> None:
        self._reader = reading(engine)

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
            select(deliveries.c.delivery_id, result_objects)
            .join(result_objects, result_objects.c.sop_instance_uid == deliveries.c.sop_instance_uid)
            .join(reports, reports.c.report_id == result_objects.c.report_id)
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
                    sop_class_uid=row.sop_class_uid,
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
        """How many objects came under a UID that other bytes had before."""
        with self._reader.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(quarantine)).scalar_one())

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


def _of_newest_report(column: ColumnElement[float]) -> ColumnElement[Any]:
    """A figure over the deliveries of the study's newest report."""
    return (
        select(column)
        .join(result_objects, result_objects.c.sop_instance_uid == deliveries.c.sop_instance_uid)
        .where(result_objects.c.report_id == reports.c.report_id)
        .correlate(reports)
        .scalar_subquery()
    )


def _times_query() -> Select[Any]:
    images = (
        select(func.count())
        .where(instances.c.study_id == studies.c.study_id, instances.c.role == InstanceRole.SOURCE)
        .correlate(studies)
        .scalar_subquery()
    )
    all_taken = func.count() == func.count(deliveries.c.sent_at)
    return select(
        studies.c.study_id,
        studies.c.state,
        studies.c.reason,
        studies.c.revision,
        images.label("images"),
        studies.c.first_received_at,
        studies.c.last_received_at,
        studies.c.completed_at,
        reports.c.created_at.label("reading_at"),
        _of_newest_report(func.min(deliveries.c.enqueued_at)).label("filed_at"),
        _of_newest_report(case((all_taken, func.max(deliveries.c.sent_at)))).label("delivered_at"),
    ).outerjoin(reports, (reports.c.study_id == studies.c.study_id) & (reports.c.revision == studies.c.revision))


_TIMES = _times_query()
