"""What a model does not look for is said by its maker, or worked out from what it has findings for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.package.format import load_package
from models.registry import ZOO
from tests.known_model import make_known_model

CHEST = ("pneumothorax", "nodule", "mass", "fracture", "free air", "lines and tubes")


def package_with(folder: Path, **changes: Any) -> Any:
    """The known model with other entries in candor.json; `named`: the code meaning of its finding."""
    path = make_known_model(folder) / "candor.json"
    description = json.loads(path.read_text())
    if named := changes.pop("named", ""):
        description["findings"][0]["code"]["meaning"] = named
    if part := changes.pop("part", ""):
        description["accepts"]["body_parts"] = [part]
    if code := changes.pop("code", None):
        description["findings"][0]["code"] |= code
    if "general" in changes:
        description["findings"][0]["general"] = changes.pop("general")
    path.write_text(json.dumps(description | changes))
    return load_package(path.parent)


def test_the_shipped_model_names_what_readers_expect_and_it_has_no_finding_for() -> None:
    model = load_package(ZOO / "chest_radiograph").model
    assert model.not_looked_for == CHEST
    assert model.body_part == "CHEST"
    assert "Patients younger than 18 years." in model.not_for


@pytest.mark.parametrize(
    ("named", "looked_for"),
    [
        ("Pneumothorax", "pneumothorax"),
        ("Pulmonary nodule", "nodule"),
        ("Mass of lung", "mass"),
        ("Rib fracture", "fracture"),
        ("Pneumoperitoneum", "free air"),
        ("Tracheostomy tube", "lines and tubes"),
    ],
)
def test_what_a_model_has_a_finding_for_is_not_among_it(named: str, looked_for: str, tmp_path: Path) -> None:
    model = package_with(tmp_path, named=named, part="CHEST").model
    assert model.not_looked_for == tuple(words for words in CHEST if words != looked_for)


def test_the_maker_has_the_word(tmp_path: Path) -> None:
    assert package_with(tmp_path, not_looked_for=["scoliosis"]).model.not_looked_for == ("scoliosis",)


def test_of_another_body_part_nothing_is_known(tmp_path: Path) -> None:
    assert package_with(tmp_path, part="KNEE").model.not_looked_for == ()


@pytest.mark.parametrize(
    ("changes", "general"),
    [
        ({}, False),
        ({"general": True}, True),
        ({"code": {"value": "408574004", "scheme": "SCT", "meaning": "Imaging result abnormal"}}, True),
        ({"code": {"value": "408574004", "scheme": "SCT", "meaning": "x"}, "general": False}, False),
        ({"code": {"value": "408574004", "scheme": "99X", "meaning": "another scheme"}}, False),
    ],
)
def test_which_finding_speaks_of_the_whole_image(changes: dict[str, Any], general: bool, tmp_path: Path) -> None:
    (finding, *_) = package_with(tmp_path, **changes).model.findings
    assert finding.is_general is general
