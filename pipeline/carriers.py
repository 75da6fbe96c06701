"""Ways out: an association that is kept open while there is something to send, or a folder."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

from core.domain.delivery import Delivery
from core.errors import DiskFull, Unavailable
from core.settings import DestinationSettings, Settings, TlsSettings
from core.store.keys import sync_folders
from dicom_node.commitment import request_commitment
from dicom_node.network.peers import Destination
from dicom_node.network.tls import TlsFiles
from dicom_node.send import Sender, SendResult, open_association
from dicom_node.sop_classes import RESULT_SOP_CLASSES


class Carrier(Protocol):
    """Hands objects over to one destination."""

    def carry(self, delivery: Delivery, part10: bytes) -> SendResult:
        """Hand one object over; Unavailable when the other side is away."""

    @property
    def offers_commitment(self) -> bool:
        """Whether the destination can be asked to commit to keeping what it got."""

    def request_commitment(self, transaction_uid: str, deliveries: list[Delivery]) -> None:
        """Ask for storage commitment; Unavailable when the request itself fails. The answer comes to the node."""

    def rest(self) -> None:
        """Nothing more for now: let go of what is held open."""


def carrier_for(destination: DestinationSettings, settings: Settings) -> Carrier:
    """The way out that the settings of a destination ask for."""
    if destination.kind == "folder" and destination.folder is not None:
        return FolderCarrier(destination.folder)
    return DicomCarrier(peer_of(destination, settings), with_commitment=destination.storage_commitment)


def peer_of(destination: DestinationSettings, settings: Settings) -> Destination:
    """The connection data of a destination."""
    return Destination(
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


class DicomCarrier:
    """C-STORE over one association that stays open while there is work."""

    def __init__(self, peer: Destination, *, with_commitment: bool) -> None:
        self._peer = peer
        self._with_commitment = with_commitment
        self._exit = ExitStack()
        self._sender: Sender | None = None

    def carry(self, delivery: Delivery, part10: bytes) -> SendResult:
        """Send over the open association, or a new one; Unavailable when the destination does not answer."""
        if self._sender is None or not self._sender.is_open:
            self.rest()
            self._sender = self._exit.enter_context(open_association(self._peer, RESULT_SOP_CLASSES))
        return self._sender.send(part10)

    @property
    def offers_commitment(self) -> bool:
        """What the settings of the destination say."""
        return self._with_commitment

    def request_commitment(self, transaction_uid: str, deliveries: list[Delivery]) -> None:
        """N-ACTION on an association of its own; the answer comes to the node's listener."""
        request_commitment(self._peer, transaction_uid, [(d.sop_class_uid, d.sop_instance_uid) for d in deliveries])

    def rest(self) -> None:
        """Release the association."""
        self._sender = None
        with suppress(Unavailable):  # it may have gone by itself
            self._exit.close()


class FolderCarrier:
    """One folder per study pseudonym, one file per object, written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def carry(self, delivery: Delivery, part10: bytes) -> SendResult:
        """Write the object; DiskFull when it does not fit."""
        path = self._folder / delivery.study_id / f"{delivery.kind}-{delivery.delivery_id}.dcm"
        partial = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_durably(partial, part10)
            partial.replace(path)
            sync_folders([path.parent])
        except OSError as error:
            raise DiskFull(f"{self._folder} cannot be written: {error.strerror}") from error
        return SendResult(status=0, sent=True, retryable=False, message="written")

    @property
    def offers_commitment(self) -> bool:
        """A folder promises nothing."""
        return False

    def request_commitment(self, transaction_uid: str, deliveries: list[Delivery]) -> None:
        """Never called: see `offers_commitment`."""
        raise Unavailable("a folder does not offer storage commitment")

    def rest(self) -> None:
        """Nothing is held open."""


def _write_durably(path: Path, data: bytes) -> None:
    """For the eyes of this account only: results bear the patient's name."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
