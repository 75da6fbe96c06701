"""The audit's page: the first line names who is worst off, and nothing that is withheld or unknown is passed over."""

import html
import re

from api.pages.audit.page import render
from core.statistics.proportions import newcombe, wilson
from fairness.audit.nouns import (
    INSUFFICIENT,
    SUPPRESSED,
    Advice,
    Attribute,
    Audit,
    Curve,
    CurvePoint,
    Provenance,
    Row,
    Threshold,
)
from fairness.audit.nouns import Test as Comparison
from fairness.service.figures import ANY_FINDING

FINDING = "lung_opacity"
GROUPS = {"view=AP": (50, 100, 20, 200), "view=PA": (20, 100, 10, 200)}  # missed of diseased, flagged of healthy


def rows_of(finding=FINDING):
    everyone = tuple(map(sum, zip(*GROUPS.values(), strict=True)))
    rows = []
    for cohort, (missed, diseased, flagged, healthy) in {"all": everyone, **GROUPS}.items():
        sizes = {"n": diseased + healthy, "positives": diseased, "negatives": healthy}
        for metric, estimate in (
            ("sensitivity", wilson(diseased - missed, diseased)),
            ("specificity", wilson(healthy - flagged, healthy)),
        ):
            ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
            rows.append(Row(finding=finding, metric=metric, cohort=cohort, **ends, **sizes))
    gap = newcombe((50, 100), (20, 100))
    ends = {"value": gap.value, "low": gap.low, "high": gap.high}
    rows.append(Row(finding=finding, metric="fnr_gap", cohort="view=AP", **ends, n=300, positives=100, negatives=200))
    rows.append(Row(finding=finding, metric="sensitivity", cohort="view=LL", note=f"{SUPPRESSED}: fewer than 11"))
    note = f"{INSUFFICIENT}: 12 of 30 positives"
    rows.append(Row(finding=finding, metric="sensitivity", cohort="view=UNKNOWN", n=90, positives=12, note=note))
    return rows


def audit_of(p_holm=0.0004, q=0.0002, gap=0.30, finding=FINDING, **changed):
    tests = (Comparison(finding=finding, metric="fnr_gap", cohort="view=AP", gap=gap, p=0.0001, p_holm=p_holm, q=q),)
    origin = {
        "code_version": "0.1.0",
        "made_at": "2026-11-24T16:00:00Z",
        "source": "predictions.csv",
        "rows": 612,
        "patients": 600,
        "tests": 1,
        "input_sha256": "ab" * 32,
        "attributes": (Attribute(name="view", values=("AP", "LL", "PA", "UNKNOWN"), missing_rate=0.147),),
        "thresholds": (Threshold(finding=finding, value=0.35, source="option"),),
    }
    bins = (CurvePoint(probability=0.1, observed=0.2, low=0.15, high=0.25, n=300),)
    parts = {
        "rows": tuple(rows_of(finding)),
        "tests": tests,
        "curves": (Curve(finding=finding, cohort="all", points=bins),),
        "advice": (
            Advice(
                finding=finding, metric="sensitivity", cohort="view=UNKNOWN", needed=175, missing=163, text="163 more"
            ),
        ),
    }
    return Audit(provenance=Provenance(**{**origin, **changed.pop("origin", {})}), **{**parts, **changed})


def words_of(page):
    text = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_the_first_line_names_who_is_worst_off_by_how_much_and_whether_that_is_certain():
    words = words_of(render(audit_of()))
    lead = words[: words.index("Worst cohort first")]
    assert "It misses most, compared with everybody else, in: view AP." in lead
    assert "misses 50 % of those with lung opacity, elsewhere 20 %: 30 [" in lead
    low, high = newcombe((50, 100), (20, 100)).low, newcombe((50, 100), (20, 100)).high
    assert f"30 [{100 * low:.0f}, {100 * high:.0f}] percentage points more (95 % interval)" in lead
    assert "certain: it survives Holm's correction for 1 comparisons (p < 0.001)" in lead


def test_without_an_alarm_it_claims_no_certainty_and_no_proof():
    look = words_of(render(audit_of(p_holm=0.2, q=0.03)))
    assert "Not certain Worth a look, not certain: view AP, lung opacity missed." in look
    assert "That is certain" not in look
    nothing = words_of(render(audit_of(p_holm=0.9, q=0.8)))
    assert "do not differ between cohorts by more than chance explains" in nothing
    assert "That is no proof" in nothing


def test_without_an_alarm_a_table_that_is_mostly_withheld_is_no_all_clear():
    small = [Row(finding=FINDING, metric="sensitivity", cohort=f"station={n}", note=SUPPRESSED) for n in range(20)]
    words = words_of(render(audit_of(p_holm=0.9, q=0.8, rows=(*rows_of(), *small))))
    lead = words[: words.index("Worst cohort first")]
    assert "Mostly not known For most cohorts it is not known yet whether it fails." in lead
    assert "do not differ" not in lead


