"""Find studies by the names that people have for them, and say what became of them.

Accession number, StudyInstanceUID and PatientID are in the database, which is encrypted as a whole: a query reads them
like any other column. What is found here is for the person at the keyboard and goes into no log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Engine, Row, Select, and_, exists, func, or_, select

from core.domain.delivery import DeliveryStatus
from core.domain.report import ObjectKind
from core.domain.study import Instance, StudyState
from core.store.engine import read_only
from core.store.studies.arrivals import InstanceRole
from core.store.studies.records import instance_from_json
from core.store.tables.reports import deliveries, payloads, reports
from core.store.tables.studies import instances, studies


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStudy:
    """One study with the names that people know it by."""

    study_id: str
    accession_number: str = field(repr=False)
    study_instance_uid: str = field(repr=False)
    study_date: str
    calling_ae_title: str
    state: StudyState
    reason: str
    revision: int
    images: int
    first_received_at: float
    last_received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptInstance:
    """One object as it is kept; `revision`: the first one that holds it."""

    instance: Instance = field(repr=False)
    role: InstanceRole
    revision: int | None
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResult:
    """One object of a report and how far it has come on its way to one destination; "" while none gets it."""

    revision: int
    kind: ObjectKind
    finding_name: str
    destination: str
    status: DeliveryStatus | None
    attempts: int
    sent_at: float | None
    committed_at: float | None
    last_error: str


class Lookup:
    """Questions about single studies."""

    def __init__(self, engine: Engine) -> None:
        self._reader = read_only(engine)

    def find(self, name: str) -> list[FoundStudy]:
        """The studies of this pseudonym, accession number, StudyInstanceUID or PatientID, newest first."""
        wanted = name.strip()
        if not wanted:
            return []
        names = or_(
            studies.c.study_id == wanted,
            studies.c.accession_number == wanted,
            studies.c.study_instance_uid == wanted,
            studies.c.patient["patient_id"].as_string() == wanted,
        )
        return self._found(_STUDIES.where(names))

    def newest(
        self, *, states: Sequence[StudyState] = (), since: float = 0.0, limit: int | None = None
    ) -> list[FoundStudy]:
        """The studies in these states (all by default) that got an image at `since` or later, newest first."""
        query = _STUDIES.where(studies.c.last_received_at >= since).limit(limit)
        return self._found(query.where(studies.c.state.in_(states)) if states else query)

    def instances(self, study_id: str) -> list[KeptInstance]:
        """What came of a study, in the order of arrival."""
        query = select(instances).where(instances.c.study_id == study_id).order_by(instances.c.instance_id)
        with self._reader.connect() as connection:
            return [_kept(row) for row in connection.execute(query)]

    def results(self, study_id: str) -> list[KeptResult]:
        """Every object of every report of a study, with its deliveries, in the order of filing."""
        query = (
            select(reports.c.revision, payloads.c.kind, payloads.c.finding_name, deliveries)
            .join(payloads, payloads.c.report_id == reports.c.report_id)
            .outerjoin(deliveries, deliveries.c.payload_id == payloads.c.payload_id)
            .where(reports.c.study_id == study_id)
            .order_by(
                reports.c.revision, payloads.c.kind != ObjectKind.SR, payloads.c.position, deliveries.c.delivery_id
            )
        )
        with self._reader.connect() as connection:
            return [_result(row) for row in connection.execute(query)]

    def reasons(self, state: StudyState, *, limit: int = 5) -> list[tuple[str, int]]:
        """Why studies are in `state`, the most frequent reason first, with how many each."""
        count = func.count()
        query = select(studies.c.reason, count).where(studies.c.state == state).group_by(studies.c.reason)
        with self._reader.connect() as connection:
            found = connection.execute(query.order_by(count.desc(), studies.c.reason).limit(limit))
            return [(reason, int(number)) for reason, number in found]

    def without_destination(self) -> int:
        """How many studies have a report that is in the outbox of no destination."""
        query = select(func.count()).select_from(studies).join(reports, _IS_NEWEST)
        with self._reader.connect() as connection:
            wanted = (StudyState.REPORTED, StudyState.NOT_ANALYSED)
            return int(connection.execute(query.where(studies.c.state.in_(wanted), ~_IN_AN_OUTBOX)).scalar_one())

    def _found(self, query: Select[tuple[object, ...]]) -> list[FoundStudy]:
        with self._reader.connect() as connection:
            rows = connection.execute(query.order_by(studies.c.last_received_at.desc()))
            return [FoundStudy(**{**row._asdict(), "state": StudyState(row.state)}) for row in rows]


def _kept(row: Row[tuple[object, ...]]) -> KeptInstance:
    instance = instance_from_json(
        row.header, object_key=row.object_key, size_bytes=row.size_bytes, arrival=row.instance_id
    )
    return KeptInstance(
        instance=instance, role=InstanceRole(row.role), revision=row.revision, received_at=row.received_at
    )


def _result(row: Row[tuple[object, ...]]) -> KeptResult:
    return KeptResult(
        revision=row.revision,
        kind=ObjectKind(row.kind),
        finding_name=row.finding_name,
        destination=row.destination or "",
        status=DeliveryStatus(row.status) if row.status else None,
        attempts=row.attempts or 0,
        sent_at=row.sent_at,
        committed_at=row.committed_at,
        last_error=row.last_error or "",
    )


def _images() -> ColumnElement[int]:
    mine = and_(instances.c.study_id == studies.c.study_id, instances.c.role == InstanceRole.SOURCE)
    return select(func.count()).select_from(instances).where(mine).correlate(studies).scalar_subquery()


_IS_NEWEST = and_(reports.c.study_id == studies.c.study_id, reports.c.revision == studies.c.revision)
_IN_AN_OUTBOX = exists().where(
    deliveries.c.payload_id == payloads.c.payload_id, payloads.c.report_id == reports.c.report_id
)
_STUDIES = select(
    studies.c.study_id,
    studies.c.accession_number,
    studies.c.study_instance_uid,
    func.coalesce(studies.c.study_date, "").label("study_date"),
    studies.c.calling_ae_title,
    studies.c.state,
    studies.c.reason,
    studies.c.revision,
    _images().label("images"),
    studies.c.first_received_at,
    studies.c.last_received_at,
)
