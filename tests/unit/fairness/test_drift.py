"""Drift: it warns when probabilities move, names the cohort, and does not take small numbers for a change."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from core.clock import month_of
from core.domain.reading import CohortFacts, GroundTruth, ReadingRecord, TruthSource
from core.domain.report import ReportStatus
from core.statistics.stability import population_stability
from fairness.service.drift import drift_of_month, psi_by_chance
from fairness.service.truth import settled

OCTOBER, NOVEMBER = (datetime(2026, month, 10, tzinfo=UTC).timestamp() for month in (10, 11))


def readings(probabilities, at, *, station="A", threshold=0.5):
    return [
        ReadingRecord(
            study_id=f"{station}{at}.{number}",
            revision=1,
            patient=f"{station}{at}.{number}",
            status=ReportStatus.REPORTED,
            facts=CohortFacts(station_name=station),
            probabilities={"effusion": float(probability)},
            above={"effusion": bool(probability >= threshold)},
            read_at=at,
        )
        for number, probability in enumerate(probabilities)
    ]


def found(rows, truth=(), month="2026-11"):
    attributes = {row.study_id: {"station": row.facts.station_name} for row in rows}
    drifts = drift_of_month(rows, settled(truth), month, attributes, ["station"])
    return {drift.cohort: drift for drift in drifts}


def test_a_cohort_that_moves_is_named_and_the_others_are_not():
    random = np.random.default_rng(1)
    rows = [
        *readings(random.beta(1, 8, 2000), OCTOBER, station="A"),
        *readings(random.beta(1, 8, 2000), OCTOBER, station="B"),
        *readings(random.beta(1, 8, 800), NOVEMBER, station="A"),
        *readings(random.beta(3, 5, 60), NOVEMBER, station="B"),
    ]
    drifts = found(rows)
    assert {cohort for cohort, drift in drifts.items() if drift.warns} == {"station=B"}
    assert drifts["station=B"].ks_p is not None
    assert drifts["station=B"].ks_p < 1e-6
    assert drifts["station=B"].ks > 0.3 > drifts["station=A"].ks
    assert drifts["all"].psi is not None
    assert drifts["all"].psi < 0.2


@pytest.mark.parametrize("size", [50, 100, 400])
def test_without_drift_fewer_than_one_in_a_hundred_warns(size):
    """400 pairs of samples of one distribution. The plain rule, PSI over 0.2, warns 73 % of the time at 50."""
    random = np.random.default_rng(size)
    values = [population_stability(random.beta(1, 8, size), random.beta(1, 8, size)) for _ in range(400)]
    bound = max(0.2, psi_by_chance(size, size))
    plain = np.mean(np.array(values) > 0.2)
    assert np.mean(np.array(values) > bound) < 0.01
    assert size > 50 or plain > 0.3  # why the bound is needed


def test_too_few_studies_say_nothing():
    drift = found([*readings([0.1] * 49, OCTOBER), *readings([0.9] * 49, NOVEMBER)])["all"]
    assert (drift.psi, drift.warns, drift.studies, drift.studies_before) == (None, False, 49, 49)


def test_the_months_sensitivity_alarms_when_its_lower_bound_is_under_the_floor():
    rows = readings([0.9] * 30 + [0.1] * 10, NOVEMBER)
    truth = [
        GroundTruth(
            study_id=row.study_id,
            finding="effusion",
            value=True,
            source=TruthSource.WEB,
            reader="r",
            ai_seen=False,
            at=1.0,
        )
        for row in rows
    ]
    drift = found(rows, truth)["all"]
    assert drift.sensitivity == pytest.approx((0.75, 0.598, 0.858), abs=0.001)  # Wilson, 30 of 40
    assert (drift.alarms(0.7), drift.alarms(0.55)) == (True, False)
    assert found(rows, truth[:29])["all"].sensitivity is None


def test_only_this_month_and_earlier_ones_are_looked_at():
    rows = [*readings([0.5] * 3, OCTOBER), *readings([0.5] * 5, NOVEMBER)]
    assert found(rows, month="2026-10")["all"].studies == 3
    assert found(rows, month="2026-12") == {}
    assert month_of(datetime(2026, 10, 31, 23, 59, tzinfo=UTC).timestamp()) == "2026-10"
