"""One payload on its way to one destination, and how an attempt to hand it over ended. Knows no protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.domain.report import ObjectKind


class DeliveryStatus(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    SENT = "sent"
    COMMITTED = "committed"  # the destination confirmed that it keeps the payload
    REFUSED = "refused"  # the destination answered what no retry will change
    WITHDRAWN = "withdrawn"  # not sent any more: it names a patient that the study was corrected from


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row of the outbox.

    `payload_id` names what is sent: of a DICOM object its SOP Instance UID. `payload_type` says what it is in the words
    of its own standard: of a DICOM object its SOP Class UID.
    """

    delivery_id: int
    study_id: str
    destination: str
    kind: ObjectKind
    payload_id: str = field(repr=False)
    payload_type: str
    object_key: str
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The destination has the payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLater:
    """The destination answered that it cannot take the payload now.

    `blames_object`: it failed on this payload, which after many attempts is set aside. Otherwise the destination as a
    whole lacks something (its disk is full), and no payload is to blame.
    """

    reason: str
    blames_object: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """The destination will never take the payload; a person has to look."""

    reason: str


Outcome = Delivered | RetryLater | SetAside
"""How an attempt ended at which the destination answered; one that does not answer is `Unavailable`."""
