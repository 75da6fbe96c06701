"""Fixtures: a house with the known model, and a stand-in PACS that takes what it sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.archive import Archive
from tests.e2e.house import House, known_house, running_archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """A stand-in PACS, running."""
    with running_archive(tmp_path) as running:
        yield running


@pytest.fixture
def house(tmp_path: Path, archive: Archive) -> Iterator[House]:
    """A data folder with the known model and the archive as destination; nothing runs yet."""
    with known_house(tmp_path, archive) as made:
        yield made
