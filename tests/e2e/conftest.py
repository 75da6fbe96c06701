"""Fixtures: a house with the known model, and a stand-in PACS that takes what it sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.archive import Archive
from tests.e2e.house import House, destination
from tests.known_model import make_known_model
from tests.ports import free_port


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """A stand-in PACS, running."""
    archive = Archive(tmp_path / "archive", ae_title="PACS", port=free_port())
    archive.start()
    yield archive
    archive.stop()


@pytest.fixture
def house(tmp_path: Path, archive: Archive) -> Iterator[House]:
    """A data folder with the known model and the archive as destination; nothing runs yet."""
    folder = tmp_path / "house"
    folder.mkdir()
    package = make_known_model(folder / "packages")
    lines = (
        "quiet_seconds = 0.5",
        "delivery_backoff_seconds = 0.2",
        "delivery_maximum_backoff_seconds = 1.0",
    )
    house = House(folder, lines=lines, destinations=(destination("ARCHIVE", archive.port),), packages=(package,))
    house.make()
    yield house
    house.kill_tree()
