"""Keep what arrives: the object's bytes first, then its row, in one commit with the study it belongs to.

Safe to be called from many threads and processes at once; the unique SOP Instance UID decides who was first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from core.clock import Clock
from core.domain.study import Instance, Patient, StudyState
from core.domain.trail import TrailEvent
from core.store.engine import read_only
from core.store.objects import ObjectStore, StoredObject
from core.store.statements import insert_if_absent
from core.store.studies.records import instance_to_json, patient_from_json, patient_to_json
from core.store.tables.reports import payloads
from core.store.tables.studies import associations, instances, purged_studies, quarantine, studies
from core.store.trail import Trail

OTHER_PATIENT = "PatientID is not that of the first object of this study: it may be of another patient"


class InstanceRole(StrEnum):
    """What a kept instance is to us."""

    SOURCE = "source"  # carries an image: part of what models read
    FILED = "filed"  # no image (SR, PR, KO, ...): kept, opens nothing
    OWN_RESULT = "own_result"  # one of our results came back: kept, opens nothing


class Kept(StrEnum):
    """What became of an object that arrived; all four are safe on disk, so all four are answered with success."""

    KEPT = "kept"
    ALREADY_KEPT = "already_kept"
    CONFLICT = "conflict"  # same UID, other bytes: the first stays, this one is quarantined
    OWN_RESULT = "own_result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An object as it arrived, and what its header says of study and patient."""

    instance: Instance
    patient: Patient
    accession_number: str
    study_date: date | None
    expected_instances: int | None
    association_id: str
    calling_ae_title: str
    role: InstanceRole
    part10: bytes


