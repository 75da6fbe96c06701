"""`candor audit --site`: three files, signed with the site's key, and a number that reports quote."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.app import app
from api.cli.site_audit import audit_this_site, look_for_drift
from api.pages.audit.files import read_audit
from core.clock import system_clock
from core.settings import Settings
from core.store.store import Store
from fairness.audit.signature import Signer
from pipeline.installed_models import site_registry
from tests.site_readings import fill_site
from tests.store_fixtures import make_store, store_settings

MODEL = "chest_radiograph"


@pytest.fixture
def site(tmp_path: Path) -> tuple[Settings, Store]:
    store, settings = make_store(tmp_path, system_clock), store_settings(tmp_path, minimum_free_bytes=0)
    fill_site(store, site_registry(settings, store).find(MODEL).model, now=system_clock(), size=800)
    return settings, store


def test_the_audit_of_a_site_is_written_signed_and_kept(site, tmp_path: Path):
    settings, store = site
    said = audit_this_site(settings, store, model=MODEL, by=[], findings=[], out=tmp_path / "out")
    assert said[-1].startswith("Kept as audit 1")
    key = Signer.site(store.key.fairness_signing_seed).public_key
    audit = read_audit(tmp_path / "out" / "audit.json", public_key=key).audit
    newest = store.site_audits.newest(audit.provenance.model_sha256, until=system_clock())
    assert newest is not None
    assert len(newest.document["rows"]) == len(audit.rows)
    with (tmp_path / "out" / "metrics.csv").open(newline="") as file:
        metrics = {row["metric"] for row in csv.DictReader(file)}
    assert {"sensitivity", "auroc", "flag_rate", "failure_rate", "turnaround_seconds", "override_rate"} <= metrics
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "From the last image to the report" in page
    assert "candor audit --site" in page


def test_an_audit_of_a_part_is_written_but_reports_do_not_quote_it(site, tmp_path: Path):
    settings, store = site
    said = audit_this_site(settings, store, model=MODEL, by=["view"], findings=[], out=tmp_path / "out")
    assert said[-1].startswith("Not kept")
    assert any(line.startswith("alarm: ") and "AP" in line for line in said)
    sha256 = site_registry(settings, store).find(MODEL).model.sha256
    assert store.site_audits.newest_number(sha256, until=system_clock()) is None


def test_drift_is_printed_when_asked(site):
    settings, store = site
    assert look_for_drift(settings, store)[0].startswith(("No cohort", "warn:", "alarm:"))


def test_the_command_says_what_is_missing_and_what_it_found(site, tmp_path: Path):
    settings, _ = site
    (settings.data_dir / "candor.toml").write_text("minimum_free_bytes = 0\n")
    command = ["audit", "--data", str(settings.data_dir), "--site"]
    assert "say where the audit goes" in str(CliRunner().invoke(app, command).exception)
    answer = CliRunner().invoke(app, [*command, "--drift", "--by", "view", "--out", str(tmp_path / "out")])
    assert answer.exit_code == 0, answer.output
    assert "Not kept, because" in answer.output
    assert (tmp_path / "out" / "audit.html").exists()
