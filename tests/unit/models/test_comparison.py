"""Two versions on the same studies: agreement, and who is right where truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score

from models.comparison import Pair, compare, kappa


def drawn(count: int, *, better: float = 0.0, patients: int | None = None, seed: int = 1) -> list[Pair]:
    """Studies with a known truth; the shadow's scores lie `better` further from the wrong side."""
    random = np.random.default_rng(seed)
    pairs = []
    for number in range(count):
        truth = bool(random.random() < 0.4)
        sign = 1 if truth else -1
        live = sign * 0.8 + random.normal()
        shadow = live + sign * better + 0.5 * random.normal()
        probabilities = [1 / (1 + math.exp(-score)) for score in (live, shadow)]
        pairs.append(
            Pair(
                patient=f"p{number % (patients or count)}",
                live=probabilities[0],
                shadow=probabilities[1],
                live_flag=probabilities[0] >= 0.5,
                shadow_flag=probabilities[1] >= 0.5,
                truth=truth,
            )
        )
    return pairs


def test_the_figures_are_those_of_an_independent_computation() -> None:
    pairs = drawn(500)
    found = compare("effusion", pairs)
    live, shadow = [pair.live_flag for pair in pairs], [pair.shadow_flag for pair in pairs]
    truth = [bool(pair.truth) for pair in pairs]
    odds = np.log([[p.live / (1 - p.live), p.shadow / (1 - p.shadow)] for p in pairs])
    assert found.studies == found.patients == found.flag_rate.n == 500
    assert found.flag_rate.live.value == pytest.approx(np.mean(live), abs=1e-12)
    assert found.flag_rate.difference.value == pytest.approx(np.mean(shadow) - np.mean(live), abs=1e-12)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(live, shadow), abs=1e-12)
    assert found.correlation.value == pytest.approx(np.corrcoef(odds.T)[0, 1], abs=1e-9)
    assert found.sensitivity.live.value == pytest.approx(recall_score(truth, live), abs=1e-12)
    assert found.specificity.shadow.value == pytest.approx(recall_score(truth, shadow, pos_label=False), abs=1e-12)
    for rates in (found.flag_rate, found.sensitivity, found.specificity):
        for estimate in (rates.live, rates.shadow, rates.difference):
            assert estimate.low < estimate.value < estimate.high


def test_a_better_shadow_is_seen_to_be_better_and_an_equal_one_is_not() -> None:
    better = compare("effusion", drawn(600, better=1.0))
    assert better.sensitivity.difference.low > 0
    assert better.specificity.difference.low > 0
    excluded = 0
    for seed in range(40):
        equal = compare("effusion", drawn(150, seed=seed))
        excluded += not equal.flag_rate.difference.low <= 0 <= equal.flag_rate.difference.high
    assert excluded <= 7  # 5 % are expected: 2 of 40


def test_many_images_of_few_patients_are_known_to_be_few() -> None:
    repeated = [replace(pair, patient=f"p{number}") for number, pair in enumerate(drawn(30)) for _ in range(10)]
    clustered, independent = compare("effusion", repeated), compare("effusion", drawn(300))
    assert (clustered.studies, clustered.patients, independent.patients) == (300, 30, 300)
    widths = [found.flag_rate.difference.high - found.flag_rate.difference.low for found in (clustered, independent)]
    assert widths[0] > 2 * widths[1]


ALWAYS_YES = Pair(patient="p", live=0.5, shadow=0.5, live_flag=True, shadow_flag=True)


@pytest.mark.parametrize("pairs", [[], drawn(1), [ALWAYS_YES] * 9])
def test_what_cannot_be_said_is_not_a_number(pairs: list[Pair]) -> None:
    found = compare("effusion", pairs)
    assert math.isnan(found.kappa.value)
    assert math.isnan(found.correlation.value)
    assert math.isnan(found.flag_rate.difference.value)


def test_kappa_of_perfect_and_of_no_agreement() -> None:
    yes_no = np.array([[True, True], [False, False]] * 5)
    assert kappa(yes_no) == 1.0
    assert kappa(np.array([[True, False], [False, True]] * 5)) == -1.0
    assert math.isnan(kappa(np.zeros((4, 2), bool)))


def test_studies_without_truth_count_for_agreement_only() -> None:
    pairs = drawn(100)
    unknown = [replace(pair, truth=None) for pair in pairs[:60]]
    found = compare("effusion", unknown + pairs[60:])
    assert found.flag_rate.n == 100
    assert found.sensitivity.n + found.specificity.n == 40