class IntakeStore:
    """The write side that the DICOM node needs."""

    def __init__(
        self,
        engine: Engine,
        objects: ObjectStore,
        trail: Trail,
        *,
        study_id_of: Callable[[str], str],
        now: Clock,
    ) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._objects = objects
        self._trail = trail
        self._study_id_of = study_id_of
        self._now = now

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

    def keep(self, arrival: Arrival) -> Kept:
        """Make the object safe and known; returns only after fsync and commit.

        Raises DiskFull before a byte is written when too little disk is left.
        """
        digest = hashlib.sha256(arrival.part10).hexdigest()
        known = self._digest_of(arrival.instance.sop_instance_uid)
        if known is None:
            stored = self._objects.put(arrival.part10)
            known = self._insert_or_discard(arrival, stored, digest)
            if known is None:
                return Kept.OWN_RESULT if arrival.role is InstanceRole.OWN_RESULT else Kept.KEPT
            self._objects.delete(stored.object_key)  # another association was faster
        if known == digest:
            return Kept.ALREADY_KEPT
        self._quarantine(arrival, digest)
        return Kept.CONFLICT

    def is_own_result(self, sop_instance_uid: str) -> bool:
        """Whether this is the UID of a result that this installation made."""
        query = select(payloads.c.position).where(payloads.c.payload_id == sop_instance_uid)
        with self._reader.connect() as connection:
            return connection.execute(query).first() is not None

    def sop_class_of(self, sop_instance_uid: str) -> str | None:
        """The SOP class of an object that is safe here, None when it is not: what storage commitment asks."""
        query = select(instances.c.header).where(instances.c.sop_instance_uid == sop_instance_uid)
        doubtful = select(quarantine.c.quarantine_id).where(quarantine.c.sop_instance_uid == sop_instance_uid)
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

    def _digest_of(self, sop_instance_uid: str) -> str | None:
        query = select(instances.c.sha256).where(instances.c.sop_instance_uid == sop_instance_uid)
        with self._reader.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _insert_or_discard(self, arrival: Arrival, stored: StoredObject, digest: str) -> str | None:
        """Index the stored object; what could not be indexed is not kept, or repeated sending would fill the disk."""
        try:
            return self._insert(arrival, stored, digest)
        except Exception:  # boundary to the database: whatever failed, the object goes and the error is passed on
            self._objects.delete(stored.object_key)
            raise

    def _insert(self, arrival: Arrival, stored: StoredObject, digest: str) -> str | None:
        """Index the stored object; returns the digest of the one that was there first, else None."""
        study_id = self._study_id_of(arrival.instance.study_instance_uid)
        now = self._now()
        with self._engine.begin() as connection:
            instance = self._touch_study(connection, study_id, arrival, now)
            row = {
                "study_id": study_id,
                "sop_instance_uid": arrival.instance.sop_instance_uid,
                "header": instance_to_json(instance),
                "role": arrival.role,
                "association_id": arrival.association_id,
                "object_key": stored.object_key,
                "sha256": digest,
                "size_bytes": len(arrival.part10),
                "received_at": now,
            }
            if not insert_if_absent(connection, instances, row):
                connection.rollback()
                return self._digest_of(arrival.instance.sop_instance_uid)
            self._trail.record_in(connection, _received(study_id, arrival))
        return None

    def _touch_study(self, connection: Connection, study_id: str, arrival: Arrival, now: float) -> Instance:
        """The study of an arrival: made, or reopened by an image that no revision holds yet.

        Returns the instance, with a flag where it names another patient than the study does.
        """
        opens = arrival.role is InstanceRole.SOURCE
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
            expected = arrival.expected_instances
            change = {"state": StudyState.RECEIVING, "reason": "", "last_received_at": now}
            promised = {} if expected is None else {"expected_instances": expected}
            mine = studies.c.study_id == study_id
            connection.execute(update(studies).where(mine).values({**change, **promised}))
            connection.execute(
                update(studies).where(mine, studies.c.waiting_since_at.is_(None)).values(waiting_since_at=now)
            )
        connection.execute(
            update(associations)
            .where(associations.c.association_id == arrival.association_id)
            .values(current_study_id=study_id)
        )
        if created or not _is_of_another(arrival.patient, connection, study_id):
            return arrival.instance
        return replace(arrival.instance, header_flags=(*arrival.instance.header_flags, OTHER_PATIENT))

    def _quarantine(self, arrival: Arrival, digest: str) -> None:
        """Keep the second object of a UID apart, once, for a person to look at."""
        uid = arrival.instance.sop_instance_uid
        study_id = self._study_id_of(arrival.instance.study_instance_uid)
        known = select(quarantine.c.quarantine_id).where(
            quarantine.c.sop_instance_uid == uid, quarantine.c.sha256 == digest
        )
        with self._reader.connect() as connection:
            if connection.execute(known).first() is not None:
                return
        reason = "another object with the same SOP Instance UID was kept before"
        stored = self._objects.put(arrival.part10)
        row = {
            "sop_instance_uid": uid,
            "study_id": study_id,
            "object_key": stored.object_key,
            "sha256": digest,
            "reason": reason,
            "received_at": self._now(),
        }
        with self._engine.begin() as connection:
            connection.execute(insert(quarantine).values(row))
            event = TrailEvent(
                action="instance.quarantined",
                actor=arrival.calling_ae_title,
                outcome="refused",
                subject=study_id,
                reason=reason,
            )
            self._trail.record_in(connection, event)


def _last_revision(connection: Connection, study_id: str) -> int:
    """The last revision of a study that was purged, 0 of one that is new: its reports must not share their UIDs."""
    query = select(purged_studies.c.revision).where(purged_studies.c.study_id == study_id)
    return connection.execute(query).scalar_one_or_none() or 0


def _is_of_another(patient: Patient, connection: Connection, study_id: str) -> bool:
    """Whether a patient is not that of the study, as far as both give an ID, or both say who issued it."""
    query = select(studies.c.patient).where(studies.c.study_id == study_id)
    first = patient_from_json(connection.execute(query).scalar_one())
    pairs = (
        (patient.patient_id, first.patient_id),
        (patient.issuer_of_patient_id, first.issuer_of_patient_id),
    )
    return any(one and other and one != other for one, other in pairs)


def _received(study_id: str, arrival: Arrival) -> TrailEvent:
    action = "result.returned" if arrival.role is InstanceRole.OWN_RESULT else "instance.received"
    return TrailEvent(action=action, actor=arrival.calling_ae_title, outcome="success", subject=study_id)
