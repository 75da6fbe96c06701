"""The audit of a site: figures from its own reads, what is known without truth, and reports that quote it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import SettableClock
from core.documents.reading import read_stored, text_of
from core.domain.reading import CohortFacts, GroundTruth, TruthSource
from core.domain.report import ReportStatus
from core.errors import ConfigurationError
from core.store.store import Store
from fairness.audit.document import AuditDocument
from fairness.audit.signature import Signer, verify
from fairness.service.lines import Evidence, cohort_lines, figures_of
from pipeline.watch.cohort_lines import cohorts_file
from pipeline.watch.site_audit import audit_site, keep_audit, refresh_audits
from tests.contract.encode.cases import MODEL
from tests.site_readings import fill_site
from tests.store_fixtures import make_store, store_settings

NOW = 1_800_000_000.0
ANSWER = GroundTruth(
    study_id="s", finding="lung_opacity", value=True, source=TruthSource.CSV, reader="r", ai_seen=True, at=NOW
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path, SettableClock(NOW))


def audit(store, tmp_path, **asked):
    settings = store_settings(tmp_path, minimum_free_bytes=0)
    return audit_site(store, settings, MODEL, now=NOW, draws=100, **asked)


def test_what_was_read_and_verified_here_is_audited_by_cohort(store: Store, tmp_path: Path):
    fill_site(store, MODEL, now=NOW)
    found = audit(store, tmp_path)
    ap, pa = (found.row("lung_opacity", "sensitivity", f"view={view}") for view in ("AP", "PA"))
    assert ap.value == pytest.approx(0.6, abs=0.06)
    assert pa.value == pytest.approx(0.9, abs=0.04)
    assert "view=AP" in {test.cohort for test in found.alarms if test.metric == "fnr_gap"}
    assert found.row("lung_opacity", "sensitivity", "sex=F & view=AP") is not None
    assert found.provenance.model_sha256 == MODEL.sha256
    assert found.provenance.truth_source.startswith("csv ")
    assert "among verified" not in ap.note  # studies without a flag were read blind
    assert any("Among verified" in remark for remark in found.provenance.remarks)  # but not for the other finding
    assert "CANARY^" not in text_of(AuditDocument.of(found))


def test_without_truth_there_are_flags_failures_turnaround_and_drift(store: Store, tmp_path: Path):
    fill_site(store, MODEL, now=NOW, verified=0.0)
    found = audit(store, tmp_path)
    assert found.row("effusion", "sensitivity") is None or found.row("effusion", "sensitivity").value is None
    assert found.row("effusion", "flag_rate", "view=PA").value == pytest.approx(0.34, abs=0.04)
    failed = found.row("any_finding", "failure_rate", "view=AP")
    assert failed.value == pytest.approx(0.1, abs=0.03)
    assert failed.low < failed.value < failed.high
    assert 2.5 < found.row("any_finding", "turnaround_seconds").value < 3.5
    assert found.row("effusion", "psi_recent").value < 0.05
    assert found.row("effusion", "override_rate") is None  # no answer came
    assert found.provenance.truth_source == "none yet"


def test_overrides_are_answers_of_those_who_saw_the_ai(store: Store, tmp_path: Path):
    fill_site(store, MODEL, now=NOW)
    row = audit(store, tmp_path).row("lung_opacity", "override_rate")
    assert row.value == pytest.approx(0.24, abs=0.06)  # flagged studies that readers found nothing in


def test_figures_of_flagged_studies_alone_are_among_verified(store: Store, tmp_path: Path):
    fill_site(store, MODEL, now=NOW, verified=0.0)
    settings = store_settings(tmp_path, minimum_free_bytes=0)
    flagged = [row for row in store.readings.newest() if row.above.get("lung_opacity")]
    answers = [
        GroundTruth(
            study_id=row.study_id,
            finding="lung_opacity",
            value=number % 3 > 0,
            source=TruthSource.CSV,
            reader="r",
            ai_seen=True,
            at=NOW,
        )
        for number, row in enumerate(flagged)
    ]
    store.truths.add(answers)
    found = audit_site(store, settings, MODEL, now=NOW, draws=100)
    row = found.row("lung_opacity", "sensitivity")
    assert row.value == 1.0  # of course: no one looked where the model saw nothing
    assert "among verified" in row.note
    assert found.row("lung_opacity", "sensitivity_weighted") is None
    (line, *_) = cohort_lines(["lung_opacity"], {"view": "PA"}, [Evidence(figures_of(found.rows), "audit 1")])
    assert line.source == "audit 1, among verified"


def test_a_few_blind_reads_do_not_make_plain_figures_those_of_all(store: Store, tmp_path: Path):
    """All flagged studies answered, one in twenty of the others blind: what reports quote of all is weighted."""
    fill_site(store, MODEL, now=NOW, verified=0.0)
    flagged = [row.above["lung_opacity"] for row in store.readings.newest() if row.above]
    studies = [row.study_id for row in store.readings.newest() if row.above]
    answers = [
        replace(ANSWER, study_id=study, value=number % 3 > 0, ai_seen=flag)
        for number, (study, flag) in enumerate(zip(studies, flagged, strict=True))
        if flag or number % 20 == 0
    ]
    store.truths.add(answers)
    found = audit(store, tmp_path)
    plain, gap = (found.row("lung_opacity", metric, "view=PA") for metric in ("sensitivity", "fnr_gap"))
    assert "among verified" in plain.note
    assert "among verified" in gap.note
    weighted = found.row("lung_opacity", "sensitivity_weighted")
    assert weighted.value < found.row("lung_opacity", "sensitivity").value - 0.2
    evidence = Evidence(figures_of(found.rows), "audit 1")
    mine, everybody = cohort_lines(["lung_opacity"], {"view": "AP"}, [evidence])
    assert (mine.cohort, mine.source) == ("view=AP", "audit 1, among verified")
    assert (everybody.sensitivity, everybody.positives) == (weighted.value, weighted.positives)
    assert everybody.source == "audit 1, weighted for who was verified"
    assert any("not verified at the same rate" in remark for remark in found.provenance.remarks)


def test_the_hash_of_what_went_in_covers_what_no_repr_shows(store: Store, tmp_path: Path):
    """The institution, the studies that failed and how the site defines its cohorts."""
    fill_site(store, MODEL, now=NOW, size=300)

    def hashed():
        return audit(store, tmp_path, by=["view"], findings=["lung_opacity"]).provenance.input_sha256

    def replaced(name, **changes):
        (row,) = (made for made in store.readings.newest() if made.study_id == name)
        store.readings.record(replace(row, revision=row.revision + 1, **changes))

    failed = next(made.study_id for made in store.readings.newest() if made.status is ReportStatus.FAILED)
    seen = [hashed()]
    assert hashed() == seen[0]
    replaced("s1", facts=CohortFacts(institution_name="CANARY Annex"))
    seen.append(hashed())
    replaced("s1", facts=CohortFacts(institution_name="CANARY Wing"))
    seen.append(hashed())
    replaced(failed, read_at=NOW - 1)
    seen.append(hashed())
    cohorts = cohorts_file(store_settings(tmp_path, minimum_free_bytes=0))
    cohorts.write_text('[cohorts.icu]\ncalling_ae_title = ["ICU1", "ICU2"]\n')
    seen.append(hashed())
    assert len(set(seen)) == len(seen)


def test_under_a_policy_the_audit_says_which_figures_are_at_which_thresholds(store: Store, tmp_path: Path):
    fill_site(store, MODEL, now=NOW, size=300)
    number = store.operating_policies.propose(MODEL.sha256, {"by": "view", "effects": []})
    store.operating_policies.sign_off(number, by="Dr. A", reason="x")
    (remark,) = (text for text in audit(store, tmp_path).provenance.remarks if text.startswith("Operating policy"))
    assert "in force" in remark
    assert "overrides" in remark


def test_small_cohorts_are_withheld_without_truth_too(store: Store, tmp_path: Path):
    fill_site(store, MODEL, now=NOW, size=400)
    rows = [row for row in audit(store, tmp_path).rows if row.metric == "failure_rate"]
    ages = [row for row in rows if row.cohort.startswith("age_band=")]
    for row in ages:
        if row.value is not None:
            events = round(row.value * row.n)
            assert row.n >= 11
            assert events == 0 or events >= 11
    assert sum(row.value is None for row in ages) != 1  # one alone would follow from all patients


def test_an_audit_that_is_kept_has_a_number_and_comes_back_as_it_was(store: Store, tmp_path: Path):
    fill_site(store, MODEL, now=NOW, size=600)
    found = audit(store, tmp_path, by=["view"], findings=["lung_opacity"])
    kept = keep_audit(store, MODEL, found)
    again = store.site_audits.newest(MODEL.sha256, until=NOW)
    assert again is not None
    key = Signer.site(store.key.fairness_signing_seed).public_key
    assert verify(json.dumps(again.document), public_key=key).audit == found
    assert (again.audit_id, read_stored(AuditDocument, again.document, "audit").audit()) == (kept.audit_id, found)
    assert {row.cohort for row in found.rows if row.metric == "auroc"} == {"all", "view=AP", "view=PA"}
    assert store.site_audits.newest(MODEL.sha256, until=NOW - 1) is None


def test_an_audit_is_made_again_after_a_new_answer(store: Store, tmp_path: Path):
    settings = store_settings(tmp_path, minimum_free_bytes=0)
    fill_site(store, MODEL, now=NOW, size=300)

    def newest():
        refresh_audits(store, settings, [MODEL], now=NOW + 5)
        return store.site_audits.newest_number(MODEL.sha256, until=NOW + 5)

    store.site_audits._now = SettableClock(NOW + 1)
    first = newest()
    assert first is not None
    kept = store.site_audits.newest(MODEL.sha256, until=NOW + 5)
    assert verify(json.dumps(kept.document)).whose == "site"  # as from the command line
    assert newest() == first
    answer = store.truths.all()[0]
    store.truths._now = SettableClock(NOW + 2)
    store.truths.add([replace(answer, at=NOW + 1, value=not answer.value)])
    assert newest() == first + 1


def test_what_cannot_be_audited_is_explained(store: Store, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="has read nothing here yet"):
        audit(store, tmp_path)
    fill_site(store, MODEL, now=NOW, size=50)
    with pytest.raises(ConfigurationError, match="there is no attribute colour"):
        audit(store, tmp_path, by=["colour"])
