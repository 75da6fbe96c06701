"""Ground truth: which answer counts, blind reads, and a CSV file that is imported as a whole or not at all."""

from __future__ import annotations

import csv
import itertools
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.clock import SettableClock
from core.domain.reading import CohortFacts, GroundTruth, ReadingRecord, TruthSource
from core.domain.report import ReportStatus
from core.errors import ConfigurationError
from core.store.store import Store
from fairness.service.truth import (
    is_drawn,
    settled,
    to_be_read_blind,
    verification,
)
from fairness.service.weights import weighted_rows
from pipeline.watch.truth_import import import_truth, write_blind_list
from tests.store_fixtures import arrival, make_store

NOW = 1_800_000_000.0
KEY = b"k" * 32
ANSWER = GroundTruth(
    study_id="s", finding="effusion", value=True, source=TruthSource.CSV, reader="r", ai_seen=False, at=10.0
)
HEADER = "accession_number,finding,truth,reader,ai_seen,at"


def made(study_id, *, flag=False, at=1.0, **changes):
    row = ReadingRecord(
        study_id=study_id,
        revision=1,
        patient=study_id,
        status=ReportStatus.REPORTED,
        facts=CohortFacts(),
        model_sha256="ab",
        probabilities={"effusion": 0.9 if flag else 0.1},
        above={"effusion": flag},
        read_at=at,
    )
    return replace(row, **changes)


def test_the_most_trusted_source_counts_and_its_newest_answer_whatever_the_order():
    answers = [
        replace(ANSWER, at=99.0, value=False),
        replace(ANSWER, source=TruthSource.WEB, at=1.0, value=False),
        replace(ANSWER, source=TruthSource.WEB, at=2.0, value=True),
        replace(ANSWER, source=TruthSource.HL7, at=500.0, value=False),
        replace(ANSWER, source=TruthSource.FHIR, at=501.0, value=False),
    ]
    for order in itertools.permutations(answers):
        assert settled(order)["s", "effusion"] == answers[2]


def test_a_correction_of_the_same_moment_counts():
    assert not settled([ANSWER, replace(ANSWER, value=False)])["s", "effusion"].value


def test_one_in_twenty_is_drawn_and_always_the_same_ones():
    names = [f"study{number}" for number in range(20_000)]
    drawn = [name for name in names if is_drawn(name, KEY, 0.05)]
    assert 900 < len(drawn) < 1100
    assert drawn == [name for name in names if is_drawn(name, KEY, 0.05)]
    assert set(drawn) < {name for name in names if is_drawn(name, KEY, 0.1)}
    assert drawn != [name for name in names if is_drawn(name, b"x" * 32, 0.05)]


def test_only_studies_without_a_flag_and_without_an_answer_are_listed():
    rows = [
        made("flagged", flag=True),
        made("later", at=5.0),
        made("sooner", at=2.0),
        made("answered"),
        made("failed", status=ReportStatus.FAILED, above={}),
    ]
    truth = settled([replace(ANSWER, study_id="answered")])
    assert [row.study_id for row in to_be_read_blind(rows, truth, KEY, 1.0)] == ["sooner", "later"]
    assert to_be_read_blind(rows, truth, KEY, 0.0) == []


def test_weights_undo_what_verifying_flagged_studies_first_does_to_sensitivity():
    """5,000 studies, true sensitivity 0.70: all flagged ones are verified, of the others one in ten."""
    random = np.random.default_rng(1)
    truth = random.random(5000) < 0.2
    flag = np.where(truth, random.random(5000) < 0.7, random.random(5000) < 0.1)
    rows = [made(f"s{i}", flag=bool(flag[i])) for i in range(5000)]
    answers = settled(
        replace(ANSWER, study_id=f"s{i}", value=bool(truth[i]))
        for i in range(5000)
        if flag[i] or is_drawn(f"s{i}", KEY, 0.1)
    )
    found = verification(rows, answers, "effusion")
    assert found.is_blind_read
    assert found.words == "among verified"  # of the plain figure: one in ten is not all
    naive = [
        row.above["effusion"] for row in rows if (row.study_id, "effusion") in answers and truth[int(row.study_id[1:])]
    ]
    assert np.mean(naive) > 0.9  # what everybody would publish
    sensitivity, specificity = weighted_rows(rows, answers, "effusion", threshold=0.5)
    assert (sensitivity.metric, specificity.metric) == ("sensitivity_weighted", "specificity_weighted")
    assert sensitivity.value == pytest.approx(float(flag[truth].mean()), abs=0.05)
    assert sensitivity.low < float(flag[truth].mean()) < sensitivity.high
    assert specificity.value == pytest.approx(float((~flag[~truth]).mean()), abs=0.02)


def test_without_blind_reads_figures_are_among_verified():
    rows = [made("a", flag=True), made("b")]
    flagged, seen = replace(ANSWER, study_id="a"), replace(ANSWER, study_id="b", ai_seen=True)
    assert verification(rows, settled([flagged, seen]), "effusion").words == "among verified"
    assert verification(rows, settled([flagged, replace(seen, ai_seen=False)]), "effusion").words == ""
    assert list(weighted_rows(rows, settled([flagged, seen]), "effusion", threshold=0.5)) == []


