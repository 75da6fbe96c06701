"""Reports as filed: the document, its DICOM objects, and their places in the outbox, all in one commit.

Because filing is one transaction, a report is either whole and on its way or not there at all; filing the same
revision twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select

from core.domain import AuditEvent, DeliveryStatus, ObjectKind, ReportStatus, ResultObject, StudyState
from core.store.audit import AuditTrail
from core.store.database import reading
from core.store.objects import ObjectStore
from core.store.statements import insert_if_absent
from core.store.studies import Revision, settle
from core.store.tables import deliveries, reports, result_objects


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledReport:
    """A report as it was filed; `document` is its entry of results.json."""

    revision: Revision
    status: ReportStatus
    document: dict[str, Any]
    sr_sop_instance_uid: str
    sr_series_instance_uid: str
    completed_at: float
    created_at: float


class ReportStore:
    """File reports and find them again."""

    def __init__(self, engine: Engine, objects: ObjectStore, audit: AuditTrail, *, now: Callable[[], float]) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self._objects = objects
        self._audit = audit
        self._now = now

    def file(
        self,
        report: FiledReport,
        objects: Sequence[ResultObject],
        destinations: Mapping[str, frozenset[ObjectKind]],
    ) -> None:
        """File a report with its objects and put each object into the outbox of each destination that wants its kind.

        `objects` are sent in the order given.
        """
        stored = [(item, self._objects.put(item.data)) for item in objects]
        with self._engine.begin() as connection:
            if not insert_if_absent(connection, reports, _report_row(report)):
                connection.rollback()
                for _, kept in stored:
                    self._objects.delete(kept.object_key)
                return
            for position, (item, kept) in enumerate(stored):
                row = _object_row(report, item, kept.object_key, position)
                connection.execute(insert(result_objects).values(row))
            self._enqueue(connection, report, objects, destinations)
            state = StudyState(report.status.value)
            settle(connection, report.revision, state, str(report.document.get("reason", "")))
            self._audit.record_in(connection, _filed(report))

    def find(self, revision: Revision) -> FiledReport | None:
        """The report of this very revision."""
        return self._first(reports.c.report_id == revision.report_id)

    def predecessor(self, revision: Revision) -> FiledReport | None:
        """The newest earlier report of the study that has an SR: what this revision's report supersedes."""
        return self._first(
            reports.c.study_id == revision.study_id,
            reports.c.revision < revision.revision,
            reports.c.sr_sop_instance_uid != "",
        )

    def current(self, study_id: str) -> FiledReport | None:
        """The newest report of a study."""
        return self._first(reports.c.study_id == study_id)

    def objects_of(self, revision: Revision) -> list[tuple[ObjectKind, str, bytes]]:
        """(kind, finding name, Part 10 bytes) of each object of a report, in the order of sending."""
        query = (
            select(result_objects)
            .where(result_objects.c.report_id == revision.report_id)
            .order_by(result_objects.c.position)
        )
        with self._reader.connect() as connection:
            rows = connection.execute(query).all()
        return [(ObjectKind(r.kind), r.finding_name, self._objects.get(r.object_key)) for r in rows]

    def _first(self, *which: Any) -> FiledReport | None:
        query = select(reports).where(*which).order_by(reports.c.revision.desc()).limit(1)
        with self._reader.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _filed_report(row)

    def _enqueue(
        self,
        connection: Connection,
        report: FiledReport,
        objects: Sequence[ResultObject],
        destinations: Mapping[str, frozenset[ObjectKind]],
    ) -> None:
        rows = [
            {
                "destination": name,
                "study_id": report.revision.study_id,
                "sop_instance_uid": item.sop_instance_uid,
                "status": DeliveryStatus.PENDING,
                "enqueued_at": self._now(),
            }
            for name, kinds in destinations.items()
            for item in objects
            if item.kind in kinds
        ]
        if rows:
            connection.execute(insert(deliveries), rows)


def _report_row(report: FiledReport) -> dict[str, Any]:
    return {
        "report_id": report.revision.report_id,
        "study_id": report.revision.study_id,
        "revision": report.revision.revision,
        "status": report.status,
        "document": report.document,
        "sr_sop_instance_uid": report.sr_sop_instance_uid,
        "sr_series_instance_uid": report.sr_series_instance_uid,
        "completed_at": report.completed_at,
        "created_at": report.created_at,
    }


def _object_row(report: FiledReport, item: ResultObject, object_key: str, position: int) -> dict[str, Any]:
    return {
        "sop_instance_uid": item.sop_instance_uid,
        "report_id": report.revision.report_id,
        "kind": item.kind,
        "sop_class_uid": item.sop_class_uid,
        "finding_name": item.finding_name,
        "object_key": object_key,
        "position": position,
    }


def _filed_report(row: Row[tuple[object, ...]]) -> FiledReport:
    return FiledReport(
        revision=Revision(study_id=row.study_id, revision=row.revision),
        status=ReportStatus(row.status),
        document=row.document,
        sr_sop_instance_uid=row.sr_sop_instance_uid,
        sr_series_instance_uid=row.sr_series_instance_uid,
        completed_at=row.completed_at,
        created_at=row.created_at,
    )


def _filed(report: FiledReport) -> AuditEvent:
    return AuditEvent(
        action="report.filed",
        actor="worker",
        outcome="success",
        subject=report.revision.study_id,
        reason=f"revision {report.revision.revision}: {report.status}",
    )
