"""Audits of this site, numbered, and the alarms that came of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Engine, insert, select

from core.clock import Clock
from core.store.engine import read_only
from core.store.statements import insert_if_absent
from core.store.tables.fairness import alarms, site_audits


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAudit:
    """One audit: `document` is its audit.json."""

    audit_id: int
    model_sha256: str
    made_at: float
    document: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A figure of one cohort that left its bounds in one month ("2026-11")."""

    month: str
    model_sha256: str
    finding: str
    cohort: str
    figure: str  # "psi", "sensitivity"
    level: Literal["warn", "alarm"]
    value: float
    bound: float
    raised_at: float = 0.0


class SiteAuditStore:
    """Audits are only ever added; an alarm of the same figure is raised once a month."""

    def __init__(self, engine: Engine, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._now = now

    def add(self, model_sha256: str, document: dict[str, Any]) -> SiteAudit:
        """Keep an audit; returns it with its number."""
        made_at = self._now()
        row = {"model_sha256": model_sha256, "made_at": made_at, "document": document}
        with self._engine.begin() as connection:
            number = connection.execute(insert(site_audits).values(row)).inserted_primary_key
        assert number is not None, "the database numbers audits"
        return SiteAudit(audit_id=int(number[0]), model_sha256=model_sha256, made_at=made_at, document=document)

    def newest(self, model_sha256: str, *, until: float) -> SiteAudit | None:
        """The newest audit of a model made before `until`, so that what is drawn later quotes the same one."""
        mine = (site_audits.c.model_sha256 == model_sha256) & (site_audits.c.made_at <= until)
        query = select(site_audits).where(mine).order_by(site_audits.c.audit_id.desc()).limit(1)
        with self._reader.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else SiteAudit(**row._asdict())

    def newest_number(self, model_sha256: str, *, until: float) -> int | None:
        """The number of that audit, without its figures."""
        mine = (site_audits.c.model_sha256 == model_sha256) & (site_audits.c.made_at <= until)
        query = select(site_audits.c.audit_id).where(mine).order_by(site_audits.c.audit_id.desc()).limit(1)
        with self._reader.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def raise_alarms(self, found: Sequence[Alarm]) -> list[Alarm]:
        """Keep alarms; returns those that were not raised before."""
        with self._engine.begin() as connection:
            rows = [(alarm, {**dataclasses.asdict(alarm), "raised_at": self._now()}) for alarm in found]
            return [alarm for alarm, row in rows if insert_if_absent(connection, alarms, row)]

    def alarms(self, *, since_month: str = "") -> list[Alarm]:
        """The alarms of a month ("2026-11") and later ones, the newest first."""
        query = select(alarms).where(alarms.c.month >= since_month).order_by(alarms.c.alarm_id.desc())
        with self._reader.connect() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        return [Alarm(**{name: value for name, value in row.items() if name != "alarm_id"}) for row in rows]
