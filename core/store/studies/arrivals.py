"""What arrives, and what becomes of it, in the words of the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from core.domain.study import Instance, Patient


class InstanceRole(StrEnum):
    """What a kept instance is to us."""

    SOURCE = "source"  # carries an image: part of what models read
    FILED = "filed"  # no image (SR, PR, KO, ...): kept, opens nothing
    OWN_RESULT = "own_result"  # one of our results came back: kept, opens nothing


class Kept(StrEnum):
    """What became of an object that arrived; all are safe on disk, so all are answered with success."""

    KEPT = "kept"
    ALREADY_KEPT = "already_kept"
    RESTORED = "restored"  # its file was gone or damaged: this one takes its place
    CORRECTED = "corrected"  # same UID and picture, other header: this one counts from now on
    CONFLICT = "conflict"  # same UID, other bytes: the first stays, this one is quarantined
    OTHER_PATIENT = "other_patient"  # too late for a study of somebody else: quarantined
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
