"""Studies as the worker sees them: which are due, what a revision holds, how it ended.

A revision is a snapshot: the source instances that had arrived when the completion rule held. Later images are in no
revision until the next one is assembled, so a report always says exactly which images it speaks of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from sqlalchemy import Connection, Engine, Row, and_, bindparam, exists, func, select, update

from core.clock import Clock
from core.domain.states import check_transition
from core.domain.study import Instance, Series, Study, StudyState
from core.errors import IntegrityError
from core.store.engine import read_only
from core.store.studies.arrivals import InstanceRole
from core.store.studies.patient.corrections import agreement, assemble_corrections, patient_of
from core.store.studies.records import instance_from_json
from core.store.studies.waiting import Stopwatch, WaitingStudy
from core.store.tables.reports import reports
from core.store.tables.studies import associations, instances, studies

_PER_QUERY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A study at one revision, by names that are safe to log and to put into a workflow."""

    study_id: str
    revision: int

    @property
    def report_id(self) -> str:
        return f"{self.study_id}.{self.revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """One line of the list of studies: no identity."""

    study_id: str
    state: StudyState
    revision: int
    reason: str
    images: int
    first_received_at: float
    last_received_at: float
    completed_at: float | None


class StudyStore:
    """Queries and changes on studies and their revisions."""

    def __init__(self, engine: Engine, *, now: Clock, steady: Clock | None = None) -> None:
        """`steady`: seconds that never jump; `now` where a test moves that one clock alone."""
        self._engine = engine
        self._reader = read_only(engine)
        self._now = now
        self._watch = Stopwatch(now=now, steady=steady or now)

    def due(self, *, quiet_seconds: float, maximum_wait_seconds: float) -> list[str]:
        """Studies whose images are complete: expected count reached, sender done and quiet, or the maximum wait.

        A sender is done with a study when its association closed or went on to another study. The expected count is
        believed once, when it is met exactly: a sender that counts wrong is left to the other rules. A study that is
        being read is not due: revisions of one study follow each other. A wall clock that jumps changes nothing.
        """
        waiting = self._waiting()
        self._watch.forget_all_but((w.study_id, at) for w in waiting for at in (w.last_received_at, w.waiting_since_at))
        return [w.study_id for w in waiting if self._is_due(w, quiet_seconds, maximum_wait_seconds)]

    def _is_due(self, study: WaitingStudy, quiet_seconds: float, maximum_wait_seconds: float) -> bool:
        quiet = self._watch.seconds_since(study.study_id, study.last_received_at)
        waited = self._watch.seconds_since(study.study_id, study.waiting_since_at)
        is_quiet = quiet >= quiet_seconds and not study.is_sending
        return study.has_expected_count or is_quiet or waited >= maximum_wait_seconds

    def _waiting(self) -> list[WaitingStudy]:
        """The studies that may be assembled, the longest waiting first."""
        held = (
            select(func.count())
            .where(instances.c.study_id == studies.c.study_id, instances.c.role == InstanceRole.SOURCE)
            .scalar_subquery()
        )
        sending = exists().where(
            associations.c.current_study_id == studies.c.study_id, associations.c.closed_at.is_(None)
        )
        columns = (
            studies.c.study_id,
            studies.c.last_received_at,
            studies.c.waiting_since_at,
            sending.label("is_sending"),
            and_(studies.c.revision == 0, held == func.coalesce(studies.c.expected_instances, -1)).label(
                "has_expected_count"
            ),
        )
        is_free = studies.c.revision == studies.c.settled_revision
        query = select(*columns).where(studies.c.waiting_since_at.is_not(None), is_free)
        with self._reader.connect() as connection:
            return [
                WaitingStudy(**dict(row))
                for row in connection.execute(query.order_by(studies.c.waiting_since_at)).mappings()
            ]

    def assemble(self, study_id: str) -> Revision | None:
        """Freeze what has arrived into the next revision; None when nothing new is there (another worker did it)."""
        with self._engine.begin() as connection:
            before = connection.execute(
                select(studies.c.revision, studies.c.settled_revision)
                .where(studies.c.study_id == study_id)
                .with_for_update()  # an image that arrives now waits, and then opens the study again
            ).one()
            if before.revision != before.settled_revision:
                return None
            revision = before.revision + 1
            taken = connection.execute(
                update(instances)
                .where(
                    instances.c.study_id == study_id,
                    instances.c.role == InstanceRole.SOURCE,
                    instances.c.revision.is_(None),
                )
                .values(revision=revision)
            )
            corrected = assemble_corrections(connection, study_id, revision)
            if not taken.rowcount + corrected:
                return None
            connection.execute(
                update(studies)
                .where(studies.c.study_id == study_id)
                .values(state=StudyState.COMPLETE, revision=revision, waiting_since_at=None, completed_at=self._now())
            )
        return Revision(study_id=study_id, revision=revision)

    def assembled(self) -> list[Revision]:
        """Revisions that wait to be read or are being read, oldest first."""
        query = (
            select(studies.c.study_id, studies.c.revision)
            .where(studies.c.revision > studies.c.settled_revision)
            .order_by(studies.c.completed_at)
        )
        with self._reader.connect() as connection:
            return [Revision(study_id=i, revision=r) for i, r in connection.execute(query)]

    def arriving(self, *, after: int) -> list[tuple[int, Instance]]:
        """Source instances that no revision holds yet, numbered in order of arrival, behind number `after`."""
        query = (
            select(instances)
            .where(
                instances.c.instance_id > after,
                instances.c.role == InstanceRole.SOURCE,
                instances.c.revision.is_(None),
            )
            .order_by(instances.c.instance_id)
        )
        with self._reader.connect() as connection:
            return [(row.instance_id, _instance(row)) for row in connection.execute(query)]

    def load(self, revision: Revision) -> Study:
        """The snapshot of a revision. Raises IntegrityError when it is not there."""
        with self._reader.connect() as connection:
            row = connection.execute(select(studies).where(studies.c.study_id == revision.study_id)).one_or_none()
            if row is None or row.revision < revision.revision:
                raise IntegrityError(f"revision {revision.report_id} is not in the store")
            held = connection.execute(
                select(instances)
                .where(
                    instances.c.study_id == revision.study_id,
                    instances.c.role == InstanceRole.SOURCE,
                    instances.c.revision <= revision.revision,
                )
                .order_by(instances.c.instance_id)
            )
            rows = held.all()
            patient = patient_of(connection, revision.study_id)
        conflict, doubts = agreement(rows)
        return Study(
            study_id=row.study_id,
            study_instance_uid=row.study_instance_uid,
            revision=revision.revision,
            patient=patient,
            accession_number=row.accession_number,
            study_date=date.fromisoformat(row.study_date) if row.study_date else None,
            series=_by_series(map(_instance, rows)),
            calling_ae_title=row.calling_ae_title,
            identity_from=rows[0].sop_instance_uid if rows else "",
            identity_conflict=conflict,
            identity_doubts=doubts,
        )

    def completed_at(self, revision: Revision) -> float:
        """When the study's newest revision was assembled, seconds since the epoch."""
        with self._reader.connect() as connection:
            query = select(studies.c.completed_at).where(studies.c.study_id == revision.study_id)
            return float(connection.execute(query).scalar_one())

    def last_received_at(self, study_id: str) -> float:
        """When the study's last image arrived, seconds since the epoch."""
        with self._reader.connect() as connection:
            query = select(studies.c.last_received_at).where(studies.c.study_id == study_id)
            return float(connection.execute(query).scalar_one())

    def by_accession_number(self, accession_numbers: Iterable[str]) -> dict[str, list[str]]:
        """The pseudonyms of the studies that bear each accession number."""
        wanted, found = sorted(set(accession_numbers) - {""}), defaultdict[str, list[str]](list)
        with self._reader.connect() as connection:
            for start in range(0, len(wanted), _PER_QUERY):
                query = select(studies.c.accession_number, studies.c.study_id).where(
                    studies.c.accession_number.in_(wanted[start : start + _PER_QUERY])
                )
                for number, study_id in connection.execute(query):
                    found[number].append(study_id)
        return dict(found)

    def names_of(self, study_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """(AccessionNumber, StudyInstanceUID) of studies: identity, for lists that a person asks for."""
        found: dict[str, tuple[str, str]] = {}
        with self._reader.connect() as connection:
            for start in range(0, len(study_ids), _PER_QUERY):
                query = select(studies.c.study_id, studies.c.accession_number, studies.c.study_instance_uid).where(
                    studies.c.study_id.in_(study_ids[start : start + _PER_QUERY])
                )
                found |= {
                    row.study_id: (row.accession_number, row.study_instance_uid) for row in connection.execute(query)
                }
        return found

    def begin_reading(self, revisions: Sequence[Revision]) -> None:
        """Say that a worker reads these revisions, in one commit; those that were overtaken stay as they are."""
        if not revisions:
            return
        statement = (
            update(studies)
            .where(
                studies.c.study_id == bindparam("study"),
                studies.c.revision == bindparam("number"),
                studies.c.state == StudyState.COMPLETE,
            )
            .values(state=StudyState.READING)
        )
        with self._engine.begin() as connection:
            connection.execute(statement, [{"study": r.study_id, "number": r.revision} for r in revisions])

    def fail(self, revision: Revision, reason: str) -> None:
        """Give up on a revision; the operator sees why."""
        with self._engine.begin() as connection:
            settle(connection, revision, StudyState.FAILED, reason)

    def retry_failed(self) -> int:
        """Let every failed study be read again, as a new revision of the same images; returns how many."""
        statement = update(studies).where(studies.c.state == StudyState.FAILED)
        again = {"state": StudyState.COMPLETE, "reason": "", "revision": studies.c.revision + 1}
        with self._engine.begin() as connection:
            return connection.execute(statement.values(again)).rowcount

    def read_again(self, study_ids: Sequence[str]) -> list[str]:
        """Let studies be read once more, as a new revision of the same images; returns those that will be.

        A study without an image, and one that is being received or read, is left as it is.
        """
        again = {"state": StudyState.COMPLETE, "reason": "", "revision": studies.c.revision + 1}
        statement = (
            update(studies)
            .where(
                studies.c.study_id.in_(bindparam("wanted", expanding=True)),
                studies.c.revision == studies.c.settled_revision,
                studies.c.waiting_since_at.is_(None),
                exists().where(instances.c.study_id == studies.c.study_id, instances.c.role == InstanceRole.SOURCE),
            )
            .values({**again, "completed_at": self._now()})
            .returning(studies.c.study_id)
        )
        taken: list[str] = []
        with self._engine.begin() as connection:
            for start in range(0, len(study_ids), _PER_QUERY):
                taken += connection.scalars(statement, {"wanted": list(study_ids[start : start + _PER_QUERY])})
        return taken

    def is_read_again(self, revision: Revision) -> bool:
        """Whether a revision holds no new image, although an earlier one of the study was reported."""
        new = exists().where(instances.c.study_id == revision.study_id, instances.c.revision == revision.revision)
        before = exists().where(reports.c.study_id == revision.study_id, reports.c.revision < revision.revision)
        with self._reader.connect() as connection:
            return bool(connection.execute(select(and_(~new, before))).scalar_one())

    def rows(self, *, limit: int = 100, offset: int = 0) -> list[StudyRow]:
        """The newest studies, without identity."""
        images = (
            select(func.count())
            .where(instances.c.study_id == studies.c.study_id, instances.c.role == InstanceRole.SOURCE)
            .scalar_subquery()
            .label("images")
        )
        query = select(studies, images).order_by(studies.c.first_received_at.desc()).limit(limit).offset(offset)
        with self._reader.connect() as connection:
            return [_study_row(row) for row in connection.execute(query)]

    def counts(self) -> dict[StudyState, int]:
        """How many studies are in each state."""
        query = select(studies.c.state, func.count()).group_by(studies.c.state)
        with self._reader.connect() as connection:
            found = {StudyState(state): int(n) for state, n in connection.execute(query)}
        return {state: found.get(state, 0) for state in StudyState}


def settle(connection: Connection, revision: Revision, state: StudyState, reason: str = "") -> None:
    """End the reading of a revision; a study that a late image has opened again stays open. Once is enough."""
    mine = studies.c.study_id == revision.study_id
    current = connection.execute(
        select(studies.c.state, studies.c.settled_revision, studies.c.waiting_since_at).where(mine).with_for_update()
    ).one()
    if current.settled_revision >= revision.revision:
        return
    change: dict[str, object] = {"settled_revision": revision.revision}
    if current.waiting_since_at is None:
        check_transition(StudyState(current.state), state)
        change |= {"state": state, "reason": reason}
    connection.execute(update(studies).where(mine).values(change))


def _instance(row: Row[tuple[object, ...]]) -> Instance:
    return instance_from_json(row.header, object_key=row.object_key, size_bytes=row.size_bytes, arrival=row.instance_id)


def _by_series(found: Iterable[Instance]) -> tuple[Series, ...]:
    by_uid = sorted(found, key=lambda i: i.series_instance_uid)  # stable: arrival order stays within a series
    groups = [tuple(group) for _, group in groupby(by_uid, key=lambda i: i.series_instance_uid)]
    return tuple(
        Series(series_instance_uid=group[0].series_instance_uid, modality=group[0].modality, instances=group)
        for group in groups
    )


def _study_row(row: Row[tuple[object, ...]]) -> StudyRow:
    return StudyRow(
        study_id=row.study_id,
        state=StudyState(row.state),
        revision=row.revision,
        reason=row.reason,
        images=row.images,
        first_received_at=row.first_received_at,
        last_received_at=row.last_received_at,
        completed_at=row.completed_at,
    )
