"""`candor evaluate` on images of one's own, by a network whose answers are known: figures by hand and scikit-learn."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image as Pillow
from sklearn.metrics import average_precision_score, roc_auc_score

from datasets.dx import MadeUpPatient, wrap_as_dx
from models.package.new import Declared, make_package
from tests.e2e.house import environment

LEVELS = {  # brightness of each image, and whether it has each finding; None: not known
    "a.png": (40, 0, 1),
    "b.png": (80, 0, None),
    "c.PNG": (120, 0, 0),
    "d.jpg": (160, 0, 0),
    "deep/e.JPEG": (100, 1, 1),
    "deep/f.dcm": (140, 1, 1),
    "deep/g.dcm": (180, 1, 0),
    "h.png": (220, 1, None),
}
GAIN = 8.0


def probability(level: float, sign: float = 1.0) -> float:
    """What the network says of a grey image: sigmoid(8 * (brightness - 0.5)), of edema that of the negative."""
    return float(1 / (1 + np.exp(-sign * GAIN * (level / 255 - 0.5))))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scores: GAIN times the mean of the image less a half, and its negative. Channels last, as Keras exports."""
    folder = tmp_path_factory.mktemp("network")
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "w"], ["scores"]),
        helper.make_node("Add", ["scores", "b"], ["y"]),
    ]
    constants = {
        "axes": np.array([1, 2]),
        "w": np.array([[GAIN, -GAIN]], np.float32),
        "b": np.array([-GAIN / 2, GAIN / 2], np.float32),
    }
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32, 32, 1])
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [image], [scores], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "m.onnx")
    declared = Declared(name="grey", findings=("effusion", "edema"), activation="sigmoid", range=(0.0, 1.0))
    make_package(folder / "m.onnx", folder / "grey", declared)
    return folder / "grey"


