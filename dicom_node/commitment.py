"""Storage commitment (PS3.4 J.3): promise what is safe here, and ask others for the same promise.

A request (N-ACTION) is acknowledged at once; the answer (N-EVENT-REPORT) follows on an association of our own where
we know the peer, else on the one that it keeps open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from io import BytesIO
from typing import cast

import structlog
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION

from core.errors import CandorError, Unavailable
from dicom_node.header.values import Values
from dicom_node.intake import CommitStatus, Failure, Intake, Reference
from dicom_node.network.associations import NodeAssociation
from dicom_node.network.contexts import contexts_to_propose
from dicom_node.network.exchange import exchange
from dicom_node.network.peers import Destination, associate
from dicom_node.network.reactor_pause import pause_reactor
from dicom_node.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from dicom_node.status import (
    INVALID_ARGUMENT_VALUE,
    NO_SUCH_ACTION,
    NO_SUCH_EVENT_TYPE,
    PROCESSING_FAILURE,
    SUCCESS,
    Handling,
    read_status,
)

_REQUEST = 1  # Action Type ID, PS3.4 J.3.2.1.1
_ALL_COMMITTED, _SOME_FAILED = 1, 2  # Event Type ID, PS3.4 J.3.3.1.1
_RELEASE_PAUSE_SECONDS = 0.25  # a peer that wants its answer elsewhere releases in this time
SAME_ASSOCIATION_SECONDS = 2.0
"""So long after a request its association stays open for an answer that comes at once."""

_LAST_WORD_SECONDS = 0.25  # our response to an answer must leave before the association is released

OnAnswer = Callable[[str, Sequence[Reference], Sequence[Failure]], None]
"""Takes the transaction UID of an answer, what is committed and what is not."""

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
        return _take_report(event, self._intake.commitment_answered)

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


class CommitmentRequester:
    """Asks one destination to commit; its answers are taken from the same association while that stays open.

    A destination may answer at once, before or after the response to the request, or later on an association of its
    own, which the node takes (PS3.4 J.3.3.1.2). `on_answer` gets transaction UID, committed and failed references;
    it is called in a thread of the association, also for transactions of earlier days.
    """

    def __init__(self, destination: Destination, on_answer: OnAnswer) -> None:
        self._destination = destination
        self._on_answer = on_answer
        self._exit = ExitStack()
        self._association: Association | None = None
        self._message_id = 0
        self._waiting: set[str] = set()
        self._patient_until = 0.0

    def request(self, transaction_uid: str, references: Sequence[Reference]) -> None:
        """Ask; Unavailable when the destination cannot be reached, offers no storage commitment or refuses."""
        association = self._opened()
        context = next(c for c in association.accepted_contexts if c.abstract_syntax == STORAGE_COMMITMENT)
        self._message_id = self._message_id % 0xFFFF + 1
        request = N_ACTION()
        request.MessageID, request.ActionTypeID = self._message_id, _REQUEST
        request.RequestedSOPClassUID = STORAGE_COMMITMENT
        request.RequestedSOPInstanceUID = STORAGE_COMMITMENT_INSTANCE
        request.ActionInformation = _encoded(_request(transaction_uid, references), context.transfer_syntax[0])
        self._waiting.add(transaction_uid)
        response = exchange(association, self._destination, request, cast(int, context.context_id))
        status = read_status(int(cast(int, response.Status)))
        if status.handling is not Handling.STORED:
            self._waiting.discard(transaction_uid)
            raise Unavailable(
                f"destination {self._destination.name} ({self._destination.place}) refused the storage commitment "
                f"request with 0x{response.Status:04X}: {status.meaning}"
            )
        self._wait(SAME_ASSOCIATION_SECONDS if self._waiting else _LAST_WORD_SECONDS)

    def rest(self) -> None:
        """Close the association unless an answer may still come over it."""
        if time.monotonic() > self._patient_until:
            self.close()

    def close(self) -> None:
        """Release the association; what is not answered yet is answered to the node."""
        self._association = None
        self._waiting.clear()
        with suppress(Unavailable):  # it may have gone by itself
            self._exit.close()

    def _opened(self) -> Association:
        if self._association is None or not self._association.is_established:
            self.close()
            handlers = [(evt.EVT_N_EVENT_REPORT, self._on_report)]
            opening = associate(self._destination, contexts_to_propose([STORAGE_COMMITMENT]), handlers=handlers)
            self._association = self._exit.enter_context(opening)
        return self._association

    def _on_report(self, event: evt.Event) -> tuple[int, None]:
        return _take_report(event, self._note)

    def _note(self, transaction_uid: str, committed: Sequence[Reference], failed: Sequence[Failure]) -> None:
        self._on_answer(transaction_uid, committed, failed)
        self._waiting.discard(transaction_uid)
        if not self._waiting:
            self._wait(_LAST_WORD_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._patient_until = time.monotonic() + seconds


def _take_report(event: evt.Event, on_answer: OnAnswer) -> tuple[int, None]:
    """Hand an N-EVENT-REPORT on; the status says whether it was noted."""
    if event.event_type not in (_ALL_COMMITTED, _SOME_FAILED):
        return NO_SUCH_EVENT_TYPE, None
    try:
        transaction_uid, committed, failed = _parse(event.event_information)
    except Exception:  # noqa: BLE001 boundary: hostile bytes may break the decoder in any way
        return INVALID_ARGUMENT_VALUE, None
    try:
        on_answer(transaction_uid, committed, failed)
    except Exception as error:  # noqa: BLE001 boundary: the peer must hear that we did not note its answer
        _log.error("commitment.answer_failed", error=type(error).__name__)
        return PROCESSING_FAILURE, None
    return SUCCESS, None


def _encoded(request: Dataset, syntax: UID) -> BytesIO:
    """A data set in the transfer syntax of its context."""
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    write_dataset(stream, request)
    return BytesIO(stream.getvalue())


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
