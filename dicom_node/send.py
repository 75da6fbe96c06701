"""Send objects to a destination: one association, kept open and reused, one honest status per instance.

The bytes go out as they are, without being decoded. Only where a destination takes nothing but implicit VR is an
object converted. Network trouble is `Unavailable`, to be tried again; a status that no retry will change is a
`SendResult` that says so.
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

from core.errors import InvalidStudy, Unavailable
from dicom_node.header.part10 import layout_of
from dicom_node.header.read import read_header
from dicom_node.header.values import Values
from dicom_node.network.contexts import contexts_to_propose
from dicom_node.network.peers import Destination, associate
from dicom_node.network.reactor_pause import pause_reactor
from dicom_node.sop_classes import UNCOMPRESSED, VERIFICATION

NOT_ACCEPTED = 0x0122  # SOP class not supported (PS3.7 C.5.6); also ours for a context that was not accepted
_WARNINGS = {  # PS3.4 B.2.3: the object was stored
    0xB000: "stored, with elements coerced",
    0xB006: "stored, with elements discarded",
    0xB007: "stored, although the data set does not match its SOP class",
}
_PASSING = (  # passes by itself (PS3.4 B.2.3, PS3.7 C.5)
    (0xA700, 0xA7FF, "out of resources"),
    (0x0110, 0x0110, "the destination failed while processing it"),
    (0x0213, 0x0213, "the destination is at a limit of its resources"),
)
_FINAL = (
    (0xA900, 0xA9FF, "the data set does not match its SOP class"),
    (0x0124, 0x0124, "the destination does not authorise us"),
    (0x0211, 0x0211, "the destination does not know the operation"),
    (NOT_ACCEPTED, NOT_ACCEPTED, "the destination does not take this kind of object"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """What a destination said of one instance (PS3.4 B.2.3)."""

    status: int
    sent: bool
    retryable: bool
    message: str


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
            return _result(NOT_ACCEPTED)
        context_id, accepted = context
        data_set = data[layout.data_set_start :] if accepted == syntax else _converted(data, accepted)
        return _result(self._store(context_id, sop_class, values.text("SOPInstanceUID"), data_set))

    def _context(self, sop_class: str, syntax: UID) -> tuple[int, UID] | None:
        """The accepted context to send in: with this very syntax, else one that we can convert to."""
        mine = [c for c in self._association.accepted_contexts if c.abstract_syntax == sop_class and c.as_scu]
        accepted = {c.transfer_syntax[0]: c.context_id for c in mine}
        choices = [syntax, *(UNCOMPRESSED if syntax in UNCOMPRESSED else ())]
        return next(((cast(int, accepted[s]), s) for s in choices if s in accepted), None)

    def _store(self, context_id: int, sop_class: str, sop_instance: str, data_set: bytes) -> int:
        """The C-STORE of pynetdicom's `send_c_store`, for bytes that are encoded already."""
        association = self._association
        if not self.is_open:
            raise _broken(self._destination)
        self._message_id = self._message_id % 0xFFFF + 1
        request = C_STORE()
        request.MessageID, request.Priority = self._message_id, 2  # low; nobody in the field schedules by it
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(sop_class), UID(sop_instance)
        request.DataSet = io.BytesIO(data_set)
        pause_reactor(association)
        try:
            association.dimse.send_msg(request, context_id)
            _, response = association.dimse.get_msg(block=True)
        finally:
            association._reactor_checkpoint.set()
        if not isinstance(response, C_STORE) or not response.is_valid_response:
            association.abort()
            raise _broken(self._destination)
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
        if association.send_c_echo().get("Status") != 0:
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


def _result(status: int) -> SendResult:
    if status == 0:
        return SendResult(status=status, sent=True, retryable=False, message="stored")
    if status in _WARNINGS:
        return SendResult(status=status, sent=True, retryable=False, message=_WARNINGS[status])
    passing = _words(status, _PASSING)
    words = passing or _words(status, _FINAL) or "it cannot be understood"
    message = f"refused with 0x{status:04X}: {words}"
    return SendResult(status=status, sent=False, retryable=bool(passing), message=message)


def _words(status: int, known: Iterable[tuple[int, int, str]]) -> str:
    return next((words for low, high, words in known if low <= status <= high), "")
