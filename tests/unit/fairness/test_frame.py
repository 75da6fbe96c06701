"""`fairness.audit.frame` in a notebook: fairlearn's definitions, written by hand, and fairlearn itself."""

from __future__ import annotations

import re
from pathlib import Path

import fairlearn.metrics as fairlearn
import numpy as np
import pandas as pd
import polars as pl
import pytest

from core.errors import ConfigurationError
from fairness.audit.frame import AuditFrame, audit

# sensitivity and specificity of groups A, B, C, from the counts below: right of all, positives then negatives
COUNTS = {"A": ((45, 50), (90, 100)), "B": ((30, 40), (40, 80)), "C": ((30, 60), (66, 66))}


def made() -> AuditFrame:
    truths, scores, groups, views = [], [], [], []
    for group, ((hits, positives), (passes, negatives)) in COUNTS.items():
        truths += [1] * positives + [0] * negatives
        scores += [0.8] * hits + [0.2] * (positives - hits) + [0.2] * passes + [0.8] * (negatives - passes)
        groups += [group] * (positives + negatives)
        views += ["AP", "PA"] * ((positives + negatives) // 2)
    features = pd.DataFrame({"group": groups})
    return audit(truths, scores, sensitive_features=features, control_features={"view": views}, draws=50)


def test_overall_and_by_group_are_the_rates_of_the_counts():
    frame = made()
    assert frame.overall["sensitivity"] == pytest.approx((45 + 30 + 30) / 150)
    assert frame.overall["specificity"] == pytest.approx((90 + 40 + 66) / 246)
    rows = {row["group"]: row for row in frame.by_group.to_dicts()}
    for group, ((hits, positives), (passes, negatives)) in COUNTS.items():
        row = rows[f"group={group}"]
        assert (row["sensitivity"], row["specificity"]) == pytest.approx((hits / positives, passes / negatives))
        assert row["sensitivity_low"] < row["sensitivity"] < row["sensitivity_high"]
        assert (row["positives"], row["negatives"]) == (positives, negatives)


def test_difference_and_ratio_are_those_of_fairlearn_by_hand():
    frame, overall = made(), 105 / 150
    rates = [45 / 50, 30 / 40, 30 / 60]
    assert frame.group_min()["sensitivity"] == 0.5
    assert frame.group_max()["sensitivity"] == 0.9
    assert frame.difference()["sensitivity"] == pytest.approx(0.9 - 0.5)
    assert frame.ratio()["sensitivity"] == pytest.approx(0.5 / 0.9)
    assert frame.difference("to_overall")["sensitivity"] == pytest.approx(max(abs(rate - overall) for rate in rates))
    smallest = min(min(rate / overall, overall / rate) for rate in rates)
    assert frame.ratio("to_overall")["sensitivity"] == pytest.approx(smallest)


def test_it_agrees_with_fairlearn_on_rows_drawn_at_random():
    random = np.random.default_rng(4)
    truths, scores = random.random(900) < 0.4, random.random(900)
    groups = random.choice(["A", "B", "C"], 900)
    theirs = fairlearn.MetricFrame(
        metrics={"sensitivity": fairlearn.true_positive_rate, "flag_rate": fairlearn.selection_rate},
        y_true=truths, y_pred=scores >= 0.35, sensitive_features=groups,
    )  # fmt: skip
    ours = audit(truths, scores, sensitive_features={"group": groups}, threshold=0.35, draws=50)
    for name in ("sensitivity", "flag_rate"):
        assert ours.overall[name] == pytest.approx(theirs.overall[name])
        for method in ("between_groups", "to_overall"):
            assert ours.difference(method)[name] == pytest.approx(theirs.difference(method)[name])
            assert ours.ratio(method)[name] == pytest.approx(theirs.ratio(method)[name])


def test_a_control_feature_keeps_the_groups_of_each_value_apart():
    frame = made()
    inside = frame.within("flag_rate")
    assert set(inside) == {"AP", "PA"}
    assert set(inside["AP"]) == {"A", "B", "C"}


def test_a_group_of_too_few_cases_makes_the_difference_unknown_and_not_small():
    truths = [1, 0] * 100 + [1] * 5
    scores = [0.9, 0.1] * 100 + [0.1] * 5
    groups = ["A", "A", "B", "B"] * 50 + ["C"] * 5
    frame = audit(truths, scores, sensitive_features={"group": groups}, draws=50)
    assert np.isnan(frame.difference()["sensitivity"])


@pytest.mark.parametrize(
    ("truths", "scores", "features"),
    [([1, 0], [0.5], {"g": ["A", "B"]}), ([1, 2], [0.5, 0.1], {"g": ["A", "B"]}), ([1, 0], [0.5, 37.0], {"g": "AB"})],
)
def test_what_is_no_column_of_scores_is_refused(truths, scores, features):
    with pytest.raises(ConfigurationError):
        audit(truths, scores, sensitive_features=features)


def test_the_example_of_the_document_runs_and_says_what_it_shows():
    text = (Path(__file__).parents[3] / "docs" / "notebooks.md").read_text(encoding="utf-8")
    code, shown = re.findall(r"```(?:python|text)\n(.*?)```", text, re.DOTALL)[:2]
    said: list[str] = []
    exec(code, {"print": lambda *words: said.append(" ".join(map(str, words)))})
    assert "\n".join(said).strip() == shown.strip()


def test_features_are_taken_as_users_of_fairlearn_have_them() -> None:
    sex = ["F", "M"] * 50
    truths, scores = [1, 1, 0, 0] * 25, [0.9, 0.2, 0.1, 0.6] * 25
    series, frame = pd.Series(sex, name="sex"), pd.DataFrame({"sex": sex})
    forms = (sex, np.array(sex), series, frame, pl.DataFrame({"sex": sex}), {"sex": sex})
    found = [audit(truths, scores, sensitive_features=form) for form in forms]
    names = ["sensitive_feature_0", "sensitive_feature_0", "sex", "sex", "sex", "sex"]
    assert [one.by_group["group"].to_list() for one in found] == [[f"{name}=F", f"{name}=M"] for name in names]
    assert [one.overall == found[0].overall for one in found] == [True] * 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 2},
        {"threshold": float("nan")},
        {"y_true": ["yes", "no"] * 50},
        {"sensitive_features": np.zeros((100, 2))},
        {"sensitive_features": ["F"] * 99},
    ],
)
def test_what_is_no_audit_is_refused_in_words(wrong: dict) -> None:
    right = {"y_true": [1, 0] * 50, "y_score": [0.9, 0.2] * 50, "sensitive_features": ["F", "M"] * 50}
    given = right | wrong
    with pytest.raises(ConfigurationError):
        audit(given.pop("y_true"), given.pop("y_score"), **given)
