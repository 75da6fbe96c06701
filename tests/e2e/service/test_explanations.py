"""Explanations through the door: figures in every report, measured once; another method when somebody asks."""

import json
import signal
import subprocess
import time

import httpx2
import numpy as np
import pytest
from PIL import Image

from core.domain.explanation_job import JobState
from models.package.format import load_package
from tests.e2e.house import House, destination, environment, known_house, running_archive, wait_until
from tests.e2e.reports import GSPS, SC, SEG, SR, arrived
from tests.e2e.studies import radiograph, same_study, send
from tests.known_model import make_known_model, pass_the_gate

FIGURES = {"deletion_auc", "insertion_auc", "null_percentile", "stability", "forward_passes", "sampled"}
SLOW = "rise"  # 400 masks, three times: long enough to be caught at it


def items(dataset, code_value):
    return [
        item
        for item in dataset.iterall()
        if item.keyword == "ContentSequence"
        for item in item.value
        if item.get("ConceptNameCodeSequence") and item.ConceptNameCodeSequence[0].CodeValue == code_value
    ]


def read(house, archive, image, objects):
    """Send an image, and wait for what comes of it."""
    house.start("worker")
    house.start("node")
    house.wait_ready()
    send([image], house.port)
    wait_until(lambda: len(archive.filed) >= objects, seconds=60, what=f"{objects} objects at the archive")
    with house.store() as store:
        study_id = store.study_id_of(image.study_instance_uid)
        wait_until(lambda: store.studies.counts()["reported"] == 1, seconds=30, what="the study to be reported")
        return study_id, store.reports.current(study_id).document


def explain(house, *arguments, **more):
    command = house.command("explain", *arguments)
    return subprocess.run(
        command, cwd=house.folder, env=environment(), capture_output=True, text=True, timeout=120, check=False, **more
    )


def set_lines(house, *lines):
    path = house.data / "candor.toml"
    path.write_text("\n".join(lines) + "\n" + path.read_text())


def test_every_report_says_how_far_to_trust_its_map_and_a_retry_measures_nothing(house, archive):
    image = radiograph(1, bright=True)
    study_id, document = read(house, archive, image, 4)
    (finding,) = document["findings"]
    assert set(finding["saliency"]["faithfulness"]) == FIGURES
    assert finding["saliency"]["faithfulness"]["null_percentile"] == 100.0
    assert finding["saliency"]["faithfulness"]["forward_passes"] <= 25
    sr = next(dataset for dataset in arrived(archive) if dataset.SOPClassUID == SR)
    for code, name in (("DELETION_AUC", "deletion_auc"), ("STABILITY", "stability")):
        (item,) = items(sr, code)
        value = float(item.MeasuredValueSequence[0].NumericValue)
        assert value == pytest.approx(finding["saliency"]["faithfulness"][name], abs=0.005)
    assert "registration gate" not in str(document["limitations"])
    runs = house.log().count('"event": "faithfulness.failed"')
    assert runs == 0
    house.kill("worker")
    with house.store() as store:
        before = store.faithfulness.of(image.sop_instance_uid, ready_model(house))
        house.start("worker")
        send([same_study(image, 2, bright=False)], house.port)
        wait_until(
            lambda: store.reports.current(study_id).revision.revision == 2, seconds=60, what="the second revision"
        )
        assert store.faithfulness.of(image.sop_instance_uid, ready_model(house)) == before


def ready_model(house):
    return load_package(house.packages[0]).model


@pytest.fixture
def closed_house(tmp_path, archive):
    """A house whose model failed its gate."""
    package = make_known_model(tmp_path / "closed")
    pass_the_gate(package, load_package(package).model.sha256, failed=("weight randomisation",))
    (tmp_path / "house").mkdir()
    lines = ("quiet_seconds = 0.5",)
    house = House(
        tmp_path / "house", lines=lines, destinations=(destination("ARCHIVE", archive.port),), packages=(package,)
    )
    house.make()
    yield house
    house.kill_tree()


def test_maps_of_a_model_that_failed_its_gate_are_on_no_carrier_and_the_report_says_why(closed_house, archive):
    _, document = read(closed_house, archive, radiograph(1, bright=True), 2)
    assert sorted(str(dataset.SOPClassUID) for dataset in arrived(archive)) == sorted([SR, SC])
    assert "weight randomisation" in document["explanation_gate"]
    saliency = document["findings"][0]["saliency"]
    assert (saliency["shown"], saliency["faithfulness"]) == (False, None)
    sr = next(dataset for dataset in arrived(archive) if dataset.SOPClassUID == SR)
    assert all("weight randomisation" in item.TextValue for item in items(sr, "MAP_WITHHELD"))
    assert len(items(sr, "MAP_WITHHELD")) == 2
    assert not [element for element in sr.iterall() if element.keyword == "GraphicData"]


