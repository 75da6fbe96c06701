"""The node: C-STORE, C-ECHO and storage commitment for any peer that admission lets in, plain and over TLS.

A C-STORE is answered with success only after the intake has the object on disk and indexed; whatever else happens is
answered with a status that makes the sender repair the object or try again. Nothing is decoded here: the data set's
bytes are kept as they came, with a file header of ours in front.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from io import BytesIO
from types import TracebackType
from typing import Self, cast

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_ASSOCIATE

from core.errors import CandorError, InvalidStudy, Refusal, Unavailable
from dicom_node.commitment import CommitmentService
from dicom_node.header.checks import check_header, check_structure
from dicom_node.header.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, file_header
from dicom_node.header.read import parse_header
from dicom_node.intake import Intake, ReceivedObject, received_object
from dicom_node.network.admission import NO_REASON, Admission, Rejection
from dicom_node.network.associations import ANNOUNCED_PDU_BYTES, NodeAssociation, NodeServer, configure_pynetdicom
from dicom_node.network.contexts import contexts_for
from dicom_node.network.in_flight import BytesInFlight, DataSetBuffer
from dicom_node.network.peers import Destination
from dicom_node.network.tls import TlsFiles, acceptor_context
from dicom_node.status import SUCCESS, status_for

_COMMENT_LENGTH = 64  # ErrorComment is an LO
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """How the node listens and whom it lets in; port 0 takes a free one.

    `peers` are the AEs that are called back with the result of a storage commitment they asked for. Empty
    allow-lists allow everybody; addresses may be networks ("10.1.0.0/16").
    """

    ae_title: str = "CANDOR"
    host: str = "127.0.0.1"
    port: int | None = 0  # None: no plain listener
    tls_port: int | None = None  # None: no TLS listener
    tls: TlsFiles | None = None
    require_called_ae_title: bool = True
    allowed_calling_ae_titles: tuple[str, ...] = ()
    allowed_addresses: tuple[str, ...] = ()
    maximum_associations: int = 64
    maximum_associations_per_address: int = 32
    maximum_object_bytes: int = 2 * 1024**3
    maximum_bytes_in_flight: int = 4 * 1024**3
    acse_timeout_seconds: float = 5.0
    dimse_timeout_seconds: float = 30.0
    network_timeout_seconds: float = 60.0
    peers: tuple[Destination, ...] = field(default=())


class Node:
    """A running storage SCP; use it as a context manager or with `start` and `stop`."""

    def __init__(self, settings: NodeSettings, intake: Intake) -> None:
        configure_pynetdicom()
        self.settings = settings
        self.maximum_object_bytes = settings.maximum_object_bytes
        self.bytes_in_flight = BytesInFlight(settings.maximum_bytes_in_flight)
        self.admission = Admission(
            ae_title=settings.ae_title.strip(),
            require_called_ae_title=settings.require_called_ae_title,
            allowed_calling_ae_titles=settings.allowed_calling_ae_titles,
            allowed_addresses=settings.allowed_addresses,
            maximum_associations=settings.maximum_associations,
            maximum_associations_per_address=settings.maximum_associations_per_address,
        )
        self._intake = intake
        self._commitment = CommitmentService(intake, settings.peers)
        self._servers: dict[str, NodeServer] = {}
        self._open: set[NodeAssociation] = set()
        self._lock = threading.Lock()

    @property
    def listening(self) -> dict[str, int]:
        """The ports of the open listeners: "plain", "tls" or both."""
        return {name: int(server.server_address[1]) for name, server in self._servers.items()}

    @property
    def port(self) -> int:
        """The port of the plain listener; KeyError when there is none."""
        return self.listening["plain"]

    @property
    def tls_port(self) -> int:
        """The port of the TLS listener; KeyError when there is none."""
        return self.listening["tls"]

    def start(self) -> None:
        """Open the listeners; raises ConfigurationError for unusable TLS files and OSError for a taken port."""
        settings = self.settings
        if settings.tls_port is not None and settings.tls is not None:
            self._listen("tls", settings.tls_port, settings.tls)
        if settings.port is not None:
            self._listen("plain", settings.port, None)

    def stop(self) -> None:
        """Close the listeners and abort what is still open: an object half received leaves nothing behind."""
        for server in self._servers.values():
            server.shutdown()
        self._servers.clear()
        with self._lock:
            still_open = list(self._open)
        for association in still_open:
            association.abort()
        for association in still_open:
            association.join(timeout=self.settings.acse_timeout_seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def opened(self, association: NodeAssociation) -> None:
        """An association is established; raises when the intake will not have it."""
        self._intake.association_opened(association.association_id, association.calling_ae_title, association.address)
        with self._lock:
            self._open.add(association)

    def closed(self, association: NodeAssociation) -> None:
        """An association has ended, however it did."""
        with self._lock:
            self._open.discard(association)
        try:
            self._intake.association_closed(association.association_id)
        except Exception as error:  # noqa: BLE001 boundary: only the log is left to say it to
            _log.error("association.close_failed", error=type(error).__name__)

    def turned_away(self, address: str, sentence: str, *, calling_ae_title: str = "") -> None:
        """A connection or an association was refused at admission."""
        self._refused("", calling_ae_title, address, CandorError(sentence))

    def _listen(self, name: str, port: int, tls: TlsFiles | None) -> None:
        settings = self.settings
        ae = ApplicationEntity(settings.ae_title)
        ae.maximum_pdu_size = ANNOUNCED_PDU_BYTES
        ae.maximum_associations = 1_000_000  # pynetdicom counts idle sockets too; admission counts associations
        ae.acse_timeout = settings.acse_timeout_seconds
        ae.dimse_timeout = settings.dimse_timeout_seconds
        ae.network_timeout = settings.network_timeout_seconds
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_ACTION, self._commitment.on_action),
            (evt.EVT_N_EVENT_REPORT, self._commitment.on_event_report),
        ]
        context = acceptor_context(tls) if tls else None
        server = NodeServer(ae, (settings.host, port), self, context, handlers)
        self._servers[name] = server
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True, name=f"dicom-{name}"
        ).start()

    def _on_requested(self, event: evt.Event) -> None:
        """Let an association in or reject it, before pynetdicom negotiates; an error here must not open the door."""
        association = cast(NodeAssociation, event.assoc)
        request = cast(A_ASSOCIATE, association.requestor.primitive)
        calling, called = str(request.calling_ae_title).strip(), str(request.called_ae_title).strip()
        rejection: Rejection | None = NO_REASON
        try:
            rejection = self.admission.admit(association.address, calling, called)
            association.admitted = rejection is None
            association.acceptor.supported_contexts = contexts_for(association.requestor.requested_contexts)
        finally:
            self.admission.settle(association.address, association.connection)
            if not association.admitted:
                result = rejection or NO_REASON
                association.acse.send_reject(result.result, result.source, result.reason)
                association.kill()
        if rejection is not None:
            self.turned_away(association.address, rejection.sentence, calling_ae_title=calling)

    def _on_store(self, event: evt.Event) -> Dataset | int:
        """Check and keep one object; the status answered is the sender's receipt (PS3.4 B.2.3)."""
        association = cast(NodeAssociation, event.assoc)
        try:
            self._intake.keep(self._received(association, event))
        except CandorError as error:
            self._refused(association.association_id, association.calling_ae_title, association.address, error)
            return _failure(error)
        except Exception as error:  # noqa: BLE001 boundary: the sender must get an answer and keep its object
            _log.error("store.failed", error=type(error).__name__)
            self._refused(association.association_id, association.calling_ae_title, association.address, error)
            return status_for(error)
        return SUCCESS

    def _received(self, association: NodeAssociation, event: evt.Event) -> ReceivedObject:
        request, syntax = cast(C_STORE, event.request), event.context.transfer_syntax
        sop_class, sop_instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        if sop_class != event.context.abstract_syntax:
            raise InvalidStudy(
                "the SOP class is not the one of its presentation context", refusal=Refusal.DOES_NOT_MATCH
            )
        if cast(DataSetBuffer, request.DataSet).overflowed:
            raise Unavailable("too many bytes are being received at once; send it again later")
        header_bytes = file_header(sop_class, sop_instance, syntax)
        part10 = b"".join((header_bytes, cast(BytesIO, request.DataSet).getbuffer()))
        header_end = check_structure(part10, syntax, start=len(header_bytes))
        header = parse_header(part10[:header_end])
        check_header(header, sop_class_uid=sop_class, sop_instance_uid=sop_instance)
        return received_object(
            header, part10, association_id=association.association_id, calling_ae_title=association.calling_ae_title
        )

    def _refused(self, association_id: str, calling_ae_title: str, address: str, error: Exception) -> None:
        try:
            self._intake.refused(association_id, calling_ae_title, address, error)
        except Exception as failure:  # noqa: BLE001 boundary: the trail being away must not end the association
            _log.error("refusal.not_recorded", error=type(failure).__name__)


def _failure(error: CandorError) -> Dataset:
    status = Dataset()
    status.Status = status_for(error)
    status.ErrorComment = str(error)[:_COMMENT_LENGTH]
    return status
