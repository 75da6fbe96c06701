"""The watch over cohorts: once a day, is the month of each cohort still what was usual for it?

A shift of probabilities warns, a sensitivity that can no longer be held to be above the policy's floor alarms. Each is
kept in the database and reported once a month, with its cohort; what a sender wrote freely into a header is not
repeated in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import structlog

from core.clock import month_of
from core.domain.reading import ReadingRecord
from core.settings import Settings
from core.store.fairness.site_audits import Alarm
from core.store.store import Store
from fairness.cohorts import Definition, attributes_of, load_definition, loggable
from fairness.policy import load_policy
from fairness.service.drift import PSI_WARNS, Drift, drift_of_month
from fairness.service.truth import Settled, settled
from pipeline.watch.cohort_lines import cohorts_file

DAY_SECONDS = 24 * 3600
LOOK_BACK_SECONDS = 400 * DAY_SECONDS  # a month, and the year before it
GRACE_DAYS = 5  # of a new month, in which the last one is still looked at: truth comes late
_log = structlog.get_logger()


def watch_cohorts(store: Store, settings: Settings, *, now: float) -> list[Alarm]:
    """Look at this month, and in its first days at the last one; returns and logs the alarms that are new."""
    definition = load_definition(cohorts_file(settings))
    floor = load_policy(policy_file(settings)).floors.get("sensitivity")
    truth = settled(store.truths.all())
    rows = store.readings.newest(since=now - LOOK_BACK_SECONDS)
    found: list[Alarm] = []
    for sha256 in sorted({made.model_sha256 for made in rows if made.model_sha256}):
        mine = [made for made in rows if made.model_sha256 == sha256]
        for drift in _drifts(mine, truth, definition, now):
            found += _alarms(drift, sha256, floor.lower_bound if floor else None)
    new = store.site_audits.raise_alarms(found)
    for alarm in new:
        _log.warning(
            "cohort.alarm",
            kind=alarm.level,
            month=alarm.month,
            finding_name=alarm.finding,
            cohort=loggable(alarm.cohort, definition),
            figure=alarm.figure,
            value=round(alarm.value, 3),
            bound=alarm.bound,
        )
    return new


def policy_file(settings: Settings) -> Path:
    """Where the site says what it will not live with."""
    return settings.policy_file or settings.data_dir / "policy.toml"


def months_to_look_at(now: float) -> list[str]:
    """This month ("2026-11"), and in its first days the one before."""
    today = datetime.fromtimestamp(now, UTC)
    return sorted({month_of(now), (today - timedelta(days=GRACE_DAYS)).strftime("%Y-%m")})


def _drifts(rows: Sequence[ReadingRecord], truth: Settled, definition: Definition, now: float) -> Iterator[Drift]:
    attributes = {made.study_id: attributes_of(made.facts, definition) for made in rows}
    for month in months_to_look_at(now):
        yield from drift_of_month(rows, truth, month, attributes, definition.names)


def _alarms(drift: Drift, sha256: str, floor: float | None) -> Iterator[Alarm]:
    def alarm(figure: str, level: Literal["warn", "alarm"], value: float, bound: float) -> Alarm:
        return Alarm(
            month=drift.month,
            model_sha256=sha256,
            finding=drift.finding,
            cohort=drift.cohort,
            figure=figure,
            level=level,
            value=value,
            bound=bound,
        )

    if drift.warns and drift.psi is not None:
        yield alarm("psi", "warn", drift.psi, PSI_WARNS)
    if floor is not None and drift.sensitivity is not None and drift.alarms(floor):
        yield alarm("sensitivity", "alarm", drift.sensitivity[1], floor)
