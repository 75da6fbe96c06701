"""The right patient, through the door: a merge at the PACS, two patients in one study, a late image, the quarantine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite

from tests.e2e.house import House, destination, wait_until
from tests.e2e.orthanc import BINARY, running_orthanc
from tests.e2e.reports import SR
from tests.e2e.service.test_orthanc import dcmread_bytes
from tests.e2e.studies import Radiograph, radiograph, send
from tests.known_model import make_known_model
from tests.ports import free_port

KOS = "1.2.840.10008.5.1.4.1.1.88.59"
CANARIES = ("Wrong^Canary", "Right^Canary", "Other^Canary", "CANARYWRONG", "CANARYRIGHT", "CANARYOTHER")

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not BINARY.exists(), reason="Orthanc is not installed (apt package orthanc)"),
]


def of(number: int, name: str, study: str = "", *, bright: bool = True) -> Radiograph:
    """An image of the patient called `name`."""
    return radiograph(number, bright=bright, study_instance_uid=study, change=lambda dataset: rename(dataset, name))


def rename(dataset: Dataset, name: str) -> None:
    dataset.PatientName, dataset.PatientID = f"{name}^Canary", f"CANARY{name.upper()}"


def corrected(image: Radiograph, change: Callable[[Dataset], None]) -> Radiograph:
    """The same image under another header, as a PACS sends it after a merge."""
    dataset = dcmread(BytesIO(image.part10))
    change(dataset)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return replace(image, part10=buffer.getvalue())


def to_the_right(image: Radiograph) -> Radiograph:
    return corrected(image, lambda dataset: rename(dataset, "Right"))


@pytest.fixture
def running(tmp_path: Path):
    """Candor and Orthanc; Orthanc gets rejection notes."""
    port = free_port()
    folder = tmp_path / "house"
    folder.mkdir()
    with running_orthanc(tmp_path / "orthanc", candor_port=port) as orthanc:
        to_orthanc = destination("ORTHANC", orthanc.dicom_port, more=('objects = ["sr", "sc", "rejection-note"]',))
        house = House(
            folder,
            port=port,
            lines=("quiet_seconds = 0.5",),
            destinations=(to_orthanc,),
            packages=(make_known_model(folder / "packages"),),
        )
        house.make()
        house.start("serve")
        house.wait_ready()
        try:
            yield house, orthanc
        finally:
            house.kill_tree()
        log = house.log()
        assert not [canary for canary in CANARIES if canary in log]


def held_by(orthanc, sop_class: str) -> list[Dataset]:
    found = [dcmread_bytes(data) for data in orthanc.instances()]
    return [dataset for dataset in found if dataset.SOPClassUID == sop_class]


def states(house: House) -> dict[str, int]:
    with house.store() as store:
        return {state.value: count for state, count in store.studies.counts().items() if count}


def report(house: House, image: Radiograph):
    with house.store() as store:
        return store.reports.current(store.study_id_of(image.study_instance_uid))


def test_after_a_merge_the_pacs_has_the_superseding_report_under_the_new_name_and_the_old_one_is_rejected(running):
    house, orthanc = running
    before = of(1, "Wrong")
    after = to_the_right(before)
    send([before], house.port)
    (old,) = wait_until(lambda: held_by(orthanc, SR), seconds=60, what="the first report")
    wait_until(lambda: states(house) == {"reported": 1}, seconds=60, what="its pictures")
    wait_until(lambda: len(orthanc.instances()) >= 2, seconds=60, what="its pictures at the PACS")
    send([after], house.port)
    wait_until(lambda: len(held_by(orthanc, SR)) == 2, seconds=60, what="the second report")
    (note,) = wait_until(lambda: held_by(orthanc, KOS), seconds=60, what="the rejection note")
    (new,) = [sr for sr in held_by(orthanc, SR) if sr.SOPInstanceUID != old.SOPInstanceUID]
    assert (str(old.PatientName), str(new.PatientName)) == ("Wrong^Canary", "Right^Canary")
    assert new.PatientID == note.PatientID == "CANARYRIGHT"
    predecessor = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert predecessor.ReferencedSOPInstanceUID == old.SOPInstanceUID
    rejected = {
        item.ReferencedSOPInstanceUID
        for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    of_the_old = {
        str(d.SOPInstanceUID) for d in map(dcmread_bytes, orthanc.instances()) if str(d.PatientName) == "Wrong^Canary"
    }
    assert rejected == of_the_old
    assert old.SOPInstanceUID in rejected
    send([after], house.port)  # the PACS sends it once more: nothing new
    wait_until(lambda: states(house) == {"reported": 1}, seconds=30, what="rest")
    assert report(house, after).revision.revision == 2


def test_two_patients_in_one_study_are_not_analysed_and_a_late_one_is_quarantined(running):
    house, orthanc = running
    first = of(1, "Wrong")
    both = [first, of(2, "Other", first.study_instance_uid)]
    send(both, house.port)
    wait_until(lambda: states(house) == {"not_analysed": 1}, seconds=60, what="the study")
    (sr,) = wait_until(lambda: held_by(orthanc, SR), seconds=60, what="the report")
    words = [str(element.value) for element in sr.iterall() if element.keyword == "TextValue"]
    assert any("the images of this study name different patients (PatientID, PatientName)" in text for text in words)
    assert not [text for text in words if "Canary" in text or "CANARY" in text]

    good = of(3, "Right")
    send([good], house.port)
    wait_until(lambda: states(house) == {"not_analysed": 1, "reported": 1}, seconds=60, what="the good study")
    late = of(4, "Other", good.study_instance_uid)
    send([late], house.port)
    with house.store() as store:
        assert len(store.quarantine.held()) == 1
    assert report(house, good).revision.revision == 1
    assert states(house) == {"not_analysed": 1, "reported": 1}

    (row,) = json.loads(house.run("quarantine", "list", "--json").stdout)
    assert (row["kind"], row["calling_ae_title"]) == ("other_patient", "MODALITY")
    number = str(row["number"])
    assert number in house.run("quarantine", "list").stdout
    shown = house.run("quarantine", "show", number).stdout
    assert "CANARYOTHER" in shown
    assert "CANARYRIGHT" in shown
    assert "candor quarantine list" in house.run("status").stdout
    for refused in (["accept", number], ["drop", number], ["accept", number, "--as", " ", "--because", "x"]):
        with pytest.raises(subprocess.CalledProcessError):
            house.run("quarantine", *refused)
    house.run("quarantine", "accept", number, "--as", "Ada", "--because", "typed wrongly at the modality")
    wait_until(lambda: report(house, good).revision.revision == 2, seconds=60, what="the second revision")
    results = [d for d in map(dcmread_bytes, orthanc.instances()) if d.StudyInstanceUID == good.study_instance_uid]
    assert {str(d.PatientName) for d in results} == {"Right^Canary"}, "accepted for the patient of the study"
    assert json.loads(house.run("quarantine", "list", "--json").stdout) == []
    with house.store() as store:
        events = [link.event for link in store.trail.events() if link.event.action == "quarantine.accepted"]
        assert [(event.actor, event.reason.endswith("typed wrongly at the modality")) for event in events] == [
            ("Ada", True)
        ]
        assert store.trail.verify() == []


def test_a_new_image_of_the_corrected_patient_may_come_before_the_corrections(running):
    house, _ = running
    first = of(1, "Wrong")
    send([first], house.port)
    wait_until(lambda: states(house) == {"reported": 1}, seconds=60, what="the study")
    send([of(2, "Right", first.study_instance_uid), to_the_right(first)], house.port)
    wait_until(lambda: report(house, first).revision.revision == 2, seconds=60, what="the second revision")
    with house.store() as store:
        assert store.quarantine.held() == []
        study = store.studies.load(report(house, first).revision)
        assert (len(study.instances), study.patient.patient_id) == (2, "CANARYRIGHT")


def test_a_private_element_more_is_no_correction_and_other_pixels_wait(running):
    house, _ = running
    first = of(1, "Wrong")
    send([first], house.port)
    wait_until(lambda: states(house) == {"reported": 1}, seconds=60, what="the study")

    def route(dataset: Dataset) -> None:
        dataset.private_block(0x0011, "PACS", create=True).add_new(1, "LO", "routed")

    def blacken(dataset: Dataset) -> None:
        dataset.PixelData = bytes(len(dataset.PixelData))

    send([corrected(first, route), corrected(first, blacken)], house.port)
    with house.store() as store:
        assert [item.kind.value for item in store.quarantine.held()] == ["other_bytes"]
    assert states(house) == {"reported": 1}
    assert report(house, first).revision.revision == 1
