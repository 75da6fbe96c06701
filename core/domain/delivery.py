"""One object on its way to one destination."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.domain.report import ObjectKind


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    COMMITTED = "committed"  # the destination confirmed storage commitment
    REFUSED = "refused"  # the destination answered with a status that no retry will change


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object on its way to one destination: a row of the outbox."""

    delivery_id: int
    study_id: str
    destination: str
    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    object_key: str
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    last_error: str = ""
