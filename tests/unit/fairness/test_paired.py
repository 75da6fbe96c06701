"""Two models on the same images: published intervals, scikit-learn's areas, and patients who repeat."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.statistics.proportions import newcombe_paired
from fairness.audit.nouns import Audit, Provenance, Threshold
from fairness.audit.paired import OtherModel
from fairness.audit.run import Request, run_audit
from fairness.audit.table import AuditTable, Scores, ScoresInMemory
from fairness.grouping import Grouping


def test_the_interval_of_paired_proportions_is_that_of_newcombes_paper() -> None:
    """Newcombe, Stat Med 1998, 17, 2635-2650: 36, 12, 2 and 0 of 50, method 10."""
    found = newcombe_paired((36, 12, 2, 0))
    assert [found.value, found.low, found.high] == pytest.approx([0.2, 0.0569, 0.3404], abs=5e-5)


def audit_of(times: int) -> tuple[Audit, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(12)
    truths = random.random(500) < 0.4
    shared = random.normal(size=500) + truths
    mine, theirs = (1 / (1 + np.exp(-(shared + random.normal(0, s, 500)))) for s in (0.3, 1.0))
    images = np.repeat(np.arange(500), times)
    table = AuditTable(
        patients=images.astype(np.int32),
        attributes={"sex": Grouping(("F", "M"), (images % 2).astype(np.int16))},
        source=ScoresInMemory({"x": Scores(mine[images], truths[images].astype(np.int8))}),
    )
    point = Threshold(finding="x", value=0.6, source="test")
    second = ScoresInMemory({"x": Scores(theirs[images], truths[images].astype(np.int8))})
    other = OtherModel(source=second, thresholds={"x": point})
    request = Request(by=("sex",), thresholds={"x": point}, other=other)
    return run_audit(table, request, Provenance(code_version="", made_at="", source="test")), truths, mine, theirs


def test_a_difference_is_this_models_figure_less_the_others() -> None:
    audit, truths, mine, theirs = audit_of(1)
    for cohort, members in (("all", slice(None)), ("sex=F", slice(0, None, 2)), ("sex=M", slice(1, None, 2))):
        truth, own, other = truths[members], mine[members], theirs[members]
        expected = {
            "auroc_difference": roc_auc_score(truth, own) - roc_auc_score(truth, other),
            "sensitivity_difference": (own >= 0.6)[truth].mean() - (other >= 0.6)[truth].mean(),
            "specificity_difference": (own < 0.6)[~truth].mean() - (other < 0.6)[~truth].mean(),
        }
        for metric, value in expected.items():
            row = audit.row("x", metric, cohort)
            assert row is not None
            assert row.value == pytest.approx(value, abs=1e-9)
            assert row.low < row.value < row.high


def test_three_copies_of_each_image_tell_no_more_than_one() -> None:
    single, thrice = audit_of(1)[0], audit_of(3)[0]
    for metric in ("auroc_difference", "sensitivity_difference", "specificity_difference"):
        one, three = single.row("x", metric), thrice.row("x", metric)
        assert three.value == pytest.approx(one.value)
        assert (three.high - three.low) == pytest.approx(one.high - one.low, rel=0.15)
