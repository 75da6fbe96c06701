"""Real peers and real files: every transfer syntax is taken, and what is kept is what was sent."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)
from pynetdicom.ae import ApplicationEntity

from dicom_node.header.part10 import IMPLEMENTATION_CLASS_UID, file_header, layout_of
from dicom_node.header.read import read_header
from dicom_node.intake import MemoryIntake
from dicom_node.pixels.frames import read_frame
from dicom_node.receive import Node, NodeSettings
from dicom_node.send import open_association
from dicom_node.sop_classes import COMPRESSED, RESULT_SOP_CLASSES, STORAGE_SOP_CLASSES, UNCOMPRESSED
from tests.contract.dicom_peers import (
    DX,
    SHARED_DICOM,
    association,
    dx_dataset,
    encoded,
    part10,
    store_bytes,
    to_node,
)

REAL_FILES = sorted(SHARED_DICOM.glob("*.dcm"))
real_files = pytest.mark.skipif(not REAL_FILES, reason="no DICOM files next to the repository (../shared/data/dicom)")


def dcmtk(name: str) -> str:
    """DCMTK's program, never pynetdicom's of the same name; skips when it is not installed."""
    path = f"/usr/bin/{name}"
    if not Path(path).exists():
        pytest.skip(f"DCMTK's {name} is not installed")
    return path


@pytest.fixture
def intake() -> MemoryIntake:
    return MemoryIntake()


@pytest.fixture
def node(intake: MemoryIntake) -> Iterator[Node]:
    with Node(NodeSettings(), intake) as running:
        yield running


def data_set_of(file: bytes) -> bytes:
    return file[layout_of(file).data_set_start :]


@real_files
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.stem)
def test_every_real_file_is_kept_byte_for_byte(node: Node, intake: MemoryIntake, path: Path) -> None:
    data = path.read_bytes()
    header = read_header(data)
    syntax = header.file_meta.TransferSyntaxUID
    with open_association(to_node(node), [header.SOPClassUID], more_transfer_syntaxes=[syntax]) as sender:
        assert sender.send(data).status == 0
    kept = intake.kept[header.SOPInstanceUID]
    assert data_set_of(kept.part10) == data_set_of(data)
    meta = dcmread(io.BytesIO(kept.part10), stop_before_pixels=True).file_meta
    assert (meta.TransferSyntaxUID, meta.ImplementationClassUID) == (syntax, IMPLEMENTATION_CLASS_UID)
    assert kept.instance.size_bytes == len(kept.part10)
    assert kept.carries_image


@real_files
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.stem)
def test_dcmtk_storescu_is_answered_success(node: Node, intake: MemoryIntake, path: Path) -> None:
    proposal = _dcmtk_proposal(str(read_header(path).file_meta.TransferSyntaxUID))
    if proposal is None:
        pytest.skip("this DCMTK cannot propose the file's transfer syntax")
    command = [dcmtk("storescu"), "-v", "-aec", "CANDOR", *proposal, "127.0.0.1", str(node.port), str(path)]
    done = _run(command)
    assert done.returncode == 0, done.stdout
    assert "Success" in done.stdout
    (kept,) = intake.kept.values()
    sent, stored = (read_frame(data, 0).stored for data in (path.read_bytes(), kept.part10))
    assert (sent == stored).all()  # DCMTK rewrites lengths and drops padding, never the pixels


_PROPOSALS = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


def _dcmtk_proposal(syntax: str) -> list[str] | None:
    option = _PROPOSALS.get(syntax)
    return [option] if option else None


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TCP_NODELAY": "1"}
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )


def test_dcmtk_echoscu_is_answered(node: Node) -> None:
    done = _run([dcmtk("echoscu"), "-aec", "CANDOR", "127.0.0.1", str(node.port)])
    assert done.returncode == 0, done.stdout


def test_dcmtk_hears_when_the_called_ae_title_is_wrong(node: Node) -> None:
    done = _run([dcmtk("echoscu"), "-aec", "WRONG", "127.0.0.1", str(node.port)])
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stdout


def test_four_dcmtk_senders_at_once(node: Node, intake: MemoryIntake, tmp_path: Path) -> None:
    program = dcmtk("storescu")
    uids = set()
    for sender in range(4):
        folder = tmp_path / str(sender)
        folder.mkdir()
        for number in range(5):
            ds = dx_dataset()
            uids.add(str(ds.SOPInstanceUID))
            (folder / f"{number}.dcm").write_bytes(part10(ds))
    running = [
        subprocess.Popen([program, "-aec", "CANDOR", "+sd", "127.0.0.1", str(node.port), str(tmp_path / str(sender))])
        for sender in range(4)
    ]
    assert [process.wait(60) for process in running] == [0] * 4
    assert set(intake.kept) == uids


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.keyword)
def test_native_syntaxes_are_kept_as_they_came(node: Node, intake: MemoryIntake, syntax: str) -> None:
    ds = dx_dataset()
    data = encoded(ds, syntax)
    with association(node, syntax=syntax) as opened:
        assert store_bytes(opened, data, sop_instance=str(ds.SOPInstanceUID)) == (0, "")
    kept = intake.kept[str(ds.SOPInstanceUID)]
    assert (data_set_of(kept.part10), kept.instance.transfer_syntax_uid) == (data, syntax)
    assert (kept.instance.rows, kept.instance.columns, kept.patient.patient_id) == (8, 6, "ID-CANARY")


def test_every_class_and_syntax_is_negotiated(node: Node) -> None:
    classes = sorted(STORAGE_SOP_CLASSES)
    assert set(RESULT_SOP_CLASSES) <= STORAGE_SOP_CLASSES
    for syntax in (*UNCOMPRESSED, *COMPRESSED):
        ae = ApplicationEntity("TESTER")
        for sop_class in classes:
            ae.add_requested_context(sop_class, syntax)
        opened = ae.associate("127.0.0.1", node.port, ae_title="CANDOR")
        assert {c.abstract_syntax for c in opened.accepted_contexts} == set(classes), syntax
        opened.release()


def test_deflated_is_refused(node: Node) -> None:
    ae = ApplicationEntity("TESTER")
    ae.add_requested_context(DX, DeflatedExplicitVRLittleEndian)
    opened = ae.associate("127.0.0.1", node.port, ae_title="CANDOR")
    assert not opened.is_established or not opened.accepted_contexts
    opened.abort()


def test_a_sender_of_compressed_images_keeps_its_first_choice(node: Node) -> None:
    ae = ApplicationEntity("TESTER")
    ae.add_requested_context(DX, [JPEGBaseline8Bit, ImplicitVRLittleEndian, ExplicitVRLittleEndian])
    opened = ae.associate("127.0.0.1", node.port, ae_title="CANDOR")
    assert opened.accepted_contexts[0].transfer_syntax == [JPEGBaseline8Bit]
    opened.release()
    ae.requested_contexts = []
    ae.add_requested_context(DX, [ImplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian])
    opened = ae.associate("127.0.0.1", node.port, ae_title="CANDOR")
    assert opened.accepted_contexts[0].transfer_syntax == [ExplicitVRLittleEndian]  # no VR is lost
    opened.release()


def test_the_number_of_instances_of_the_study_is_read(node: Node, intake: MemoryIntake) -> None:
    ds = dx_dataset(NumberOfStudyRelatedInstances="3")
    with open_association(to_node(node), [DX]) as sender:
        sender.send(part10(ds))
    kept = intake.kept[str(ds.SOPInstanceUID)]
    assert (kept.expected_instances, kept.accession_number, kept.calling_ae_title) == (3, "ACC-CANARY", "TESTER")
    assert kept.study_date is not None
    assert kept.association_id in intake.opened


def test_our_implementation_is_one_and_the_same() -> None:
    from dicom_node.encode.uids import IMPLEMENTATION_CLASS_UID as OF_RESULTS

    assert IMPLEMENTATION_CLASS_UID == OF_RESULTS
    assert file_header(DX, "2.25.1", ExplicitVRLittleEndian) == file_header(DX, "2.25.1", ExplicitVRLittleEndian)


@pytest.mark.skipif(shutil.which("dcmdump", path="/usr/bin") is None, reason="DCMTK's dcmdump is not installed")
def test_what_is_kept_is_a_file_that_dcmtk_reads(node: Node, intake: MemoryIntake, tmp_path: Path) -> None:
    ds = dx_dataset()
    with open_association(to_node(node), [DX]) as sender:
        sender.send(part10(ds))
    (tmp_path / "kept.dcm").write_bytes(intake.kept[str(ds.SOPInstanceUID)].part10)
    assert _run(["/usr/bin/dcmftest", str(tmp_path / "kept.dcm")]).stdout.startswith("yes")
