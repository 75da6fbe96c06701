"""Sending: to the stand-in archive, to DCMTK's storescp, and to peers that are away or say no."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from core.errors import InvalidStudy, Unavailable
from dicom_node.archive import Archive
from dicom_node.commitment import CommitmentRequester
from dicom_node.header.part10 import layout_of
from dicom_node.intake import MemoryIntake
from dicom_node.network.contexts import contexts_to_propose
from dicom_node.network.peers import Destination, associate
from dicom_node.pixels.frames import read_frame
from dicom_node.receive import Node, NodeSettings
from dicom_node.send import echo, open_association
from dicom_node.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from dicom_node.status import CLASS_INSTANCE_CONFLICT, NO_SUCH_INSTANCE
from tests.contract.dicom_peers import CR, DX, dx_dataset, encoded, part10, to_node
from tests.ports import free_port


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "pacs") as running:
        yield running


class Scp:
    """A foreign SCP on pynetdicom as it comes, that answers with the status it is given."""

    def __init__(self, status: int, syntaxes: list[str]) -> None:
        self.received: list[bytes] = []
        self.ae = ApplicationEntity("FOREIGN")
        self.ae.add_supported_context(DX, syntaxes)

        def store(event: evt.Event) -> int:
            self.received.append(event.encoded_dataset(include_meta=False))
            return status

        self.server = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
        self.destination = Destination(
            name="foreign", ae_title="FOREIGN", host="127.0.0.1", port=self.server.server_address[1]
        )

    def __enter__(self) -> Scp:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()


def test_objects_arrive_in_order_over_one_association(archive: Archive) -> None:
    objects = [dx_dataset() for _ in range(5)]
    with open_association(archive.destination(), [DX]) as sender:
        results = [sender.send(part10(ds)) for ds in objects]
        assert sender.is_open
    assert [result.status for result in results] == [0] * 5
    assert [filed.instance.sop_instance_uid for filed in archive.filed] == [str(ds.SOPInstanceUID) for ds in objects]
    times = [filed.filed_at or 0 for filed in archive.filed]
    assert times == sorted(times)
    assert [dcmread(filed.path).SOPInstanceUID for filed in archive.filed] == [ds.SOPInstanceUID for ds in objects]
    assert archive.filed[0].calling_ae_title == "CANDOR"


def test_the_bytes_are_sent_as_they_are(archive: Archive) -> None:
    data = part10(dx_dataset())
    with open_association(archive.destination(), [DX]) as sender:
        sender.send(data)
    filed = archive.filed[0].path.read_bytes()
    assert filed[layout_of(filed).data_set_start :] == data[layout_of(data).data_set_start :]


def test_an_archive_counts_what_comes_twice_with_other_bytes(archive: Archive) -> None:
    first, second = dx_dataset(SOPInstanceUID="2.25.4711"), dx_dataset(SOPInstanceUID="2.25.4711", ViewPosition="AP")
    with open_association(archive.destination(), [DX]) as sender:
        assert [sender.send(part10(ds)).status for ds in (first, first)] == [0, 0]
        assert archive.conflicts == 0
        assert sender.send(part10(second)).status == 0
    assert archive.conflicts == 1
    assert [filed.instance.view_position for filed in archive.filed] == ["PA"]


def test_an_archive_comes_back_on_its_port_with_its_files(archive: Archive) -> None:
    first, second = dx_dataset(), dx_dataset()
    destination = archive.destination()
    with open_association(destination, [DX]) as sender:
        assert sender.send(part10(first)).sent
        archive.stop()
        with pytest.raises(Unavailable, match="archive"):
            sender.send(part10(second))
        assert not sender.is_open
    with pytest.raises(Unavailable, match="check that it runs"):
        echo(destination)
    archive.start()
    assert echo(destination) < 5
    with open_association(destination, [DX]) as sender:
        assert sender.send(part10(second)).sent
    again = Archive(archive.filed[0].path.parent)
    assert [f.instance.sop_instance_uid for f in again.filed] == [str(first.SOPInstanceUID), str(second.SOPInstanceUID)]


@pytest.mark.parametrize(
    ("status", "sent", "retryable"),
    [
        (0x0000, True, False),
        (0xB000, True, False),
        (0xB006, True, False),
        (0xB007, True, False),
        (0x0001, True, False),  # PS3.7 C.4: warnings
        (0x0107, True, False),
        (0x0116, True, False),
        (0xB001, True, False),
        (0xB123, True, False),
        (0xBFFF, True, False),
        (0x0111, True, False),  # PS3.7 C.5: it has the instance, so that an earlier answer was lost
        (0x0210, False, True),
        (0x0106, False, False),
        (0x0117, False, False),
        (0x0120, False, False),
        (0xA700, False, True),
        (0xA702, False, True),
        (0x0110, False, True),
        (0x0213, False, True),
        (0x0124, False, False),
        (0x0211, False, False),
        (0xA900, False, False),
        (0xC123, False, False),
        (0x0122, False, False),
    ],
)
def test_each_status_means_what_the_standard_says(status: int, *, sent: bool, retryable: bool) -> None:
    with Scp(status, [ExplicitVRLittleEndian]) as scp, open_association(scp.destination, [DX]) as sender:
        result = sender.send(part10(dx_dataset()))
    assert (result.status, result.sent, result.retryable) == (status, sent, retryable)
    assert result.message


def test_an_object_is_converted_where_only_implicit_vr_is_taken() -> None:
    ds = dx_dataset()
    with Scp(0, [ImplicitVRLittleEndian]) as scp:
        with open_association(scp.destination, [DX]) as sender:
            assert sender.send(part10(ds, ExplicitVRLittleEndian)).sent
        assert scp.received == [encoded(ds, ImplicitVRLittleEndian)]


def test_a_kind_of_object_that_was_not_accepted_is_refused_by_us() -> None:
    with Scp(0, [ExplicitVRLittleEndian]) as scp, open_association(scp.destination, [DX, CR]) as sender:
        result = sender.send(part10(dx_dataset(SOPClassUID=CR)))
        assert (result.status, result.sent, result.retryable) == (0x0122, False, False)
        assert sender.send(part10(dx_dataset())).sent  # the association is still good


def test_something_that_is_no_dicom_file_is_not_sent(archive: Archive) -> None:
    with open_association(archive.destination(), [DX]) as sender:
        with pytest.raises(InvalidStudy, match="not a DICOM file"):
            sender.send(b"hello")
        assert sender.is_open


def test_a_destination_that_is_away_is_named_with_what_to_check() -> None:
    absent = Destination(name="east-pacs", ae_title="EAST", host="127.0.0.1", port=free_port())
    with pytest.raises(
        Unavailable,
        match=rf"east-pacs \(EAST at 127.0.0.1:{absent.port}\) does not answer \(connection refused\): check",
    ):
        echo(absent)


def test_a_host_without_an_address_is_named_the_same_way() -> None:
    with pytest.raises(Unavailable, match=r"east-pacs .*: the name no-such-host\.invalid cannot be resolved"):
        echo(Destination(name="east-pacs", ae_title="EAST", host="no-such-host.invalid", port=104))


@pytest.mark.alone
def test_a_peer_that_accepts_and_says_nothing_costs_only_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        destination = Destination(
            name="mute",
            ae_title="MUTE",
            host="127.0.0.1",
            port=silent.getsockname()[1],
            answer_timeout_seconds=1.0,
        )
        start = time.monotonic()
        with pytest.raises(Unavailable, match="mute"):
            echo(destination)
        assert time.monotonic() - start < 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (NodeSettings(ae_title="OTHER"), "its AE title is not CANDOR"),
        (NodeSettings(allowed_calling_ae_titles=("CT1",)), "does not know our AE title TESTER"),
        (NodeSettings(allowed_addresses=("10.0.0.1",)), "ask its administrator whether our address is allowed"),
    ],
)
def test_a_rejection_says_what_to_change(settings: NodeSettings, words: str) -> None:
    with Node(settings, MemoryIntake()) as node, pytest.raises(Unavailable, match=words):
        echo(to_node(node, ae_title="CANDOR"))


def test_storage_commitment_is_answered_on_the_same_association(archive: Archive) -> None:
    ds = dx_dataset()
    with open_association(archive.destination(), [DX]) as sender:
        sender.send(part10(ds))
    uid = str(ds.SOPInstanceUID)
    answers = []
    requester = CommitmentRequester(archive.destination(), lambda *answer: answers.append(answer))
    requester.request("2.25.5", [(DX, uid), (CR, uid), (DX, "2.25.404")])
    deadline = time.monotonic() + 10
    while not answers and time.monotonic() < deadline:
        requester.rest()
        time.sleep(0.02)
    requester.close()
    assert answers == [
        ("2.25.5", [(DX, uid)], [(CR, uid, CLASS_INSTANCE_CONFLICT), (DX, "2.25.404", NO_SUCH_INSTANCE)])
    ]


def test_storage_commitment_comes_back_to_a_known_peer_on_its_own_association(tmp_path: Path) -> None:
    intake, ds = MemoryIntake(), dx_dataset()
    uid = str(ds.SOPInstanceUID)
    with Node(NodeSettings(ae_title="CANDOR"), intake) as node:
        caller = Destination(
            name="candor", ae_title="CANDOR", host="127.0.0.1", port=node.port, calling_ae_title="ARCHIVE"
        )
        with Archive(tmp_path / "pacs", peers=(caller,)) as archive:
            with open_association(archive.destination(), [DX]) as sender:
                sender.send(part10(ds))
            answers = []
            requester = CommitmentRequester(archive.destination(), lambda *answer: answers.append(answer))
            requester.request("2.25.6", [(DX, uid)])
            deadline = time.monotonic() + 10
            while "2.25.6" not in intake.commitments and time.monotonic() < deadline:
                time.sleep(0.02)
            requester.close()
            assert answers == []
    assert intake.commitments["2.25.6"].committed == ((DX, uid),)
    assert intake.commitments["2.25.6"].failed == ()


def test_a_destination_without_storage_commitment_says_so() -> None:
    with Scp(0, [ExplicitVRLittleEndian]) as scp, pytest.raises(Unavailable, match="accepts none"):
        CommitmentRequester(scp.destination, lambda *_: None).request("2.25.7", [(DX, "2.25.8")])


@pytest.mark.parametrize(
    ("action", "changes", "status"),
    [
        (1, {}, 0x0000),
        (2, {}, 0x0123),  # no such action
        (1, {"TransactionUID": ""}, 0x0115),  # invalid argument value
        (1, {"ReferencedSOPSequence": []}, 0x0115),
    ],
)
def test_a_storage_commitment_request_is_checked(action: int, changes: dict[str, object], status: int) -> None:
    item, request = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = DX, "2.25.9"
    request.TransactionUID, request.ReferencedSOPSequence = "2.25.10", [item]
    request.update(changes)
    with Node(NodeSettings(), MemoryIntake()) as node:
        with associate(to_node(node), contexts_to_propose([STORAGE_COMMITMENT])) as opened:
            answer, _ = opened.send_n_action(request, action, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)
        assert answer.Status == status
        assert echo(to_node(node)) < 5


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[tuple[Destination, Path]]:
    program = "/usr/bin/storescp"
    if not Path(program).exists():
        pytest.skip("DCMTK's storescp is not installed")
    folder, port = tmp_path / "dcmtk", free_port()
    folder.mkdir()
    process = subprocess.Popen(
        [program, "-aet", "DCMTK", "-od", str(folder), "+B", str(port)], env={**os.environ, "TCP_NODELAY": "1"}
    )
    destination = Destination(name="dcmtk", ae_title="DCMTK", host="127.0.0.1", port=port)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                echo(destination)
                break
            except Unavailable:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield destination, folder
    finally:
        process.terminate()
        process.wait(10)


def test_dcmtk_storescp_takes_our_objects(storescp: tuple[Destination, Path]) -> None:
    destination, folder = storescp
    objects = [part10(dx_dataset()) for _ in range(3)]
    with open_association(destination, [DX]) as sender:
        assert [sender.send(data).status for data in objects] == [0, 0, 0]
    files = [path.read_bytes() for path in folder.iterdir()]
    assert len(files) == 3
    assert all((read_frame(file, 0).stored == read_frame(objects[0], 0).stored).all() for file in files)
