"""Storage commitment (PS3.4 J.3): promise what is safe here, and ask others for the same promise.

A request (N-ACTION) is acknowledged at once; the answer (N-EVENT-REPORT) follows on an association of our own where
we know the peer, else on the one that it keeps open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import cast

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association

from core.errors import CandorError, Unavailable
from dicom_node.header.values import Values
from dicom_node.intake import CommitStatus, Failure, Intake, Reference
from dicom_node.network.associations import NodeAssociation
from dicom_node.network.contexts import contexts_to_propose
from dicom_node.network.peers import Destination, associate
from dicom_node.network.reactor_pause import pause_reactor
from dicom_node.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from dicom_node.status import (
    INVALID_ARGUMENT_VALUE,
    NO_SUCH_ACTION,
    NO_SUCH_EVENT_TYPE,
    PROCESSING_FAILURE,
    SUCCESS,
)

_REQUEST = 1  # Action Type ID, PS3.4 J.3.2.1.1
_ALL_COMMITTED, _SOME_FAILED = 1, 2  # Event Type ID, PS3.4 J.3.3.1.1
_RELEASE_PAUSE_SECONDS = 0.25  # a peer that wants its answer elsewhere releases in this time
_log = structlog.get_logger()


class CommitmentService:
    """The node's side of storage commitment, in both directions."""

    def __init__(self, intake: Intake, peers: Iterable[Destination]) -> None:
        self._intake = intake
        self._peers = {peer.ae_title: peer for peer in peers}

    def on_action(self, event: evt.Event) -> tuple[int, None]:
        """A peer asks us to commit what it sent: acknowledge, then report."""
        if event.action_type != _REQUEST:
            return NO_SUCH_ACTION, None
        try:
            transaction_uid, references, _ = _parse(event.action_information)
        except Exception:  # noqa: BLE001 boundary: hostile bytes may break the decoder in any way
            return INVALID_ARGUMENT_VALUE, None
        if not transaction_uid or not references:
            return INVALID_ARGUMENT_VALUE, None
        association = cast(NodeAssociation, event.assoc)
        association.after_response.append(lambda: self._answer(association, transaction_uid, references))
        return SUCCESS, None

    def on_event_report(self, event: evt.Event) -> tuple[int, None]:
        """A peer reports on what we asked it to commit."""
        if event.event_type not in (_ALL_COMMITTED, _SOME_FAILED):
            return NO_SUCH_EVENT_TYPE, None
        try:
            transaction_uid, committed, failed = _parse(event.event_information)
        except Exception:  # noqa: BLE001 boundary: as above
            return INVALID_ARGUMENT_VALUE, None
        try:
            self._intake.commitment_answered(transaction_uid, committed, failed)
        except Exception as error:  # noqa: BLE001 boundary: the peer must hear that we did not note its answer
            _log.error("commitment.answer_failed", error=type(error).__name__)
            return PROCESSING_FAILURE, None
        return SUCCESS, None

    def _answer(self, association: Association, transaction_uid: str, references: Sequence[Reference]) -> None:
        try:
            status = self._intake.commit_status(references)
            report = _report(transaction_uid, status)
            if not self._report_by_call(association, report, status):
                _report_on(association, report, status)
        except Exception as error:  # noqa: BLE001 boundary: a thread of its own, no caller would see it
            _log.error("commitment.report_failed", error=type(error).__name__)

    def _report_by_call(self, association: Association, report: Dataset, status: CommitStatus) -> bool:
        peer = self._peers.get(str(association.requestor.ae_title).strip())
        if peer is None:
            return False
        with suppress(CandorError):
            contexts = contexts_to_propose([STORAGE_COMMITMENT])
            with associate(peer, contexts, as_scp_of=[STORAGE_COMMITMENT]) as call:
                return _send_report(call, report, status)
        return False


def request_commitment(
    destination: Destination,
    transaction_uid: str,
    references: Sequence[Reference],
    *,
    wait_seconds: float = 0.0,
) -> CommitStatus | None:
    """Ask `destination` to commit `references`; the answer when it comes on this association within `wait_seconds`.

    None means that the answer will come later, to the node (`Intake.commitment_answered`). Raises Unavailable when
    the destination cannot be reached, does not offer storage commitment or refuses the request.
    """
    answers: list[CommitStatus] = []
    answered = threading.Event()

    def note(event: evt.Event) -> tuple[int, None]:
        transaction, committed, failed = _parse(event.event_information)
        if transaction == transaction_uid:
            answers.append(CommitStatus(committed=tuple(committed), failed=tuple(failed)))
            answered.set()
        return SUCCESS, None

    contexts = contexts_to_propose([STORAGE_COMMITMENT])
    with associate(destination, contexts, handlers=[(evt.EVT_N_EVENT_REPORT, note)]) as association:
        request = _request(transaction_uid, references)
        pause_reactor(association)
        status, _ = association.send_n_action(request, _REQUEST, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)
        if status.get("Status") != SUCCESS:
            raise Unavailable(
                f"destination {destination.name} ({destination.place}) refused the storage commitment request"
            )
        answered.wait(wait_seconds)
    return answers[0] if answers else None


def _report_on(association: Association, report: Dataset, status: CommitStatus) -> None:
    time.sleep(_RELEASE_PAUSE_SECONDS)
    if not association.is_established or not _send_report(association, report, status):
        _log.warning("commitment.not_reported", reason="the peer has gone and is not among the known peers")


def _send_report(association: Association, report: Dataset, status: CommitStatus) -> bool:
    event_type = _SOME_FAILED if status.failed else _ALL_COMMITTED
    pause_reactor(association)
    answer, _ = association.send_n_event_report(report, event_type, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)
    return bool(answer.get("Status") == SUCCESS)


def _request(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = [_item(*reference) for reference in references]
    return request


def _report(transaction_uid: str, status: CommitStatus) -> Dataset:
    report = _request(transaction_uid, status.committed)
    if not status.committed:
        del report.ReferencedSOPSequence
    if status.failed:
        report.FailedSOPSequence = [_item(*failure) for failure in status.failed]
    return report


def _item(sop_class_uid: str, sop_instance_uid: str, failure_reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    if failure_reason is not None:
        item.FailureReason = failure_reason
    return item


def _parse(information: Dataset) -> tuple[str, list[Reference], list[Failure]]:
    """Transaction UID, referenced and failed instances of an N-ACTION or N-EVENT-REPORT."""
    committed = [_reference(item) for item in information.get("ReferencedSOPSequence") or ()]
    failed = [
        (*_reference(item), Values(item).integer("FailureReason") or PROCESSING_FAILURE)
        for item in information.get("FailedSOPSequence") or ()
    ]
    return Values(information).text("TransactionUID"), committed, failed


def _reference(item: Dataset) -> Reference:
    values = Values(item)
    return values.text("ReferencedSOPClassUID"), values.text("ReferencedSOPInstanceUID")