def image(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((300, 300), level, np.uint8)
    if path.suffix == ".dcm":
        patient = MadeUpPatient(patient_id=path.name, patient_name="A^B", patient_sex="F", patient_age_years=50)
        sixteen = pixels.astype(np.uint16) * 257
        wrap_as_dx(sixteen, name=path.name, patient=patient, photometric_interpretation="MONOCHROME1").save_as(
            path, enforce_file_format=True
        )
    else:
        Pillow.fromarray(pixels).save(path)


def labelled(folder: Path) -> Path:
    """The images and a CSV of them, as pandas writes it with an index."""
    lines = ["n,file,truth_effusion,truth_edema,patient_id,age,sex,view"]
    for number, (name, (level, effusion, edema)) in enumerate(LEVELS.items()):
        image(folder / name, level)
        known = "" if edema is None else edema
        lines.append(f"{number},{name},{effusion},{known},P{number},{40 + number},{'FM'[number % 2]},PA")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return folder / "labels.csv"


def evaluate(package: Path, data: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api", "evaluate", package, "--data", data, "--out", out, "--no-control", *more]
    return subprocess.run(
        list(map(str, command)), env=environment(), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("whole_folder", [False, True])
def test_figures_are_those_of_the_known_network(tmp_path: Path, package: Path, *, whole_folder: bool) -> None:
    path, out = labelled(tmp_path / "set"), tmp_path / "out"
    answer = evaluate(package, path.parent if whole_folder else path, out)
    assert answer.returncode == 0, answer.stderr
    rows = {row["study_id"]: row for row in csv.DictReader((out / "predictions.csv").open(encoding="utf-8"))}
    for name, (level, effusion, edema) in LEVELS.items():
        assert float(rows[name]["prob_effusion"]) == pytest.approx(probability(level), abs=5e-5), name
        assert float(rows[name]["prob_edema"]) == pytest.approx(probability(level, -1), abs=5e-5), name
        assert (rows[name]["truth_effusion"], rows[name]["truth_edema"]) == (
            str(effusion),
            str(edema or 0) * (edema is not None),
        )
    figures = json.loads((out / "evaluation.json").read_text())["findings"]
    for finding, place, sign in (("effusion", 1, 1.0), ("edema", 2, -1.0)):
        known = [level for level in LEVELS.values() if level[place] is not None]
        truth, said = [level[place] for level in known], [probability(level[0], sign) for level in known]
        found = figures[finding]["test_512"]["all"]
        assert (found["positives"], found["negatives"]) == (truth.count(1), truth.count(0))
        assert found["auroc"][0] == pytest.approx(roc_auc_score(truth, said), abs=1e-4)
        assert found["average_precision"] == pytest.approx(average_precision_score(truth, said), abs=1e-4)
    # by hand: of e, f, g, h all but e are above 127.5; of a, b, c, d only d is
    assert (
        figures["effusion"]["test_512"]["all"]["sensitivity"][0]
        == figures["effusion"]["test_512"]["all"]["specificity"][0]
        == 0.75
    )
    # edema is flagged below 127.5: of a, e, f all but f, of c, d, g only c
    assert figures["edema"]["test_512"]["all"]["sensitivity"][0] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["edema"]["test_512"]["all"]["specificity"][0] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["effusion"]["words"] == "effusion"  # and not that of labels that somebody mined


def test_a_folder_for_each_finding_says_the_same_of_it(tmp_path: Path, package: Path) -> None:
    for name, (level, effusion, _) in LEVELS.items():
        image(tmp_path / "set" / ("Effusion" if effusion else "Normal") / name, level)
    answer = evaluate(package, tmp_path / "set", tmp_path / "out")
    assert answer.returncode == 0, answer.stderr
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    found = figures["findings"]["effusion"]["test_512"]["all"]
    assert (found["positives"], found["negatives"], found["sensitivity"][0]) == (4, 4, 0.75)
    assert figures["not_labelled"] == ["edema"]


def test_names_are_checked_before_an_image_is_read(tmp_path: Path, package: Path) -> None:
    path = labelled(tmp_path / "set")
    (path.parent / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing more")  # reading it would be another error
    path.write_text(path.read_text().replace("truth_effusion", "truth_mass").replace("truth_edema", "truth_nodule"))
    answer = evaluate(package, path, tmp_path / "out")
    assert answer.returncode != 0
    assert "grey says effusion, edema, and the data labels mass, nodule" in answer.stderr
    assert not (tmp_path / "out").exists()


def test_a_damaged_image_is_named(tmp_path: Path, package: Path) -> None:
    path = labelled(tmp_path / "set")
    (path.parent / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing more")
    answer = evaluate(package, path, tmp_path / "out")
    assert answer.returncode != 0
    assert "b.png cannot be evaluated: the picture is damaged" in answer.stderr


def test_figures_of_own_images_are_not_put_into_the_package(tmp_path: Path, package: Path) -> None:
    answer = evaluate(package, labelled(tmp_path / "set"), tmp_path / "out", "--update")
    assert answer.returncode != 0
    assert (
        "on images of your own, leave out --update: the card of a package has figures of the known sets"
        in answer.stderr
    )


def test_a_picture_is_read_by_a_package_as_it_was_made(tmp_path: Path, package: Path) -> None:
    image(tmp_path / "h.png", 220)
    command = [sys.executable, "-m", "api", "analyze", "h.png", "--out", "out", "--objects", "sr"]
    environs = environment() | {"CANDOR_MODELS_DIR": str(tmp_path / "nowhere")}
    for more, words in ((["--model", str(package)], ""), ([], "names no folder with a package")):
        answer = subprocess.run(
            command + more, cwd=tmp_path, env=environs, capture_output=True, text=True, timeout=120, check=False
        )
        assert answer.returncode == 0, answer.stderr
        assert words in answer.stderr
        if more:
            assert "h.png: reported; flagged: effusion" in answer.stdout
            [study] = json.loads((tmp_path / "out" / "results.json").read_text())["studies"]
            found = {finding["name"]: finding["probability"] for finding in study["findings"]}
            assert found["effusion"] == pytest.approx(probability(220), abs=5e-5)
            assert not study["findings"][0]["operating_point"]["measured"]
