"""The figures on a model card are the figures of the literature."""

from __future__ import annotations

import numpy as np
import pytest

sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn comes with the extra `dev`")

from core.statistics.calibration import (  # noqa: E402
    bins_sorted,
    calibration_error,
    calibration_error_if_perfect,
    debiased_calibration_error,
    fit_platt,
)
from core.statistics.maps import localisation  # noqa: E402
from core.statistics.proportions import benjamini_hochberg, holm, newcombe, two_proportions_p, wilson  # noqa: E402
from core.statistics.ranking import auroc, auroc_difference, average_precision  # noqa: E402
from core.statistics.resampling import bootstrap, patient_weights  # noqa: E402
from core.statistics.stability import population_stability, population_stability_sorted  # noqa: E402


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


def test_average_precision_agrees_with_scikit_learn_also_with_ties(scored: tuple[np.ndarray, np.ndarray]) -> None:
    assert average_precision(*scored) == pytest.approx(sklearn_metrics.average_precision_score(*scored), abs=1e-12)


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


def brute_force_delong(truths: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Area and variance as DeLong 1988 writes them: each positive against each negative."""
    positive, negative = scores[truths], scores[~truths]
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = above.mean(1).var(ddof=1) / len(positive) + above.mean(0).var(ddof=1) / len(negative)
    return float(above.mean()), float(variance)


def test_fast_delong_is_delong(scored: tuple[np.ndarray, np.ndarray]) -> None:
    area, variance = brute_force_delong(*scored)
    found = auroc(*scored)
    assert found.value == pytest.approx(area, abs=1e-12)
    assert found.high - found.value == pytest.approx(1.959963984540054 * variance**0.5, abs=1e-12)


def test_delong_of_a_published_example() -> None:
    """Hanley and McNeil, Radiology 1982: 109 CT images rated 1 to 5; DeLong's interval from Stata's manual (roctab)."""
    normal = np.repeat([1, 2, 3, 4, 5], [33, 6, 6, 11, 2])
    abnormal = np.repeat([1, 2, 3, 4, 5], [3, 2, 2, 11, 33])
    truths = np.arange(109) >= len(normal)
    area = auroc(truths, np.concatenate([normal, abnormal]).astype(float))
    assert (round(area.value, 4), round(area.low, 5), round(area.high, 5)) == (0.8932, 0.83295, 0.95339)


def test_paired_delong_is_delong(scored: tuple[np.ndarray, np.ndarray]) -> None:
    truths, first = scored
    second = np.round(first + np.random.default_rng(11).normal(size=len(first)), 1)
    placed = []
    for scores in (first, second):
        above = (scores[truths][:, None] > scores[~truths]) + 0.5 * (scores[truths][:, None] == scores[~truths])
        placed.append((above.mean(1), above.mean(0)))
    contrast = np.array([1, -1])
    covariance = [np.cov(np.stack([placed[0][side], placed[1][side]])) / placed[0][side].size for side in (0, 1)]
    variance = contrast @ (covariance[0] + covariance[1]) @ contrast
    found = auroc_difference(truths, first, second)
    assert found.value == pytest.approx(placed[0][0].mean() - placed[1][0].mean(), abs=1e-12)
    assert found.high - found.value == pytest.approx(1.959963984540054 * variance**0.5, abs=1e-12)


def test_perfect_separation_of_few_is_no_proof_of_perfection() -> None:
    found = auroc(np.array([False] * 50 + [True] * 3), np.arange(53.0))
    assert found.value == found.high == 1.0
    assert found.low == pytest.approx(wilson(3, 3).low)


def test_newcombe_of_the_published_examples() -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10, contrasts (a), (c), (e)
    published = {
        ((56, 70), (48, 80)): (0.0524, 0.3339),
        ((9, 10), (3, 10)): (0.1705, 0.8090),
        ((5, 56), (0, 29)): (-0.0381, 0.1926),
    }
    for (first, second), interval in published.items():
        found = newcombe(first, second)
        assert (round(found.low, 4), round(found.high, 4)) == interval


def test_adjusted_p_values_agree_with_statsmodels_and_fishers_test_with_its_definition() -> None:
    from scipy.stats import hypergeom
    from statsmodels.stats.multitest import multipletests

    p_values = np.random.default_rng(12).random(40) ** 3
    for ours, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        assert ours(p_values) == pytest.approx(multipletests(p_values, method=method)[1], abs=1e-12)
        with_gaps = np.insert(p_values, [3, 20], np.nan)  # not tests: they do not count
        assert ours(with_gaps)[~np.isnan(with_gaps)] == pytest.approx(ours(p_values))
    chances = hypergeom(210, 64, 90).pmf(np.arange(65))  # of so many of the 64 successes in the group of 90
    as_unlikely = chances[chances <= chances[20] * (1 + 1e-7)].sum()
    assert two_proportions_p((20, 90), (44, 120)) == pytest.approx(as_unlikely, abs=1e-12)


def test_a_plain_error_on_few_images_is_what_a_perfect_model_shows() -> None:
    random = np.random.default_rng(13)
    probabilities = random.beta(1, 5, 112)
    truths = random.random((400, 112)) < probabilities
    shown = [calibration_error(row, probabilities) for row in truths]
    expected = calibration_error_if_perfect(probabilities, draws=2000)
    assert np.mean(shown) > 0.05  # a fine model on 112 images
    assert expected.mean() == pytest.approx(np.mean(shown), rel=0.05)
    assert np.percentile(expected, 95) == pytest.approx(np.percentile(shown, 95), rel=0.1)


def test_the_debiased_error_finds_the_true_one_where_the_plain_one_is_twice_as_large() -> None:
    random = np.random.default_rng(14)
    for shift in (0.0, 0.1):
        plain, debiased = [], []
        for _ in range(300):
            probabilities = random.uniform(0.1, 0.7, 300)
            truths = random.random(300) < probabilities + shift
            found = bins_sorted(truths[np.argsort(probabilities)], np.sort(probabilities))
            plain.append(found.error)
            debiased.append(debiased_calibration_error(found))
        assert abs(np.mean(debiased) - shift) < 0.75 * abs(np.mean(plain) - shift)


def test_weights_redraw_every_patient_once_on_average() -> None:
    weights = patient_weights(50, 4000, seed=1)
    assert (weights.sum(1) == 50).all()
    assert weights.var(0).mean() == pytest.approx(49 / 50, rel=0.02)


def test_population_stability_is_what_its_definition_says() -> None:
    before, now = np.arange(1000) / 1000, np.concatenate([np.arange(500) / 1000, np.arange(500) / 1000])
    counts = np.array([1000 / 10 + 0.5] * 10), np.array([200.5] * 5 + [0.5] * 5)
    expected, actual = (part / part.sum() for part in counts)
    by_hand = float(((actual - expected) * np.log(actual / expected)).sum())
    assert population_stability(before, now) == pytest.approx(by_hand, abs=1e-12)
    assert population_stability(before, before) == 0.0


def test_population_stability_of_a_table_made_by_hand() -> None:
    """Two bins with their edge at 0.5: 4 and 4 before, 2 and 6 now, half an image more in each."""
    before, now = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]), np.array([0.1, 0.2, 0.5, 0.6, 0.7, 0.7, 0.8, 0.9])
    by_hand = (2.5 / 9 - 4.5 / 9) * np.log(2.5 / 4.5) + (6.5 / 9 - 4.5 / 9) * np.log(6.5 / 4.5)
    assert population_stability(before, now, bins=2) == pytest.approx(by_hand, abs=1e-12)
    assert population_stability(before[::-1], now[::-1], bins=2) == pytest.approx(by_hand, abs=1e-12)


def test_population_stability_has_the_bins_that_numpy_would_make_also_with_ties() -> None:
    random = np.random.default_rng(4)
    before, now = np.round(random.beta(1, 8, 333), 2), np.round(random.beta(1, 6, 71), 2)
    edges = np.unique(np.quantile(before, np.linspace(0, 1, 11)[1:-1]))
    shares = []
    for sample in (before, now):
        counts = np.bincount(np.searchsorted(edges, sample, side="right"), minlength=len(edges) + 1) + 0.5
        shares.append(counts / counts.sum())
    expected = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    assert population_stability_sorted(np.sort(before), np.sort(now)) == pytest.approx(expected, rel=1e-9)


def test_localisation_of_a_map_made_by_hand() -> None:
    """Range 0..4, so the region is what is at 2 or above: three cells, two of them among the four boxed ones."""
    values = np.array([[4.0, 2.0, 1.0], [1.9, 0.0, 2.0], [0.5, 1.0, 0.2]], np.float32)
    boxes = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]], bool)
    found = localisation(values, boxes)
    assert (found.pointing, found.iou) == (1.0, 2 / 5)
    assert found.covered == pytest.approx(4 / 9)
    assert found.marked == pytest.approx(3 / 9)
    # in falling order: hit; a hit and a miss at the same value; a hit; ...; the last cell of all is the fourth hit
    assert found.auprc == pytest.approx((1 / 1 + 2 / 3 + 3 / 4 + 4 / 9) / 4)
    both = 4 / 9 * 3 / 9
    assert found.iou_by_chance == pytest.approx(both / (4 / 9 + 3 / 9 - both))


def test_a_map_that_points_outside_the_boxes_misses_and_a_flat_one_has_no_region() -> None:
    boxes = np.array([[1, 0], [0, 0]], bool)
    away = localisation(np.array([[0.0, 0.0], [0.0, 1.0]], np.float32), boxes)
    assert (away.pointing, away.iou, away.auprc) == (0.0, 0.0, 0.25)
    flat = localisation(np.full((2, 2), 0.5, np.float32), boxes)
    assert (flat.iou, flat.marked, flat.iou_by_chance) == (0.0, 0.0, 0.0)
    assert flat.auprc == 0.25  # what chance gives


def test_no_calibration_error_depends_on_the_order_of_equal_probabilities() -> None:
    """Five values, 20 images of each: by hand, each bin of ten shares the rate of its value."""
    rates = {0.1: 2, 0.3: 8, 0.5: 9, 0.7: 12, 0.9: 20}  # of 20
    by_hand = sum(20 * abs(count / 20 - value) for value, count in rates.items()) / 100
    values = np.repeat(list(rates), 20)
    healthy_first = np.concatenate([np.arange(20) >= 20 - count for count in rates.values()])
    mixed = np.random.default_rng(3).permutation(100)
    assert calibration_error(healthy_first, values) == pytest.approx(by_hand)
    assert calibration_error(healthy_first[mixed], values[mixed]) == pytest.approx(by_hand)
