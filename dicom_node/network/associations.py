"""pynetdicom's acceptor with bounds: every read has a deadline and a size, every connection its own thread.

pynetdicom reads what a PDU header promises, waits for ever for the rest of it and performs the TLS handshake in the
thread that accepts; each of these lets one peer stop all others. The subclasses here keep its negotiation, state
machine and services. They touch private members, which is why pyproject.toml pins its exact version.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from copy import copy
from threading import Thread
from typing import Any, Protocol, cast
from uuid import uuid4

from pynetdicom import _config, evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AddressInformation, AssociationSocket, RequestHandler, ThreadedAssociationServer

from dicom_node.network.admission import Admission
from dicom_node.network.in_flight import BytesInFlight, DataSetBuffer
from dicom_node.network.unreachable import why_client_has_no_tls

MAXIMUM_PDU_BYTES = 1024 * 1024
"""The longest PDU that is read at all; we ask peers for 256 KiB, some ignore what they are asked."""

ANNOUNCED_PDU_BYTES = 256 * 1024
_READ_BYTES = 256 * 1024
_SERVICE_PROVIDER, _INVALID_PARAMETER = 2, 6  # A-ABORT source and reason, PS3.8 9.3.8


class AssociationOwner(Protocol):
    """What an association reports to the node it belongs to."""

    admission: Admission
    maximum_object_bytes: int
    bytes_in_flight: BytesInFlight

    def opened(self, association: NodeAssociation) -> None: ...

    def closed(self, association: NodeAssociation) -> None: ...

    def turned_away(self, address: str, sentence: str) -> None: ...


class BoundedSocket(AssociationSocket):
    """Reads at most MAXIMUM_PDU_BYTES, within the ACSE or the network timeout, in few and large steps."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Read `nr_bytes`, fewer when the peer closes; OSError when it is too slow or announces too much."""
        if nr_bytes > MAXIMUM_PDU_BYTES:
            self._abort()
            raise ConnectionAbortedError("the peer announced a PDU that is too long")
        connection = cast(socket.socket, self.socket)
        deadline = time.monotonic() + self._patience()
        buffer, filled = bytearray(nr_bytes), 0
        with memoryview(buffer) as view:
            while filled < nr_bytes:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                count = connection.recv_into(view[filled : filled + _READ_BYTES])
                if count == 0:
                    break
                filled += count
        return buffer if filled == nr_bytes else buffer[:filled]

    def _patience(self) -> float:
        established = self.assoc.is_established
        return float((self.assoc.network_timeout if established else self.assoc.acse_timeout) or 60)

    def _abort(self) -> None:
        pdu = A_ABORT_RQ()
        pdu.source, pdu.reason_diagnostic = _SERVICE_PROVIDER, _INVALID_PARAMETER
        self.send(pdu.encode())


