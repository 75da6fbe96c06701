"""The packages that ship with Candor, pinned by hash in a file that is part of the code (`models/shipped.json`)."""

from __future__ import annotations

import json
from pathlib import Path

from core.errors import IntegrityError
from models.package.contents import files_of

ZOO = Path(__file__).parents[1] / "zoo"
PINS = Path(__file__).parents[1] / "shipped.json"


def pinned_files(name: str) -> dict[str, str]:
    """SHA-256 of every file of the shipped package `name`, by path; IntegrityError when it is not pinned."""
    pins = json.loads(PINS.read_text(encoding="utf-8"))
    if name not in pins:
        raise IntegrityError(f"{name} is among the shipped models, but Candor does not ship it; install Candor again")
    return dict(pins[name])


def pin(folder: Path) -> None:
    """Say that the shipped package in `folder` is now what it is: for those who make it, after every change."""
    if folder.resolve().parent != ZOO.resolve():
        raise IntegrityError(f"{folder.name} does not lie among the shipped models ({ZOO}); register it instead")
    pins = json.loads(PINS.read_text(encoding="utf-8")) if PINS.exists() else {}
    pins[folder.resolve().name] = files_of(folder)
    PINS.write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n", encoding="utf-8")
