"""Send objects to a destination: one association, kept open and reused, one honest status per instance.

The bytes go out as they are, without being decoded. Only where a destination takes nothing but implicit VR is an
object converted. Network trouble is `Unavailable`; what a destination answers is a `SendResult`.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from core.domain.delivery import Delivered, Outcome, RetryLater, SetAside
from core.errors import InvalidStudy, Unavailable
from dicom_node.header.part10 import layout_of
from dicom_node.header.read import read_header
from dicom_node.header.values import Values
from dicom_node.network.contexts import contexts_to_propose
from dicom_node.network.exchange import exchange
from dicom_node.network.peers import Destination, associate
from dicom_node.network.reactor_pause import pause_reactor
from dicom_node.sop_classes import UNCOMPRESSED, VERIFICATION
from dicom_node.status import SOP_CLASS_NOT_SUPPORTED, SUCCESS, Handling, Status, read_status


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """The status that a destination answered for one instance (PS3.4 B.2.3), and what it means."""

    status: int

    @property
    def sent(self) -> bool:
        """Whether the destination has kept the instance."""
        return self._read.handling in (Handling.STORED, Handling.ALREADY_STORED)

    @property
    def retryable(self) -> bool:
        """Whether the same instance may be taken later."""
        return self._read.handling in (Handling.RETRY, Handling.PAUSE)

    @property
    def message(self) -> str:
        """What the status means, for a person."""
        return self._read.meaning if self.sent else f"refused with 0x{self.status:04X}: {self._read.meaning}"

    def outcome(self) -> Outcome:
        """The same for the outbox, which knows no DICOM."""
        if self.sent:
            return Delivered()
        if self.retryable:
            return RetryLater(reason=self.message, blames_object=self._read.handling is Handling.RETRY)
        return SetAside(reason=self.message)

    @property
    def _read(self) -> Status:
        return read_status(self.status)


class Sender:
    """An open association that instances are sent over, one after another; not to be shared by threads."""

    def __init__(self, association: Association, destination: Destination) -> None:
        self._association = association
        self._destination = destination
        self._message_id = 0

    @property
    def is_open(self) -> bool:
        """Whether the destination is still there; a reader of the outbox opens a new one when it is not."""
        return bool(self._association.is_established)

    def send(self, data: bytes) -> SendResult:
        """Send one Part 10 file and wait for the destination's status.

        Raises InvalidStudy when `data` is not a DICOM file, Unavailable when the association breaks.
        """
        layout = layout_of(data)
        values = Values(read_header(data))
        sop_class, syntax = values.text("SOPClassUID"), UID(layout.transfer_syntax_uid)
        context = self._context(sop_class, syntax)
        if context is None:
            return SendResult(status=SOP_CLASS_NOT_SUPPORTED)  # the destination did not accept its context
        context_id, accepted = context
        data_set = data[layout.data_set_start :] if accepted == syntax else _converted(data, accepted)
        return SendResult(status=self._store(context_id, sop_class, values.text("SOPInstanceUID"), data_set))

    def _context(self, sop_class: str, syntax: UID) -> tuple[int, UID] | None:
        """The accepted context to send in: with this very syntax, else one that we can convert to."""
        mine = [c for c in self._association.accepted_contexts if c.abstract_syntax == sop_class and c.as_scu]
        accepted = {c.transfer_syntax[0]: c.context_id for c in mine}
        choices = [syntax, *(UNCOMPRESSED if syntax in UNCOMPRESSED else ())]
        return next(((cast(int, accepted[s]), s) for s in choices if s in accepted), None)

    def _store(self, context_id: int, sop_class: str, sop_instance: str, data_set: bytes) -> int:
        """The C-STORE of pynetdicom's `send_c_store`, for bytes that are encoded already."""
        self._message_id = self._message_id % 0xFFFF + 1
        request = C_STORE()
        request.MessageID, request.Priority = self._message_id, 2  # low; no SCP in the field schedules by it
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(sop_class), UID(sop_instance)
        request.DataSet = io.BytesIO(data_set)
        response = exchange(self._association, self._destination, request, context_id, size_bytes=len(data_set))
        return int(cast(int, response.Status))


@contextmanager
def open_association(
    destination: Destination, sop_classes: Iterable[str], *, more_transfer_syntaxes: Iterable[str] = ()
) -> Iterator[Sender]:
    """A sender to `destination` for objects of `sop_classes`, in explicit or implicit VR little endian.

    `more_transfer_syntaxes`: compressed syntaxes to propose besides, each in a context of its own. Raises Unavailable
    with a sentence that names the destination and what to check.
    """
    contexts = contexts_to_propose(dict.fromkeys(sop_classes), more_transfer_syntaxes)
    with associate(destination, contexts) as association:
        yield Sender(association, destination)


def echo(destination: Destination) -> float:
    """Seconds from the first packet to the answer of a C-ECHO; raises Unavailable when there is none."""
    start = time.perf_counter()
    with associate(destination, contexts_to_propose([VERIFICATION])) as association:
        pause_reactor(association)
        if association.send_c_echo().get("Status") != SUCCESS:
            raise _broken(destination)
    return time.perf_counter() - start


def _broken(destination: Destination) -> Unavailable:
    return Unavailable(f"destination {destination.name} ({destination.place}) stopped answering: check that it runs")


def _converted(data: bytes, syntax: UID) -> bytes:
    """The data set of a native object, re-encoded in another native syntax; raises InvalidStudy when it cannot be."""
    try:
        dataset = dcmread(io.BytesIO(data))
        stream = DicomBytesIO()
        stream.is_implicit_VR = syntax == ImplicitVRLittleEndian
        stream.is_little_endian = syntax.is_little_endian
        write_dataset(stream, dataset)
    except Exception as error:  # boundary: a malformed object may break the writer in any way
        raise InvalidStudy("the object cannot be converted to the transfer syntax the destination accepts") from error
    return bytes(stream.getvalue())
