"""Real peers: Debian's Orthanc as the PACS, DCMTK's storescu as the modality, real files where they are at hand."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from pydicom import dcmread
from pydicom.uid import CTImageStorage
from sqlalchemy import select

from core.store.tables.reports import payloads
from dicom_node.header.part10 import layout_of
from tests.contract.conformance import every_check
from tests.e2e.house import House, destination, wait_until
from tests.e2e.orthanc import BINARY, running_orthanc
from tests.e2e.reports import GSPS, SC, SEG, SR
from tests.e2e.studies import radiograph, send
from tests.known_model import make_known_model
from tests.ports import free_port

STORESCU = Path("/usr/bin/storescu")
REAL_FILES = Path(__file__).resolve().parents[4] / "shared" / "data" / "dicom"

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not BINARY.exists(), reason="Orthanc is not installed (apt package orthanc)"),
]


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def orthanc(tmp_path, port):
    with running_orthanc(tmp_path / "orthanc", candor_port=port) as running:
        yield running


def make_house(tmp_path, port, orthanc, *, lines=(), more=(), known_model=True, change=None):
    folder = tmp_path / "house"
    folder.mkdir()
    packages = (make_known_model(folder / "packages", change=change),) if known_model else ()
    to_orthanc = destination("ORTHANC", orthanc.dicom_port, more=more)
    house = House(folder, port=port, lines=lines, destinations=(to_orthanc,), packages=packages)
    house.make()
    return house


@pytest.fixture
def house(tmp_path, port, orthanc):
    more = ("storage_commitment = true",)
    house = make_house(tmp_path, port, orthanc, lines=("quiet_seconds = 0.5",), more=more)
    house.start("serve")
    house.wait_ready()
    yield house
    house.kill_tree()


def everything_sent(house, reports):
    def check():
        with house.store() as store:
            settled = sum(
                n for state, n in store.studies.counts().items() if state not in ("receiving", "complete", "reading")
            )
            return settled >= reports and store.outbox.states(["ORTHANC"])[0].pending == 0

    return check


def test_reports_come_back_from_orthanc_valid_and_committed(house, orthanc, tmp_path):
    images = [radiograph(1, bright=False), radiograph(2, bright=True)]
    send(images, house.port)
    wait_until(everything_sent(house, 2), seconds=60, what="the outbox to be empty")
    files = [dcmread_bytes(data) for data in orthanc.instances()]
    classes = sorted(str(d.SOPClassUID) for d in files)
    assert classes == sorted([SR, SR, SC, GSPS, SEG])
    assert {str(d.StudyInstanceUID) for d in files} == {image.study_instance_uid for image in images}
    with house.store() as store:
        wait_until(
            lambda: store.outbox.states(["ORTHANC"])[0].committed == len(files), seconds=30, what="storage commitment"
        )
    validate(orthanc, tmp_path)


EVERY_KIND = 'objects = ["sr", "sc", "gsps", "seg", "seg-fractional", "pmap"]'
READS_CT = {
    "accepts": {
        "modalities": ["DX", "CT"],
        "body_parts": ["CHEST"],
        "body_part_may_be_missing": False,
        "views": ["PA", "AP", ""],
        "photometric_interpretations": ["MONOCHROME2"],
        "minimum_age_years": 18,
        "unknown_age_accepted": True,
        "minimum_rows": 32,
        "minimum_columns": 32,
    }
}


def as_ct(dataset):
    """A slice that says where it is."""
    dataset.SOPClassUID, dataset.Modality = CTImageStorage, "CT"
    for keyword in ("ViewPosition", "PatientOrientation", "PresentationIntentType"):
        delattr(dataset, keyword)
    dataset.FrameOfReferenceUID = "1.2.826.0.1.3680043.10.543.1"
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-60, -80, 12.5], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.7, 0.5], 2.5
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = 128, 256
    dataset.KVP, dataset.AcquisitionNumber, dataset.ImageType = "120", "1", ["ORIGINAL", "PRIMARY", "AXIAL"]


def test_every_carrier_comes_back_from_orthanc_byte_for_byte_and_drawn_where_it_was(tmp_path, port, orthanc):
    """Of a radiograph and of a CT, and of a second method's map."""
    house = make_house(tmp_path, port, orthanc, lines=("quiet_seconds = 0.5",), more=(EVERY_KIND,), change=READS_CT)
    house.start("serve")
    house.wait_ready()
    try:
        send([radiograph(1, bright=True)], house.port)
        ct = radiograph(2, bright=True, change=as_ct)
        (tmp_path / "ct.dcm").write_bytes(ct.part10)
        send_file(tmp_path / "ct.dcm", house.port)
        wait_until(everything_sent(house, 2), seconds=120, what="the outbox to be empty")
        house.run(
            "explain", "CANARYACC1", "--finding", "bright_patch", "--method", "occlusion", "--out", "out",
            "--send", "ORTHANC",
        )  # fmt: skip
        wait_until(everything_sent(house, 2), seconds=60, what="the outbox to be empty again")
        kinds = compare_with_what_was_sent(house, orthanc)
        of_dx, of_ct, asked_for = ["gsps", "sc", "seg", "seg-fractional"], ["pmap"], 1
        assert kinds == sorted(of_dx * (2 + asked_for) + of_ct + ["sr"] * 2)
        validate(orthanc, tmp_path)
    finally:
        house.kill_tree()