@pytest.mark.parametrize(
    ("flagged", "blind", "seen", "words"),
    [
        (100, 45, 0, "among verified"),  # 0.976 instead of 0.667, say
        (100, 900, 0, ""),
        (50, 450, 0, ""),
        (50, 370, 0, ""),  # 0.82 as often
        (50, 350, 0, "among verified"),  # 0.78 as often
        (50, 570, 0, "among verified"),  # 1.27 as often
        (50, 450, 200, "among verified"),  # and others that somebody chose
        (0, 45, 0, "among verified"),
    ],
)
def test_figures_are_of_all_only_when_both_strata_were_answered_at_about_the_same_rate(flagged, blind, seen, words):
    """100 studies with a flag and 900 without."""
    rows = [made(f"f{number}", flag=True) for number in range(100)] + [made(f"u{number}") for number in range(900)]
    answers = [replace(ANSWER, study_id=f"f{number}") for number in range(flagged)]
    answers += [replace(ANSWER, study_id=f"u{number}", ai_seen=number >= blind) for number in range(blind + seen)]
    assert verification(rows, settled(answers), "effusion").words == words


def test_weighted_figures_are_at_the_threshold_asked_for_whatever_readers_saw():
    """Half of the positives lie between the model's threshold and that of a policy under which they were read."""
    rows = [made(f"s{n}", flag=True, probabilities={"effusion": 0.4 if n % 2 else 0.9}) for n in range(100)]
    rows += [made(f"u{n}") for n in range(100)]
    answers = settled(replace(ANSWER, study_id=row.study_id, value=row.above["effusion"]) for row in rows)
    (at_policy, _), (at_model, _) = (weighted_rows(rows, answers, "effusion", threshold=t) for t in (0.3, 0.5))
    assert (at_policy.value, at_model.value) == (1.0, pytest.approx(0.5))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = make_store(tmp_path, SettableClock(NOW))
    for number in (1, 2, 3):
        store.intake.keep(arrival(str(number), "1", accession_number="TWICE" if number > 1 else "CANARYACC"))
        store.readings.record(made(store.study_id_of(f"1.2.{number}")))
    return store


def write(tmp_path, *lines, header=HEADER):
    path = tmp_path / "truth.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8-sig")
    return path


def test_a_file_is_imported_once(store: Store, tmp_path: Path):
    path = write(
        tmp_path,
        "CANARYACC,effusion,1,Dr. Canary,no,2026-10-31",
        "CANARYACC,effusion,,,no,",
        "ELSEWHERE,effusion,1,x,no,2026-10-31",
    )
    done = import_truth(path, store, now=NOW)
    assert (done.new, done.known, done.open, done.elsewhere) == (1, 0, 1, (4,))
    assert import_truth(path, store, now=NOW).known == 1
    (answer,) = store.truths.all()
    assert (answer.value, answer.ai_seen, answer.source) == (True, False, TruthSource.CSV)
    assert "canary" not in answer.reader
    assert [link.event.action for link in store.trail.events()].count("truth.imported") == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("CANARYACC,effusion,yes,CANARY,no,2026-10-31", "line 2: truth is neither 0 nor 1"),
        ("CANARYACC,opacity,1,CANARY,no,2026-10-31", r"line 2: finding is none .* \(effusion\)"),
        ("CANARYACC,effusion,1,CANARY,maybe,2026-10-31", "line 2: ai_seen is neither yes nor no"),
        ("CANARYACC,effusion,1,,no,2026-10-31", "line 2: reader is empty"),
        ("CANARYACC,effusion,1,CANARY,no,31.10.2026", "line 2: at is no date"),
        ("CANARYACC,effusion,1,CANARY,no,2099-01-01", "line 2: at is in the future"),
        ("TWICE,effusion,1,CANARY,no,2026-10-31", "line 2: 2 studies bear this accession_number"),
        (",effusion,1,CANARY,no,2026-10-31", "line 2: accession_number and study_instance_uid are both empty"),
        ("CANARYACC,effusion,1", "line 2: it has not as many cells"),
        ('"CANARYACC,effusion,1', "it is no CSV"),
    ],
)
def test_what_is_wrong_is_reported_by_line_without_its_value_and_nothing_is_imported(store, tmp_path, line, words):
    good = "CANARYACC,effusion,1,CANARY,no,2026-10-31"
    with pytest.raises(ConfigurationError, match=words) as caught:
        import_truth(write(tmp_path, line, good), store, now=NOW)
    assert "CANARY" not in str(caught.value)
    assert store.truths.all() == []


def test_a_study_may_be_named_by_its_uid(store: Store, tmp_path: Path):
    header = HEADER.replace("accession_number", "study_instance_uid")
    path = write(tmp_path, "1.2.2,effusion,0,x,yes,2026-10-31T10:00:00+02:00", header=header)
    assert import_truth(path, store, now=NOW).new == 1
    assert store.truths.all()[0].study_id == store.study_id_of("1.2.2")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("finding,truth,reader,ai_seen,at", "lacks columns: accession_number or study_instance_uid"),
        ("accession_number,finding,truth", "lacks columns: reader, ai_seen, at"),
        (HEADER + ",patient", r"column 7 has an unknown name"),
    ],
)
def test_wrong_columns_are_reported(store, tmp_path, header, words):
    with pytest.raises(ConfigurationError, match=words):
        import_truth(write(tmp_path, header=header), store, now=NOW)


def test_many_errors_are_counted(store, tmp_path):
    with pytest.raises(ConfigurationError, match=r"line 11: .*; and 5 more$"):
        import_truth(write(tmp_path, *["CANARYACC,effusion,2,x,no,2026-10-31"] * 15), store, now=NOW)


def test_the_blind_list_is_filled_in_and_imported(store: Store, tmp_path: Path):
    path = tmp_path / "list.csv"
    assert write_blind_list(path, store, 1.0) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["study_instance_uid"] for row in rows} == {"1.2.1", "1.2.2", "1.2.3"}
    rows[0] |= {"truth": "1", "reader": "A", "at": "2026-10-31"}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert import_truth(path, store, now=NOW).new == 1
    assert write_blind_list(path, store, 1.0) == 2
