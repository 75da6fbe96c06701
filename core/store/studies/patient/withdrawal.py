"""What names a patient who was corrected since is sent no more."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, or_, select, update

from core.domain.delivery import DeliveryStatus
from core.store.tables.reports import deliveries, payloads, reports
from core.store.tables.studies import corrections

WITHDRAWN = "the patient was corrected before it was sent"


def names_former_patient(connection: Connection, study_id: str, revision: int) -> bool:
    """Whether a study's patient was corrected after this revision, also by what is not assembled yet."""
    is_later = or_(corrections.c.revision.is_(None), corrections.c.revision > revision)
    query = select(corrections.c.correction_id).where(corrections.c.study_id == study_id, corrections.c.identity)
    return connection.execute(query.where(is_later).limit(1)).first() is not None


def of_former_patients() -> Select[Any]:
    """The payloads of reports that name a patient who was corrected since."""
    is_later = or_(corrections.c.revision.is_(None), corrections.c.revision > reports.c.revision)
    return (
        select(payloads.c.payload_id)
        .join(reports, reports.c.report_id == payloads.c.report_id)
        .join(corrections, corrections.c.study_id == reports.c.study_id)
        .where(corrections.c.identity, is_later)
    )


def withdraw(connection: Connection, study_id: str) -> None:
    """Send nothing more of what a study's reports say of the patient that it was corrected from."""
    unsent = deliveries.c.status.in_([DeliveryStatus.PENDING, DeliveryStatus.REFUSED])
    mine = (deliveries.c.study_id == study_id) & unsent
    connection.execute(update(deliveries).where(mine).values(status=DeliveryStatus.WITHDRAWN, last_error=WITHDRAWN))