def test_no_method_shows_or_sends_the_map_that_the_gate_withheld(closed_house, archive):
    house = closed_house
    study_id, _ = read(house, archive, radiograph(1, bright=True), 2)
    named = (study_id, "--finding", "bright_patch", "--method", "class_activation", "--out", "out")
    answer = explain(house, *named)
    assert answer.returncode == 0, answer.stderr
    found = json.loads((house.folder / "out" / "bright_patch-class_activation.json").read_text())
    for withheld in (found["map"], found["report_map"]):
        assert not withheld["shown"]
        assert "weight randomisation" in withheld["withheld_reason"]
    assert is_colourless(house.folder / "out" / "bright_patch-class_activation.png")
    refused = explain(house, *named, "--send", "ARCHIVE")
    assert refused.returncode == 2
    assert "weight randomisation" in refused.stderr
    with house.store() as store:  # whatever the asker knows, the worker looks for itself
        job = store.explanations.ask(study_id, "bright_patch", "hires_cam", destination="ARCHIVE")
        ended = wait_until(
            lambda: (now := store.explanations.find(job.job_id)).state.is_over and now, seconds=60, what="an end"
        )
    assert ended.state is JobState.FAILED
    assert "weight randomisation" in ended.reason
    assert len(archive.filed) == 2


def is_colourless(path):
    """Whether nothing is blended into the image of a drawn overlay, which is above the band of words."""
    pixels = np.asarray(Image.open(path).convert("RGB"), np.int16)
    square = pixels[: pixels.shape[1]]  # the tests' radiographs are square
    return int(np.ptp(square, axis=2).max()) == 0


def test_a_map_that_is_not_measured_is_drawn_in_no_object_and_the_report_says_so(house, archive):
    text = (house.data / "candor.toml").read_text()
    (house.data / "candor.toml").write_text(text + '\nobjects = ["sr", "sc", "gsps", "seg"]\n')
    set_lines(house, 'faithfulness = "off"')
    _, document = read(house, archive, radiograph(1, bright=True), 2)
    saliency = document["findings"][0]["saliency"]
    assert (saliency["faithfulness"], saliency["shown"]) == (None, False)
    assert any("not measured" in limitation for limitation in document["limitations"])
    filed = {each.SOPClassUID: each for each in arrived(archive)}
    assert filed.keys() == {SR, SC}, "no presentation state, no segmentation"
    picture, sr = filed[SC], filed[SR]
    square = picture.pixel_array[: picture.Columns].astype(int)
    assert np.ptp(square, axis=2).max() == 0, "nothing is blended in"
    assert "GraphicData" not in sr.to_json()


def test_a_parametric_map_that_a_radiograph_cannot_have_is_named_in_results_and_log(house, archive):
    text = (house.data / "candor.toml").read_text()
    (house.data / "candor.toml").write_text(text + '\nobjects = ["sr", "sc", "gsps", "seg", "pmap"]\n')
    _, document = read(house, archive, radiograph(1, bright=True), 4)
    (missing,) = document["objects_not_made"]
    assert missing["kind"] == "pmap"
    assert "Frame of Reference" in missing["reason"]
    assert "object.not_made" in house.log()


