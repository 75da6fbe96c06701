"""What an earlier version left behind opens, holds what it held, and goes on where it stopped.

tests/data has a data folder of each version and a list of what is in it, read with SQL by that version's own tables.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from core.documents.reading import read_stored
from core.domain.explanation_job import JobState
from core.domain.registration import is_authentic
from core.domain.study import StudyState
from core.store.store import Store
from core.store.studies.overview import Overview
from core.store.studies.revisions import Revision
from dicom_node.archive import Archive
from fairness.audit.signature import verify
from fairness.mitigation_policy import OperatingPolicy
from inference.select import select
from pipeline.deliver import DeliveryLoop
from pipeline.installed_models import site_registry
from pipeline.reading.reader import RememberingReader
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns
from tests.data.archive import unpack
from tests.data.facts import finding_key, opened
from tests.e2e.house import House, wait_until
from tests.ports import free_port

ARCHIVES = sorted((Path(__file__).resolve().parents[3] / "data").glob("*.tar.gz"))
UNREAD = ("receiving", "complete", "reading")
AWAY, PACS = "AWAY", "PACS"
RENAMED = {"trail_events": "audit_events", "trail_head": "audit_head", "payloads": "result_objects"}


@dataclass(frozen=True)
class Left:
    """What a version left: its data folder, unpacked but not opened yet, and the list of what is in it."""

    house: House
    facts: dict[str, Any]

    def revision(self, name: str, number: int) -> Revision:
        return Revision(study_id=self.facts["studies"][name]["study_id"], revision=number)

    def named(self, *states: str) -> list[str]:
        """The studies that stood in one of these states."""
        return [name for name, known in self.facts["studies"].items() if known["state"] in states]


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def left(request, tmp_path, monkeypatch) -> Left:
    unpack(request.param, tmp_path)
    monkeypatch.chdir(tmp_path)  # one destination is a folder next to the data folder
    facts = json.loads(request.param.with_name(request.param.name.replace(".tar.gz", ".json")).read_text())
    return Left(House(tmp_path), facts)


def test_there_is_something_to_open():
    assert ARCHIVES


def test_the_database_is_whole_and_no_row_is_lost(left):
    before = left.facts["rows"]
    with opened(left.house.folder) as database:
        assert database.value("SELECT version_num FROM alembic_version") == left.facts["schema"]
        assert database.counts() == before
    with left.house.store():
        pass  # opening it is what brings it to this version
    with opened(left.house.folder) as database:
        now = database.counts()
        kept = now | {old: now[name] for name, old in RENAMED.items()}
        assert {name: count for name, count in before.items() if kept.get(name, 0) != count} == {}
        assert database.problems() == []


def test_every_study_and_every_report_is_there(left):
    with left.house.store() as store:
        counts = {state.value: count for state, count in store.studies.counts().items() if count}
        assert counts == left.facts["studies_by_state"]
        rows = {row.study_id: row for row in store.studies.rows(limit=1000)}
        assert len(rows) == len(left.facts["studies"])
        for name, known in left.facts["studies"].items():
            assert store.study_id_of(known["study_instance_uid"]) == known["study_id"]
            assert store.studies.by_accession_number([name]) == {name: [known["study_id"]]}
            row = rows[known["study_id"]]
            assert [row.state, row.reason] == [known["state"], known["reason"]]
            assert [row.images, row.revision] == [known["images"], known["revision"]]
            for report in known["reports"]:
                filed = store.reports.find(left.revision(name, report["revision"]))
                assert [filed.status, findings_of(filed.document)] == [report["status"], report["findings"]]


def findings_of(document):
    return {finding_key(one): [round(one["probability"], 6), one["positive"]] for one in document["findings"]}


def test_every_object_opens_and_those_that_were_sent_are_known_by_kind(left):
    with left.house.store() as store:
        keys = list(store.objects.object_keys())
        assert len(keys) == left.facts["stored_objects"]
        assert all(store.objects.get(key) for key in keys)
        overview = Overview(store.engine)
        for known in left.facts["studies"].values():
            places = [destination.name for destination in left.house.settings.destinations]
            sent = {one.kind for place in places for one in overview.sent_objects(known["study_id"], place)}
            assert sent == {kind for report in known["reports"][-1:] for kind in report["objects"]}
        assert {role.value: n for role, n in overview.instances_by_role().items()} == left.facts["instances_by_role"]
        assert overview.quarantined() == left.facts["rows"]["quarantine"]


def test_the_audit_trail_holds_and_ends_where_it_did(left):
    known = left.facts["trail"]
    assert known["verifies"]
    with left.house.store() as store:
        assert store.trail.verify() == []
        links = list(store.trail.events())
        assert (len(links), links[-1].hash) == (known["events"], known["last_hash"])


def test_the_models_are_registered_trusted_and_in_their_state(left):
    with left.house.store() as store:
        records = store.models.records()
        assert all(is_authentic(record, store.models.public_key) for record in records)
        found = [[json.loads(record.text)[key] for key in ("name", "version", "state")] for record in records]
        assert found == left.facts["models"]
        registry = site_registry(left.house.settings, store)
        assert registry.refused == ()
        ready = [[entry.package.model.name, entry.package.model.version, entry.state] for entry in registry.entries]
        assert [model for model in left.facts["models"] if model not in ready] == []


def test_what_judges_the_models_is_there(left):
    rows, names = left.facts["rows"], {known["study_id"]: name for name, known in left.facts["studies"].items()}
    with left.house.store() as store:
        answers = [[names[a.study_id], a.finding, a.value, a.source, a.ai_seen] for a in store.truths.all()]
        assert answers == left.facts["truths"]
        studies = {made.study_id for made in store.readings.newest()}
        assert studies == {known["study_id"] for known in left.facts["studies"].values() if is_of_a_cohort(known)}
        assert len(store.site_audits.alarms()) == rows["alarms"]
        (sha256,) = {record.registration.sha256 for record in store.models.records()}
        kept = store.site_audits.newest(sha256, until=float("inf"))
        assert kept.audit_id == rows["site_audits"]
        assert verify(json.dumps(kept.document)).audit.provenance.model_sha256 == sha256
        for policy in store.operating_policies.all():
            assert read_stored(OperatingPolicy, policy.document, "policy").effects
        policies = sorted([p.policy_id, p.signed_by, p.ended_at is None] for p in store.operating_policies.all())
        assert policies == left.facts["policies"]
        for name, version, status, count in left.facts["shadow_readings"]:
            assert [made.status for made in store.shadows.all(name, version)] == [status] * count


def is_of_a_cohort(known):
    """Whether a reading of it is kept: everything that was for us, also what failed."""
    return known["state"] in ("reported", "not_analysed", "failed")


def test_explanations_that_were_asked_for_are_there_with_their_pictures(left):
    with left.house.store() as store:
        ids = [left.facts["studies"][name]["study_id"] for name in left.facts["studies"]]
        jobs = {(job.study_id, job.method): job for study_id in ids for job in store.explanations.of_study(study_id)}
        assert len(jobs) == len(left.facts["explanation_jobs"])
        for name, finding, method, state in left.facts["explanation_jobs"]:
            job = jobs[left.facts["studies"][name]["study_id"], method]
            assert (job.finding, job.state) == (finding, state)
            if job.state is JobState.DONE:
                assert json.loads(job.document)["map"]["faithfulness"]
                assert store.objects.get(job.picture_key).startswith(b"\x89PNG")


def test_no_model_runs_again_on_what_was_read(left):
    with left.house.store() as store:
        assert store.predictions.runs() == left.facts["runs_of_models"]
        packages = site_registry(left.house.settings, store).packages
        models = LocalModels((), store.objects, threads=1)  # has no model: what is not remembered cannot be answered
        try:
            reader = RememberingReader(store, packages, models, Turns(1), left.house.settings)
            for name in left.named("reported"):
                report = left.facts["studies"][name]["reports"][-1]
                choices = select(store.studies.load(left.revision(name, report["revision"])), packages).choices
                said = {
                    finding_key({"name": finding, "reading": number}): round(value, 6)
                    for number, choice in enumerate(choices[: len(report["findings"])])  # one finding a reading
                    for finding, value in reader.infer(choice).probabilities.items()
                }
                assert said == {finding: value for finding, (value, _) in report["findings"].items()}
        finally:
            models.close()
        assert store.predictions.runs() == left.facts["runs_of_models"]


def test_what_was_on_its_way_is_delivered_in_order_and_nothing_else(left, tmp_path):
    with archive_for(left.house, AWAY, tmp_path) as archive, left.house.store() as store:
        assert outbox(store) == left.facts["outbox"]
        waiting = store.outbox.pending(AWAY, limit=1000)
        assert len(waiting) == left.facts["outbox"][AWAY]["pending"]
        settings = left.house.settings
        loop = DeliveryLoop(store, settings, settings.destination(AWAY), "worker")
        wait_until(lambda: not loop.tick(), seconds=30, what="an empty outbox")
        assert outbox(store) == {**left.facts["outbox"], AWAY: {"sent": len(waiting)}}
        arrived = [dcmread(filed.path) for filed in archive.filed]
        assert [str(one.SOPInstanceUID) for one in arrived] == [one.payload_id for one in waiting]
        assert [str(one.SOPClassUID) for one in arrived] == [one.payload_type for one in waiting]
        assert store.trail.verify() == []


def outbox(store: Store) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (name, status), count in Overview(store.engine).deliveries().items():
        found.setdefault(name, {})[status.value] = count
    return found


def archive_for(house: House, name: str, folder: Path) -> Archive:
    """A PACS for the destination `name`, on a port that is free here, and that port in the settings."""
    before, port = house.settings.destination(name).port, free_port()
    path = house.data / "candor.toml"
    path.write_text(path.read_text().replace(f"port = {before}\n", f"port = {port}\n"))
    return Archive(folder / name, ae_title=house.settings.destination(name).ae_title, port=port)


def test_a_worker_reads_what_was_unread_and_ends_what_was_begun(left, tmp_path):
    """One study was being read when its worker was killed, one had just arrived, one had failed."""
    house, unread = left.house, left.named(*UNREAD)
    assert unread
    with archive_for(house, AWAY, tmp_path) as away, archive_for(house, PACS, tmp_path) as pacs:
        with house.store() as store:
            try:
                house.start("worker")
                reported = left.facts["studies_by_state"]["reported"] + len(unread)
                wait_for_reports(store, reported)
                assert store.predictions.runs() == left.facts["runs_of_models"] + len(unread)
                house.run("retry")
                wait_for_reports(store, reported + len(left.named("failed")))
                wait_until(lambda: is_all_done(left, store), seconds=60, what="all deliveries and explanations")
            finally:
                house.stop()
            for name in unread:
                assert store.reports.find(left.revision(name, 1)).document["findings"][0]["positive"]
            policies = {name: point_of(left, store, name)["policy"] for name in unread}
            assert policies["CUT"] == ""
            assert policies["ARRIVING"].startswith("operating policy 1, signed off")  # it is for men, as this one is
            assert store.trail.verify() == []
        with opened(house.folder, "workflows.db") as workflows:
            unfinished = "SELECT workflow_uuid FROM workflow_status WHERE status = 'PENDING'"
            assert workflows.rows(unfinished) == []
        new = {left.facts["studies"][name]["study_instance_uid"] for name in (*unread, *left.named("failed"))}
        assert {dcmread(filed.path).StudyInstanceUID for filed in pacs.filed} == new
        assert len(away.filed) > left.facts["outbox"][AWAY]["pending"]


def wait_for_reports(store, count):
    wait_until(lambda: store.studies.counts()[StudyState.REPORTED] == count, seconds=90, what=f"{count} reports")


def is_all_done(left, store):
    states = store.outbox.states([AWAY, PACS, "FOLDER"])
    return not any(state.pending for state in states) and not store.explanations.has_work()


def point_of(left, store, name):
    return store.reports.current(left.facts["studies"][name]["study_id"]).document["findings"][0]["operating_point"]
