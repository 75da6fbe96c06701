"""Planted truth, a part of what docs/studies/audit.md tabulates, and the figures of an audit against fairlearn's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fairness.audit.nouns import Audit, Provenance, Row, Threshold
from fairness.audit.run import Request, run_audit
from fairness.audit.table import AuditTable, Scores, ScoresInMemory
from fairness.grouping import Grouping
from fairness.simulation import simulate

THRESHOLD = 0.4


def test_fair_audits_seldom_raise_an_alarm_and_a_planted_gap_is_mostly_found() -> None:
    fair, found = simulate(audits=10, kinds=(0, 2))
    assert fair.share <= 0.10  # 100 audits; in docs/studies/audit.md 2,000
    assert found.share >= 0.80


def uneven(random: np.random.Generator) -> Audit:
    """No gap: 40 women with ten images each that are all alike, 1,200 men with one."""
    sex = np.repeat(["F", "M"], [400, 1200])
    patients = np.concatenate([np.repeat(np.arange(40), 10), np.arange(40, 1240)]).astype(np.int32)
    missed = (random.random(1240) < 0.3)[patients]
    source = ScoresInMemory({"edema": Scores(np.where(missed, 0.1, 0.9), np.ones(1600, np.int8))})
    table = AuditTable(patients=patients, attributes={"sex": Grouping.of(sex.tolist())}, source=source)
    request = Request(by=("sex",), draws=300)
    return run_audit(table, request, Provenance(code_version="", made_at="", source="made up"))


def test_patients_who_repeat_on_one_side_only_raise_no_alarm_on_either() -> None:
    random = np.random.default_rng(3)
    audits = [uneven(random) for _ in range(60)]
    assert sum(bool(audit.alarms) for audit in audits) <= 5
    for audit in audits:
        of_women, of_men = audit.tests
        assert of_women.p == pytest.approx(of_men.p)
        assert of_women.p_holm >= of_women.p


def test_rates_by_cohort_are_those_of_fairlearn() -> None:
    fairlearn = pytest.importorskip("fairlearn.metrics", reason="fairlearn comes with the extra `dev`")
    random = np.random.default_rng(5)
    groups = random.choice(["A", "B", "C"], 3000)
    truths = random.random(3000) < 0.3
    probabilities = np.clip(random.normal(0.3 + 0.3 * truths, 0.2), 0, 1)
    source = ScoresInMemory({"edema": Scores(probabilities, truths.astype(np.int8))})
    table = AuditTable(
        patients=np.arange(3000, dtype=np.int32), attributes={"group": Grouping.of(groups.tolist())}, source=source
    )
    threshold = Threshold(finding="edema", value=THRESHOLD, source="option")
    request = Request(by=("group",), thresholds={"edema": threshold})
    audit = run_audit(table, request, Provenance(code_version="", made_at="", source="made up"))
    metrics = {
        "sensitivity": fairlearn.true_positive_rate,
        "specificity": fairlearn.true_negative_rate,
        "flag_rate": fairlearn.selection_rate,
    }
    frame = fairlearn.MetricFrame(
        metrics=metrics, y_true=truths, y_pred=probabilities >= THRESHOLD, sensitive_features=groups
    )
    for metric in metrics:
        for group in "ABC":
            row = audit.row("edema", metric, f"group={group}")
            assert row is not None
            assert row.value == pytest.approx(frame.by_group[metric][group], abs=1e-9)


def test_an_auroc_says_how_sure_it_is_when_patients_repeat() -> None:
    """Three copies of an image tell no more than one: by patients the interval is that of the images alone."""
    random = np.random.default_rng(9)
    truths = random.random(600) < 0.4
    scores = np.clip(random.normal(0.4 + 0.2 * truths, 0.2), 0, 1)
    single, thrice = (_area(np.repeat(truths, n), np.repeat(scores, n), n) for n in (1, 3))
    assert thrice.value == pytest.approx(single.value)
    assert single.note == ""
    assert [thrice.low, thrice.high] == pytest.approx([single.low, single.high], abs=0.004)
    low, high = (float(word) for word in thrice.note.split()[-3::2])  # that of images is in the note
    assert (high - low) == pytest.approx((single.high - single.low) / np.sqrt(3), rel=0.01)


def _area(truths: NDArray[np.bool_], scores: NDArray[np.float64], times: int) -> Row:
    patients = np.repeat(np.arange(600, dtype=np.int32), times)
    source = ScoresInMemory({"edema": Scores(scores, truths.astype(np.int8))})
    sex = Grouping(("F", "M"), (patients % 2).astype(np.int16))
    table = AuditTable(patients=patients, attributes={"sex": sex}, source=source)
    audit = run_audit(table, Request(by=("sex",)), Provenance(code_version="", made_at="", source="made up"))
    row = audit.row("edema", "auroc", "all")
    assert row is not None
    return row
