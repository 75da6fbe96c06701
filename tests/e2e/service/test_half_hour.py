"""A PACS administrator's first half hour with Candor and Debian's Orthanc, in the order in which it happens."""

import io
import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation

from tests.contract.test_commitment import Pacs
from tests.e2e.house import House, destination, wait_until
from tests.e2e.orthanc import BINARY, running_orthanc
from tests.e2e.reports import GSPS, SC, SEG, SR
from tests.e2e.studies import radiograph
from tests.known_model import make_known_model

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "routing.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not BINARY.exists(), reason="Orthanc is not installed (apt package orthanc)"),
]


def recipe(folder):
    """The Lua script of the document, as a reader would copy it."""
    (script,) = re.findall(r"```lua\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    folder.mkdir()
    (folder / "candor.lua").write_text(script)
    return {"LuaScripts": [str(folder / "candor.lua")], "StableAge": 1}


@pytest.fixture
def house(tmp_path):
    """What `candor init` makes, a model, and no destination yet."""
    folder = tmp_path / "house"
    folder.mkdir()
    lines = ("quiet_seconds = 0.5", "delivery_backoff_seconds = 0.2", "delivery_maximum_backoff_seconds = 1.0")
    house = House(folder, lines=lines, packages=(make_known_model(folder / "packages"),))
    house.make()
    yield house
    house.kill_tree()


@pytest.fixture
def orthanc(tmp_path, house):
    with running_orthanc(tmp_path / "orthanc", candor_port=house.port, more=recipe(tmp_path / "lua")) as running:
        yield running


def restart(house, *, ready=True):
    """Stop and start `candor serve`, as after each change of candor.toml; until each of its processes answers."""
    house.stop()
    house.start("serve")
    if not ready:
        house.wait_ready()
    wait_until(lambda: is_up(house, ready=ready), seconds=180, what="every process")


def is_up(house, *, ready):
    answer = readiness(house)
    processes = ("node", "worker")
    return answer["status"] == "ready" if ready else all(answer["checks"].get(name) == "ok" for name in processes)


def readiness(house):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{house.web_port}/readyz", timeout=10) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return json.loads(error.read())
    except OSError:
        return {"status": "not ready", "checks": {}}


def study(house, accession):
    return json.loads(house.run("study", accession, "--json").stdout)["studies"][0]


def in_state(house, accession, state, *, revision=1):
    """What `candor study` says once the study has come to this state."""

    def check():
        return [(found.state, found.revision) for found in store.lookup.find(accession)] == [(state, revision)]

    with house.store() as store:
        wait_until(check, seconds=120, what=f"{accession} to be {state}")
    return study(house, accession)


def ours(orthanc, *sop_classes):
    """Our results there, without pixels."""
    held = [dcmread(io.BytesIO(data), stop_before_pixels=True) for data in orthanc.instances()]
    results = [dataset for dataset in held if dataset.SOPClassUID != DigitalXRayImageStorageForPresentation]
    return [dataset for dataset in results if not sop_classes or dataset.SOPClassUID in sop_classes]


def classes(orthanc):
    """The SOP classes of our results there."""
    return sorted(str(dataset.SOPClassUID) for dataset in ours(orthanc))


def add_to_settings(house, text):
    with (house.data / "candor.toml").open("a") as file:
        file.write(text + "\n")


def change_setting(house, before, after):
    settings = house.data / "candor.toml"
    text = settings.read_text()
    assert before in text
    settings.write_text(text.replace(before, after))


KOS = "1.2.840.10008.5.1.4.1.1.88.59"
WHOLE = sorted([SR, SC, GSPS, SEG])
SIGNED = ("--as", "Ada Admin", "--because", "the wrong one was retired")
ENOUGH, TOO_MUCH = "minimum_free_bytes = 0", f"minimum_free_bytes = {2**60}"
TO_ORTHANC = ('objects = ["sr", "sc", "gsps", "seg", "rejection-note"]',)


def test_the_half_hour(house, orthanc):
    """`make half-hour` has all of it; `make test` leaves out what costs three more restarts."""
    first_report_before_there_is_a_destination(house, orthanc)
    with Pacs("before the response") as pacs:
        destinations_added_later(house, orthanc, pacs)
        if os.environ.get("WHOLE_HALF_HOUR"):
            wrong_model_retired(house, orthanc)
            model_back_on_a_full_disk(house, orthanc)
            room_again(house, orthanc)
        patient_merged(house, orthanc)
        everything_is_committed(house, orthanc, pacs)
    purged(house)
    the_log_names_no_patient(house)


def first_report_before_there_is_a_destination(house, orthanc):
    restart(house)
    assert "no destination is configured" in readiness(house)["warnings"][0]
    orthanc.post("/instances", radiograph(1, bright=True).part10)  # its rule sends it on
    known = in_state(house, "CANARYACC1", "reported")
    assert [image["role"] for image in known["received"]] == ["source"]
    assert {item["status"] for item in known["objects"]} == {"in no outbox"}
    assert "1 report waits" in house.run("status").stdout.replace("\n", " ")
    assert classes(orthanc) == []


def destinations_added_later(house, orthanc, pacs):
    """Orthanc, and a PACS that answers a storage commitment before it has answered the request."""
    add_to_settings(house, destination("ORTHANC", orthanc.dicom_port, more=TO_ORTHANC))
    add_to_settings(house, destination("COMMITS", pacs.port, more=("storage_commitment = true",)))
    house.run("echo", "ORTHANC")
    restart(house)
    in_line = house.run("deliver", "--all").stdout
    assert "4 objects in line for ORTHANC" in in_line
    assert "4 objects in line for COMMITS" in in_line
    wait_until(lambda: classes(orthanc) == WHOLE, seconds=60, what="the report in Orthanc")
    assert readiness(house)["warnings"] == []
    committed(house, len(WHOLE))
    known = study(house, "CANARYACC1")
    assert (known["revision"], {item["status"] for item in known["objects"]}) == (1, {"sent", "committed"})


def live_models(house):
    rows = json.loads(house.run("models", "list", "--json").stdout)
    return [(row["name"], row["version"]) for row in rows if row["state"] == "live"]


def wrong_model_retired(house, orthanc):
    """Each live version is retired by a person who says why; studies are refused, and that is said."""
    for name, version in live_models(house):
        house.run("models", "retire", name, version, *SIGNED)
    assert live_models(house) == []
    restart(house, ready=False)
    assert "no model is live" in readiness(house)["checks"]["models"]
    orthanc.post("/instances", radiograph(2, bright=True).part10)
    assert in_state(house, "CANARYACC2", "refused")["reason"]
    assert "candor read --refused" in house.run("status").stdout


def model_back_on_a_full_disk(house, orthanc):
    """What is there is read again although nothing more can be received."""
    house.run("models", "live", "bright_patch", "1.0.0", *SIGNED)
    change_setting(house, ENOUGH, TOO_MUCH)
    restart(house, ready=False)
    assert "minimum_free_bytes" in readiness(house)["checks"]["disk"]
    assert "1 study will be read again" in house.run("read", "--refused").stdout
    in_state(house, "CANARYACC2", "reported", revision=2)
    wait_until(lambda: classes(orthanc) == sorted(WHOLE * 2), seconds=60, what="the second report in Orthanc")
    orthanc.post("/instances", radiograph(3, bright=False).part10)
    wait_until(lambda: "instance.refused" in house.log(), seconds=60, what="the refusal")
    assert "nothing is received" in house.run("status").stdout.replace("\n", " ")


def room_again(house, orthanc):
    change_setting(house, TOO_MUCH, ENOUGH)
    restart(house)
    (kept,) = [name for name, data in orthanc.named_instances() if b"CANARYACC3" in data]
    orthanc.post("/modalities/candor/store", [kept])
    in_state(house, "CANARYACC3", "reported")
    wait_until(lambda: classes(orthanc) == sorted([*WHOLE * 2, SR]), seconds=60, what="the third report in Orthanc")


def patient_merged(house, orthanc):
    """A PACS mends the name in what it has and sends that on: the same image under another patient."""
    (image,) = [
        name
        for name, data in orthanc.named_instances()
        if (header := dcmread(io.BytesIO(data))).AccessionNumber == "CANARYACC1" and header.Modality == "DX"
    ]
    mended = orthanc.fetch_after_post(
        f"/instances/{image}/modify",
        {
            "Replace": {"PatientID": "CANARYMERGED", "PatientName": "Canary^Merged"},
            "Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
            "Force": True,
        },
    )
    orthanc.post("/instances", mended)  # its rule sends it on, as it did the first
    in_state(house, "CANARYACC1", "reported", revision=2)
    (note,) = wait_until(lambda: ours(orthanc, KOS), seconds=60, what="the rejection note in Orthanc")
    reports = [dataset for dataset in ours(orthanc, SR) if dataset.AccessionNumber == "CANARYACC1"]
    new, old = sorted(reports, key=lambda dataset: "PredecessorDocumentsSequence" not in dataset)
    assert (old.PatientID, new.PatientID, note.PatientID) == ("CANARYID1", "CANARYMERGED", "CANARYMERGED")
    assert str(new.PatientName) == "Canary^Merged"
    assert referenced(new.PredecessorDocumentsSequence) == {old.SOPInstanceUID}
    of_the_old = {str(d.SOPInstanceUID) for d in ours(orthanc) if d.PatientID == "CANARYID1"}
    assert len(of_the_old) == len(WHOLE)
    assert referenced(note.CurrentRequestedProcedureEvidenceSequence) == of_the_old


def referenced(studies):
    """The SOP Instance UIDs in a sequence of referenced studies."""
    series = [item for study in studies for item in study.ReferencedSeriesSequence]
    return {str(item.ReferencedSOPInstanceUID) for each in series for item in each.ReferencedSOPSequence}


def everything_is_committed(house, orthanc, pacs):
    """All that Orthanc got but the rejection note: delivery goes on after the first commitment."""
    committed(house, len(ours(orthanc)) - len(ours(orthanc, KOS)))
    assert len(pacs.requests) >= 2
    assert set(pacs.report_statuses) == {0x0000}


def committed(house, count):
    def state():
        (found,) = store.outbox.states(["COMMITS"])
        return (found.pending, found.sent, found.committed)

    with house.store() as store:
        wait_until(lambda: state() == (0, 0, count), seconds=60, what=f"{count} objects to be committed to")


def purged(house):
    count = len(json.loads(house.run("studies", "--json").stdout)["studies"])
    removed = house.run("purge", "--older-than", "0s", "--yes").stdout
    assert f"{count} {'study is' if count == 1 else 'studies are'} removed" in removed
    assert json.loads(house.run("studies", "--json").stdout)["studies"] == []
    with house.store() as store:
        assert list(store.objects.object_keys()) == []


def the_log_names_no_patient(house):
    shown = house.run("logs", "-n", "100000").stdout
    assert "report.delivered" in shown
    assert "CANARY" not in shown.upper()
    assert "CANARY" not in house.log().upper()
