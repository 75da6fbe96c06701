"""The lines that a report begins with, of several images and models too; and the sentences on how well a model does."""

from __future__ import annotations

import dataclasses

import pytest

from core.conclusion import conclusion_of
from core.domain.report import CohortMetric, Finding, Reading, Report, ReportStatus
from core.wording import performance_in_words, verdict_in_words
from tests.contract.encode.cases import COHORT, EFFUSION, MODEL, finding, reading, report, study

OTHER = dataclasses.replace(MODEL, name="other", device_uid="2.25.9", not_looked_for=("fracture", "mass"))


def of(*readings: Reading) -> Report:
    return report(readings=readings)


def images() -> tuple[Reading, Reading]:
    """A first image with nothing flagged and a second one with an opacity."""
    (one,) = study().instances
    other = dataclasses.replace(one, sop_instance_uid="1.2.3")
    quiet = (finding(probability=0.2), finding("effusion", 0.1, EFFUSION))
    return reading(one, findings=quiet), reading(other)


def test_what_is_flagged_on_one_image_is_not_called_absent_because_of_another() -> None:
    assert conclusion_of(of(*images()))[:2] == (
        "Flagged: Lung opacity (image 2 of 2).",
        "Looked for and not flagged: Pleural effusion.",
    )


def test_what_one_of_two_models_looks_for_was_looked_for() -> None:
    first, _ = images()
    both = of(first, dataclasses.replace(first, model=OTHER))
    assert conclusion_of(both)[2] == "Not looked for: fracture, or anything else."


def test_a_reading_that_failed_is_named_and_looked_for_nothing() -> None:
    first, second = images()
    failed = dataclasses.replace(second, status=ReportStatus.FAILED, reason="it did not run.", findings=(), model=OTHER)
    lines = conclusion_of(of(first, failed))
    assert lines[0] == "Flagged: nothing."
    assert lines[2] == "Not looked for: pneumothorax, fracture, or anything else."
    assert lines[3] == "Could not analyse image 2 of 2, other 1.0.0, because: it did not run."


def test_when_everything_is_flagged_nothing_else_is_left() -> None:
    assert conclusion_of(report(findings=(finding(),)))[1] == "Looked for and not flagged: nothing else."


def metric(**changes: object) -> CohortMetric:
    facts = {"cohort": "all", "fallback": "", "source": "12 hospitals", "positives": 20, "negatives": 980}
    return dataclasses.replace(COHORT, **{**facts, **changes})  # type: ignore[arg-type]


def flagged() -> Finding:
    return finding(probability=0.9)


@pytest.mark.parametrize(
    ("changes", "words"),
    [  # by hand: rate * positives / (rate * positives + (1 - specificity) * negatives)
        (
            {"sensitivity": 0.8, "specificity": 0.9},  # 16 / (16 + 98) = 0.14
            "Flagged. Of 100 flagged like this about 14 have it if 2.0 % of patients have it, as in 12 hospitals "
            "(20 of 1,000); fewer where it is rarer.",
        ),
        (
            {"sensitivity": 0.9, "specificity": 0.95, "positives": 500, "negatives": 500},  # 450 / 475 = 0.947
            "Flagged. Of 100 flagged like this about 95 have it if 50 % of patients have it, as in 12 hospitals "
            "(500 of 1,000); fewer where it is rarer.",
        ),
        (
            {"sensitivity": 0.1, "specificity": 0.5, "positives": 1, "negatives": 999},  # 0.1 / 499.6 = 0.0002
            "Flagged. Of 100 flagged like this fewer than 1 have it if 0.1 % of patients have it, as in 12 hospitals "
            "(1 of 1,000); fewer where it is rarer.",
        ),
        ({"sensitivity": None}, "Flagged."),
        ({"specificity": None}, "Flagged."),
        ({"sensitivity": 0.0, "specificity": 1.0}, "Flagged."),  # nothing is ever flagged
        ({"positives": 0}, "Flagged."),
        ({"share_is_known": False}, "Flagged."),
    ],
)
def test_what_a_flag_means_in_100_patients(changes: dict[str, object], words: str) -> None:
    assert verdict_in_words(flagged(), metric(**changes)) == words


def test_performance_without_patients_is_not_measured() -> None:
    assert performance_in_words(None) == "Sensitivity and specificity: not measured."
    assert performance_in_words(metric(positives=0, negatives=0)) == "Sensitivity and specificity: not measured."


def test_too_few_is_said_in_english() -> None:
    few = metric(sensitivity=None, sensitivity_interval=None, positives=12)
    assert performance_in_words(few) == (
        "Sensitivity not known, 12 patients with it are too few; specificity 0.88 [0.84, 0.91], 980 without it; "
        "measured in 12 hospitals."
    )
