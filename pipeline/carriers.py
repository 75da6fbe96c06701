"""Ways out, one class a kind of destination. An association is kept open while there is something to send.

A new kind of destination is a settings class (core.settings.destinations), a carrier here, and one line in `CARRIERS`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Protocol

import structlog

from core.domain.delivery import Delivered, Delivery, Outcome
from core.domain.report import ObjectKind, ReportStatus
from core.errors import DiskFull, Unavailable
from core.files import make_private_folder, write_durably
from core.settings import Settings
from core.settings.destinations import AnyDestination, Destination, DicomDestination, FolderDestination, TlsSettings
from core.store.store import Store
from dicom_node.commitment import CommitmentRequester, OnAnswer
from dicom_node.intake import Failure, Reference
from dicom_node.network.peers import Destination as Peer
from dicom_node.network.tls import TlsFiles
from dicom_node.send import Sender, echo, open_association
from dicom_node.sop_classes import RESULT_SOP_CLASSES

_log = structlog.get_logger()


class Carrier(Protocol):
    """Hands payloads over to one destination."""

    def carry(self, delivery: Delivery, payload: bytes) -> Outcome:
        """Hand one payload over; Unavailable when the destination does not answer."""

    def check(self) -> str:
        """Say in one sentence that the destination answers; Unavailable when it does not."""

    def new_transaction(self) -> str | None:
        """The name under which the destination will confirm what it keeps; None when it confirms nothing."""

    def request_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery], on_answer: OnAnswer) -> None:
        """Ask the destination to confirm that it keeps what it got; Unavailable when the request itself fails.

        The answer comes to `on_answer`, in another thread, or later to the node.
        """

    def rest(self) -> None:
        """Let go of what is held open: there is nothing more to send for now."""


class DicomCarrier:
    """C-STORE over one association that stays open while there is work."""

    def __init__(self, destination: DicomDestination, settings: Settings) -> None:
        self._peer = peer_of(destination, settings)
        self._with_commitment = destination.storage_commitment
        self._exit = ExitStack()
        self._sender: Sender | None = None
        self._requester: CommitmentRequester | None = None

    def carry(self, delivery: Delivery, payload: bytes) -> Outcome:
        """Send over the open association, or a new one; Unavailable when the destination does not answer."""
        if self._sender is None or not self._sender.is_open:
            self.rest()
            self._sender = self._exit.enter_context(open_association(self._peer, RESULT_SOP_CLASSES))
        return self._sender.send(payload).outcome()

    def check(self) -> str:
        """C-ECHO."""
        seconds = echo(self._peer)
        return f"{self._peer.name} ({self._peer.place}) answered in {seconds * 1000:.0f} ms"

    def new_transaction(self) -> str | None:
        """A Transaction UID (PS3.4 J.3.2) when the settings ask for storage commitment."""
        return f"2.25.{uuid.uuid4().int}" if self._with_commitment else None

    def request_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery], on_answer: OnAnswer) -> None:
        """N-ACTION on an association of its own, which stays open a little for an answer that comes at once."""
        if self._requester is None:
            self._requester = CommitmentRequester(self._peer, on_answer)
        self._requester.request(transaction_uid, [(d.payload_type, d.payload_id) for d in deliveries])

    def rest(self) -> None:
        """Release the associations, that of storage commitment when no answer may come over it."""
        self._sender = None
        with suppress(Unavailable):  # it may have gone by itself
            self._exit.close()
        if self._requester is not None:
            self._requester.rest()


class FolderCarrier:
    """One folder per study pseudonym, one file per payload, written whole or not at all."""

    def __init__(self, destination: FolderDestination, settings: Settings) -> None:
        self._name = destination.name
        self._folder = destination.folder

    def carry(self, delivery: Delivery, payload: bytes) -> Outcome:
        """Write the payload for this account only: it bears the patient's name. DiskFull when it does not fit."""
        path = self._folder / delivery.study_id / f"{delivery.kind}-{delivery.delivery_id}.dcm"
        try:
            make_private_folder(path.parent)
            write_durably(path, payload)
        except OSError as error:
            raise DiskFull(f"{self._folder} cannot be written: {error.strerror}") from error
        return Delivered()

    def check(self) -> str:
        """Look whether the folder can be written."""
        if not self._folder.is_dir() or not os.access(self._folder, os.W_OK):
            raise Unavailable(f"destination {self._name}: {self._folder} is not a folder that can be written; make it")
        return f"{self._name}: {self._folder} can be written"

    def new_transaction(self) -> str | None:
        """None: a folder confirms nothing."""
        return None

    def request_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery], on_answer: OnAnswer) -> None:
        """Never called: see `new_transaction`."""
        raise Unavailable("a folder does not offer storage commitment")

    def rest(self) -> None:
        """Nothing is held open."""


CARRIERS: Mapping[type[Destination], Callable[[Any, Settings], Carrier]] = {
    DicomDestination: DicomCarrier,
    FolderDestination: FolderCarrier,
}
"""The carrier of each kind of destination."""


def kinds_wanted(settings: Settings, status: ReportStatus) -> dict[str, frozenset[ObjectKind]]:
    """Which kinds each destination gets of a report of this status."""
    refused = status is ReportStatus.REFUSED
    return {d.name: frozenset(d.objects) for d in settings.destinations if d.refused_reports or not refused}


def carrier_for(destination: AnyDestination, settings: Settings) -> Carrier:
    """The way out that the settings of a destination ask for."""
    return CARRIERS[type(destination)](destination, settings)


def peer_of(destination: DicomDestination, settings: Settings) -> Peer:
    """The connection data of a DICOM destination."""
    return Peer(
        name=destination.name,
        ae_title=destination.ae_title,
        host=destination.host,
        port=destination.port,
        calling_ae_title=settings.ae_title,
        tls=tls_files(destination.tls) if destination.tls else None,
    )


def tls_files(tls: TlsSettings) -> TlsFiles:
    """The PEM files of a TLS setting."""
    return TlsFiles(certificate_file=tls.certificate_file, key_file=tls.key_file, ca_file=tls.ca_file)


def note_commitment(
    store: Store, transaction_uid: str, committed: Sequence[Reference], failed: Sequence[Failure]
) -> None:
    """Keep the answer of a destination; what it does not keep is sent again."""
    again = store.commitments.answered(transaction_uid, [uid for _, uid in committed], [uid for _, uid, _ in failed])
    _log.info("commitment.answered", count=len(committed), instances=again)
