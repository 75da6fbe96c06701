"""Keep what arrives: the object's bytes first, then its row, in one commit with the study it belongs to.

Safe to be called from many threads and processes at once; the unique SOP Instance UID decides who was first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from core.clock import Clock
from core.domain.study import Patient, StudyState
from core.domain.trail import TrailEvent
from core.errors import Unavailable
from core.identity import is_another
from core.store.engine import read_only
from core.store.objects import ObjectStore, StoredObject
from core.store.statements import insert_if_absent
from core.store.studies.arrivals import Arrival, InstanceRole, Kept
from core.store.studies.patient.corrections import (
    first_image,
    patient_of,
    take_over_identity,
)
from core.store.studies.patient.quarantine import (
    Decision,
    Quarantined,
    QuarantineKind,
    QuarantineState,
    QuarantineStore,
)
from core.store.studies.patient.replacement import (
    ACCEPTED_PICTURE,
    Compare,
    Replacements,
    content_of,
    never_corrects,
    reopen,
)
from core.store.studies.records import patient_to_json
from core.store.tables.reports import payloads
from core.store.tables.studies import associations, instances, purged_studies, quarantine, studies
from core.store.trail import Trail


class OtherPatient(Exception):  # no error: a way out of a transaction
    """The study was read before, and this image names another patient."""


class IntakeStore:
    """The write side that the DICOM node needs."""

    def __init__(
        self,
        engine: Engine,
        objects: ObjectStore,
        trail: Trail,
        quarantine_store: QuarantineStore,
        *,
        study_id_of: Callable[[str], str],
        now: Clock,
    ) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._objects = objects
        self._trail = trail
        self._quarantine_store = quarantine_store
        self._study_id_of = study_id_of
        self._now = now
        self._replacements = Replacements(engine, objects, trail, quarantine_store, study_id_of=study_id_of, now=now)

    def open_association(self, association_id: str, *, node: str, calling_ae_title: str, address: str) -> None:
        """Remember that a sender is connected: its studies are not complete while it sends them."""
        row = {
            "association_id": association_id,
            "node": node,
            "calling_ae_title": calling_ae_title,
            "address": address,
            "opened_at": self._now(),
        }
        with self._engine.begin() as connection:
            connection.execute(insert(associations).values(row))

    def close_association(self, association_id: str) -> None:
        """The sender has gone, by release, abort or silence."""
        self._close(associations.c.association_id == association_id)

    def close_associations_of(self, node: str) -> None:
        """A node that starts has no open associations: those of its last life were cut."""
        self._close(associations.c.node == node)

    def keep(self, arrival: Arrival, *, compare: Compare = never_corrects) -> Kept:
        """Make the object safe and known; returns only after fsync and commit.

        `compare` is asked about an object that comes under a known UID with other bytes. Raises DiskFull before a byte
        is written when too little disk is left.
        """
        digest = hashlib.sha256(arrival.part10).hexdigest()
        known = self._known(arrival)
        if known is None:
            stored = self._objects.put(arrival.part10)
            outcome = self._insert_or_discard(arrival, stored, digest)
            if outcome is not None:
                return outcome
            self._objects.delete(stored.object_key)  # another association was faster
            known = self._known(arrival)
        if known is None:
            raise Unavailable("another association is at work on this object; send it again")
        if known.sha256 == digest:
            return self._replacements.restore_if_damaged(arrival, known)
        if known.role == InstanceRole.OWN_RESULT:
            return Kept.OWN_RESULT  # as another system files it; what we sent is kept with the report
        return self._replacements.keep_other_bytes(arrival, known, digest, compare)

    def accept(self, item: Quarantined, arrival: Arrival, decision: Decision) -> None:
        """Take in an object that was kept apart, because a person says so: the study is read again.

        A late image of another patient counts as one of the study's patient; another picture takes the place of the
        first one under its UID.
        """
        digest = hashlib.sha256(arrival.part10).hexdigest()
        stored = self._objects.put(arrival.part10)
        known = self._known(arrival)
        try:
            with self._engine.begin() as connection:
                if known is None:
                    self._insert(connection, arrival, stored, digest, vouched=True)
                else:
                    self._replacements.replace_in(connection, arrival, stored, digest, ACCEPTED_PICTURE, edition=1)
                self._quarantine_store.decide(connection, item, QuarantineState.ACCEPTED, decision)
        except Exception:  # boundary to the database, as in `_insert_or_discard`
            self._objects.delete(stored.object_key)
            raise
        self._objects.delete(item.object_key)

    def patient_of(self, study_id: str) -> Patient:
        """Whom a study is filed under now; a patient without any attribute where there is no such study."""
        with self._reader.connect() as connection:
            known = connection.execute(select(studies.c.study_id).where(studies.c.study_id == study_id)).first()
            return patient_of(connection, study_id) if known else Patient()

    def is_own_result(self, sop_instance_uid: str) -> bool:
        """Whether this is the UID of a result that this installation made."""
        query = select(payloads.c.position).where(payloads.c.payload_id == sop_instance_uid)
        with self._reader.connect() as connection:
            return connection.execute(query).first() is not None

    def sop_class_of(self, sop_instance_uid: str) -> str | None:
        """The SOP class of an object that is safe here, None when it is not: what storage commitment asks."""
        query = select(instances.c.header).where(instances.c.sop_instance_uid == sop_instance_uid)
        doubtful = select(quarantine.c.quarantine_id).where(
            quarantine.c.sop_instance_uid == sop_instance_uid, quarantine.c.state == QuarantineState.HELD
        )
        with self._reader.connect() as connection:
            header = connection.execute(query).scalar_one_or_none()
            if header is None or connection.execute(doubtful).first() is not None:
                return None  # of two objects with one UID we cannot say which one was meant
        return str(header["sop_class_uid"])

    def refuse(self, *, calling_ae_title: str, address: str, reason: str) -> None:
        """Record that an object or a sender was refused."""
        self._trail.record(
            TrailEvent(
                action="instance.refused", actor=calling_ae_title, outcome="refused", source=address, reason=reason
            )
        )

    def _close(self, which: Any) -> None:
        statement = update(associations).where(which, associations.c.closed_at.is_(None)).values(closed_at=self._now())
        with self._engine.begin() as connection:
            connection.execute(statement)

    def _known(self, arrival: Arrival) -> Row[tuple[object, ...]] | None:
        uid = arrival.instance.sop_instance_uid
        with self._reader.connect() as connection:
            return connection.execute(select(instances).where(instances.c.sop_instance_uid == uid)).one_or_none()

    def _insert_or_discard(self, arrival: Arrival, stored: StoredObject, digest: str) -> Kept | None:
        """Index the stored object; what could not be indexed is not kept, or repeated sending would fill the disk.

        None when another object of this UID was there first.
        """
        try:
            with self._engine.begin() as connection:
                if not self._insert(connection, arrival, stored, digest):
                    connection.rollback()
                    return None
        except OtherPatient:
            self._replacements.keep_apart(arrival, stored, digest, QuarantineKind.OTHER_PATIENT)
            return Kept.OTHER_PATIENT
        except Exception:  # boundary to the database: whatever failed, the object goes and the error is passed on
            self._objects.delete(stored.object_key)
            raise
        return Kept.OWN_RESULT if arrival.role is InstanceRole.OWN_RESULT else Kept.KEPT

    def _insert(
        self, connection: Connection, arrival: Arrival, stored: StoredObject, digest: str, *, vouched: bool = False
    ) -> bool:
        """Index the stored object; False when one of its UID is there. `vouched`: a person said whose it is."""
        study_id = self._study_id_of(arrival.instance.study_instance_uid)
        self._touch_study(connection, study_id, arrival, vouched=vouched)
        patient = patient_of(connection, study_id) if vouched else arrival.patient
        row = {
            "study_id": study_id,
            "sop_instance_uid": arrival.instance.sop_instance_uid,
            "role": arrival.role,
            **content_of(arrival, stored, digest),
            "patient": patient_to_json(patient),
            "received_at": self._now(),
        }
        if not insert_if_absent(connection, instances, row):
            return False
        self._trail.record_in(connection, _received(study_id, arrival))
        return True

    def _touch_study(self, connection: Connection, study_id: str, arrival: Arrival, *, vouched: bool) -> None:
        """The study of an arrival: made, or reopened by an image that no revision holds yet."""
        opens, now = arrival.role is InstanceRole.SOURCE, self._now()
        before = _last_revision(connection, study_id)
        created = insert_if_absent(
            connection,
            studies,
            {
                "study_id": study_id,
                "study_instance_uid": arrival.instance.study_instance_uid,
                "patient": patient_to_json(arrival.patient),
                "accession_number": arrival.accession_number,
                "study_date": arrival.study_date.isoformat() if arrival.study_date else None,
                "calling_ae_title": arrival.calling_ae_title,
                "state": StudyState.RECEIVING if opens else StudyState.REFUSED,
                "reason": "" if opens else "no image has arrived",
                "expected_instances": arrival.expected_instances,
                "revision": before,
                "settled_revision": before,
                "first_received_at": now,
                "last_received_at": now,
                "waiting_since_at": now if opens else None,
            },
        )
        if opens and not created:
            if not vouched and _is_late_and_of_another(connection, study_id, arrival):
                raise OtherPatient
            if first_image(connection, study_id) is None:
                take_over_identity(connection, study_id, arrival)
            reopen(connection, study_id, arrival.expected_instances, now=now)
        connection.execute(
            update(associations)
            .where(associations.c.association_id == arrival.association_id)
            .values(current_study_id=study_id)
        )


def _is_late_and_of_another(connection: Connection, study_id: str, arrival: Arrival) -> bool:
    """Whether the study was read before, and this image is not of its patient."""
    query = select(studies.c.revision).where(studies.c.study_id == study_id).with_for_update()
    was_assembled = connection.execute(query).scalar_one() > 0
    return was_assembled and is_another(patient_of(connection, study_id), arrival.patient)


def _last_revision(connection: Connection, study_id: str) -> int:
    """The last revision of a study that was purged, 0 of one that is new: its reports must not share their UIDs."""
    query = select(purged_studies.c.revision).where(purged_studies.c.study_id == study_id)
    return connection.execute(query).scalar_one_or_none() or 0


def _received(study_id: str, arrival: Arrival) -> TrailEvent:
    action = "result.returned" if arrival.role is InstanceRole.OWN_RESULT else "instance.received"
    return TrailEvent(action=action, actor=arrival.calling_ae_title, outcome="success", subject=study_id)