def compare_with_what_was_sent(house, orthanc):
    """The data set of each object as it was filed against the one that Orthanc gives back; returns the kinds."""
    with house.store() as store:
        with store.engine.connect() as connection:
            rows = connection.execute(select(payloads)).all()
        back = {str(dcmread_bytes(data).SOPInstanceUID): (name, data) for name, data in orthanc.named_instances()}
        assert set(back) == {row.payload_id for row in rows}
        for row in rows:
            sent, (name, returned) = store.objects.get(row.object_key), back[row.payload_id]
            assert data_set_of(returned) == data_set_of(sent), row.kind
            if row.kind == "seg":
                mask = dcmread_bytes(sent).pixel_array.squeeze() > 0
                rendered = np.asarray(Pillow.open(io.BytesIO(orthanc.fetch(f"/instances/{name}/preview"))))
                assert np.array_equal(rendered > 127, mask), "Orthanc draws the region elsewhere"
    return sorted(row.kind for row in rows)


def data_set_of(part10):
    return part10[layout_of(part10).data_set_start :]


def send_file(path, port):
    done = subprocess.run(
        [str(STORESCU), "-aec", "CANDOR", "127.0.0.1", str(port), str(path)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_orthanc_forwards_our_results_back_and_nothing_is_read_again(house, orthanc):
    image = radiograph(1, bright=True)
    send([image], house.port)
    wait_until(everything_sent(house, 1), seconds=60, what="the outbox to be empty")
    (study,) = orthanc.get("/studies")
    orthanc.post("/modalities/candor/store", [study])
    wait_until(lambda: house.log().count("own_result") >= 4, seconds=20, what="the results to be filed")
    with house.store() as store:
        assert [row.revision for row in store.studies.rows()] == [1]
        assert store.studies.due(quiet_seconds=0, maximum_wait_seconds=0) == []
        assert store.predictions.runs() == 1


@pytest.mark.skipif(not STORESCU.exists(), reason="DCMTK is not installed (apt package dcmtk)")
@pytest.mark.skipif(not REAL_FILES.exists(), reason="the real DICOM files of ../shared are not here")
@pytest.mark.parametrize("wanted", [False, True], ids=["refused are silent", "refused are reported"])
def test_every_real_file_is_kept_and_each_chest_radiograph_reported(tmp_path, port, orthanc, wanted):
    more = (f"refused_reports = {str(wanted).lower()}",)
    house = make_house(tmp_path, port, orthanc, more=more, known_model=False)
    house.start("serve")
    house.wait_ready()
    try:
        files = sorted(REAL_FILES.glob("*.dcm"))
        for file in files:
            store_with_dcmtk(file, house.port)
        studies = {dcmread(file, stop_before_pixels=True).StudyInstanceUID for file in files}
        wait_until(everything_sent(house, len(studies)), seconds=90, what="every study to be settled")
        check_real_results(house, orthanc, files, wanted=wanted)
        validate(orthanc, tmp_path)
    finally:
        house.kill_tree()


def store_with_dcmtk(file, port):
    """storescu proposes exactly the file's transfer syntax; it ends with an error unless every status is 0x0000."""
    syntax = dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID.name
    option = next((o for words, o in OPTIONS.items() if words in syntax), "-x=")
    command = [str(STORESCU), "-v", "-aec", "CANDOR", option, "127.0.0.1", str(port), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{file.name}: {done.stderr}"
    assert "0x0000" in done.stdout + done.stderr or "Success" in done.stdout + done.stderr, file.name


OPTIONS = {
    "JPEG Lossless": "-xs",
    "JPEG Extended": "-xx",
    "JPEG Baseline": "-xy",
    "JPEG-LS Lossless": "-xt",
    "JPEG-LS Lossy": "-xu",
    "JPEG 2000 Image Compression (Lossless Only)": "-xv",
    "JPEG 2000": "-xw",
    "RLE": "-xr",
    "Implicit": "-xi",
}


def check_real_results(house, orthanc, files, *, wanted):
    chests = {
        str(d.StudyInstanceUID)
        for d in (dcmread(f, stop_before_pixels=True) for f in files)
        if d.Modality in ("CR", "DX") and d.get("BodyPartExamined", "CHEST") == "CHEST"
    }
    results = [dcmread_bytes(data) for data in orthanc.instances()]
    reported = {str(d.StudyInstanceUID) for d in results if d.SOPClassUID == SR}
    everything = {str(dcmread(f, stop_before_pixels=True).StudyInstanceUID) for f in files}
    assert reported == (everything if wanted else chests)
    with house.store() as store:
        rows = store.studies.rows()
        assert all(row.reason for row in rows if row.state == "refused")
        drawn = {}
        for uid in chests:
            report = store.reports.current(store.study_id_of(uid))
            assert report.status in ("reported", "not_analysed")
            drawn[uid] = [f["name"] for f in report.document["findings"] if has_picture(f)]
    for uid, findings in drawn.items():
        made = {str(d.SOPClassUID) for d in results if d.StudyInstanceUID == uid}
        assert made == {SR, SC, GSPS, SEG} if findings else made <= {SR, SC}


def has_picture(finding):
    """A region is drawn of what is flagged and has a place, where the map holds and is not diffuse."""
    saliency = finding["saliency"]
    is_flagged = finding["flagged"] and finding["name"] != "abnormal"
    return is_flagged and saliency is not None and saliency["shown"] and not saliency["no_region"]


def validate(orthanc, tmp_path):
    folder = tmp_path / "from-orthanc"
    folder.mkdir(exist_ok=True)
    complaints = {}
    for number, data in enumerate(orthanc.instances()):
        (file := folder / f"{number}.dcm").write_bytes(data)
        complaints[file.name] = every_check(file)
    assert complaints
    assert not any(complaints.values()), complaints


def dcmread_bytes(data):
    return dcmread(io.BytesIO(data))
