"""What is known of a service without truth, and that it does not reveal what an audit of it withholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import insert

from core.clock import SettableClock
from core.domain.reading import CohortFacts, ReadingRecord
from core.domain.report import ReportStatus
from core.store.tables.fairness import readings, truths
from pipeline.watch.site_audit import audit_site
from tests.contract.encode.cases import MODEL
from tests.site_readings import DAY_SECONDS
from tests.store_fixtures import make_store, store_settings

NOW = 1_800_000_000.0
FAILED = ReportStatus.FAILED


def of(sex: str, number: int, *, status: ReportStatus = ReportStatus.REPORTED, patient: str = "") -> ReadingRecord:
    """Every second reading of the last 30 days, the others before."""
    names = {finding.name: 0.2 + 0.6 * (number % 3 == 0) for finding in MODEL.findings}
    reported = status is ReportStatus.REPORTED
    return ReadingRecord(
        study_id=f"{sex}{status.value}{number}",
        revision=1,
        patient=patient or f"{sex}{status.value}{number}",
        status=status,
        facts=CohortFacts(patient_sex=sex),
        model_sha256=MODEL.sha256 if reported else "",
        probabilities=names if reported else {},
        above={name: value > 0.5 for name, value in names.items()} if reported else {},
        turnaround_seconds=2.0 + number % 5 if reported else None,
        read_at=NOW - DAY_SECONDS * (5 if number % 2 else 60),
    )


@pytest.fixture
def audited(tmp_path: Path) -> Callable:
    """The audit by sex of these readings; `seen`: for how many of each sex a reader who saw the AI answered."""

    def audited(made: list[ReadingRecord], seen=()):
        store = make_store(tmp_path, SettableClock(NOW))
        answer = {"finding": "lung_opacity", "source": "csv", "reader": "r", "ai_seen": True, "at": NOW}
        with store.engine.begin() as connection:
            connection.execute(insert(readings), [{**asdict(row), "report_id": row.study_id} for row in made])
            for study, value in seen:
                connection.execute(insert(truths).values(study_id=study, value=value, recorded_at=NOW, **answer))
        settings = store_settings(tmp_path, minimum_free_bytes=0)
        return audit_site(store, settings, MODEL, by=["sex"], now=NOW, draws=50)

    return audited


def shown(audit, metric, finding="any_finding"):
    """The cohorts that have a figure."""
    return {
        row.cohort for row in audit.rows if (row.finding, row.metric) == (finding, metric) and row.value is not None
    }


def test_no_count_of_the_last_30_days_tells_how_many_are_in_a_cohort_that_is_withheld(audited):
    """243 in all, 120 women and 120 men: three others."""
    audit = audited([*(of(sex, n) for sex in "FM" for n in range(120)), *(of("O", n) for n in range(3))])
    withheld = {row.cohort for row in audit.rows if row.metric == "flag_rate" and row.value is None}
    assert "sex=O" in withheld
    assert len(withheld) > 1
    recent = [row for row in audit.rows if row.metric in ("psi_recent", "ks_recent")]
    assert {row.cohort for row in recent} >= {"all", "sex=F"}
    for row in recent:
        if row.cohort != "all":
            assert row.n is None
            assert not any(word.isdigit() and word != "30" for word in row.note.split())
        if row.cohort in withheld:
            assert row.value is None
    for metric in ("failure_rate", "not_analysed_rate", "turnaround_seconds"):
        assert not shown(audit, metric) & withheld


def test_many_studies_of_few_patients_are_few(audited):
    """30 studies of three people who are neither F nor M, and twelve failures of one woman."""
    made = [of(sex, n) for sex in "FM" for n in range(60)]
    made += [of("O", n, patient=f"O{n % 3}") for n in range(30)]
    assert "sex=O" not in shown(audited(made), "turnaround_seconds")


def test_many_failures_of_one_patient_are_few(audited):
    made = [of(sex, n) for sex in "FM" for n in range(60)]
    made += [of("F", n, status=FAILED, patient="one") for n in range(12)]
    made += [of("M", n, status=FAILED) for n in range(30)]
    audit = audited(made)
    assert shown(audit, "failure_rate") == shown(audit, "not_analysed_rate") == {"all"}


def test_few_failures_of_all_are_withheld_like_those_of_a_cohort(audited):
    """Three of 303: with the number of all and that of the analysed, even another row would tell."""
    made = [of(sex, n) for sex in "FM" for n in range(150)] + [of("F", n, status=FAILED) for n in range(3)]
    audit = audited(made)
    assert shown(audit, "failure_rate") == shown(audit, "not_analysed_rate") == set()
    assert shown(audit, "turnaround_seconds") >= {"all"}


def test_two_withheld_cohorts_whose_sum_is_small_need_a_third(audited):
    """Two failures of O and three of UNKNOWN are five in all, unless a larger cohort is withheld too."""
    made = [of(sex, n) for sex in ("F", "M", "O", "") for n in range(60)]
    failures = {"F": 40, "M": 30, "O": 2, "": 3}
    made += [of(sex, n, status=FAILED) for sex, count in failures.items() for n in range(count)]
    revealed = shown(audited(made), "failure_rate")
    assert "all" in revealed
    assert len(revealed & {"sex=F", "sex=M"}) == len(revealed) - 1 == 1


def test_overrides_are_withheld_where_readers_who_agreed_or_not_are_few(audited):
    made = [of(sex, n) for sex in "FM" for n in range(120)]
    answers = [(row.study_id, row.above["lung_opacity"] ^ (n % 4 == 0)) for n, row in enumerate(made)]
    assert shown(audited(made, answers), "override_rate", "lung_opacity") == {"all", "sex=F", "sex=M"}


def test_few_overrides_of_men_hide_those_of_women_too(audited):
    made = [of(sex, n) for sex in "FM" for n in range(120)]
    answers = [
        (row.study_id, row.above["lung_opacity"] ^ (n % 4 == 0 if n < 120 else n < 125)) for n, row in enumerate(made)
    ]
    assert shown(audited(made, answers), "override_rate", "lung_opacity") == {"all"}
