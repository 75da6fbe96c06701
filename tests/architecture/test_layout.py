"""Rooms inside the rooms: folders that can be taken in at a glance, and unit tests that mirror the house."""

import tomllib
from collections import Counter

from tests.architecture.sources import ROOMS, ROOT, files, place

MOST_FILES = 13


def test_no_folder_holds_more_files_than_can_be_taken_in_at_a_glance():
    counts = Counter(place(path.parent) for path in files(".py"))
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_the_unit_tests_mirror_the_house():
    rooms = {path.parent.relative_to(ROOT / "tests" / "unit") for path in files(".py", tops=("tests/unit",))}
    assert [str(room) for room in rooms if room.name and not (ROOT / room / "__init__.py").exists()] == []


def test_every_folder_with_code_is_a_room_that_the_contracts_know():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    code = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert code == set(ROOMS) == set(config["importlinter"]["root_packages"])


def test_every_room_with_modules_has_its_layers():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    layered = {
        container
        for contract in config["importlinter"]["contracts"]
        if contract.get("exhaustive")
        for container in contract["containers"]
    }
    filled = {room for room in ROOMS if len(files(".py", tops=(room,))) > 1}
    assert filled - layered == set()
