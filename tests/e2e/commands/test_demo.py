"""`candor demo`: the shipped studies end to end, and a demo that breaks its promise does not say that all is well."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread

from api.demo.outcome import said_by
from tests.e2e.house import environment
from tests.e2e.reports import GSPS, SC, SEG, SR
from tests.e2e.studies import PATCH, radiograph
from tests.known_model import make_known_model

DRIVER = """
import sys
from pathlib import Path
from api.demo.demo import run_demo
from datasets.demo.studies import DemoStudy, PlantedRegion
folder = Path(sys.argv[1])
packages = [folder / "models" / "bright_patch"]
sys.exit(run_demo(keep=False, output=folder / "demo-output", studies=[{studies}], packages=packages))
"""


OF_A_CONTAINER = {
    "CANDOR_DATA": "/nowhere/data",
    "CANDOR_KEY_FILE": "/nowhere/candor.key",
    "CANDOR_HOST": "192.0.2.1",
    "CANDOR_PLAIN_LISTENER": "false",
}
"""What an installation sets for itself, and a demo on the same machine must not take over."""


def run(command, folder, *, settings=OF_A_CONTAINER):
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**environment(), **settings},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def plain(text):
    return re.sub(r"\s+", " ", text)


def test_the_shipped_demo_keeps_its_promises_and_leaves_everything_to_look_at(tmp_path):
    answer = run(["-m", "api", "demo", "--keep"], tmp_path)
    output = tmp_path / "demo-output"
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "All as promised" in answer.stdout
    for words in ("What the reports say", "Seconds per hop", "UNVERIFIED", "lung_opacity", "hand: refused, because"):
        assert words in plain(answer.stdout)
    classes = {str(dcmread(path).SOPClassUID) for path in (output / "pacs").glob("*.dcm")}
    assert classes == {SR, SC, GSPS, SEG}
    overlays = list((output / "overlays").glob("*.png"))
    assert overlays
    assert all(Image.open(path).mode == "RGB" for path in overlays)
    status = run(["-m", "api", "status", "--json", "--data", str(output / "data")], tmp_path, settings={})
    assert json.loads(status.stdout)["studies"]["refused"] == 1
    assert "Traceback" not in (output / "log.jsonl").read_text()


@pytest.fixture(scope="module")
def broken_promises(tmp_path_factory):
    """The known model on studies whose promises are right, or wrong in the finding, the place or the end."""
    folder = tmp_path_factory.mktemp("demo")
    make_known_model(folder / "models")
    top, bottom, left, right = PATCH
    here = f'PlantedRegion(finding="bright_patch", left={left}, top={top}, width={right - left}, height={bottom - top})'
    elsewhere = 'PlantedRegion(finding="bright_patch", left=200, top=200, width=40, height=40)'
    studies = {
        "right": (True, f'status="reported", positive=("bright_patch",), region={here}'),
        "finding": (False, 'status="reported", positive=("bright_patch",)'),
        "place": (True, f'status="reported", positive=("bright_patch",), region={elsewhere}'),
        "end": (True, 'status="refused"'),
        "silent": (True, 'status="reported", positive=("nodule",)'),
    }
    written = [write(folder, number, name, *study) for number, (name, study) in enumerate(studies.items())]
    return folder, run(["-c", DRIVER.format(studies=", ".join(written)), str(folder)], folder)


def write(folder, number, name, bright, promise):
    image = radiograph(number, bright=bright)
    path = folder / f"{name}.dcm"
    path.write_bytes(image.part10)
    return f"DemoStudy(path=Path({str(path)!r}), study_instance_uid={image.study_instance_uid!r}, {promise})"


def test_each_broken_promise_is_named_and_the_demo_fails(broken_promises):
    _, answer = broken_promises
    assert answer.returncode == 1, answer.stdout + answer.stderr
    printed = plain(answer.stdout)
    assert "finding: bright_patch is below its operating point" in printed
    assert "place: the map of bright_patch has its peak outside" in printed
    assert "end: ended reported, promised was refused" in printed
    assert "silent: the report does not speak of nodule" in printed
    assert "not as promised right" not in printed
    assert "All as promised" not in printed


def test_the_demo_says_no_name_and_logs_none(broken_promises):
    folder, answer = broken_promises
    log = (folder / "demo-output" / "log.jsonl").read_text()
    assert "report.delivered" in log
    assert "canary" not in (answer.stdout + answer.stderr + log).lower()


def test_without_keep_no_patient_data_stays_but_what_came_back(broken_promises):
    folder, _ = broken_promises
    left = {path.name for path in Path(folder / "demo-output").iterdir()}
    assert left == {"pacs", "overlays", "log.jsonl"}


def test_what_a_report_says_is_read_from_its_words():
    text = """Imaging Measurement Report (COMPLETE)
      Finding: Nodule (lung) (27925004, SCT)
      Result: Not flagged (NOT_FLAGGED, 99CANDOR)
      Finding: Opacity (125112009, SCT)
      Result: Flagged (FLAGGED, 99CANDOR)"""
    assert said_by(text) == {"Nodule (lung)": False, "Opacity": True}
