"""The one tree of errors, and the one table that says what each means at every door.

    CandorError
    +-- InvalidStudy      the sender must fix it; never retried
    +-- Unsupported       no model takes it; a normal outcome
    +-- Unavailable       something needed is away for now; retried with backoff
    |   +-- DiskFull      below the watermark: refused before a byte is lost
    +-- IntegrityError    a hash, tag or signature does not match; stop
    +-- ConfigurationError  a setting or an argument is wrong; the person at the keyboard must fix it
    +-- Cancelled         the person who asked no longer wants it

An error's message is one sentence for a person: what happened and what to do. It never holds patient data:
no UID, no name, no value of a data element, only the element's keyword.
"""

from __future__ import annotations

from dataclasses import dataclass


class CandorError(Exception):
    """Something Candor knows how to explain."""


class InvalidStudy(CandorError):
    """The object sent breaks the standard; the sender must fix it."""

    def __init__(self, message: str, *, dimse_status: int = 0xC000) -> None:
        super().__init__(message)
        self.dimse_status = dimse_status


class Unsupported(CandorError):
    """No model takes this; a normal outcome."""


class Unavailable(CandorError):
    """Something needed is away for now; it will be tried again."""


class DiskFull(Unavailable):
    """Too little disk is left to keep another object safe."""


class IntegrityError(CandorError):
    """Stored bytes, a model or a trail are not what they were."""


class ConfigurationError(CandorError):
    """A setting or an argument is wrong."""


class Cancelled(CandorError):
    """The person who asked no longer wants the result."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one class of error is answered: DIMSE status (PS3.4 B.2.3), retry or not, HTTP status, exit code."""

    dimse_status: int
    retry: bool
    http_status: int
    exit_code: int


ANSWERS: dict[type[CandorError], Answer] = {
    # B.2.3: A7xx out of resources, A9xx data set does not match SOP class, Cxxx cannot understand
    InvalidStudy: Answer(0xC000, retry=False, http_status=422, exit_code=3),
    Unsupported: Answer(0x0122, retry=False, http_status=415, exit_code=4),
    DiskFull: Answer(0xA700, retry=True, http_status=507, exit_code=5),
    Unavailable: Answer(0xA700, retry=True, http_status=503, exit_code=5),
    IntegrityError: Answer(0xC001, retry=False, http_status=500, exit_code=6),
    ConfigurationError: Answer(0xC002, retry=False, http_status=400, exit_code=2),
    CandorError: Answer(0xC0FF, retry=False, http_status=500, exit_code=1),
}


def answer_for(error: Exception) -> Answer:
    """The answer for the most specific class of the tree `error` belongs to; any other error gets CandorError's."""
    for kind in type(error).__mro__:
        if kind in ANSWERS:
            return ANSWERS[kind]
    return ANSWERS[CandorError]
