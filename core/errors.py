"""The one tree of errors, and the one table that says what each means at every door.

    CandorError
    +-- InvalidStudy          the sender must fix the object; never retried
    +-- Unsupported           no model takes it; a normal outcome
    +-- Unavailable           something needed is away for now; retried with backoff
    |   +-- DiskFull          below the watermark: refused before a byte is lost
    |   +-- RunnerDied        a job ended the process that ran it; retried, but not for ever
    +-- IntegrityError        a hash, tag or signature does not match; stop
    +-- ConfigurationError    a setting or an argument is wrong; the person at the keyboard must fix it
    +-- Forbidden             the caller may not do this
    +-- Cancelled             the person who asked no longer wants it

An error's message is one sentence for a person: what happened and what to do. It never holds patient data:
no UID, no name, no value of a data element, only the element's keyword.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """How a DICOM sender is answered; `dicom_node.status` has the number of each."""

    OUT_OF_RESOURCES = "out of resources"
    DOES_NOT_MATCH = "data set does not match SOP class"
    CANNOT_UNDERSTAND = "cannot understand"
    NOT_INTACT = "what is stored here is damaged"
    NOT_CONFIGURED = "this node is not set up rightly"
    UNEXPECTED = "unexpected"
    NOT_SUPPORTED = "not supported"
    NOT_AUTHORISED = "not authorised"
    CANCELLED = "cancelled"


class CandorError(Exception):
    """Something Candor knows how to explain."""


class InvalidStudy(CandorError):
    """The object sent breaks the standard; the sender must fix it."""

    def __init__(self, message: str, *, refusal: Refusal = Refusal.CANNOT_UNDERSTAND) -> None:
        super().__init__(message)
        self.refusal = refusal


class Unsupported(CandorError):
    """No model takes this; a normal outcome."""


class Unavailable(CandorError):
    """Something needed is away for now; it will be tried again."""


class DiskFull(Unavailable):
    """Too little disk is left to keep another object safe."""


class RunnerDied(Unavailable):
    """A job ended the process that ran it; it is tried again, but not for ever."""


class IntegrityError(CandorError):
    """Stored bytes, a model or a trail are not what they were."""


class ConfigurationError(CandorError):
    """A setting or an argument is wrong."""


class Forbidden(CandorError):
    """The caller may not do this."""


class Cancelled(CandorError):
    """The person who asked no longer wants the result."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one class of error is answered: to a DICOM sender, by a retry or not, over HTTP, as exit code."""

    refusal: Refusal
    retry: bool
    http_status: int
    exit_code: int


ANSWERS: dict[type[CandorError], Answer] = {
    InvalidStudy: Answer(Refusal.CANNOT_UNDERSTAND, retry=False, http_status=422, exit_code=3),
    Unsupported: Answer(Refusal.NOT_SUPPORTED, retry=False, http_status=415, exit_code=4),
    DiskFull: Answer(Refusal.OUT_OF_RESOURCES, retry=True, http_status=507, exit_code=5),
    RunnerDied: Answer(Refusal.OUT_OF_RESOURCES, retry=True, http_status=503, exit_code=5),
    Unavailable: Answer(Refusal.OUT_OF_RESOURCES, retry=True, http_status=503, exit_code=5),
    IntegrityError: Answer(Refusal.NOT_INTACT, retry=False, http_status=500, exit_code=6),
    ConfigurationError: Answer(Refusal.NOT_CONFIGURED, retry=False, http_status=400, exit_code=2),
    Forbidden: Answer(Refusal.NOT_AUTHORISED, retry=False, http_status=403, exit_code=7),
    Cancelled: Answer(Refusal.CANCELLED, retry=False, http_status=409, exit_code=1),
    CandorError: Answer(Refusal.UNEXPECTED, retry=False, http_status=500, exit_code=1),
}


def answer_for(error: Exception) -> Answer:
    """The answer for the most specific class of the tree `error` belongs to; any other error gets CandorError's."""
    for kind in type(error).__mro__:
        if kind in ANSWERS:
            return ANSWERS[kind]
    return ANSWERS[CandorError]
