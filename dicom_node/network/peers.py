"""Whom we call: the connection data of one AE, and an association with it that says plainly why it failed."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

from pynetdicom import build_role, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from core.errors import Unavailable
from dicom_node.header.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.network.associations import ANNOUNCED_PDU_BYTES, configure_pynetdicom
from dicom_node.network.reactor_pause import pause_reactor
from dicom_node.network.requestor import RequestorAssociation, RequestorSocket, prepare_association
from dicom_node.network.tls import TlsFiles, requestor_context
from dicom_node.network.unreachable import why_no_dicom, why_not_connected

_REASONS: dict[tuple[int | None, int | None], str] = {  # PS3.8 9.3.4: (source, reason) -> what to check
    (1, 1): "it gave no reason; ask its administrator whether our address is allowed",
    (1, 2): "it does not support the DICOM application context",
    (1, 3): "it does not know our AE title {calling}; register it there",
    (1, 7): "its AE title is not {called}; check ae_title",
    (2, 1): "it gave no reason",
    (2, 2): "it does not support this protocol version",
    (3, 1): "it is congested for now",
    (3, 2): "it has too many associations open",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The connection data of one AE that objects or reports are sent to."""

    name: str
    ae_title: str
    host: str
    port: int
    calling_ae_title: str = "CANDOR"
    tls: TlsFiles | None = None
    connect_timeout_seconds: float = 5.0
    answer_timeout_seconds: float = 30.0

    @property
    def place(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


@contextmanager
def associate(
    destination: Destination,
    contexts: Sequence[PresentationContext],
    *,
    handlers: Sequence[evt.EventHandlerType] = (),
    as_scp_of: Sequence[str] = (),
) -> Iterator[Association]:
    """An established association, released at the end (aborted when the block raises).

    `as_scp_of`: SOP classes whose SCP we are although we open the association (PS3.7 D.3.3.4). Raises Unavailable
    with a sentence that names the destination and what to check.
    """
    association = _request(destination, contexts, handlers, as_scp_of)
    if not association.is_established:
        raise Unavailable(_why_not(destination, association))
    try:
        yield association
    except BaseException:  # boundary of the association: however its user fails, the peer hears of it
        association.abort()
        raise
    if association.is_established:
        pause_reactor(association)
        association.release()


def _request(
    destination: Destination,
    contexts: Sequence[PresentationContext],
    handlers: Sequence[evt.EventHandlerType],
    as_scp_of: Sequence[str],
) -> RequestorAssociation:
    configure_pynetdicom()
    ae = ApplicationEntity(destination.calling_ae_title)
    ae.connection_timeout = destination.connect_timeout_seconds
    ae.acse_timeout = ae.dimse_timeout = destination.answer_timeout_seconds
    ae.network_timeout = None  # we keep associations open and reuse them; each answer has its own timeout
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    context = requestor_context(destination.tls, of=f"destination {destination.name}") if destination.tls else None
    try:
        association = prepare_association(
            ae, (destination.host, destination.port), tls_args=(context, destination.host) if context else None
        )
    except OSError as error:  # the name of the host has no address
        why = why_not_connected(error, host=destination.host, tls=destination.tls, reached=False)
        raise Unavailable(_about(destination, why)) from error
    association.acceptor.ae_title = destination.ae_title
    association.requestor.maximum_length = ANNOUNCED_PDU_BYTES
    for sop_class in as_scp_of:
        association.requestor.add_negotiation_item(build_role(sop_class, scp_role=True))
    association.requestor.requested_contexts = _numbered(contexts)
    for handler in [(evt.EVT_CONN_OPEN, _send_at_once), *handlers]:
        association.bind(*handler)
    association.request()
    if association.is_established:
        association.start()
    return association


def _numbered(contexts: Sequence[PresentationContext]) -> list[PresentationContext]:
    """Copies of the contexts under odd numbers (PS3.8 9.3.2.2)."""
    numbered = deepcopy(list(contexts))
    for number, context in enumerate(numbered):
        context.context_id = 2 * number + 1
    return numbered


def _send_at_once(event: evt.Event) -> None:
    """Without this the last fragment of an object waits for the peer's delayed ACK, some 40 ms."""
    wrapped = event.assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _why_not(destination: Destination, association: RequestorAssociation) -> str:
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        reason = _REASONS.get((answer.result_source, answer.diagnostic), "for a reason that is not in the standard")
        words = reason.format(calling=destination.calling_ae_title, called=destination.ae_title)
        return f"destination {destination.name} ({destination.place}) rejected the association: {words}"
    if answer is not None and answer.result == 0:
        return (
            f"destination {destination.name} ({destination.place}) accepts none of the objects: "
            "check which SOP classes it stores"
        )
    return _unreachable(destination, association.connection)


def _unreachable(destination: Destination, connection: RequestorSocket) -> str:
    error, host, tls = connection.failure, destination.host, destination.tls
    if not connection.was_open:
        return _about(destination, why_not_connected(error, host=host, tls=tls, reached=connection.reached))
    if not (connection.was_closed or connection.first_bytes or error):
        error = TimeoutError()
    seconds = destination.answer_timeout_seconds
    return _about(destination, why_no_dicom(connection.first_bytes, error, host=host, tls=tls, seconds=seconds))


def _about(destination: Destination, why: str) -> str:
    return f"destination {destination.name} ({destination.place}){why if why.startswith(':') else ' ' + why}"
