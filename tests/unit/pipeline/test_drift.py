"""The watch over cohorts on a real store: an alarm is kept, raised once, and names no patient in the log."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert

from api.web.metrics import exposition
from core.clock import SettableClock
from core.domain.reading import CohortFacts, GroundTruth, ReadingRecord, TruthSource
from core.domain.report import ReportStatus
from core.log import configure_logging
from core.store.store import Store
from core.store.tables.fairness import readings
from fairness.cohorts import Definition, Rule, loggable
from pipeline.watch.daily import DAY_SECONDS, FIRST_LOOK_SECONDS, LOOK_AGAIN_SECONDS, Watch
from pipeline.watch.drift import months_to_look_at, watch_cohorts
from pipeline.watch.status import status_of
from tests.store_fixtures import make_store, store_settings

NOW = datetime.now(UTC).timestamp()
DAY = 24 * 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A year without change, then a month in which one institution's probabilities are others."""
    store = make_store(tmp_path, SettableClock(NOW))
    random = np.random.default_rng(1)
    rows = []
    for number in range(900):
        old, moved = number < 600, number >= 800
        probability = random.beta(4, 4) if moved else random.beta(1, 8)
        rows.append(
            ReadingRecord(
                study_id=f"s{number}",
                revision=1,
                patient=f"p{number}",
                status=ReportStatus.REPORTED,
                facts=CohortFacts(
                    patient_sex="F", institution_name="Canary Clinic" if number % 3 == 0 or moved else "B"
                ),
                model_sha256="ab" * 32,
                probabilities={"effusion": float(probability)},
                above={"effusion": bool(probability > 0.5)},
                read_at=NOW - (100 * DAY if old else 60.0),
            )
        )
    with store.engine.begin() as connection:  # one commit in place of 900
        connection.execute(insert(readings), [{**asdict(row), "report_id": row.study_id} for row in rows])
    return store


def test_a_drift_is_raised_once_with_its_cohort_and_kept(store: Store, tmp_path: Path):
    log = io.StringIO()
    configure_logging(json=True, stream=log)
    settings = store_settings(tmp_path, minimum_free_bytes=0)
    new = watch_cohorts(store, settings, now=NOW)
    assert ("effusion", "institution=CANARY CLINIC", "psi", "warn") in {
        (alarm.finding, alarm.cohort, alarm.figure, alarm.level) for alarm in new
    }
    assert "institution=B" not in {alarm.cohort for alarm in new}
    assert watch_cohorts(store, settings, now=NOW) == []
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {line["cohort"] for line in lines if line["event"] == "cohort.alarm"} >= {"institution=?"}
    assert "dropped_keys" not in log.getvalue()
    assert "CANARY" not in log.getvalue().upper()
    assert {alarm.raised_at for alarm in store.site_audits.alarms()} == {NOW}
    status = status_of(store, settings, []).alarms
    assert {row.cohort for row in status} == {alarm.cohort for alarm in new}
    metrics = exposition(store, settings).decode()
    assert f'candor_cohort_alarms{{finding="effusion",level="warn"}} {len(new)}.0' in metrics
    assert "CANARY" not in metrics.upper()


def test_a_sensitivity_under_the_floor_of_the_policy_alarms(store: Store, tmp_path: Path):
    settings = store_settings(tmp_path, minimum_free_bytes=0)
    answers = [
        GroundTruth(
            study_id=f"s{n}", finding="effusion", value=True, source=TruthSource.WEB, reader="r", ai_seen=False, at=NOW
        )
        for n in range(600, 700)  # of whom the model flagged next to none
    ]
    store.truths.add(answers)
    (settings.data_dir / "policy.toml").write_text("[floors.sensitivity]\nlower_bound = 0.8\n")
    levels = {
        alarm.cohort: alarm.level for alarm in watch_cohorts(store, settings, now=NOW) if alarm.figure == "sensitivity"
    }
    assert levels["all"] == levels["sex=F"] == "alarm"


def test_the_watch_looks_once_a_day_however_often_it_is_asked(store: Store, tmp_path: Path):
    clock = SettableClock(NOW)
    settings = store_settings(tmp_path, minimum_free_bytes=0)
    store.leases._now = clock
    first, second = (Watch(store, settings, name, now=clock) for name in ("worker", "worker"))
    first.tick()
    assert store.site_audits.alarms() == []
    clock.advance(FIRST_LOOK_SECONDS)
    first.tick()
    assert store.site_audits.alarms() != []
    assert not store.leases.acquire("cohort-watch", "another", 1.0)
    clock.advance(LOOK_AGAIN_SECONDS)
    second.tick()
    clock.advance(DAY_SECONDS)
    assert store.leases.acquire("cohort-watch", "another", 1.0)


def test_in_the_first_days_of_a_month_the_last_one_is_looked_at_too():
    assert months_to_look_at(datetime(2026, 11, 3, tzinfo=UTC).timestamp()) == ["2026-10", "2026-11"]
    assert months_to_look_at(datetime(2026, 11, 9, tzinfo=UTC).timestamp()) == ["2026-11"]


def test_only_closed_words_of_a_cohort_are_logged():
    definition = Definition(rules=(Rule(name="icu", one_of={"station": frozenset({"X"})}),))
    assert loggable("icu=yes & view=AP & sex=F", definition) == "icu=yes & view=AP & sex=F"
    assert loggable("view=CANARY & station=CANARY & age_band=80+", Definition()) == "view=? & station=? & age_band=80+"