class BoundedDimse(DIMSEServiceProvider):
    """Collects fragments only up to a size, and survives command sets that make no sense."""

    def __init__(self, association: NodeAssociation) -> None:
        super().__init__(association)
        self._maximum_bytes = association.owner.maximum_object_bytes
        self._in_flight = association.owner.bytes_in_flight

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take one P-DATA; anything wrong with it aborts this association and no other."""
        if self.message is None:
            self.message = DIMSEMessage()
            self.message.data_set = DataSetBuffer(self._in_flight)
        try:
            super().receive_primitive(primitive)
            if self._collected_bytes() <= self._maximum_bytes:
                return
        except Exception:  # noqa: BLE001, S110 boundary: a hostile command set may break the decoder in any way
            pass
        self.message = None
        self.dul.event_queue.put("Evt19")  # invalid PDU: abort (PS3.8 9.2.3)

    def forget(self) -> None:
        """The association has ended: let go of what was half received or never served."""
        self.message = None
        while not self.msg_queue.empty():
            self.msg_queue.get_nowait()

    def _collected_bytes(self) -> int:
        if self.message is None:
            return 0
        parts = (self.message.data_set, self.message.encoded_command_set)
        return sum(part.tell() for part in parts if part is not None)


class NodeAssociation(Association):
    """An accepted association that reports to its node when it opens and, whatever happens, when it has ended."""

    dimse: BoundedDimse

    def __init__(self, ae: ApplicationEntity, owner: AssociationOwner, address: str, connection: socket.socket) -> None:
        self.owner = owner
        self.address = address
        self.connection = connection
        self.association_id = uuid4().hex
        self.admitted = False
        self.after_response: list[Callable[[], None]] = []
        super().__init__(ae, MODE_ACCEPTOR)
        self.dimse = BoundedDimse(self)

    @property
    def calling_ae_title(self) -> str:
        return str(self.requestor.ae_title).strip()

    def run_reactor(self) -> None:
        """Negotiate and serve."""
        try:
            super().run_reactor()
        finally:
            self.dimse.forget()
            self.owner.admission.settle(self.address, self.connection)
            if self.admitted:
                self.owner.admission.leave(self.address)

    def _run_reactor(self) -> None:
        try:
            self.owner.opened(self)
        except Exception as error:  # noqa: BLE001 boundary: without its store the node must not take objects
            self.owner.turned_away(self.address, f"the node cannot take objects now ({type(error).__name__})")
            self.abort()
            return
        try:
            super()._run_reactor()
        finally:
            self.owner.closed(self)

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """Serve one request, then start what has to follow its response."""
        super()._serve_request(msg, context_id)
        while self.after_response:
            Thread(target=self.after_response.pop(0), daemon=True, name="after-response").start()


class NodeRequestHandler(RequestHandler):
    """Makes a NodeAssociation for an accepted connection."""

    server: NodeServer

    def _create_association(self) -> Association:
        """As pynetdicom's, without copying the node's contexts: they are narrowed when the peer's are known."""
        association = NodeAssociation(self.ae, self.server.owner, str(self.client_address[0]), self.request)
        association._server = self.server
        association.name = f"AcceptorThread@{association.association_id}"  # pynetdicom finds its threads by this name
        association.set_socket(BoundedSocket(association, client_socket=self.request))
        acceptor = association.acceptor
        acceptor.maximum_length = self.ae.maximum_pdu_size
        acceptor.ae_title = self.server.ae_title
        acceptor.address_info = self.local
        acceptor.implementation_class_uid = self.ae.implementation_class_uid
        acceptor.implementation_version_name = self.ae.implementation_version_name
        association.requestor.address_info = AddressInformation.from_tuple(self.client_address)
        association._handlers = copy(self.server._handlers)
        return association


class NodeServer(ThreadedAssociationServer):
    """A listener whose accepting thread never waits for a peer."""

    daemon_threads = True
    request_queue_size = 128
    owner: AssociationOwner

    def __init__(
        self,
        ae: ApplicationEntity,
        address: tuple[str, int],
        owner: AssociationOwner,
        tls: ssl.SSLContext | None,
        handlers: list[evt.EventHandlerType],
    ) -> None:
        self.owner = owner
        self._tls = tls  # not pynetdicom's ssl_context: that one makes the accepting thread do the handshake
        super().__init__(ae, address, ae.ae_title, [], evt_handlers=handlers, request_handler=NodeRequestHandler)
        ae._servers.append(self)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Make the connection quick and bounded, secure it if asked to, then start its association."""
        address = str(client_address[0])
        admission = self.owner.admission
        admission.wait(address, request)
        try:
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request.settimeout(self.ae.acse_timeout)
            if self._tls is not None:
                request = self._secure(address, request)
        except OSError as error:
            admission.settle(address, request)
            self.owner.turned_away(address, why_client_has_no_tls(error))
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)

    def _secure(self, address: str, plain: socket.socket) -> socket.socket:
        context = cast(ssl.SSLContext, self._tls)
        self.owner.admission.settle(address, plain)
        secured = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self.owner.admission.wait(address, secured)
        try:
            secured.do_handshake()
        except OSError:
            self.owner.admission.settle(address, secured)
            secured.close()
            raise
        return secured

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Socketserver prints a traceback; we count the connection as gone."""
        self.owner.admission.settle(str(client_address[0]), request)


def configure_pynetdicom() -> None:
    """Stop pynetdicom from formatting every message for logs that are switched off."""
    _config.LOG_HANDLER_LEVEL = "none"
