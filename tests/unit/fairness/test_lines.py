"""Which figures stand in a report: the most specific cohort with enough data, and why not a more specific one."""

from __future__ import annotations

import pytest

from core.wording import statement_of
from fairness.service.lines import ENOUGH, Evidence, Figure, cohort_lines

PATIENT = {"sex": "F", "age_band": "60-79", "view": "AP", "station": "ICU2"}


def rows(cohort, positives, negatives, finding="effusion", sensitivity=0.87):
    facts = {"finding": finding, "cohort": cohort, "positives": positives, "negatives": negatives}
    return [
        Figure(metric="sensitivity", value=sensitivity, low=0.8, high=0.9, **facts),
        Figure(metric="specificity", value=0.9, low=0.88, high=0.92, **facts),
        Figure(metric="auroc", value=0.5, low=0.4, high=0.6, **facts),
    ]


def lines(*evidence, findings=("effusion",)):
    return cohort_lines(findings, PATIENT, evidence)


def test_the_most_specific_cohort_with_enough_data_comes_first_and_all_patients_second():
    found = lines(
        Evidence(
            [*rows("all", 500, 900), *rows("sex=F & age_band=60-79", 204, 300), *rows("view=AP & sex=F", 100, 99)], "x"
        )
    )
    assert [line.cohort for line in found] == ["view=AP & sex=F", "all"]
    assert (found[0].sensitivity, found[0].sensitivity_interval, found[0].positives) == (0.87, (0.8, 0.9), 100)
    assert found[0].fallback == "view=AP & age_band=60-79"  # the audit did not speak of it


@pytest.mark.parametrize(("positives", "negatives"), [(ENOUGH - 1, 400), (400, ENOUGH - 1), (None, None)])
def test_a_cohort_with_too_little_data_falls_back_and_is_named(positives, negatives):
    few = rows("view=AP & age_band=60-79", positives, negatives)
    found = lines(Evidence([*rows("all", 500, 900), *few, *rows("view=AP", 300, 400)], "x"))
    assert [line.cohort for line in found] == ["view=AP", "all"]
    assert found[0].fallback == "view=AP & age_band=60-79"


def test_a_suppressed_figure_is_too_little_data():
    hidden = [
        Figure(
            finding="effusion", metric=m, cohort="view=AP", value=None, low=None, high=None, positives=50, negatives=50
        )
        for m in ("sensitivity", "specificity")
    ]
    (line,) = lines(Evidence([*rows("all", 500, 900), *hidden], "x"))
    assert (line.cohort, line.fallback) == ("all", "view=AP")


def test_cohorts_of_other_patients_and_of_equipment_are_not_quoted():
    others = [*rows("sex=M", 300, 300), *rows("view=PA & sex=F", 300, 300), *rows("station=ICU2", 300, 300)]
    assert [line.cohort for line in lines(Evidence([*rows("all", 500, 900), *others], "x"))] == ["all"]


def test_local_truth_counts_as_soon_as_there_is_enough_of_it_finding_by_finding():
    local = Evidence([*rows("all", 40, 200), *rows("all", 12, 200, finding="edema")], "local reads, audit 3")
    maker = Evidence([*rows("all", 500, 900), *rows("all", 300, 900, finding="edema")], "validation")
    found = lines(local, maker, findings=("effusion", "edema", "hernia"))
    assert [(line.finding_name, line.source) for line in found] == [
        ("effusion", "local reads, audit 3"),
        ("edema", "validation"),
    ]


def test_where_too_little_is_known_the_line_says_how_little():
    (line,) = lines(Evidence(rows("all", 19, 57), "validation"))
    assert (line.sensitivity, line.sensitivity_interval, line.positives) == (None, None, 19)
    assert (line.specificity, line.negatives) == (0.9, 57)
    assert "sensitivity not known, 19 positives are too few" in statement_of(line)


def test_the_sentence_of_a_line():
    few = rows("view=AP & age_band=60-79", 10, 10)
    evidence = Evidence([*rows("all", 1500, 9000), *few, *rows("age_band=60-79 & sex=F", 204, 1012)], "audit 12")
    assert statement_of(lines(evidence)[0]) == (
        "women 60-79: sensitivity 0.87 [0.80, 0.90], 204 positives; specificity 0.90 [0.88, 0.92], 1,012 negatives; "
        "source: audit 12; too little data on aged 60-79, view AP"
    )
