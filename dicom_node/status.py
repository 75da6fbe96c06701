"""Every DIMSE status that this node sends or understands: its number, its clause, and what a sender does after it.

General statuses: PS3.7 Annex C. C-STORE: PS3.4 Table B.2-1. Failure reasons of storage commitment: PS3.3 C.14.1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.errors import InvalidStudy, Refusal, answer_for

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
NO_SUCH_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
INVALID_ARGUMENT_VALUE = 0x0115
CLASS_INSTANCE_CONFLICT = 0x0119
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORISED = 0x0124
UNRECOGNISED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
ELEMENTS_COERCED = 0xB000
ELEMENTS_DISCARDED = 0xB006
STORED_WITHOUT_MATCH = 0xB007
CANNOT_UNDERSTAND = 0xC000
CANCELLED = 0xFE00


class Handling(StrEnum):
    """What a sender does after a status."""

    STORED = "stored"  # nothing: the object is kept
    RETRY = "retry"  # send this object again later; it may be the object's own fault
    PAUSE = "pause"  # send again later; the destination lacks something, no object is to blame
    GIVE_UP = "give up"  # set the object aside: no retry changes the answer
    ALREADY_STORED = "already stored"  # nothing: an earlier answer was lost, the object is kept
    NOT_FINAL = "not final"  # abort: the answer to a C-STORE has no such status


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One status, or the range from `number` to `last`."""

    number: int
    last: int
    clause: str
    meaning: str  # for the operator of the sender
    handling: Handling


def _status(number: int, clause: str, handling: Handling, meaning: str, *, last: int | None = None) -> Status:
    return Status(number=number, last=last or number, clause=clause, meaning=meaning, handling=handling)


_GENERAL, _STORE, _WARNING = "PS3.7 C.5", "PS3.4 B.2.3", "PS3.7 C.4"
STATUSES = (
    _status(SUCCESS, "PS3.7 C.1", Handling.STORED, "stored"),
    _status(ELEMENTS_COERCED, _STORE, Handling.STORED, "stored, with elements coerced"),
    _status(ELEMENTS_DISCARDED, _STORE, Handling.STORED, "stored, with elements discarded"),
    _status(
        STORED_WITHOUT_MATCH, _STORE, Handling.STORED, "stored, although the data set does not match its SOP class"
    ),
    _status(0x0107, _WARNING, Handling.STORED, "stored, with an error in its list of elements"),
    _status(0x0116, _WARNING, Handling.STORED, "stored, with a value out of range"),
    _status(DUPLICATE_SOP_INSTANCE, _GENERAL, Handling.ALREADY_STORED, "stored before: an earlier answer was lost"),
    _status(0x0210, _GENERAL, Handling.RETRY, "the message number is in use there"),
    _status(PROCESSING_FAILURE, _GENERAL, Handling.RETRY, "the destination failed while processing it"),
    _status(RESOURCE_LIMITATION, _GENERAL, Handling.RETRY, "the destination is at a limit of its resources"),
    _status(OUT_OF_RESOURCES, _STORE, Handling.PAUSE, "out of resources", last=0xA7FF),
    _status(DOES_NOT_MATCH, _STORE, Handling.GIVE_UP, "the data set does not match its SOP class", last=0xA9FF),
    _status(CANNOT_UNDERSTAND, _STORE, Handling.GIVE_UP, "it cannot be understood", last=0xCFFF),
    _status(NO_SUCH_INSTANCE, _GENERAL, Handling.GIVE_UP, "the destination does not have the instance"),
    _status(NO_SUCH_EVENT_TYPE, _GENERAL, Handling.GIVE_UP, "the destination does not know the event type"),
    _status(INVALID_ARGUMENT_VALUE, _GENERAL, Handling.GIVE_UP, "an element of the request is not valid"),
    _status(CLASS_INSTANCE_CONFLICT, _GENERAL, Handling.GIVE_UP, "the instance has another SOP class there"),
    _status(SOP_CLASS_NOT_SUPPORTED, _GENERAL, Handling.GIVE_UP, "the destination does not take this kind of object"),
    _status(NO_SUCH_ACTION, _GENERAL, Handling.GIVE_UP, "the destination does not know the action"),
    _status(NOT_AUTHORISED, _GENERAL, Handling.GIVE_UP, "the destination does not authorise us"),
    _status(UNRECOGNISED_OPERATION, _GENERAL, Handling.GIVE_UP, "the destination does not know the operation"),
    _status(0x0105, _GENERAL, Handling.GIVE_UP, "the destination does not know an element"),
    _status(0x0106, _GENERAL, Handling.GIVE_UP, "the value of an element is not valid"),
    _status(0x0114, _GENERAL, Handling.GIVE_UP, "the destination does not know an argument of the request"),
    _status(0x0117, _GENERAL, Handling.GIVE_UP, "the SOP Instance UID breaks the rules for UIDs"),
    _status(0x0118, _GENERAL, Handling.GIVE_UP, "the destination does not know the SOP class"),
    _status(0x0120, _GENERAL, Handling.GIVE_UP, "a required element is missing"),
    _status(0x0121, _GENERAL, Handling.GIVE_UP, "a required element has no value"),
    _status(0x0212, _GENERAL, Handling.GIVE_UP, "an argument of the request is none of this operation"),
    _status(CANCELLED, "PS3.7 C.3", Handling.GIVE_UP, "the operation was cancelled"),
)
CLASSES = (
    _status(0x0001, _WARNING, Handling.STORED, "stored, without an optional element"),
    _status(0xB000, _WARNING, Handling.STORED, "stored, with a warning", last=0xBFFF),
    _status(0xFF00, "PS3.7 C.2", Handling.NOT_FINAL, "it says that it is not done", last=0xFF01),
)
"""What a status means that has no row of its own: warnings and pending answers, by their class."""

_UNKNOWN = "it cannot be understood"

STATUS_OF_REFUSAL = {
    Refusal.OUT_OF_RESOURCES: OUT_OF_RESOURCES,
    Refusal.DOES_NOT_MATCH: DOES_NOT_MATCH,
    Refusal.CANNOT_UNDERSTAND: CANNOT_UNDERSTAND,
    Refusal.NOT_INTACT: 0xC001,  # Cxxx: the last three digits are ours to choose (PS3.4 B.2.3)
    Refusal.NOT_CONFIGURED: 0xC002,
    Refusal.UNEXPECTED: 0xC0FF,
    Refusal.NOT_SUPPORTED: SOP_CLASS_NOT_SUPPORTED,
    Refusal.NOT_AUTHORISED: NOT_AUTHORISED,
    Refusal.CANCELLED: CANCELLED,
}
"""What a sender is answered when we do not take its object."""


def status_for(error: Exception) -> int:
    """The status that answers a request which ended with `error`."""
    refusal = error.refusal if isinstance(error, InvalidStudy) else answer_for(error).refusal
    return STATUS_OF_REFUSAL[refusal]


def read_status(number: int) -> Status:
    """What `number` means; a status that is not in the table is one that no retry changes."""
    known = (status for status in (*STATUSES, *CLASSES) if status.number <= number <= status.last)
    return next(known, _status(number, "", Handling.GIVE_UP, _UNKNOWN))
