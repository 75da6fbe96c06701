"""Reports as filed: the document and its SR in one commit with their places in the outbox, then the pictures.

Because each filing is one transaction, a report is either on its way or not there at all; filing the same revision,
or its pictures, twice changes nothing. The study counts as reported when the pictures are there too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, ScalarSelect, exists, func, insert, select

from core.clock import Clock
from core.domain.delivery import DeliveryStatus
from core.domain.report import ObjectKind, ReportStatus, ResultObject
from core.domain.study import StudyState
from core.domain.trail import TrailEvent
from core.store.engine import read_only
from core.store.objects import ObjectStore
from core.store.statements import insert_if_absent
from core.store.studies.patient.withdrawal import WITHDRAWN, names_former_patient, withdraw
from core.store.studies.revisions import Revision, settle
from core.store.tables.reports import deliveries, payloads, reports
from core.store.trail import Trail


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
    filed_at: float = 0.0  # set when it is filed


class SentPayload(NamedTuple):
    """A payload that a destination has: its id and type (`core.domain.delivery.Delivery`), and where it is kept."""

    payload_id: str
    payload_type: str
    object_key: str


class ReportStore:
    """File reports and find them again."""

    def __init__(self, engine: Engine, objects: ObjectStore, trail: Trail, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._objects = objects
        self._trail = trail
        self._now = now

    def file(
        self,
        report: FiledReport,
        objects: Sequence[ResultObject],
        destinations: Mapping[str, frozenset[ObjectKind]],
    ) -> None:
        """File a report with its SR and put it into the outbox of each destination that wants its kind."""
        stored = self._keep(objects)
        with self._engine.begin() as connection:
            row = {**_report_row(report), "filed_at": self._now()}
            if insert_if_absent(connection, reports, row):
                self._enqueue(connection, report.revision, stored, destinations)
                self._trail.record_in(connection, _filed(report))
                return
        self._discard(stored)

    def complete(
        self,
        revision: Revision,
        objects: Sequence[ResultObject],
        destinations: Mapping[str, frozenset[ObjectKind]],
    ) -> None:
        """Add the pictures of a filed report, in the order of sending, and end the reading of its study."""
        stored = self._keep(objects)
        with self._engine.begin() as connection:
            report = connection.execute(select(reports).where(reports.c.report_id == revision.report_id)).one()
            is_first = not objects or not self._is_known(connection, objects[0])
            if is_first:
                self._enqueue(connection, revision, stored, destinations)
            settle(connection, revision, StudyState(report.status), str(report.document.get("reason", "")))
        if not is_first:
            self._discard(stored)

    def append(
        self,
        revision: Revision,
        objects: Sequence[ResultObject],
        destinations: Mapping[str, frozenset[ObjectKind]],
    ) -> None:
        """Add objects that somebody asked for after the report.

        An object that is known is not kept twice, but goes to a destination that did not get it yet; a second time for
        the same destination changes nothing.
        """
        stored = self._keep(objects)
        with self._engine.begin() as connection:
            known = {item.sop_instance_uid for item in objects if self._is_known(connection, item)}
            new = [(item, key) for item, key in stored if item.sop_instance_uid not in known]
            self._add(connection, revision, new)
            for delivery in self._waiting(connection, revision, objects, destinations):
                insert_if_absent(connection, deliveries, delivery)
        self._discard([(item, key) for item, key in stored if item.sop_instance_uid in known])

    def find(self, revision: Revision) -> FiledReport | None:
        """The report of this very revision."""
        return self._first(reports.c.report_id == revision.report_id)

    def predecessor(self, revision: Revision) -> FiledReport | None:
        """The newest earlier report of the study whose SR somebody gets: what this revision's report supersedes."""
        return self._first(
            reports.c.study_id == revision.study_id,
            reports.c.revision < revision.revision,
            exists().where(
                deliveries.c.payload_id == reports.c.sr_sop_instance_uid,
                deliveries.c.status != DeliveryStatus.WITHDRAWN,
            ),
        )

    def sent(self, study_id: str, destination: str, *, before: int) -> list[SentPayload]:
        """What a destination has taken of the study's reports before revision `before`, and no note has rejected."""
        query = (
            select(payloads.c.payload_id, payloads.c.payload_type, payloads.c.object_key)
            .join(reports, reports.c.report_id == payloads.c.report_id)
            .join(deliveries, deliveries.c.payload_id == payloads.c.payload_id)
            .where(reports.c.study_id == study_id, reports.c.revision < before)
            .where(reports.c.revision >= _rejected_before(study_id, destination, before))
            .where(deliveries.c.destination == destination, deliveries.c.sent_at.is_not(None))
            .where(payloads.c.kind != ObjectKind.REJECTION_NOTE)
            .order_by(deliveries.c.delivery_id)
        )
        with self._reader.connect() as connection:
            return [SentPayload(*row) for row in connection.execute(query)]

    def withdraw(self, study_id: str) -> None:
        """Send nothing more of a study's reports: they name a patient that it was corrected from."""
        with self._engine.begin() as connection:
            withdraw(connection, study_id)

    def previous(self, revision: Revision) -> FiledReport | None:
        """The newest earlier report of the study, whether or not somebody gets it."""
        return self._first(reports.c.study_id == revision.study_id, reports.c.revision < revision.revision)

    def current(self, study_id: str) -> FiledReport | None:
        """The newest report of a study."""
        return self._first(reports.c.study_id == study_id)

    def _first(self, *which: Any) -> FiledReport | None:
        query = select(reports).where(*which).order_by(reports.c.revision.desc()).limit(1)
        with self._reader.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _filed_report(row)

    def _keep(self, objects: Sequence[ResultObject]) -> list[tuple[ResultObject, str]]:
        return [(item, self._objects.put(item.data).object_key) for item in objects]

    def _discard(self, stored: Sequence[tuple[ResultObject, str]]) -> None:
        """A step that ran twice brought them twice."""
        for _, object_key in stored:
            self._objects.delete(object_key)

    def _is_known(self, connection: Connection, item: ResultObject) -> bool:
        query = select(payloads.c.position).where(payloads.c.payload_id == item.sop_instance_uid)
        return connection.execute(query).first() is not None

    def _enqueue(
        self,
        connection: Connection,
        revision: Revision,
        stored: Sequence[tuple[ResultObject, str]],
        destinations: Mapping[str, frozenset[ObjectKind]],
    ) -> None:
        self._add(connection, revision, stored)
        if waiting := self._waiting(connection, revision, [item for item, _ in stored], destinations):
            connection.execute(insert(deliveries), waiting)

    def _add(self, connection: Connection, revision: Revision, stored: Sequence[tuple[ResultObject, str]]) -> None:
        rows = [_object_row(revision, item, key, position) for position, (item, key) in enumerate(stored)]
        if rows:
            connection.execute(insert(payloads), rows)

    def _waiting(
        self,
        connection: Connection,
        revision: Revision,
        objects: Sequence[ResultObject],
        destinations: Mapping[str, frozenset[ObjectKind]],
    ) -> list[dict[str, Any]]:
        """The places in the outbox; withdrawn at once where the patient was corrected while the study was read."""
        is_outdated = names_former_patient(connection, revision.study_id, revision.revision)
        return [
            {
                "destination": name,
                "study_id": revision.study_id,
                "payload_id": item.sop_instance_uid,
                "status": DeliveryStatus.WITHDRAWN if is_outdated else DeliveryStatus.PENDING,
                "last_error": WITHDRAWN if is_outdated else "",
                "enqueued_at": self._now(),
            }
            for name, kinds in destinations.items()
            for item in objects
            if item.kind in kinds
        ]


def _rejected_before(study_id: str, destination: str, before: int) -> ScalarSelect[int]:
    """The revision of the last earlier rejection note that a destination has taken, or 0: it rejects all before it."""
    return (
        select(func.coalesce(func.max(reports.c.revision), 0))
        .join(payloads, payloads.c.report_id == reports.c.report_id)
        .join(deliveries, deliveries.c.payload_id == payloads.c.payload_id)
        .where(reports.c.study_id == study_id, reports.c.revision < before)
        .where(payloads.c.kind == ObjectKind.REJECTION_NOTE)
        .where(deliveries.c.destination == destination, deliveries.c.sent_at.is_not(None))
        .scalar_subquery()
    )


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


def _object_row(revision: Revision, item: ResultObject, object_key: str, position: int) -> dict[str, Any]:
    return {
        "payload_id": item.sop_instance_uid,
        "report_id": revision.report_id,
        "kind": item.kind,
        "payload_type": item.sop_class_uid,
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
        filed_at=row.filed_at,
    )


def _filed(report: FiledReport) -> TrailEvent:
    return TrailEvent(
        action="report.filed",
        actor="worker",
        outcome="success",
        subject=report.revision.study_id,
        reason=f"revision {report.revision.revision}: {report.status}",
    )
