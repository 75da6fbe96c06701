"""Another object under a known UID: the picture with a corrected header, the bytes of a lost file, or one that waits.

The same picture under a corrected header takes the place of the first one; the same bytes take the place of a file that
is gone or damaged; all else is kept apart until a person decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pydantic import JsonValue
from sqlalchemy import Connection, Engine, Row, select, update

from core.clock import Clock
from core.domain.study import StudyState
from core.domain.trail import TrailEvent
from core.errors import IntegrityError
from core.identity import Correction
from core.store.objects import ObjectStore, StoredObject
from core.store.studies.arrivals import Arrival, InstanceRole, Kept
from core.store.studies.patient.corrections import first_image, is_outdated, keep_replaced, take_over_identity
from core.store.studies.patient.quarantine import QuarantineKind, QuarantineStore
from core.store.studies.patient.withdrawal import withdraw
from core.store.studies.records import instance_to_json, patient_to_json
from core.store.tables.studies import associations, instances, studies
from core.store.trail import Trail

ACCEPTED_PICTURE = Correction(keywords=("the whole object",), names_patient=True)
Compare = Callable[[bytes, bytes], Correction | None]
"""What the second of two Part 10 files of one UID corrects in the first; None where they are not one picture."""


def never_corrects(_before: bytes, _after: bytes) -> Correction | None:
    """Take no two objects for one picture."""
    return None


class Replacements:
    """What becomes of an object whose UID is known."""

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
        self._objects = objects
        self._trail = trail
        self._quarantine_store = quarantine_store
        self._study_id_of = study_id_of
        self._now = now

    def restore_if_damaged(self, arrival: Arrival, known: Row[tuple[object, ...]]) -> Kept:
        """Let the same bytes take the place of a file that is gone or damaged; a study that failed is read again."""
        if self._is_intact(str(known.object_key)):
            return Kept.ALREADY_KEPT
        stored = self._objects.put(arrival.part10)
        with self._engine.begin() as connection:
            mine = (instances.c.instance_id == known.instance_id) & (instances.c.object_key == known.object_key)
            is_ours = connection.execute(update(instances).where(mine).values(object_key=stored.object_key)).rowcount
            if is_ours:
                failed = (studies.c.study_id == known.study_id) & (studies.c.state == StudyState.FAILED)
                again = {"state": StudyState.COMPLETE, "reason": "", "revision": studies.c.revision + 1}
                connection.execute(update(studies).where(failed).values(again))
                event = TrailEvent(
                    action="instance.restored",
                    actor=arrival.calling_ae_title,
                    outcome="success",
                    subject=str(known.study_id),
                    reason="the kept file was gone or damaged; the same bytes arrived again and take its place",
                )
                self._trail.record_in(connection, event)
        self._objects.delete(str(known.object_key) if is_ours else stored.object_key)
        return Kept.RESTORED

    def _is_intact(self, object_key: str) -> bool:
        try:
            self._objects.get(object_key)
        except IntegrityError:
            return False
        return True

    def keep_other_bytes(self, arrival: Arrival, known: Row[tuple[object, ...]], digest: str, compare: Compare) -> Kept:
        """Another object under a known UID: the same picture with a corrected header counts, all else waits."""
        correction = self._correction(arrival, known, compare)
        if correction is None:
            if not self._quarantine_store.is_known(arrival.instance.sop_instance_uid, digest):
                self.keep_apart(arrival, self._objects.put(arrival.part10), digest, QuarantineKind.OTHER_BYTES)
            return Kept.CONFLICT
        stored = self._objects.put(arrival.part10)
        try:
            with self._engine.begin() as connection:
                is_outdated_copy = is_outdated(connection, arrival, digest)
                if not is_outdated_copy:
                    self.replace_in(connection, arrival, stored, digest, correction)
        except Exception:  # boundary to the database, as in the intake
            self._objects.delete(stored.object_key)
            raise
        if is_outdated_copy:
            self._objects.delete(stored.object_key)
            return Kept.ALREADY_KEPT
        return Kept.CORRECTED if correction.keywords else Kept.ALREADY_KEPT

    def _correction(self, arrival: Arrival, known: Row[tuple[object, ...]], compare: Compare) -> Correction | None:
        """What an image corrects; None for what is no image, is of another study, or cannot be compared."""
        study_id = self._study_id_of(arrival.instance.study_instance_uid)
        if known.role != InstanceRole.SOURCE or known.study_id != study_id:
            return None
        try:
            before = self._objects.get(str(known.object_key))
        except IntegrityError:
            return None
        return compare(before, arrival.part10)

    def replace_in(
        self,
        connection: Connection,
        arrival: Arrival,
        stored: StoredObject,
        digest: str,
        correction: Correction,
        *,
        edition: int = 0,
    ) -> None:
        """Let an object take the place of the one under its UID. `edition`: 1 where the picture is another one."""
        uid, now = arrival.instance.sop_instance_uid, self._now()
        mine = instances.c.sop_instance_uid == uid
        before = connection.execute(select(instances).where(mine).with_for_update()).one()
        keep_replaced(connection, before, arrival, correction, at=now)
        edition += int(before.header.get("edition", 0))
        arrival = replace(arrival, instance=replace(arrival.instance, edition=edition))
        connection.execute(update(instances).where(mine).values(content_of(arrival, stored, digest)))
        if correction.keywords:
            first = first_image(connection, before.study_id)
            if first is not None and first.sop_instance_uid == uid:
                take_over_identity(connection, before.study_id, arrival)
            reopen(connection, before.study_id, arrival.expected_instances, now=now)
            connection.execute(
                update(associations)
                .where(associations.c.association_id == arrival.association_id)
                .values(current_study_id=before.study_id)
            )
            if correction.names_patient:
                withdraw(connection, before.study_id)
        event = TrailEvent(
            action="instance.corrected",
            actor=arrival.calling_ae_title,
            outcome="success",
            subject=before.study_id,
            reason=f"changed: {', '.join(correction.keywords) or 'nothing that a report is made of'}",
        )
        self._trail.record_in(connection, event)

    def keep_apart(self, arrival: Arrival, stored: StoredObject, digest: str, kind: QuarantineKind) -> None:
        """Keep an object apart, once, for a person to look at."""
        if self._quarantine_store.is_known(arrival.instance.sop_instance_uid, digest):
            self._objects.delete(stored.object_key)
            return
        study_id = self._study_id_of(arrival.instance.study_instance_uid)
        with self._engine.begin() as connection:
            self._quarantine_store.add(
                connection, arrival, kind, study_id=study_id, object_key=stored.object_key, sha256=digest
            )


def reopen(connection: Connection, study_id: str, expected: int | None, *, now: float) -> None:
    """Let the next revision be assembled when the completion rule holds again."""
    mine = studies.c.study_id == study_id
    change = {"state": StudyState.RECEIVING, "reason": "", "last_received_at": now}
    promised = {} if expected is None else {"expected_instances": expected}
    connection.execute(update(studies).where(mine).values({**change, **promised}))
    connection.execute(update(studies).where(mine, studies.c.waiting_since_at.is_(None)).values(waiting_since_at=now))


def content_of(arrival: Arrival, stored: StoredObject, digest: str) -> dict[str, JsonValue]:
    """The columns of an image that come with its bytes."""
    return {
        "header": instance_to_json(arrival.instance),
        "association_id": arrival.association_id,
        "object_key": stored.object_key,
        "sha256": digest,
        "size_bytes": len(arrival.part10),
        "patient": patient_to_json(arrival.patient),
    }
