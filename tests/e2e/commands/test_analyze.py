"""`candor analyze`: files in, DICOM objects and results.json out, through the very pipeline that serves a PACS."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image as PillowImage
from pydicom import dcmread

from models.package.format import load_package
from tests.e2e.house import environment
from tests.e2e.reports import GSPS, SC, SEG, SR
from tests.e2e.studies import radiograph, same_study
from tests.known_model import make_known_model

OF_A_CONTAINER = {"CANDOR_KEY_FILE": "/nowhere/candor.key", "CANDOR_PLAIN_LISTENER": "false"}
"""What an installation sets for itself, and an analysis on the same machine must not take over."""


def analyze(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "api", "analyze", *map(str, arguments)],
        cwd=folder,
        env={**environment(), **OF_A_CONTAINER, "CANDOR_MODELS_DIR": str(folder / "models")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """One run over everything that can lie in a folder."""
    folder = tmp_path_factory.mktemp("analyze")
    make_known_model(folder / "models")
    (folder / "in" / "deep").mkdir(parents=True)
    normal, bright = radiograph(1, bright=False), radiograph(2, bright=True)
    pictures = {
        "normal": normal,
        "deep/bright": bright,
        "deep/second": same_study(bright, 3, bright=False, change=lateral),
        "hand": radiograph(4, bright=True, change=hand),
        "lateral": radiograph(5, bright=True, change=lateral),
        "other_bytes": radiograph(
            1, bright=True, study_instance_uid=normal.study_instance_uid, change=same_uids(normal)
        ),
    }
    for name, picture in pictures.items():
        (folder / "in" / f"{name}.dcm").write_bytes(picture.part10)
    (folder / "in" / "same_again.dcm").write_bytes(normal.part10)
    (folder / "in" / "broken.dcm").write_bytes(radiograph(6, bright=True).part10[:700])
    (folder / "in" / "truncated.dcm").write_bytes(radiograph(7, bright=True).part10[:-30_000])
    (folder / "in" / "notes.txt").write_text("not an image")
    (folder / "in" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    answer = analyze(folder, "in", "--out", "out", "--objects", "sr,sc,gsps,seg,seg-fractional")
    assert answer.returncode == 0, answer.stderr
    return folder, answer, json.loads((folder / "out" / "results.json").read_text()), pictures


def hand(dataset):
    dataset.BodyPartExamined = "HAND"


def lateral(dataset):
    dataset.ViewPosition = "LL"


def same_uids(picture):
    def change(dataset):
        dataset.SOPInstanceUID = picture.sop_instance_uid

    return change


def study_of(results, picture):
    [entry] = [e for e in results["studies"] if e["study_instance_uid"] == picture.study_instance_uid]
    return entry


def test_each_study_ends_as_it_should(analysed):
    _, answer, results, pictures = analysed
    assert study_of(results, pictures["normal"])["status"] == "reported"
    assert study_of(results, pictures["deep/bright"])["status"] == "reported"
    assert study_of(results, pictures["hand"])["status"] == "refused"
    assert "HAND" in study_of(results, pictures["hand"])["reason"]
    assert study_of(results, pictures["lateral"])["status"] == "not_analysed"
    assert len(results["studies"]) == 5
    assert "5 studies: " in answer.stdout


def test_the_document_is_the_contract(analysed):
    _, _, results, pictures = analysed
    entry = study_of(results, pictures["deep/bright"])
    assert {"study_instance_uid", "status", "reason", "model", "findings", "cohorts", "objects", "timings_seconds"} <= (
        set(entry)
    )
    assert set(entry["model"]) == {"name", "version", "sha256"}
    [finding] = entry["findings"]
    assert {"name", "code", "probability", "score", "operating_point", "positive", "saliency"} <= set(finding)
    assert set(finding["code"]) == {"value", "scheme", "meaning"}
    assert {"threshold", "sensitivity", "specificity"} <= set(finding["operating_point"])
    assert {"method", "shown", "faithfulness"} <= set(finding["saliency"])
    assert finding["positive"] is True
    assert finding["probability"] > 0.99
    assert study_of(results, pictures["normal"])["findings"][0]["positive"] is False
    assert entry["timings_seconds"]["total"] > 0


def test_the_objects_are_where_the_document_says(analysed):
    folder, _, results, pictures = analysed
    entry = study_of(results, pictures["deep/bright"])
    assert [item["sop_class"] for item in entry["objects"]].count(SEG) == 2
    assert {item["sop_class"] for item in entry["objects"]} == {SR, SC, GSPS, SEG}
    for item in entry["objects"]:
        dataset = dcmread(folder / "out" / item["path"])
        assert dataset.SOPClassUID == item["sop_class"]
        assert dataset.StudyInstanceUID == entry["study_instance_uid"]
        assert str(dataset.PatientName) == "Canary^Name2"
    assert [item["sop_class"] for item in study_of(results, pictures["normal"])["objects"]] == [SR]
    assert study_of(results, pictures["hand"])["objects"] == []
    [lateral_sr] = study_of(results, pictures["lateral"])["objects"]
    assert lateral_sr["sop_class"] == SR


def test_a_study_of_several_images_gets_one_report(analysed):
    _, _, results, pictures = analysed
    entry = study_of(results, pictures["deep/bright"])
    assert [item["sop_class"] for item in entry["objects"]].count(SR) == 1


def test_what_is_left_out_is_named(analysed):
    _, answer, results, _ = analysed
    reasons = {item["path"]: item["reason"] for item in results["rejected_files"]}
    assert set(reasons) == {"in/broken.dcm", "in/other_bytes.dcm"}
    assert "same SOPInstanceUID" in reasons["in/other_bytes.dcm"]
    assert results["not_dicom_files"] == ["in/notes.txt"]
    for path in (*reasons, "in/notes.txt"):
        assert path in answer.stderr
    assert "DICOMDIR" not in answer.stderr


def test_truncated_pixels_are_not_analysed_with_the_reason(analysed):
    _, _, results, pictures = analysed
    known = {picture.study_instance_uid for picture in pictures.values()}
    [entry] = [e for e in results["studies"] if e["study_instance_uid"] not in known]
    assert entry["status"] == "not_analysed"
    assert "truncated" in entry["reason"]


def test_nothing_of_a_person_is_on_the_terminal_or_in_the_log(analysed):
    folder, answer, _, _ = analysed
    log = (folder / "out" / "log.jsonl").read_text()
    assert "report.filed" in log
    assert "canary" not in (answer.stdout + answer.stderr + log).lower()


def test_nothing_but_results_stays_behind(analysed):
    folder, _, results, _ = analysed
    named = {item["path"] for entry in results["studies"] for item in entry["objects"]}
    left = {str(p.relative_to(folder / "out")) for p in (folder / "out").rglob("*") if p.is_file()}
    assert left == named | {"results.json", "log.jsonl"}


def test_a_second_run_into_the_same_folder_replaces_the_first_and_writes_only_what_was_asked(analysed, tmp_path):
    folder, _, _, _ = analysed
    first = analyze(folder, "in/normal.dcm", "--out", tmp_path, "--objects", "sr")
    assert first.returncode == 0
    second = analyze(folder, "in/deep/bright.dcm", "--out", tmp_path, "--objects", "seg")
    assert second.returncode == 0
    [entry] = json.loads((tmp_path / "results.json").read_text())["studies"]
    assert [item["sop_class"] for item in entry["objects"]] == [SEG]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["nowhere.dcm", "--out", "out2"], 2, "is not there"),
        (["in", "--out", "out2", "--objects", "sr,png"], 2, "--objects takes"),
        (["in/notes.txt", "in/broken.dcm", "--out", "out2"], 3, "none of the files"),
        (["in", "--out", "in/notes.txt"], 2, "cannot be written"),
    ],
)
def test_failures_are_one_sentence(analysed, arguments, exit_code, words):
    folder, *_ = analysed
    answer = analyze(folder, *arguments)
    assert answer.returncode == exit_code
    assert words in answer.stderr.splitlines()[-1]
    assert "Traceback" not in answer.stderr
    assert not (folder / "out2" / "results.json").exists()


def test_a_line_for_each_study_says_what_became_of_it(analysed):
    folder, answer, results, pictures = analysed
    lines = answer.stdout.splitlines()
    assert [line for line in lines if line.startswith("in/hand.dcm: refused, because ")]
    assert [line for line in lines if line.startswith("in/lateral.dcm: not analysed, because ")]
    [bright] = [line for line in lines if line.startswith("in/deep/bright.dcm and 1 more: reported; flagged: ")]
    finding = study_of(results, pictures["deep/bright"])["findings"][0]
    assert finding["name"].replace("_", " ") in bright
    assert finding["probability"] > 0.995
    assert " >0.99 (threshold 0.50)" in bright
    assert study_of(results, pictures["hand"])["files"] == ["in/hand.dcm"]
    assert (folder / "out" / "results.json").exists()


def test_a_package_that_is_not_registered_reads_a_picture(tmp_path):
    package = make_known_model(tmp_path / "mine")
    (tmp_path / "in").mkdir()
    for name, value in (("bright.png", 230), ("dark.jpg", 20)):
        PillowImage.fromarray(np.full((300, 300), value, np.uint8)).save(tmp_path / "in" / name)
    (tmp_path / "models").mkdir()
    answer = analyze(tmp_path, "in", "--out", "out", "--model", package, "--objects", "sr")
    assert answer.returncode == 0, answer.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [entry["files"] for entry in results["studies"]] == [["in/bright.png"], ["in/dark.jpg"]]
    read_by = {finding["model"]["name"] for entry in results["studies"] for finding in entry["findings"]}
    assert read_by == {load_package(package).model.name}
    assert "2 studies: 2 reported" in answer.stdout
    other = make_known_model(tmp_path / "mine", name="second_look")
    two = analyze(tmp_path, "in/dark.jpg", "--out", "two", "--model", package, "--model", other, "--objects", "sr")
    assert "1 study: 1 reported; 0 with a finding" in two.stdout
    (entry,) = json.loads((tmp_path / "two" / "results.json").read_text())["studies"]
    assert {reading["model"]["name"] for reading in entry["readings"]} == {"bright_patch", "second_look"}
