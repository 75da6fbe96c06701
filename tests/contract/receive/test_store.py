"""The node on the real, encrypted store: what comes over the socket, and what it becomes there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.datadict import tag_for_keyword

from core.domain.report import ObjectKind
from core.domain.study import Study
from core.settings import Settings
from core.store.keys import SiteKey
from core.store.store import Store, open_store
from dicom_node.encode import encode
from dicom_node.header.elements import LONG_VRS, Encoding, top_level_elements
from dicom_node.header.part10 import layout_of
from dicom_node.header.read import read_header, to_instance
from dicom_node.receive import Node, NodeSettings
from dicom_node.send import open_association
from pipeline.intake import StoreIntake
from tests.contract.dicom_peers import dx_dataset, explicit, part10, to_node
from tests.contract.encode.cases import IMAGE_UID, cases

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


def assembled(store: Store, study_instance_uid: str) -> Study:
    revision = store.studies.assemble(store.study_id_of(study_instance_uid))
    assert revision is not None
    return store.studies.load(revision)


def due(store: Store) -> int:
    return len(store.studies.due(**NO_WAIT))


def test_the_results_of_another_candor_are_filed_and_open_nothing(node: Node, store: Store) -> None:
    case = next(case for case in cases() if case.name == "positive")
    results = encode(case.report, {IMAGE_UID: case.source}, {IMAGE_UID: case.image}, list(ObjectKind))
    assert {result.kind for result in results} == set(ObjectKind) - {
        ObjectKind.PMAP,  # a radiograph has none
        ObjectKind.REJECTION_NOTE,  # there is nothing to reject
    }
    assert send(node, *(result.data for result in results)) == [0] * len(results)
    assert due(store) == 0


def test_an_image_of_any_other_maker_is_read(node: Node, store: Store) -> None:
    objects = (dx_dataset(Manufacturer="Candor"), dx_dataset(ManufacturerModelName="Candor"), dx_dataset())
    for number, ds in enumerate(objects):
        ds.StudyInstanceUID = f"2.25.{2000 + number}"
        send(node, part10(ds))
    assert due(store) == len(objects)


def test_values_that_a_database_would_refuse_are_cut_and_flagged(node: Node, store: Store) -> None:
    ds = dx_dataset()
    raw = part10(ds)
    for keyword, (vr, value) in {
        "AccessionNumber": (b"SH", b"A" * 5000),
        "PatientID": (b"LO", b"ID\0CANARY "),
        "PatientName": (b"PN", b"Canary^" + b"N" * 9000 + b" "),
        "Modality": (b"CS", b"DX\0\0"),
        "IssuerOfPatientID": (b"LO", b"I" * 100),
        "KVP": (b"DS", b"1e999 "),
        "NumberOfStudyRelatedInstances": (b"IS", b"99999999999 "),
    }.items():
        raw = with_raw(raw, keyword, vr, value)
    assert send(node, raw) == [0]
    study = assembled(store, str(ds.StudyInstanceUID))
    assert study.accession_number == "A" * 64
    assert (study.patient.patient_id, study.patient.issuer_of_patient_id) == ("ID", "I" * 64)
    assert len(study.patient.patient_name) == 324
    instance = study.series[0].instances[0]
    assert (instance.modality, instance.kvp) == ("DX", None)
    assert set(instance.header_flags) == {
        "AccessionNumber is not a valid SH",
        "PatientID is not a valid LO",
        "PatientName is not a valid PN",
        "IssuerOfPatientID is not a valid LO",
        "KVP is not a valid DS",
        "NumberOfStudyRelatedInstances is not a valid IS",
    }


def test_a_uid_is_never_cut_into_a_valid_one(node: Node) -> None:
    raw = part10(dx_dataset())
    for value in (b"1." + b"2" * 70, b"1.2.3\0evil "):
        assert send(node, with_raw(raw, "StudyInstanceUID", b"UI", value)) == [0xA900]


def test_many_values_are_not_all_kept(node: Node, store: Store) -> None:
    ds = dx_dataset()
    send(node, with_raw(part10(ds), "ImageType", b"CS", b"\\".join([b"ORIGINAL"] * 5000) + b" "))
    study = assembled(store, str(ds.StudyInstanceUID))
    instance = study.series[0].instances[0]
    assert instance.image_type == ("ORIGINAL",) * 100
    assert instance.header_flags == ("ImageType is not a valid CS",)


def with_raw(data: bytes, keyword: str, vr: bytes, value: bytes) -> bytes:
    """The file with one element of its data set replaced by these very bytes."""
    tag, start = tag_for_keyword(keyword), layout_of(data).data_set_start
    assert tag is not None
    heads = list(top_level_elements(data, Encoding(explicit=True, little=True), start=start))
    starts = [head.start - (12 if head.vr in LONG_VRS else 8) for head in heads] + [len(data)]
    at = next(number for number, head in enumerate(heads) if head.tag >= tag)
    after = at + 1 if heads[at].tag == tag else at
    return data[: starts[at]] + explicit(tag >> 16, tag & 0xFFFF, vr, value) + data[starts[after] :]