def test_another_method_is_explained_without_a_worker_and_sent_with_the_report(house, archive):
    image = radiograph(1, bright=True)
    study_id, _ = read(house, archive, image, 4)
    house.kill_tree()
    before = {dataset.SOPInstanceUID for dataset in arrived(archive)}
    answer = explain(
        house, "CANARYACC1", "--finding", "bright_patch", "--method", "occlusion", "--out", "out", "--send", "ARCHIVE"
    )
    assert answer.returncode == 0, answer.stderr
    assert "CANARY" not in (answer.stdout + answer.stderr).upper()
    found = json.loads((house.folder / "out" / "bright_patch-occlusion.json").read_text())
    assert (house.folder / "out" / "bright_patch-occlusion.png").read_bytes().startswith(b"\x89PNG")
    assert found["study_id"] == study_id
    assert set(found["agreement"]) == {"ssim", "rank_correlation", "overlap"}
    assert set(found["map"]["faithfulness"]) == set(found["report_map"]["faithfulness"]) == FIGURES
    assert found["map"]["parameters"]["seed"] == 1
    house.start("worker")  # the outbox waited for one
    wait_until(lambda: len(archive.filed) >= 7, seconds=60, what="the pictures of the second map")
    new = [dataset for dataset in arrived(archive) if dataset.SOPInstanceUID not in before]
    assert sorted(str(dataset.SOPClassUID) for dataset in new) == sorted([SC, GSPS, SEG])
    assert all(dataset.SeriesDescription.endswith("occlusion") for dataset in new)
    assert {str(dataset.StudyInstanceUID) for dataset in new} == {image.study_instance_uid}
    again = explain(
        house, study_id, "--finding", "bright_patch", "--method", "occlusion", "--out", "out", "--send", "ARCHIVE"
    )
    assert again.returncode == 0, again.stderr
    time.sleep(2.0)
    assert len(archive.filed) == 7, "the same explanation again has the same UIDs and is not sent twice"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("unknown", "--finding", "bright_patch"), "no reported study is called that"),
        (("CANARYACC1", "--finding", "fracture"), "the report has: bright_patch"),
        (("CANARYACC1", "--finding", "bright_patch", "--method", "tea_leaves"), "no explanation method"),
        (("CANARYACC1", "--finding", "bright_patch", "--send", "NOWHERE"), "no destination called NOWHERE"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(asked_house, arguments, words):
    answer = explain(asked_house, *arguments, "--out", "out")
    assert answer.returncode == 2
    assert words in answer.stderr
    assert "CANARY" not in answer.stderr


@pytest.fixture(scope="module")
def asked_house(tmp_path_factory):
    """One house with a reported study for all questions that change nothing."""
    folder = tmp_path_factory.mktemp("asked")
    with running_archive(folder) as archive, known_house(folder, archive) as house:
        read(house, archive, radiograph(1, bright=True), 4)
        yield house


@pytest.fixture
def reported(house, archive):
    read(house, archive, radiograph(1, bright=True), 4)
    return house


def test_the_worker_does_what_is_asked_over_http_and_stops_when_it_is_cancelled(reported):
    house = reported
    house.start("web")
    web = f"http://127.0.0.1:{house.web_port}"
    client = httpx2.Client(base_url=web, timeout=30)
    wait_until(lambda: answers(client), seconds=30, what="the web process")
    [study] = client.get("/api/studies").json()["studies"]
    place = f"/api/studies/{study['study_id']}/explanations"
    asked = client.post(place, json={"finding": "bright_patch", "method": SLOW})
    assert asked.status_code == 202, asked.text
    job = asked.headers["location"]
    under_way = wait_until(
        lambda: (answer := client.get(job).json())["forward_passes"] > 0 and answer, seconds=60, what="progress"
    )
    assert under_way["state"] == "running"
    assert under_way["forward_passes_expected"] > under_way["forward_passes"]
    client.delete(job)
    ended = wait_until(lambda: over(client.get(job).json()), seconds=30, what="the end of the job")
    assert (ended["state"], ended["result"]) == ("cancelled", None)
    done = client.post(place, json={"finding": "bright_patch", "method": "class_activation"}).json()
    ended = wait_until(lambda: over(client.get(f"{place}/{done['job_id']}").json()), seconds=60, what="the result")
    assert ended["state"] == "done", ended["reason"]
    assert ended["result"]["agreement"]["ssim"] > 0.9
    assert len(client.get(place).json()["explanations"]) == 2
    for wrong, status in (({"finding": "fracture"}, 400), ({"finding": "../x"}, 422), ({}, 422)):
        answer = client.post(place, json=wrong)
        assert answer.status_code == status
        assert "CANARY" not in answer.text.upper()
    assert client.post("/api/studies/0/explanations", json={"finding": "bright_patch"}).status_code == 404
    as_form = client.post(place, content=b'{"finding": "bright_patch"}', headers={"content-type": "text/plain"})
    assert as_form.status_code in (415, 422)


def answers(client):
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def over(answer):
    return answer if JobState(answer["state"]).is_over else None


def test_a_job_of_a_worker_that_was_killed_is_interrupted_and_can_be_run_again(reported):
    house = reported
    with house.store() as store:
        [row] = store.studies.rows()
        job = store.explanations.ask(row.study_id, "bright_patch", SLOW)
        wait_until(lambda: store.explanations.find(job.job_id).passes > 0, seconds=60, what="progress")
        house.kill("worker")
        house.start("worker")
        ended = wait_until(
            lambda: (now := store.explanations.find(job.job_id)).state.is_over and now, seconds=60, what="an end"
        )
        assert ended.state is JobState.INTERRUPTED
        assert "run it again" in ended.reason
        again = store.explanations.ask(row.study_id, "bright_patch", "class_activation")
        wait_until(lambda: store.explanations.find(again.job_id).state is JobState.DONE, seconds=60, what="the result")


@pytest.mark.parametrize("with_worker", [True, False])
def test_ctrl_c_cancels(reported, with_worker):
    house = reported
    if not with_worker:
        house.kill("worker")
        with house.store() as store:
            wait_until(lambda: not store.leases.living("process/worker"), seconds=30, what="the lease to end")
    command = house.command("explain", "CANARYACC1", "--finding", "bright_patch", "--method", SLOW, "--out", "out")
    process = subprocess.Popen(command, cwd=house.folder, env=environment(), stderr=subprocess.PIPE, text=True)
    with house.store() as store:
        [row] = store.studies.rows()
        running = wait_until(
            lambda: next((job for job in store.explanations.of_study(row.study_id) if job.passes > 0), None),
            seconds=60,
            what="progress",
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        ended = wait_until(
            lambda: (now := store.explanations.find(running.job_id)).state.is_over and now, seconds=30, what="an end"
        )
    assert ended.state is JobState.CANCELLED
    assert not (house.folder / "out" / "bright_patch-rise.json").exists()
