"""The commands of a PACS administrator: find a study, read it again, deliver it again, make room."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from api.cli.app import app
from core.domain.input import SQUARE, input_key
from core.domain.model import Prediction
from core.domain.report import ObjectKind, ReportStatus, ResultObject
from core.domain.study import Patient, StudyState
from core.errors import ConfigurationError
from core.geometry import SquareFrame
from core.identity import Correction
from core.store.store import open_store
from core.store.studies.intake import InstanceRole
from core.store.studies.reports import FiledReport
from core.store.studies.revisions import Revision, settle
from core.store.tables.explanations import faithfulness
from core.store.tables.models import predictions
from core.store.tables.studies import corrections, instances
from pipeline.data_folder import make_data_folder
from pipeline.reading.explain_here import find_study
from pipeline.results_json import StudyEntry
from tests.contract.encode.cases import MODEL
from tests.store_fixtures import arrival
from tests.unit.core.store.test_explanations import FIGURES

DAY = 24 * 3600.0
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.fixture
def settings(tmp_path):
    folders = [{"name": name, "kind": "folder", "folder": str(tmp_path / name)} for name in ("east", "west")]
    return make_data_folder(tmp_path / "data", {"minimum_free_bytes": 0, "destinations": folders})


@pytest.fixture
def store(settings):
    store = open_store(settings)
    yield store
    store.close()


@pytest.fixture
def candor(settings, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")

    def run(*arguments, code=0):
        done = CliRunner().invoke(app, [*arguments, "--data", str(settings.data_dir)])
        if code:
            assert done.exception is not None
            return str(done.exception)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    return run


def receive(store, study, *, accession, patient_id, role=InstanceRole.SOURCE, station="MODALITY"):
    patient = Patient(patient_id=patient_id, patient_name="Canary^Name")
    more = {"accession_number": accession, "calling_ae_title": station}
    one = arrival(study, "1", patient=patient, role=role, **more)
    store.intake.keep(replace(one, instance=replace(one.instance, view_position="PA", body_part_examined="CHEST")))
    return store.study_id_of(f"1.2.{study}")


def file_report(store, study_id, *, destinations=(), status=ReportStatus.REPORTED, reason="", findings=()):
    revision = store.studies.assemble(study_id) or Revision(study_id=study_id, revision=revision_of(store, study_id))
    store.studies.begin_reading([revision])
    objects = [made(revision, ObjectKind.SR), made(revision, ObjectKind.SC), made(revision, ObjectKind.PMAP)]
    uid = store.lookup.find(study_id)[0].study_instance_uid
    said = {"reason": reason, "limitations": ("the age is not known",), "findings": findings}
    entry = StudyEntry(study_instance_uid=uid, status=status, **said)
    report = FiledReport(
        revision=revision,
        status=status,
        document=entry.model_dump(mode="json"),
        sr_sop_instance_uid=objects[0].sop_instance_uid,
        sr_series_instance_uid="2.25.1",
        completed_at=1.0,
        created_at=2.0,
    )
    wanted = dict.fromkeys(destinations, frozenset({ObjectKind.SR, ObjectKind.SC}))
    store.reports.file(report, objects[:1], wanted)
    store.reports.complete(revision, objects[1:], wanted)
    return revision


def revision_of(store, study_id):
    return store.lookup.find(study_id)[0].revision


def made(revision, kind):
    number = f"{revision.revision}.{sum(kind.encode())}.{int.from_bytes(revision.study_id.encode()[:8])}"
    return ResultObject(
        kind=kind,
        sop_class_uid=SR_CLASS,
        sop_instance_uid=f"2.25.{number}",
        series_instance_uid="2.25.1",
        data=f"{kind} of {revision.report_id}".encode(),
    )


def refuse(store, study_id, reason="no model takes it"):
    revision = store.studies.assemble(study_id)
    store.studies.begin_reading([revision])
    with store.engine.begin() as connection:
        settle(connection, revision, StudyState.REFUSED, reason)


def test_a_study_is_found_by_every_name_that_people_have_for_it(store, candor):
    mine = receive(store, "1", accession="4711", patient_id="MRN 7")
    other = receive(store, "2", accession="4712", patient_id="MRN 8")
    for name in ("4711", "1.2.1", "MRN 7", " MRN 7 ", mine):
        shown = json.loads(candor("study", name, "--json"))["studies"]
        assert [one["study_id"] for one in shown] == [mine]
    assert other not in candor("study", "4711")


def test_no_word_of_a_sender_is_obeyed_by_the_terminal(store, candor):
    evil = "A\x1b]0;mine\x07[red]\u202e1"
    study_id = receive(store, "1", accession=evil, patient_id="P", station="\x1b[2J[/x]")
    refuse(store, study_id, reason="the series says \x1b[2J[/b]")
    for shown in (candor("studies"), candor("study", study_id), candor("status")):
        assert not [sign for sign in shown if sign in "\x1b\x07\u202e"]
    assert "A\\x1b]0;mine\\x07[red]\\x202e1" in candor("studies")
    assert "\\x1b[2J[/x]" in candor("study", study_id)


def test_a_patient_with_two_studies_shows_both(store, candor):
    ids = [receive(store, number, accession=f"A{number}", patient_id="MRN 7") for number in ("1", "2")]
    shown = json.loads(candor("study", "MRN 7", "--json"))["studies"]
    assert {one["study_id"] for one in shown} == set(ids)


@pytest.mark.parametrize("name", ["nothing", "", "%", "MRN", "' OR 1=1 --", "null"])
def test_a_name_that_is_none_says_what_to_give(store, candor, name):
    receive(store, "1", accession="", patient_id="")
    assert "no study is called that" in candor("study", name, code=2)


def test_a_study_shows_state_why_images_objects_and_deliveries(store, candor):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    file_report(store, study_id, destinations=("east",))
    store.outbox.mark_sent(store.outbox.pending("east")[:1])
    text = candor("study", "4711")
    for words in (
        "reported",
        "PA",
        "CHEST",
        "64 x 64",
        "the age is not known",
        "east",
        "sent",
        "pending",
        "in no outbox",
    ):
        assert words in text
    assert "Canary" not in text
    (shown,) = json.loads(candor("study", "4711", "--json"))["studies"]
    kinds = [(one["kind"], one["destination"], one["status"]) for one in shown["objects"]]
    assert kinds == [("sr", "east", "sent"), ("sc", "east", "pending"), ("pmap", "", "in no outbox")]


def test_a_study_shows_its_findings_as_the_report_does(store, candor):
    """ "Abnormal" below its point is flagged by what implies it, and no probability is rounded to certainty."""
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    implied = finding("any_abnormality", 0.40, positive=False) | {"implied_by": ("Pleural effusion",)}
    file_report(
        store, study_id, findings=(implied, finding("effusion", 0.9971), finding("edema", 0.001, positive=False))
    )
    lines = [line.split("│") for line in candor("study", "4711").splitlines() if "0.50" in line]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert [row[:3] for row in cells] == [
        ["any abnormality", "flagged", "0.40"],
        ["effusion", "flagged", ">0.99"],
        ["edema", "not flagged", "<0.01"],
    ]


def finding(name, probability, *, positive=True):
    code = {"value": name.upper()[:16], "scheme": "99TEST", "meaning": name}
    point = {"threshold": 0.5, "sensitivity": 0.9, "specificity": 0.9}
    return {
        "name": name,
        "code": code,
        "probability": probability,
        "score": 0.0,
        "operating_point": point,
        "positive": positive,
        "saliency": None,
    }


def test_looking_at_a_study_is_in_the_trail(store, candor):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    candor("study", "4711")
    event = list(store.trail.events())[-1].event
    assert (event.action, event.subject, event.actor.split("/")[0]) == ("study.shown", study_id, "operator")


def test_studies_are_listed_by_state_and_time(store, candor):
    refused = receive(store, "1", accession="4711", patient_id="MRN 7")
    refuse(store, refused, "the modality is CT")
    receive(store, "2", accession="4712", patient_id="MRN 8")
    assert "the modality is CT" in candor("studies", "--state", "refused")
    assert "4712" not in candor("studies", "--state", "refused")
    assert len(json.loads(candor("studies", "--since", "1h", "--json"))["studies"]) == 2
    assert json.loads(candor("studies", "--since", "2099-01-01", "--json"))["studies"] == []
    assert "is no state of a study; it is one of: receiving" in candor("studies", "--state", "lost", code=2)
    assert "is no date" in candor("studies", "--since", "yesterday", code=2)


def test_a_refused_study_is_read_again_as_a_new_revision(store, candor):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    refuse(store, study_id)
    assert "1 study will be read again" in candor("read", "--refused")
    assert store.studies.assembled() == [Revision(study_id=study_id, revision=2)]
    assert "0 studies will be read again" in candor("read", "--refused")
    assert "1 study is being received or read" in candor("read", "4711")


def test_a_reported_study_is_read_again_and_the_new_report_replaces_the_old_one(store, candor):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    first = file_report(store, study_id, destinations=("east",))
    candor("read", "4711")
    (second,) = store.studies.assembled()
    assert store.studies.is_read_again(second)
    assert not store.studies.is_read_again(first)
    file_report(store, study_id, destinations=("east",))
    assert store.reports.predecessor(second).revision == first
    assert store.studies.counts()[StudyState.REPORTED] == 1


def test_a_study_without_an_image_is_not_read(store, candor):
    receive(store, "1", accession="4711", patient_id="MRN 7", role=InstanceRole.FILED)
    assert "0 studies will be read again" in candor("read", "4711")


def test_reading_asks_which_studies(candor):
    assert "say which studies" in candor("read", code=2)
    assert "say which studies" in candor("deliver", code=2)


def test_what_was_filed_before_a_destination_is_delivered_to_it_later(store, candor):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    file_report(store, study_id)
    assert "1 report waits that no destination gets" in candor("status").replace("\n", " ")
    assert "2 objects in line for west" in candor("deliver", "--all", "--to", "west")
    waiting = store.outbox.pending("west")
    assert [delivery.kind for delivery in waiting] == [ObjectKind.SR, ObjectKind.SC]
    assert store.outbox.pending("east") == []
    assert "no destination gets" not in candor("status")


def test_a_destination_that_lost_its_results_gets_them_once_more(store, candor):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    file_report(store, study_id, destinations=("east", "west"))
    for name in ("east", "west"):
        store.outbox.mark_sent(store.outbox.pending(name))
    assert "0 objects in line for east" in candor("deliver", "--all", "--missing")
    said = candor("deliver", "MRN 7", "--to", "east")
    assert "2 objects in line for east" in said
    assert "no worker runs" in said
    assert (len(store.outbox.pending("east")), store.outbox.pending("west")) == (2, [])


def test_only_the_newest_report_is_delivered_again(store, candor):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    file_report(store, study_id)
    candor("read", "4711")
    newest = file_report(store, study_id)
    candor("deliver", "--since", "1d", "--to", "east")
    assert {d.payload_id for d in store.outbox.pending("east")} == {
        made(newest, kind).sop_instance_uid for kind in (ObjectKind.SR, ObjectKind.SC)
    }


def test_a_report_of_a_patient_that_was_corrected_is_not_delivered_again(store, candor):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    file_report(store, study_id, destinations=("east",))
    store.outbox.mark_sent(store.outbox.pending("east"))
    right = arrival("1", "1", accession_number="4711", patient=Patient(patient_id="MRN 8"), part10=b"corrected")
    store.intake.keep(right, compare=lambda *_: Correction(keywords=("PatientID",), names_patient=True))
    said = candor("deliver", "4711")
    assert "0 objects in line for east" in said
    assert "nothing is sent of 1 study: the patient was corrected" in said
    file_report(store, study_id)
    said = candor("deliver", "4711")
    assert "2 objects in line for east" in said
    assert "nothing is sent" not in said


def test_a_refused_report_goes_only_where_it_is_wanted(store, candor):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    file_report(store, study_id, status=ReportStatus.REFUSED, reason="no model takes it")
    assert "0 objects in line for east" in candor("deliver", "4711")


def test_an_unknown_destination_is_said(store, candor):
    receive(store, "1", accession="4711", patient_id="MRN 7")
    assert "nowhere" in candor("deliver", "4711", "--to", "nowhere", code=2)


def test_the_reasons_of_refusals_are_in_the_status(store, candor):
    for number in ("1", "2"):
        refuse(store, receive(store, number, accession=number, patient_id="P"), "no model reads CT")
    found = json.loads(candor("status", "--json"))
    assert found["reasons"] == [{"state": "refused", "reason": "no model reads CT", "studies": 2}]
    assert "candor read --refused" in candor("status")


def test_the_status_names_the_states_to_look_for(store, candor):
    study_id = receive(store, "1", accession="1", patient_id="P")
    revision = store.studies.assemble(study_id)
    store.studies.begin_reading([revision])
    with store.engine.begin() as connection:
        settle(connection, revision, StudyState.NOT_ANALYSED, "it is a lateral image")
    assert "candor studies --state not_analysed" in candor("status")
    assert "--refused" not in candor("status")
    candor("studies", "--state", "not_analysed")


def test_a_pseudonym_can_be_copied_from_a_narrow_terminal(store, candor, monkeypatch):
    study_id = receive(store, "1", accession="4711", patient_id="P")
    refuse(store, study_id, reason="no model takes images of the body part that is called so")
    monkeypatch.setenv("COLUMNS", "80")
    assert study_id in candor("studies")


def test_a_study_to_explain_is_found_by_every_name_too(store):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    with pytest.raises(ConfigurationError, match="there is no report of that study yet; it is receiving"):
        find_study(store, "MRN 7")
    file_report(store, study_id)
    assert [find_study(store, name) for name in ("4711", "1.2.1", "MRN 7", study_id)] == [study_id] * 4
    with pytest.raises(ConfigurationError, match="candor studies lists them"):
        find_study(store, "MRN 8")


def test_retry_says_what_it_wakes(store, candor, settings):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    file_report(store, study_id, destinations=("east",))
    store.outbox.pause("east", "it is away", backoff=settings.delivery_backoff)
    said = candor("retry")
    assert "destination east was waiting" in said
    assert "its 2 objects are tried now" in said
    assert store.outbox.pending("east") != []


def old(store, study_id, days=100):
    from sqlalchemy import update

    from core.store.tables.studies import studies

    with store.engine.begin() as connection:
        change = {"last_received_at": store.now() - days * DAY}
        connection.execute(update(studies).where(studies.c.study_id == study_id).values(change))


@pytest.fixture
def delivered(store):
    study_id = receive(store, "1", accession="4711", patient_id="MRN 7")
    file_report(store, study_id, destinations=("east",))
    store.outbox.mark_sent(store.outbox.pending("east"))
    old(store, study_id)
    return study_id


def test_a_dry_run_removes_nothing(store, candor, delivered):
    before = sorted(store.objects.object_keys())
    assert "1 study with 4 objects" in candor("purge", "--older-than", "90d", "--dry-run")
    assert sorted(store.objects.object_keys()) == before
    assert store.lookup.find(delivered)


def test_a_purge_removes_rows_and_objects_and_says_so_in_the_trail(store, candor, delivered):
    recent = receive(store, "2", accession="4712", patient_id="MRN 8")
    file_report(store, recent, destinations=("east",))
    assert "1 study is removed" in candor("purge", "--older-than", "90d", "--yes")
    assert store.lookup.find("4711") == []
    assert len(list(store.objects.object_keys())) == 4  # of the recent one
    assert store.lookup.find("4712")
    event = list(store.trail.events())[-1].event
    assert (event.action, event.subject, event.reason) == ("study.purged", delivered, "older than 90d")
    store.trail.verify()


def test_what_models_said_of_a_study_is_purged_whatever_they_read(store, candor, delivered):
    """An image under a corrected header, a series, an image that a package prepares in a way of its own."""
    others = receive(store, "2", accession="4712", patient_id="MRN 8")
    for number, study_id in enumerate((delivered, delivered, others)):
        remember(store, f"{number}" * 64, study_id)
    remember(store, input_key(["1.2.1.1"], [], SQUARE), "")  # as older versions kept it
    candor("purge", "--older-than", "90d", "--yes")
    with store.engine.connect() as connection:
        for table in (predictions, faithfulness):
            assert connection.scalars(select(table.c.input_key)).all() == ["2" * 64]


def remember(store, key, study_id):
    frame = SquareFrame.of(64, 64)
    said = Prediction(model=MODEL, input_key=key, scores={}, probabilities={}, frame=frame)
    store.predictions.remember(said, study_id=study_id)
    store.faithfulness.remember(key, MODEL, {"opacity": FIGURES})


def test_a_refused_study_is_purged_because_its_report_goes_nowhere(store, candor):
    """Most of what fills a disk where the PACS routes everything."""
    alone = receive(store, "1", accession="A", patient_id="P")
    refuse(store, alone)
    wanted = receive(store, "2", accession="B", patient_id="P")
    file_report(store, wanted, destinations=("east",), status=ReportStatus.REFUSED, reason="no model takes it")
    failed = receive(store, "3", accession="C", patient_id="P")
    revision = store.studies.assemble(failed)
    store.studies.begin_reading([revision])
    with store.engine.begin() as connection:
        settle(connection, revision, StudyState.FAILED, "the model died")
    for study_id in (alone, wanted, failed):
        old(store, study_id)
    said = candor("purge", "--older-than", "90d", "--yes")
    assert "1 study is removed" in said
    assert "kept: 1 failed, so that no report of it was delivered; try again: candor retry" in said
    assert [found.accession_number for found in store.lookup.newest()] == ["C", "B"]


def test_what_is_not_delivered_is_kept_unless_forced(store, candor):
    waiting = receive(store, "1", accession="A", patient_id="P")
    file_report(store, waiting, destinations=("east",))
    nowhere = receive(store, "2", accession="B", patient_id="P")
    file_report(store, nowhere)
    uncommitted = receive(store, "4", accession="D", patient_id="P")
    file_report(store, uncommitted, destinations=("west",))
    store.outbox.mark_sent(store.outbox.pending("west"), commitment_transaction_uid="2.25.9")
    receiving = receive(store, "5", accession="E", patient_id="P")
    for study_id in (waiting, nowhere, uncommitted, receiving):
        old(store, study_id)
    said = candor("purge", "--older-than", "90d", "--yes")
    assert "0 studies" in said
    assert "kept: 3 with a report that a destination has not taken, or not committed to" in said
    assert "kept: 1 being received or read" in said
    assert "3 studies are removed" in candor("purge", "--older-than", "90d", "--force", "--yes")
    assert [found.accession_number for found in store.lookup.newest()] == ["E"]


def test_nothing_is_removed_without_a_yes(store, settings, delivered):
    arguments = ["purge", "--older-than", "90d", "--data", str(settings.data_dir)]
    CliRunner().invoke(app, arguments, input="n\n")
    assert store.lookup.find(delivered)


def test_a_purged_study_that_comes_again_gets_a_new_revision(store, candor, delivered):
    candor("purge", "--older-than", "90d", "--yes")
    receive(store, "1", accession="4711", patient_id="MRN 7")
    assert store.studies.assemble(delivered) == Revision(study_id=delivered, revision=2)


@pytest.mark.parametrize("age", ["90", "-1d", "3 months", "0x9d", ""])
def test_an_age_that_is_none_is_refused(candor, age):
    assert "is no age" in candor("purge", f"--older-than={age}", code=2)


def test_what_a_correction_replaced_is_purged_too(store, candor, delivered):
    with store.engine.begin() as connection:
        row = connection.execute(select(instances)).one()
        replaced = store.objects.put(b"before the correction").object_key
        correction = {
            "study_id": delivered,
            "sop_instance_uid": row.sop_instance_uid,
            "object_key": replaced,
            "sha256": row.sha256,
            "header": row.header,
            "calling_ae_title": "PACS",
            "identity": True,
            "replaced_at": store.now(),
        }
        connection.execute(insert(corrections).values(correction))
    candor("purge", "--older-than", "90d", "--yes")
    assert list(store.objects.object_keys()) == []
    with store.engine.connect() as connection:
        assert connection.execute(select(corrections)).all() == []
