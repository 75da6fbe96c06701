"""Planted truth, a small part of what docs/fairness.md tabulates, and the figures of an audit against fairlearn's."""

from __future__ import annotations

import numpy as np
import pytest

from fairness.audit import Provenance, Threshold
from fairness.audit_run import Request, run_audit
from fairness.audit_table import AuditTable, Grouping, Scores, ScoresInMemory
from fairness.simulation import simulate

THRESHOLD = 0.4


def test_fair_audits_seldom_raise_an_alarm_and_a_planted_gap_is_mostly_found() -> None:
    fair, found = simulate(audits=20, kinds=(0, 2))
    assert fair.share <= 0.15
    assert found.share >= 0.80


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
