"""One request and the response to it: nothing else that the peer says is taken for it, and its time is limited."""

from __future__ import annotations

import queue
import time
from typing import TypeVar

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_ACTION

from core.errors import Unavailable
from dicom_node.network.peers import Destination
from dicom_node.network.reactor_pause import pause_reactor
from dicom_node.status import Handling, read_status

SLOWEST_BYTES_PER_SECOND = 50_000
"""What a line must carry at least: so much longer may the answer to a large object take."""

Request = TypeVar("Request", C_STORE, N_ACTION)


def exchange(
    association: Association, destination: Destination, request: Request, context_id: int, *, size_bytes: int = 0
) -> Request:
    """Send `request` and wait for its final response, for a limited time however the peer fills it.

    Raises Unavailable with a sentence for the operator; the association is aborted then.
    """
    if not association.is_established:
        raise _broken(destination, "stopped answering: check that it runs")
    limit = destination.answer_timeout_seconds + size_bytes / SLOWEST_BYTES_PER_SECOND
    pause_reactor(association)
    try:
        association.dimse.send_msg(request, context_id)
        response, why = _response(association, request, limit)
    finally:
        association._reactor_checkpoint.set()
    if response is None:
        association.abort()
        raise _broken(destination, why)
    return response


def _response(association: Association, request: Request, limit_seconds: float) -> tuple[Request | None, str]:
    """The response to `request`, else why there is none."""
    why = f"gave no answer within {limit_seconds:.0f} s: check that it runs"
    deadline = time.monotonic() + limit_seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            _, message = association.dimse.msg_queue.get(timeout=left)
        except queue.Empty:
            break
        if message is None:
            return None, "stopped answering: check that it runs"
        if not isinstance(message, type(request)) or not _answers(message, request):
            why = f"answered for another object or message, and not for this one within {limit_seconds:.0f} s"
        elif read_status(int(message.Status or 0)).handling is Handling.NOT_FINAL:
            return None, f"answered 0x{message.Status:04X}: {read_status(int(message.Status or 0)).meaning}"
        else:
            return message, ""
    return None, why


def _answers(response: Request, request: Request) -> bool:
    """Whether a response names this message (PS3.7 9.3.1.2) and, where it names an instance, this one."""
    named = response.AffectedSOPInstanceUID
    return (
        response.is_valid_response
        and response.MessageIDBeingRespondedTo == request.MessageID
        and (not named or named == _instance_of(request))
    )


def _instance_of(request: C_STORE | N_ACTION) -> str | None:
    return request.AffectedSOPInstanceUID if isinstance(request, C_STORE) else request.RequestedSOPInstanceUID


def _broken(destination: Destination, why: str) -> Unavailable:
    return Unavailable(f"destination {destination.name} ({destination.place}) {why}")
