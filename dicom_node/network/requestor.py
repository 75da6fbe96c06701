"""pynetdicom's requestor with bounds: a pause that is one, a limit for each answer, and an end that waits for no peer.

pynetdicom 3.0.4 marks its reactor as running whenever a request of the peer was served, also while the reactor is
paused: an N-EVENT-REPORT that comes at once (PS3.4 J.3.3) lets `release` wait for ever. It reads without a deadline
once an association is open, and an abort waits for that read. The subclasses here keep its negotiation and services.
"""

from __future__ import annotations

import ssl
import sys
import threading
import time
from typing import cast

from pynetdicom._globals import MODE_REQUESTOR
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from dicom_node.network.associations import BoundedSocket
from dicom_node.network.reactor_pause import Checkpoint

GRACE_SECONDS = 1.0
"""How long an end may take before the connection is cut under the thread that reads or writes."""


class RequestorSocket(BoundedSocket):
    """Reads each PDU and writes each one within the time that an answer may take, and remembers what went wrong."""

    failure: OSError | None = None
    reached = was_open = was_closed = False
    first_bytes = b""

    def connect(self, primitive: T_CONNECT) -> None:
        """As its parent."""
        super().connect(primitive)
        self.was_open = self._is_connected

    def recv(self, nr_bytes: int) -> bytearray:
        """As its parent; the first bytes and the last error stay known, to say why there is no association."""
        try:
            received = super().recv(nr_bytes)
        except OSError as error:
            self.failure = error
            raise
        self.first_bytes = self.first_bytes or bytes(received[:8])
        self.was_closed = self.was_closed or not received
        return received

    def _shutdown_socket(self) -> None:
        """Called by pynetdicom while it handles the error of a connection that failed."""
        error = sys.exception()
        if isinstance(error, OSError) and not self._is_connected and self.failure is None:
            self.failure = error
            self.reached = self._has_peer()
        super()._shutdown_socket()

    def _has_peer(self) -> bool:
        try:
            return self.socket is not None and bool(self.socket.getpeername())
        except OSError:
            return False

    def _patience(self) -> float:
        return float(self.assoc.dimse_timeout or GRACE_SECONDS)

    def send(self, bytestream: bytes) -> None:
        """Write one PDU; the connection counts as closed when the peer does not read it in time."""
        if self.socket is not None:
            self.socket.settimeout(self._patience())
        super().send(bytestream)

    def cut(self) -> None:
        """Close the connection under whatever waits for it."""
        self._shutdown_socket()


class RequestorAssociation(Association):
    """An association that we open."""

    connection: RequestorSocket

    def __init__(self, ae: ApplicationEntity) -> None:
        self._checkpoint = Checkpoint()
        super().__init__(ae, MODE_REQUESTOR)
        self._reactor_checkpoint = self._checkpoint  # type: ignore[assignment]  # the part of an Event that is used

    @property
    def _is_paused(self) -> bool:
        """Whether the reactor takes no message now: it waits at the checkpoint, or it has ended."""
        return self._checkpoint.is_blocked or self._kill or not self.is_alive()

    @_is_paused.setter
    def _is_paused(self, value: bool) -> None:
        """Ignore what pynetdicom notes: it is wrong while an N-EVENT-REPORT is served."""

    def kill(self) -> None:
        """End the reactor and the provider's thread, at the latest a grace period after the peer was asked to."""
        self._reactor_checkpoint.set()
        self._kill = True
        self.is_established = False
        deadline = time.monotonic() + GRACE_SECONDS
        while self.dul.is_alive() and not self._stops():
            if time.monotonic() > deadline:
                cast(RequestorSocket, self.dul.socket).cut()
            if time.monotonic() > deadline + GRACE_SECONDS:
                self.dul.kill_dul()
                return
            time.sleep(0.01)

    def _stops(self) -> bool:
        """As `stop_dul`, for a call out of the provider's own thread too."""
        return threading.current_thread() is self.dul or self.dul.stop_dul()


def prepare_association(
    ae: ApplicationEntity, address: tuple[str, int], *, tls_args: tuple[ssl.SSLContext, str] | None
) -> RequestorAssociation:
    """Prepare an association to `address` that is not requested yet; OSError when the host has no address."""
    remote = AddressInformation.from_addr_port(*address)
    local = AddressInformation.from_tuple(("", 0) if remote.is_ipv4 else ("::0", 0))
    association = RequestorAssociation(ae)
    association.name = f"RequestorThread@{address[0]}:{address[1]}"
    connection = RequestorSocket(association, address=local)
    connection.tls_args = tls_args
    association.connection = connection
    association.dul.daemon = True  # an association that is still open must not keep a process alive
    association.set_socket(cast(AssociationSocket, connection))
    association.acceptor.address_info = remote
    association.requestor.address_info = local
    association.requestor.ae_title = ae.ae_title
    association.requestor.implementation_class_uid = ae.implementation_class_uid
    association.requestor.implementation_version_name = ae.implementation_version_name
    return association
