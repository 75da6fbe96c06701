"""A PACS administrator's first half hour with Candor and Debian's Orthanc, in the order in which it happens."""

import io
import json
import re
import urllib.request
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation

from tests.contract.test_commitment import Pacs
from tests.e2e.house import House, destination, is_listening, wait_until
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


def restart(house):
    house.stop()
    house.start("serve")
    house.wait_ready()
    wait_until(lambda: is_listening(house.web_port), seconds=60, what="the web process")
    wait_until(lambda: readiness(house)["status"] == "ready", seconds=90, what="every process")


def readiness(house):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{house.web_port}/readyz", timeout=10) as answer:
            return json.loads(answer.read())
    except OSError:
        return {"status": "not ready"}


def study(house, accession):
    return json.loads(house.run("study", accession, "--json").stdout)["studies"][0]


def in_state(house, accession, state):
    def check():
        known = house.run("studies", "--json").stdout
        return accession in known and study(house, accession)["state"] == state

    wait_until(check, seconds=90, what=f"{accession} to be {state}")
    return study(house, accession)


def classes(orthanc):
    """The SOP classes of our results there."""
    held = [dcmread(io.BytesIO(data), stop_before_pixels=True) for data in orthanc.instances()]
    return sorted(str(d.SOPClassUID) for d in held if d.SOPClassUID != DigitalXRayImageStorageForPresentation)


def add_to_settings(house, text):
    with (house.data / "candor.toml").open("a") as file:
        file.write(text + "\n")


def change_setting(house, before, after):
    settings = house.data / "candor.toml"
    text = settings.read_text()
    assert before in text
    settings.write_text(text.replace(before, after))


WHOLE = sorted([SR, SC, GSPS, SEG])


def test_the_half_hour(house, orthanc, tmp_path):
    first_report_before_there_is_a_destination(house, orthanc)
    destination_added_later(house, orthanc)
    wrong_model_retired_and_back(house, orthanc)
    full_disk(house, orthanc)
    pacs_that_commits_at_once(house)
    # the patient is merged in the PACS: its test is in the tests of identity
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


def destination_added_later(house, orthanc):
    add_to_settings(house, destination("ORTHANC", orthanc.dicom_port))
    house.run("echo", "ORTHANC")
    restart(house)
    assert "4 objects in line for ORTHANC" in house.run("deliver", "--all", "--to", "ORTHANC").stdout
    wait_until(lambda: classes(orthanc) == WHOLE, seconds=60, what="the report in Orthanc")
    assert readiness(house)["warnings"] == []
    known = study(house, "CANARYACC1")
    assert (known["revision"], {item["status"] for item in known["objects"]}) == (1, {"sent"})


def wrong_model_retired_and_back(house, orthanc):
    live = [row for row in json.loads(house.run("models", "list", "--json").stdout) if row["state"] == "live"]
    for row in live:
        house.run("models", "shadow", row["name"], row["version"])
    restart(house)
    orthanc.post("/instances", radiograph(2, bright=True).part10)
    known = in_state(house, "CANARYACC2", "refused")
    assert known["reason"]
    assert "candor read --refused" in house.run("status").stdout
    for row in live:
        house.run("models", "live", row["name"], row["version"])
    restart(house)
    assert "1 study will be read again" in house.run("read", "--refused").stdout
    in_state(house, "CANARYACC2", "reported")
    wait_until(lambda: classes(orthanc) == sorted(WHOLE * 2), seconds=60, what="the second report in Orthanc")


def full_disk(house, orthanc):
    change_setting(house, "minimum_free_bytes = 0", f"minimum_free_bytes = {2**60}")
    house.stop()
    house.start("serve")
    house.wait_ready()
    instance = orthanc.post("/instances", radiograph(3, bright=False).part10)["ID"]
    wait_until(lambda: "instance.refused" in house.log(), seconds=60, what="the refusal")
    assert "nothing is received" in house.run("status").stdout.replace("\n", " ")
    change_setting(house, f"minimum_free_bytes = {2**60}", "minimum_free_bytes = 0")
    restart(house)
    orthanc.post("/modalities/candor/store", [instance])
    in_state(house, "CANARYACC3", "reported")
    wait_until(lambda: classes(orthanc) == sorted([*WHOLE * 2, SR]), seconds=60, what="the third report in Orthanc")
    removed = house.run("purge", "--older-than", "0s", "--yes").stdout
    assert "3 studies are removed" in removed
    assert json.loads(house.run("studies", "--json").stdout)["studies"] == []
    with house.store() as store:
        assert list(store.objects.object_keys()) == []


def pacs_that_commits_at_once(house):
    with Pacs("before the response") as pacs:
        more = ("storage_commitment = true",)
        add_to_settings(house, destination("COMMITS", pacs.port, more=more))
        restart(house)
        for number in (4, 5):
            send_one(house, number)
            in_state(house, f"CANARYACC{number}", "reported")
        with house.store() as store:
            wait_until(
                lambda: store.outbox.states(["COMMITS"])[0].committed == 2 * len(WHOLE), seconds=60, what="commitment"
            )
        assert pacs.report_statuses
        assert set(pacs.report_statuses) == {0x0000}


def send_one(house, number):
    from tests.e2e.studies import send

    send([radiograph(number, bright=True)], house.port)


def the_log_names_no_patient(house):
    shown = house.run("logs", "-n", "100000").stdout
    assert "report.delivered" in shown
    assert "CANARY" not in shown
    assert "CANARY" not in house.log()