def test_a_cohort_that_does_better_for_certain_is_no_all_clear():
    words = words_of(render(audit_of(gap=-0.30)))
    assert "It does better in one cohort than in everybody else: view AP." in words
    assert "none survives" not in words[: words.index("It does better")]


def test_without_any_comparison_it_says_that_there_is_not_enough_data():
    words = words_of(render(audit_of(tests=(), rows=(), curves=(), advice=())))
    assert "Not enough data It is not known yet for whom it fails." in words


def test_what_is_withheld_or_too_little_is_said_in_words():
    words = words_of(render(audit_of()))
    assert "Withheld, because the cohort is small: view LL." in words
    assert "Not enough data: view not given." in words
    assert "view not given lung opacity, sensitivity: 163 more 0 of 1" in words
    assert "LL withheld: the cohort is small, or hides one that is 0 of 1" in words
    assert "PA all is known 1 of 1 1 of 1" in words
    assert "1 rest on too few cases and 1 are withheld" in words
    assert "view: 14.7 14.7" in words


def test_figures_on_the_page_are_those_of_the_audit():
    audit = audit_of()
    words = words_of(render(audit))
    for cohort in ("all", "view=AP", "view=PA"):
        row = audit.row(FINDING, "sensitivity", cohort)
        assert f"{row.value:.2f} {row.low:.2f} to {row.high:.2f}" in words


def test_a_default_threshold_is_announced_above_everything():
    chosen = Threshold(finding=FINDING, value=0.5, source="default: no threshold was chosen")
    words = words_of(render(audit_of(origin={"thresholds": (chosen,)})))
    assert words.index("No thresholds were chosen.") < words.index("Worst cohort first")
    assert "No thresholds were chosen." not in words_of(render(audit_of()))


def test_the_end_says_where_it_comes_from():
    words = words_of(render(audit_of(), command="candor audit --predictions p.csv", signed_by="0f:1e"))
    end = words[words.rindex("Where this comes from") :]
    for said in ("ab" * 32, "candor audit --predictions p.csv", "0f:1e", "2026-11-24T16:00:00Z", "predictions.csv"):
        assert said in end


def test_a_site_sees_how_the_service_runs_before_anybody_knows_the_truth():
    failed = {"value": 0.021, "low": 0.013, "high": 0.034, "n": 700}
    rows = [
        Row(finding=ANY_FINDING, metric="failure_rate", cohort="all", **failed),
        Row(finding=ANY_FINDING, metric="failure_rate", cohort="view=AP", note=f"{SUPPRESSED}: too few to be shown"),
        Row(finding=ANY_FINDING, metric="turnaround_seconds", cohort="all", value=31.4, low=29.0, high=33.0),
        Row(finding=FINDING, metric="psi_recent", cohort="all", value=0.31, n=90, note="by chance up to 0.150"),
        Row(finding=FINDING, metric="psi_recent", cohort="view=AP", value=0.05, n=60, note="by chance up to 0.300"),
    ]
    words = words_of(render(audit_of(rows=tuple(rows), tests=(), curves=(), advice=())))
    service = words[words.rindex("How the service runs") : words.rindex("How patients were divided")]
    for said in ("2.1 1.3 to 3.4", "suppressed: too few to be shown", "31 29 to 33", "0.31 shifted", "by chance up to"):
        assert said in service
    assert "0.05 shifted" not in service
    assert "1 finding ·" in words or "1 finding " in words
    assert "any finding" not in words
    assert "How the service runs" not in words_of(render(audit_of()))


def test_names_from_a_file_never_become_markup():
    page = render(audit_of(finding="<img src=x onerror=alert(1)>"), command="<b>")
    assert "<img" not in page
    assert "&lt;img" in page


def big_audit(findings, cohorts):
    names = ["all", *(f"sex=F & station=S{index}" if index % 2 else f"station=S{index}" for index in range(1, cohorts))]
    rows, tests, advice = [], [], []
    for number in range(findings):
        finding = f"finding_{number}"
        for place, cohort in enumerate(names):
            figures = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 900, "positives": 300, "negatives": 600}
            for metric in ("auroc", "sensitivity", "specificity", "ppv", "npv", "ece", "brier", "prevalence"):
                rows.append(Row(finding=finding, metric=metric, cohort=cohort, **figures))
            if place:
                gaps = {"gap": 0.01, "p": 0.5, "p_holm": 1.0, "q": 0.9}
                tests += [
                    Comparison(finding=finding, metric=metric, cohort=cohort, **gaps)
                    for metric in ("fnr_gap", "fpr_gap")
                ]
            advice.append(Advice(finding=finding, metric="sensitivity", cohort=cohort, needed=175, missing=0, text=""))
    return audit_of(rows=tuple(rows), tests=tuple(tests), advice=tuple(advice), curves=())


def test_fourteen_findings_in_sixty_cohorts_stay_a_page_that_a_browser_opens():
    page = render(big_audit(14, 60))
    assert len(page) < 4_000_000
    assert page.count("<details>") >= 14
    assert " are in metrics.csv" in page  # the list of gaps ends somewhere
