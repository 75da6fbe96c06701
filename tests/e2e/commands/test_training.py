"""`candor train` and `candor evaluate` through the door, on a made-up set and a schedule of a few steps."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.package.format import load_package
from tests.training_set import make_training_set

pytest.importorskip("torch", reason="torch is needed to train")
pytest.importorskip("efficientnet_lite_pytorch", reason="the backbone comes with the extra `train`")


def candor(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "api", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = tmp_path_factory.mktemp("run")
    short = ("--steps", "12", "--network-size", "160", "--version", "9.9.9")
    done = candor("train", "chest_radiograph", "--data", str(data), "--out", str(out), *short)
    assert done.returncode == 0, done.stderr
    return out, done


def test_the_package_that_was_trained_loads_and_says_what_was_printed(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, done = trained
    package = load_package(out / "package")
    figures = json.loads((out / "package" / "docs" / "evaluation.json").read_text())
    assert package.model.version == "9.9.9"
    assert figures["model"]["sha256"] == package.model.sha256
    assert figures["shipped"] == [finding.name for finding in package.model.findings]
    assert figures["recipe"]["cycles"] == [12]
    assert figures["shipped"], "a bright square in noise is learnt in a few steps"
    for name, entry in figures["findings"].items():
        assert name in done.stdout
        value, low, high = entry["test_512"]["all"]["auroc"]
        assert 0 <= low <= value <= high <= 1
    assert not list((out / "package").rglob("predictions.csv")), "a package must not name patients"
    assert "training: 12 of 12, loss " in done.stderr, "long work shows progress in a log file too"


def test_a_size_that_the_network_cannot_take_is_refused_before_it_trains(data: Path, tmp_path: Path) -> None:
    done = candor("train", "chest_radiograph", "--data", str(data), "--out", str(tmp_path), "--network-size", "225")
    assert done.returncode == 2
    assert "225 is no multiple of 32; the recipe's own is 224" in done.stderr


def test_an_evaluation_of_the_same_package_finds_the_same_figures(
    trained: tuple[Path, subprocess.CompletedProcess[str]], data: Path, tmp_path: Path
) -> None:
    out, _ = trained
    done = candor("evaluate", str(out / "package"), "--data", str(data), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "evaluation.json").read_text())
    before = json.loads((out / "package" / "docs" / "evaluation.json").read_text())
    assert again["findings"] == before["findings"]
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    name = again["shipped"][0]
    assert {"study_id", "patient_id", "age", "sex", "view", f"prob_{name}", f"truth_{name}"} <= set(rows[0])
    known = [row for row in rows if row[f"truth_{name}"]]
    everyone = again["findings"][name]["test_512"]["all"]
    assert len(known) == everyone["positives"] + everyone["negatives"]


def test_findings_without_labels_are_named_and_left_out(tmp_path: Path) -> None:
    """As with RSNA 2018, whose radiologists spoke of opacity and abnormality only."""
    data = make_training_set(tmp_path / "set", findings=("No Finding", "No Finding", "No Finding"))
    done = candor("evaluate", "chest_radiograph", "--data", str(data), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert set(figures["findings"]) == {"any_abnormality", "lung_opacity"}
    assert {"effusion", "edema"} <= set(figures["not_labelled"])
    assert "not labelled in this data" in done.stdout


def test_a_folder_that_is_no_set_is_explained_in_one_sentence(tmp_path: Path) -> None:
    done = candor("evaluate", "chest_radiograph", "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode != 0
    assert "holds none of the known sets" in done.stderr
    assert "Traceback" not in done.stderr
