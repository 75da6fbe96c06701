"""What the node hands in, and to whom: the one seam between the DICOM side and the store.

The node knows nothing of databases. An `Intake` promises that `keep` returns only when the object is safe on disk
(fsync) and indexed (commit), because the sender is answered with success right after. `MemoryIntake` is the one for
tests.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from pydicom.dataset import Dataset

from core.domain.study import Instance, Patient
from dicom_node.header.part10 import MANUFACTURER
from dicom_node.header.read import to_instance, to_patient, to_study_attributes
from dicom_node.header.verified import VerifiedReport, verified_report
from dicom_node.sop_classes import IMAGE_SOP_CLASSES
from dicom_node.status import CLASS_INSTANCE_CONFLICT, NO_SUCH_INSTANCE

Reference = tuple[str, str]
"""(SOP Class UID, SOP Instance UID), as storage commitment names an instance."""

Failure = tuple[str, str, int]
"""(SOP Class UID, SOP Instance UID, failure reason): an instance that is not committed (PS3.3 C.14.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedObject:
    """One SOP instance as it arrived: the typed header, and the whole file as it is to be kept.

    `part10` is our file header followed by the data set bytes exactly as received. `carries_image` is False for SR,
    presentation states, key objects, SEG and PMAP, which are filed but never read by a model. `expected_instances`
    is NumberOfStudyRelatedInstances where the sender gives it.
    """

    instance: Instance
    patient: Patient
    accession_number: str = field(repr=False)
    study_date: date | None
    expected_instances: int | None
    association_id: str
    calling_ae_title: str
    carries_image: bool
    part10: bytes = field(repr=False)
    verified: VerifiedReport | None = None  # an SR that a person verified

    @property
    def made_by_candor(self) -> bool:
        """Whether a Candor made it: this installation, an earlier one here, or one of another site."""
        return self.instance.manufacturer == self.instance.manufacturer_model_name == MANUFACTURER


def received_object(header: Dataset, part10: bytes, *, association_id: str, calling_ae_title: str) -> ReceivedObject:
    """What arrived, from its checked header and the whole file as it is to be kept."""
    study, instance = to_study_attributes(header), to_instance(header, size_bytes=len(part10))
    return ReceivedObject(
        instance=instance,
        patient=to_patient(header),
        accession_number=study.accession_number,
        study_date=study.study_date,
        expected_instances=study.expected_instances,
        association_id=association_id,
        calling_ae_title=calling_ae_title,
        carries_image=instance.sop_class_uid in IMAGE_SOP_CLASSES,
        part10=part10,
        verified=verified_report(header),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStatus:
    """The answer to a storage commitment request: each reference is in exactly one of the two."""

    committed: tuple[Reference, ...] = field(repr=False)
    failed: tuple[Failure, ...] = field(repr=False)


class Intake(Protocol):
    """Where received objects and the node's events go. Called from many threads at once."""

    def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
        """A sender is connected; raising here aborts the association."""

    def association_closed(self, association_id: str) -> None:
        """The sender has gone, by release, abort or silence; called exactly once per opened association."""

    def keep(self, received: ReceivedObject) -> str:
        """Make the object safe, then say what became of it ("kept", "conflict", ...): all answer success.

        A CandorError refuses the object with the status of `dicom_node.status.status_for`.
        """

    def refused(self, association_id: str, calling_ae_title: str, address: str, error: Exception) -> None:
        """An object, a connection or an association was turned away (`association_id` is "" before there is one)."""

    def commit_status(self, references: Sequence[Reference]) -> CommitStatus:
        """Which of the references are safe here (PS3.4 J.3.2)."""

    def commitment_answered(
        self, transaction_uid: str, committed: Sequence[Reference], failed: Sequence[Failure]
    ) -> None:
        """A peer reports on what we asked it to commit (PS3.4 J.3.3)."""


@dataclass
class MemoryIntake:
    """An intake that keeps everything in memory."""

    kept: dict[str, ReceivedObject] = field(default_factory=dict)
    conflicts: list[ReceivedObject] = field(default_factory=list)
    opened: dict[str, tuple[str, str]] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    refusals: list[tuple[str, str, str, Exception]] = field(default_factory=list)
    commitments: dict[str, CommitStatus] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
        self.opened[association_id] = (calling_ae_title, address)

    def association_closed(self, association_id: str) -> None:
        self.closed.append(association_id)

    def keep(self, received: ReceivedObject) -> str:
        with self._lock:
            first = self.kept.setdefault(received.instance.sop_instance_uid, received)
            if first is received:
                return "kept"
            if first.part10 == received.part10:
                return "already_kept"
            self.conflicts.append(received)
            return "conflict"

    def refused(self, association_id: str, calling_ae_title: str, address: str, error: Exception) -> None:
        self.refusals.append((association_id, calling_ae_title, address, error))

    def commit_status(self, references: Sequence[Reference]) -> CommitStatus:
        committed, failed = [], []
        for sop_class, sop_instance in references:
            mine = self.kept.get(sop_instance)
            if mine is None:
                failed.append((sop_class, sop_instance, NO_SUCH_INSTANCE))
            elif mine.instance.sop_class_uid != sop_class:
                failed.append((sop_class, sop_instance, CLASS_INSTANCE_CONFLICT))
            else:
                committed.append((sop_class, sop_instance))
        return CommitStatus(committed=tuple(committed), failed=tuple(failed))

    def commitment_answered(
        self, transaction_uid: str, committed: Sequence[Reference], failed: Sequence[Failure]
    ) -> None:
        self.commitments[transaction_uid] = CommitStatus(committed=tuple(committed), failed=tuple(failed))
