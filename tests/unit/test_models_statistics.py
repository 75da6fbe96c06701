"""The figures on a model card are the figures of the literature."""

from __future__ import annotations

import numpy as np
import pytest

sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn comes with the extra `train`")

from models.training.statistics import (  # noqa: E402
    auroc,
    average_precision,
    bootstrap,
    calibration_error,
    fit_platt,
    wilson,
)


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    truths = random.random(400) < 0.3
    return truths, np.round(random.normal(truths * 1.2), 1)  # rounded: with ties


def test_auroc_agrees_with_scikit_learn_and_its_interval_holds_it(scored: tuple[np.ndarray, np.ndarray]) -> None:
    area = auroc(*scored)
    assert area.value == pytest.approx(sklearn_metrics.roc_auc_score(*scored))
    assert area.low < area.value < area.high
    assert area.high - area.low == pytest.approx(0.1, abs=0.03)  # Hanley-McNeil: 1.96 * 2 * 0.025


def test_average_precision_agrees_with_scikit_learn_without_ties() -> None:
    random = np.random.default_rng(6)
    truths, scores = random.random(300) < 0.2, random.random(300)
    assert average_precision(truths, scores) == pytest.approx(sklearn_metrics.average_precision_score(truths, scores))


def test_wilson_of_a_published_example() -> None:
    estimate = wilson(81, 263)  # Newcombe 1998, table I
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (0.2553, 0.3662)


def test_perfect_calibration_has_no_error_and_a_wrong_one_has_its_size() -> None:
    probabilities = np.repeat([0.25, 0.75], 400)
    truths = np.tile([True, False, False, False], 100).tolist() + np.tile([True, True, True, False], 100).tolist()
    assert calibration_error(np.array(truths), probabilities, bins=2) == pytest.approx(0)
    assert calibration_error(np.array(truths), probabilities - 0.2, bins=2) == pytest.approx(0.2)


def test_platt_scaling_finds_slope_and_each_groups_intercept() -> None:
    random = np.random.default_rng(7)
    logits, groups = random.normal(size=20_000) * 2, random.integers(0, 2, 20_000)
    chance = 1 / (1 + np.exp(-(0.5 * logits + np.array([-1.0, 0.5])[groups])))
    scale, shifts = fit_platt(random.random(20_000) < chance, logits, groups)
    assert scale == pytest.approx(0.5, abs=0.05)
    assert shifts == pytest.approx([-1.0, 0.5], abs=0.1)


def test_the_bootstrap_redraws_patients_not_images() -> None:
    values = np.repeat(np.random.default_rng(8).normal(size=20), 50)
    patients = np.repeat(np.arange(20).astype(str), 50)
    estimate = bootstrap(patients, lambda rows: float(values[rows].mean()))
    assert estimate.high - estimate.low > 0.5  # by image it would be 0.12
