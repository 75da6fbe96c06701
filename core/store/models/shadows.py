"""What shadow versions said of studies that were reported by another one; no report is ever made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine, and_, exists, select

from core.domain.report import ReportStatus
from core.store.engine import read_only
from core.store.statements import insert_if_absent
from core.store.studies.revisions import Revision
from core.store.tables.models import shadow_readings
from core.store.tables.reports import reports
from core.store.tables.studies import studies


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReading:
    """One revision of one study as a shadow version read it; `status` and `reason` as if it had been reported.

    `probabilities` 0..1, the highest among the images, and `above` (at or above its own operating point, on any of
    them) by finding; empty unless reported.
    """

    revision: Revision
    name: str
    version: str
    status: ReportStatus
    reason: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    above: dict[str, bool] = field(default_factory=dict)


class ShadowStore:
    """The readings of shadow versions."""

    def __init__(self, engine: Engine, *, now: Callable[[], float]) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._now = now

    def waiting(self, name: str, version: str, *, since: float, limit: int = 1) -> list[Revision]:
        """Newest revisions that were reported since then, whose reading has ended, and that this shadow has not read.

        Newest first: after a long pause what matters is today.
        """
        mine = and_(
            shadow_readings.c.report_id == reports.c.report_id,
            shadow_readings.c.name == name,
            shadow_readings.c.version == version,
        )
        query = (
            select(reports.c.study_id, reports.c.revision)
            .join(studies, studies.c.study_id == reports.c.study_id)
            .where(
                reports.c.status == ReportStatus.REPORTED,
                reports.c.filed_at >= since,
                studies.c.revision == reports.c.revision,
                studies.c.settled_revision >= reports.c.revision,
                ~exists().where(mine),
            )
            .order_by(reports.c.filed_at.desc())
            .limit(limit)
        )
        with self._reader.connect() as connection:
            return [Revision(study_id=row.study_id, revision=row.revision) for row in connection.execute(query)]

    def record(self, made: ShadowReading) -> None:
        """Keep a reading; a second one of the same revision by the same version is dropped."""
        row = {
            "report_id": made.revision.report_id,
            "name": made.name,
            "version": made.version,
            "status": made.status,
            "document": {"reason": made.reason, "probabilities": made.probabilities, "flags": made.above},
            "read_at": self._now(),
        }
        with self._engine.begin() as connection:
            insert_if_absent(connection, shadow_readings, row)

    def all(self, name: str, version: str) -> list[ShadowReading]:
        """Everything one version read as a shadow."""
        query = (
            select(shadow_readings, reports.c.study_id, reports.c.revision)
            .join(reports, reports.c.report_id == shadow_readings.c.report_id)
            .where(shadow_readings.c.name == name, shadow_readings.c.version == version)
            .order_by(shadow_readings.c.read_at)
        )
        with self._reader.connect() as connection:
            return [
                ShadowReading(
                    revision=Revision(study_id=row.study_id, revision=row.revision),
                    name=row.name,
                    version=row.version,
                    status=ReportStatus(row.status),
                    reason=row.document["reason"],
                    probabilities=row.document["probabilities"],
                    above=row.document["flags"],
                )
                for row in connection.execute(query)
            ]
