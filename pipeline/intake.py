"""Receive: what the DICOM node hands in goes into the store."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core.domain.reading import GroundTruth, TruthSource
from core.errors import CandorError
from core.pseudonym import pseudonym
from core.store.store import Store
from core.store.studies.arrivals import Kept
from dicom_node.header.corrected import correction_of
from dicom_node.header.verified import CodeKey, VerifiedReport
from dicom_node.intake import (
    CommitStatus,
    Failure,
    ReceivedObject,
    Reference,
)
from dicom_node.status import CLASS_INSTANCE_CONFLICT, NO_SUCH_INSTANCE
from pipeline.carriers import note_commitment
from pipeline.patient.quarantine import arrival_of, release_corrected

_log = structlog.get_logger()
_EVENTS = {
    Kept.CONFLICT: ("instance.quarantined", "warning"),
    Kept.OTHER_PATIENT: ("instance.quarantined", "warning"),
    Kept.RESTORED: ("instance.restored", "warning"),
    Kept.CORRECTED: ("instance.corrected", "info"),
}
"""What the operator reads of it, by what became of the object; without a line here it was received."""


class StoreIntake:
    """The node's intake (dicom_node.intake.Intake) on the real store."""

    def __init__(self, store: Store, *, node: str) -> None:
        self._store = store
        self._node = node
        store.intake.close_associations_of(node)

    def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
        """A sender is connected."""
        self._store.intake.open_association(
            association_id, node=self._node, calling_ae_title=calling_ae_title, address=address
        )

    def association_closed(self, association_id: str) -> None:
        """The sender has gone."""
        self._store.intake.close_association(association_id)

    def keep(self, received: ReceivedObject) -> str:
        """Make the object safe; what is quarantined, corrected or restored is logged for the operator."""
        kept = self._store.intake.keep(arrival_of(received, self._store), compare=correction_of)
        study = self._store.study_id_of(received.instance.study_instance_uid)
        event, level = _EVENTS.get(kept, ("instance.received", "info"))
        details = {"calling_ae_title": received.calling_ae_title} if level == "warning" else {}
        getattr(_log, level)(event, study=study, outcome=kept.value, size_bytes=len(received.part10), **details)
        if kept is Kept.CORRECTED:
            release_corrected(self._store, study)
        if received.verified is not None:
            self._take_truth(received.verified, study)
        return kept.value

    def _take_truth(self, verified: VerifiedReport, study: str) -> None:
        """A person put a name under one of our reports: what it says is ground truth, by a person who saw the AI."""
        if not any(self._store.intake.is_own_result(uid) for uid in verified.sop_instance_uids):
            return
        reader = pseudonym(self._store.key.pseudonym_key, "reader", " ".join(verified.observer.lower().split()))
        names = self._names_of_findings(study)
        answers = [
            GroundTruth(
                study_id=study,
                finding=names[code],
                value=value,
                source=TruthSource.VERIFIED_SR,
                reader=reader,
                ai_seen=True,
                at=verified.verified_at or self._store.now(),
            )
            for code, value in verified.findings.items()
            if code in names
        ]
        _log.info("truth.verified_report", study=study, count=self._store.truths.add(answers))

    def _names_of_findings(self, study: str) -> dict[CodeKey, str]:
        """What the models that read a study call the findings of their report, by code."""
        filed = self._store.reports.current(study)
        findings = filed.document["findings"] if filed else []
        return {(finding["code"]["value"], finding["code"]["scheme"]): finding["name"] for finding in findings}

    def refused(self, association_id: str, calling_ae_title: str, address: str, error: Exception) -> None:
        """Write a refusal to log and trail; a foreign error by its class only."""
        reason = str(error) if isinstance(error, CandorError) else type(error).__name__
        _log.warning("instance.refused", calling_ae_title=calling_ae_title, address=address, reason=reason)
        self._store.intake.refuse(calling_ae_title=calling_ae_title, address=address, reason=reason)

    def commit_status(self, references: Sequence[Reference]) -> CommitStatus:
        """What storage commitment may promise: only what is kept here, under the class it was sent with."""
        committed: list[Reference] = []
        failed: list[Failure] = []
        for sop_class_uid, sop_instance_uid in references:
            held = self._store.intake.sop_class_of(sop_instance_uid)
            if held == sop_class_uid:
                committed.append((sop_class_uid, sop_instance_uid))
            else:
                reason = NO_SUCH_INSTANCE if held is None else CLASS_INSTANCE_CONFLICT
                failed.append((sop_class_uid, sop_instance_uid, reason))
        return CommitStatus(committed=tuple(committed), failed=tuple(failed))

    def commitment_answered(
        self, transaction_uid: str, committed: Sequence[Reference], failed: Sequence[Failure]
    ) -> None:
        """A destination says what it keeps; what it does not keep is sent again."""
        note_commitment(self._store, transaction_uid, committed, failed)
