"""Thresholds by a rule, a file and an option: expected values counted by hand, Youden's by scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from core.errors import ConfigurationError
from fairness.audit.table import Scores
from fairness.predictions.thresholds import ThresholdRule, thresholds_in, thresholds_of

PROBABILITIES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9])
TRUTHS = np.array([0, 0, 0, 1, 0, 0, 1, -1, 1, 1], np.int8)  # five healthy: .1 .2 .3 .5 .6; four diseased: .4 .7 .9 .9
BY_HAND = {
    "specificity=0.8": 0.6,  # four of five healthy are below 0.6; at 0.5 only three
    "specificity=1": 0.7,  # the lowest score of anybody with truth above all healthy
    "sensitivity=0.75": 0.7,  # 0.7, 0.9, 0.9
    "sensitivity=1": 0.4,
    "flag_rate=0.3": 0.8,  # 0.8, 0.9, 0.9 of ten
    "flag_rate=0.25": 0.9,
    "youden": 0.7,
}


@pytest.mark.parametrize("rule", BY_HAND)
def test_a_rule_puts_the_threshold_where_counting_does(rule: str) -> None:
    found = ThresholdRule.of(rule).threshold("mass", Scores(PROBABILITIES, TRUTHS))
    assert found.value == pytest.approx(BY_HAND[rule])
    assert found.source.startswith("chosen on these rows")


def test_youden_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(5)
    truths = random.random(500) < 0.3
    scores = np.clip(random.normal(0.3 + 0.2 * truths, 0.2), 0, 1)
    false, true, thresholds = roc_curve(truths, scores)
    expected = thresholds[np.argmax(true - false)]
    assert ThresholdRule.of("youden").threshold("x", Scores(scores, truths.astype(np.int8))).value == expected


@pytest.mark.parametrize(
    "text", ["", "specificity", "specificity=1.2", "accuracy=0.9", "youden=0.3", "flag_rate=x", "=0.9"]
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--threshold-at"):
        ThresholdRule.of(text)


@pytest.mark.parametrize("rule", ["specificity=0.9", "flag_rate=0.1", "sensitivity=0.9", "youden"])
def test_where_no_score_keeps_to_the_rule_nothing_is_guessed(rule: str) -> None:
    truths = np.full(20, 0 if "specificity" in rule else -1, np.int8)
    with pytest.raises(ConfigurationError, match="--threshold mass="):
        ThresholdRule.of(rule).threshold("mass", Scores(np.full(20, 0.5), truths))


def test_a_file_of_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("finding,threshold\neffusion,0.3\nmass,0.07\n", encoding="utf-8")
    assert {name: one.value for name, one in thresholds_in(path).items()} == {"effusion": 0.3, "mass": 0.07}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("finding,threshold\neffusion,30\n", "line 2"),
        ("finding,threshold\neffusion,0.3\neffusion,0.4\n", "line 3"),
        ("finding,threshold\n,0.3\n", "line 2"),
        ("finding,value\neffusion,0.3\n", "needs a header"),
        ("", "needs a header"),
    ],
)
def test_a_wrong_file_of_thresholds_is_refused_by_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=words):
        thresholds_in(path)


def test_an_option_is_a_probability() -> None:
    assert thresholds_of(("a=b=0.3",))["a=b"].value == 0.3
    with pytest.raises(ConfigurationError, match="--threshold x"):
        thresholds_of(("x",))
