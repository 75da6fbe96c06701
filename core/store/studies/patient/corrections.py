"""The identity of a study, and what happens to it when an image comes again under a corrected header."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, Row, insert, select, update

from core.domain.study import Patient
from core.identity import Correction, conflict_of, doubts_of
from core.store.engine import read_only
from core.store.studies.arrivals import Arrival, InstanceRole
from core.store.studies.patient.withdrawal import names_former_patient
from core.store.studies.records import patient_from_json, patient_to_json
from core.store.tables.studies import corrections, instances, studies

NO_REVISION = 0
"""Of a correction that changes nothing in a report."""


class CorrectionStore:
    """Which revisions came of a corrected patient."""

    def __init__(self, engine: Engine) -> None:
        self._reader = read_only(engine)

    def names_another_patient(self, study_id: str, *, after: int, up_to: int) -> bool:
        """Whether one of these revisions was made because the patient was corrected."""
        mine = (corrections.c.study_id == study_id) & corrections.c.identity
        among = (corrections.c.revision > after) & (corrections.c.revision <= up_to)
        with self._reader.connect() as connection:
            return connection.execute(select(corrections.c.correction_id).where(mine, among)).first() is not None

    def is_former(self, study_id: str, revision: int) -> bool:
        """Whether the patient of this revision was corrected since, so that nothing of it is sent any more."""
        with self._reader.connect() as connection:
            return names_former_patient(connection, study_id, revision)


def is_outdated(connection: Connection, arrival: Arrival, digest: str) -> bool:
    """Whether these bytes were replaced by a correction of another sender, who knows better than the first one."""
    query = select(corrections.c.correction_id).where(
        corrections.c.sop_instance_uid == arrival.instance.sop_instance_uid,
        corrections.c.sha256 == digest,
        corrections.c.calling_ae_title != arrival.calling_ae_title,
    )
    return connection.execute(query).first() is not None


def patient_of(connection: Connection, study_id: str) -> Patient:
    """Whom a study is filed under: whom its first image names."""
    first = first_image(connection, study_id)
    if first is not None and first.patient is not None:
        return patient_from_json(first.patient)
    row = connection.execute(select(studies.c.patient).where(studies.c.study_id == study_id)).scalar_one()
    return patient_from_json(row)


def first_image(connection: Connection, study_id: str) -> Row[tuple[object, ...]] | None:
    """The row of the image that says whose study it is."""
    mine = (instances.c.study_id == study_id) & (instances.c.role == InstanceRole.SOURCE)
    return connection.execute(select(instances).where(mine).order_by(instances.c.instance_id).limit(1)).one_or_none()


def take_over_identity(connection: Connection, study_id: str, arrival: Arrival) -> None:
    """File the study under the patient and the order that this image names."""
    change = {
        "patient": patient_to_json(arrival.patient),
        "accession_number": arrival.accession_number,
        "study_date": arrival.study_date.isoformat() if arrival.study_date else None,
    }
    connection.execute(update(studies).where(studies.c.study_id == study_id).values(change))


def keep_replaced(
    connection: Connection, before: Row[tuple[object, ...]], arrival: Arrival, correction: Correction, *, at: float
) -> None:
    """Keep what an image was before its correction; the next revision is made of it where a report changes by it."""
    row = {name: getattr(before, name) for name in ("study_id", "sop_instance_uid", "object_key", "sha256", "header")}
    more = {
        "patient": before.patient,
        "calling_ae_title": arrival.calling_ae_title,
        "identity": correction.names_patient,
        "revision": None if correction.keywords else NO_REVISION,
        "replaced_at": at,
    }
    connection.execute(insert(corrections).values({**row, **more}))


def assemble_corrections(connection: Connection, study_id: str, revision: int) -> int:
    """Say that a revision holds the corrections that came since the last one; returns how many."""
    waiting = (corrections.c.study_id == study_id) & corrections.c.revision.is_(None)
    return connection.execute(update(corrections).where(waiting).values(revision=revision)).rowcount


def agreement(found: Sequence[Row[tuple[object, ...]]]) -> tuple[str, tuple[str, ...]]:
    """Why these images cannot be of one patient, and in what else they do not agree."""
    named = [patient_from_json(row.patient) for row in found if row.patient is not None]
    return (conflict_of(named[0], named[1:]), doubts_of(named[0], named[1:])) if named else ("", ())
