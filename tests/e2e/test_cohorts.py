"""For whom a report is, through the door: C-STORE in, cohort lines in the SR, a pseudonymous row for the audit."""

from __future__ import annotations

from tests.e2e.house import wait_until
from tests.e2e.reports import reports_by_study
from tests.e2e.studies import radiograph, send


def report_of(house, archive, image):
    """The SR that comes back for one image."""
    house.start("worker")
    house.start("node")
    house.wait_ready()
    send([image], house.port)
    wait_until(lambda: reports_by_study(archive), seconds=60, what="the report")
    return reports_by_study(archive)[image.study_instance_uid][0]


def cohort_groups(report):
    """The texts and numbers of each cohort group of an SR, by code value."""
    (section,) = [i for i in report.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010"]
    groups = [
        {i.ConceptNameCodeSequence[0].CodeValue: i for i in group.ContentSequence} for group in section.ContentSequence
    ]
    return [
        {
            code: item.TextValue if item.ValueType == "TEXT" else float(item.MeasuredValueSequence[0].NumericValue)
            for code, item in group.items()
            if item.ValueType in ("TEXT", "NUM")
        }
        for group in groups
        if "COHORT" in group
    ]


def test_without_an_audit_the_report_gives_the_figures_of_the_operating_point_and_says_so(house, archive):
    image = radiograph(1, bright=True)
    (group,) = cohort_groups(report_of(house, archive, image))
    assert (group["COHORT"], group["111088"], group["N_POSITIVES"]) == ("all", 1.0, 50)
    assert group["EVIDENCE_SOURCE"].endswith("because no audit by cohort came with it")
    with house.store() as store:
        (row,) = store.readings.newest()
    assert (row.facts.patient_sex, row.facts.patient_age_years, row.facts.view_position) == ("F", 51.0, "PA")
    assert row.flags == {"bright_patch": True}
    assert row.turnaround_seconds is not None
    assert 0 < row.turnaround_seconds < 60
    assert "CANARY" not in str(row).upper()
