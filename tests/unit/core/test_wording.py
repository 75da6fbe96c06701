"""One wording of figures: every row of these tables was written by hand."""

import math

import pytest

from core.wording import (
    cohort_as_heading,
    cohort_in_words,
    count,
    finding_in_words,
    number,
    p_value,
    per_cent,
    points,
    rate_in_words,
    with_interval,
)

NAN = math.nan


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        ((0.0,), "0.00"),
        ((1.0, 0.95, 1.0), "1.00 [0.95, 1.00]"),
        ((0.874, 0.8249, 0.9051), "0.87 [0.82, 0.91]"),
        ((-0.034, -0.12, 0.051), "-0.03 [-0.12, 0.05]"),
        ((-0.0001, -0.004, 0.004), "0.00 [0.00, 0.00]"),  # no minus before nothing
        ((0.5, None, None), "0.50"),
        ((0.5, 0.4, None), "0.50"),
        ((0.5, NAN, 0.6), "0.50"),
        ((None, 0.1, 0.2), "-"),
        ((NAN, 0.1, 0.2), "-"),
        ((None,), "-"),
    ],
)
def test_a_figure_with_its_interval(estimate, words):
    assert with_interval(*estimate) == words


def test_digits_and_sign_go_for_the_interval_too():
    assert with_interval(0.0123, -0.004, 0.02, digits=3, sign="+") == "+0.012 [-0.004, +0.020]"
    assert number(3.25, 1) == "3.2"
    assert number(None, 3) == "-"


@pytest.mark.parametrize(
    ("value", "limits", "words"),
    [
        (0.87, (0.82, 0.91), "0.87 [0.82, 0.91]"),
        (1.0, (0.9, 1.0), "1.00 [0.90, 1.00]"),
        (0.0, None, "0.00"),
        (None, None, "insufficient data"),
        (NAN, (0.1, 0.2), "insufficient data"),
    ],
)
def test_a_rate_that_is_missing_says_why(value, limits, words):
    assert rate_in_words(value, limits) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        ((0.0,), "0 %"),
        ((0.004,), "0.4 %"),  # never 0 % for what is more than nothing
        ((0.07,), "7.0 %"),
        ((0.5,), "50 %"),
        ((1.0,), "100 %"),
        ((-0.03,), "-3.0 %"),
        ((0.973, 0.95, 0.991), "97.3 % [95.0, 99.1]"),
        ((1.0, 0.9, 1.0), "100.0 % [90.0, 100.0]"),
        ((0.5, None, None), "50 %"),
        ((None, None, None), "-"),
        ((NAN,), "-"),
    ],
)
def test_a_share_in_percent(share, words):
    assert per_cent(*share) == words


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ((0.2175,), "22"),
        ((0.014,), "1.4"),
        ((-0.003,), "-0.3"),
        ((-0.00001,), "0.0"),
        ((-0.22,), "-22"),
        ((0.2175, 0.03, 0.4), "22 [3.0, 40]"),
        ((-0.2175, -0.4, -0.03), "-22 [-40, -3.0]"),
        ((0.22, None, 0.4), "22"),
        ((None,), "-"),
        ((NAN,), "-"),
    ],
)
def test_a_difference_in_percentage_points(difference, words):
    assert points(*difference) == words


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.0, "p < 0.001"),
        (1e-300, "p < 0.001"),
        (0.000999, "p < 0.001"),
        (0.001, "p = 0.001"),
        (0.0126, "p = 0.013"),
        (1.0, "p = 1.000"),
        (None, "p unknown"),
        (NAN, "p unknown"),
    ],
)
def test_a_p_value_is_never_zero(p, words):
    assert p_value(p) == words


def test_a_q_value_is_called_q():
    assert p_value(0.04, "q") == "q = 0.040"


@pytest.mark.parametrize(
    ("number_of", "words"), [(0, "0"), (999, "999"), (1012, "1,012"), (12_345_678, "12,345,678"), (None, "-")]
)
def test_a_count(number_of, words):
    assert count(number_of) == words


@pytest.mark.parametrize(
    ("cohort", "words"),
    [
        ("all", "all patients"),
        ("sex=F & age_band=60-79 & view=AP", "women 60-79, view AP"),
        ("view=UNKNOWN", "view not given"),
        ("sex=UNKNOWN & age_band=UNKNOWN", "sex not given age not given"),
        ("portable=yes & sex=M", "men, portable yes"),
    ],
)
def test_a_cohort(cohort, words):
    assert cohort_in_words(cohort) == words


@pytest.mark.parametrize(
    ("cohort", "words"),
    [
        ("all", "All patients"),
        ("sex=F & view=AP", "Women, view AP"),
        ("age_band=0-17", "Aged 0-17"),
        ("view=pa", "view pa"),
    ],
)
def test_a_cohort_heads_a_line(cohort, words):
    assert cohort_as_heading(cohort) == words


def test_a_finding():
    assert finding_in_words("lung_opacity") == "lung opacity"
