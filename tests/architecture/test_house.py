"""The house keeps its own rules: names, rooms, and checks that really catch something."""

import dataclasses
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.datadict import tag_for_keyword

from core.domain.study import Instance, Patient, Study

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "models", "dicom_node", "inference", "explain", "fairness", "ehr", "pipeline", "api", "datasets")

MIRRORS = (Patient, Instance, Study)
OURS = {
    # fields of the mirroring nouns that are our own words
    *("study_id", "revision", "patient", "series", "calling_ae_title"),
    *("flags", "object_key", "size_bytes", "patient_age_years", "acquired_at"),
}
KEYWORDS = {"sop_instance_uid": "SOPInstanceUID", "sop_class_uid": "SOPClassUID", "kvp": "KVP"}


def keyword_of(field: str) -> str:
    if field in KEYWORDS:
        return KEYWORDS[field]
    words = [word.upper() if word in ("uid", "id") else word.capitalize() for word in field.split("_")]
    return "".join(words)


@pytest.mark.parametrize("noun", MIRRORS)
def test_a_field_that_mirrors_an_element_bears_its_keyword(noun):
    fields = [field.name for field in dataclasses.fields(noun) if field.name not in OURS]
    unknown = [name for name in fields if tag_for_keyword(keyword_of(name)) is None]
    assert unknown == []


def test_identity_does_not_show_in_repr():
    patient = Patient(patient_id="CANARY1", patient_name="CANARY^2")
    assert "CANARY" not in repr(patient)


def test_no_other_distribution_owns_our_rooms():
    owners = importlib.metadata.packages_distributions()
    unrelated = {room: owners[room] for room in ROOMS if set(owners.get(room, ["candor"])) != {"candor"}}
    assert unrelated == {}


def test_starting_the_node_loads_no_model_library():
    code = (
        "import sys, pipeline.intake, dicom_node.receive\n"
        "heavy = {'torch', 'monai', 'onnxruntime', 'highdicom', 'dbos'} & set(sys.modules)\n"
        "sys.exit(f'the node loads {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


FAULTS = {
    "ruff": (["ruff", "check", "core"], "core/planted.py", '"""."""\nimport os\n'),
    "ruff-format": (["ruff", "format", "--check", "core"], "core/planted.py", '"""."""\nx = { 1:2 }\n'),
    "mypy": (["mypy", "core/planted.py"], "core/planted.py", '"""."""\n\ndef f(x: int) -> str:\n    return x\n'),
    "import-linter": (["lint-imports"], "core/planted.py", '"""."""\n\nimport api\n'),
    "deptry": (["deptry", "."], "core/planted.py", '"""."""\n\nimport pandas\n'),
    "vulture": (["vulture"], "core/planted.py", '"""."""\n\n\ndef nobody_calls_this() -> None:\n    """."""\n'),
    "codespell": (["codespell", "core"], "core/planted.py", '"""Rec' + 'ieve."""\n'),
}


@pytest.fixture(scope="module")
def copied_house(tmp_path_factory):
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("the house is copied with git, and this is no checkout")
    copy = tmp_path_factory.mktemp("house") / "candor"
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        if re.search(r"\.(py|toml|ini|cfg)$", name) and (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.mark.parametrize("check", FAULTS)
def test_each_check_catches_a_planted_fault(check, copied_house):
    command, name, text = FAULTS[check]
    tool = str(Path(sys.executable).with_name(command[0]))
    if not Path(tool).exists():
        pytest.skip(f"{command[0]} is not installed; make test installs it")
    planted = copied_house / name
    planted.write_text(text)
    try:
        done = subprocess.run([tool, *command[1:]], cwd=copied_house, capture_output=True, text=True, check=False)
    finally:
        planted.unlink()
    assert done.returncode != 0, f"{check} did not see the fault"
    assert "planted" in done.stdout + done.stderr
