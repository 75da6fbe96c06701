"""The node on the real, encrypted store: what comes over the socket, and what it becomes there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain import ObjectKind
from core.settings import Settings
from core.store.keys import SiteKey
from core.store.store import Store, open_store
from dicom_node.encode import encode
from dicom_node.part10 import layout_of
from dicom_node.read import read_header, to_instance
from dicom_node.receive import Node, NodeSettings
from dicom_node.send import open_association
from pipeline.intake import StoreIntake
from tests.contract.dicom_peers import dx_dataset, part10, to_node
from tests.contract.encode_cases import IMAGE_UID, cases

NO_WAIT = {"quiet_seconds": 0.0, "maximum_wait_seconds": 0.0}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    settings = Settings(data_dir=tmp_path / "data", minimum_free_bytes=0)
    settings.data_dir.mkdir()
    SiteKey.create(settings.site_key_file)
    opened = open_store(settings)
    yield opened
    opened.close()


@pytest.fixture
def node(store: Store) -> Iterator[Node]:
    with Node(NodeSettings(), StoreIntake(store, node="node")) as running:
        yield running


def send(node: Node, *objects: bytes) -> list[int]:
    classes = {to_instance(read_header(data)).sop_class_uid for data in objects}
    syntaxes = {layout_of(data).transfer_syntax_uid for data in objects}
    with open_association(to_node(node), classes, more_transfer_syntaxes=syntaxes) as sender:
        return [sender.send(data).status for data in objects]


def due(store: Store) -> int:
    return len(store.studies.due(**NO_WAIT))


def test_the_results_of_another_candor_are_filed_and_open_nothing(node: Node, store: Store) -> None:
    case = next(case for case in cases() if case.name == "positive")
    results = encode(case.report, {IMAGE_UID: case.source}, {IMAGE_UID: case.image}, list(ObjectKind))
    assert {result.kind for result in results} == set(ObjectKind)
    assert send(node, *(result.data for result in results)) == [0] * len(results)
    assert due(store) == 0


def test_an_image_of_any_other_maker_is_read(node: Node, store: Store) -> None:
    objects = (dx_dataset(Manufacturer="Candor"), dx_dataset(ManufacturerModelName="Candor"), dx_dataset())
    for number, ds in enumerate(objects):
        ds.StudyInstanceUID = f"2.25.{2000 + number}"
        send(node, part10(ds))
    assert due(store) == len(objects)
