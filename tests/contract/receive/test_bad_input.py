"""Everything a broken or hostile sender does: each is refused with the right status, and the node lives on."""

from __future__ import annotations

import io
import os
import resource
import struct
import time
from collections.abc import Iterator

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from core.errors import DiskFull, InvalidStudy, Refusal, Unavailable
from dicom_node.header.read import EMPTY_PATIENT_ID
from dicom_node.intake import MemoryIntake, ReceivedObject
from dicom_node.receive import Node, NodeSettings
from dicom_node.send import open_association
from tests.contract.dicom_peers import (
    DX,
    RawPeer,
    answers_echo,
    association,
    dx_dataset,
    encoded,
    explicit,
    fragment,
    nested_sequences,
    part10,
    store_bytes,
    store_command,
    to_node,
)

SHORT = NodeSettings(acse_timeout_seconds=1.0, network_timeout_seconds=1.5, maximum_associations_per_address=4)


@pytest.fixture
def intake() -> MemoryIntake:
    return MemoryIntake()


@pytest.fixture
def node(intake: MemoryIntake) -> Iterator[Node]:
    with Node(SHORT, intake) as running:
        yield running
        assert answers_echo(running)  # after every test: whatever came before, the node is well


def refused(node: Node, intake: MemoryIntake, data_set: bytes, sop_instance: str, syntax: str = ExplicitVRLittleEndian):
    """Store `data_set`, expect refusal on an association that lives on; status and comment."""
    with association(node, syntax=syntax) as opened:
        status, comment = store_bytes(opened, data_set, sop_instance=sop_instance)
        good = dx_dataset()
        assert store_bytes(opened, encoded(good, syntax), sop_instance=str(good.SOPInstanceUID)) == (0, "")
    assert list(intake.kept) == [str(good.SOPInstanceUID)]
    assert intake.refusals
    _check_no_patient_data(comment, str(intake.refusals[-1][3]))
    return status, comment


def _check_no_patient_data(*texts: str) -> None:
    assert not [text for text in texts if "CANARY" in text.upper() or "evil" in text or "2.25" in text]


@pytest.mark.parametrize("uid", ["../evil", "/etc/evil", "1.2.evil", "1..2", "1" * 65, "1.2 .3", ""])
def test_a_data_set_uid_that_breaks_the_grammar_is_refused(node: Node, intake: MemoryIntake, uid: str) -> None:
    raw = encoded(dx_dataset(SOPInstanceUID="2.25.777777777777777777777777777777"))
    old = explicit(0x0008, 0x0018, b"UI", b"2.25.777777777777777777777777777777\0")
    assert old in raw
    padded = uid.encode() + b"\0" * (len(uid) % 2)
    status, comment = refused(node, intake, raw.replace(old, explicit(0x0008, 0x0018, b"UI", padded)), "2.25.7")
    assert status == 0xA900
    assert "SOPInstanceUID" in comment


def test_an_evil_uid_in_command_and_data_set_alike_is_refused(node: Node, intake: MemoryIntake) -> None:
    raw = encoded(dx_dataset(SOPInstanceUID="2.25.7777"))
    evil = raw.replace(b"\x08\0\x18\0UI\x0a\x002.25.7777\0", b"\x08\0\x18\0UI\x08\0../evil\0")
    assert evil != raw
    assert refused(node, intake, evil, "../evil")[0] == 0xA900


def test_command_and_data_set_must_name_the_same_instance(node: Node, intake: MemoryIntake) -> None:
    status, comment = refused(node, intake, encoded(dx_dataset()), "2.25.1234")
    assert (status, comment) == (0xA900, "SOPInstanceUID differs between command and data set")


def test_command_and_data_set_must_name_the_same_class(node: Node, intake: MemoryIntake) -> None:
    ds = dx_dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    assert refused(node, intake, encoded(ds), str(ds.SOPInstanceUID))[0] == 0xA900


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_missing_uid_is_refused(node: Node, intake: MemoryIntake, keyword: str) -> None:
    ds = dx_dataset()
    uid = str(ds.SOPInstanceUID)
    raw = encoded(ds)
    element = explicit(0x0008, 0x0018, b"UI", uid.encode() + b"\0" * (len(uid) % 2))
    if keyword == "SOPInstanceUID":
        raw = raw.replace(element, b"")
    elif keyword == "SOPClassUID":
        raw = raw.replace(explicit(0x0008, 0x0016, b"UI", DX.encode() + b"\0" * (len(DX) % 2)), b"")
    else:
        raw = encoded(dx_dataset(SOPInstanceUID=uid, **{keyword: None}))
    assert refused(node, intake, raw, uid) == (0xA900, f"{keyword} is missing")


def test_the_same_object_twice_is_kept_once(node: Node, intake: MemoryIntake) -> None:
    ds = dx_dataset()
    with association(node) as opened:
        for _ in range(2):
            assert store_bytes(opened, encoded(ds), sop_instance=str(ds.SOPInstanceUID))[0] == 0
    assert (len(intake.kept), intake.conflicts) == (1, [])


def test_the_same_uid_with_other_bytes_keeps_the_first(node: Node, intake: MemoryIntake) -> None:
    first, uid = dx_dataset(), "2.25.4711"
    second = dx_dataset(SOPInstanceUID=uid, ViewPosition="AP")
    first.SOPInstanceUID = uid
    with association(node) as opened:
        assert store_bytes(opened, encoded(first), sop_instance=uid)[0] == 0
        assert store_bytes(opened, encoded(second), sop_instance=uid)[0] == 0
    assert intake.kept[uid].instance.view_position == "PA"
    assert [c.instance.view_position for c in intake.conflicts] == ["AP"]


def test_an_empty_patient_id_is_kept_and_flagged(node: Node, intake: MemoryIntake) -> None:
    ds = dx_dataset(PatientID="")
    with association(node) as opened:
        assert store_bytes(opened, encoded(ds), sop_instance=str(ds.SOPInstanceUID))[0] == 0
    assert EMPTY_PATIENT_ID in intake.kept[str(ds.SOPInstanceUID)].instance.header_flags


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_bytes_are_refused(node: Node, intake: MemoryIntake, seed: int, syntax: str) -> None:
    import random

    status, _ = refused(node, intake, random.Random(seed).randbytes(20_000), "2.25.7", syntax)
    assert status in (0xC000, 0xA900)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("cut", [3, 7, 11, 150])
def test_a_truncated_header_is_refused(node: Node, intake: MemoryIntake, cut: int, syntax: str) -> None:
    status, _ = refused(node, intake, encoded(dx_dataset(), syntax)[:cut], "2.25.7", syntax)
    assert status in (0xC000, 0xA900)


def test_a_header_cut_in_an_element_is_named(node: Node, intake: MemoryIntake) -> None:
    raw = encoded(dx_dataset())
    at = raw.index(b"Canary^Name")
    assert refused(node, intake, raw[: at + 4], "2.25.7") == (
        0xC000,
        "PatientName is longer than the data that follow it",
    )


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFE])
def test_a_huge_element_length_costs_no_memory(node: Node, intake: MemoryIntake, length: int) -> None:
    raw = encoded(dx_dataset())
    at = raw.index(b"\x10\0\x10\0PN")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    huge = raw[:at] + explicit(0x0009, 0x0010, b"UN", b"x" * 100, length=length) + raw[at:]
    assert refused(node, intake, huge, "2.25.7")[0] == 0xC000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


@pytest.mark.parametrize("defined", [False, True])
def test_five_thousand_nested_sequences_do_not_break_the_stack(
    node: Node, intake: MemoryIntake, *, defined: bool
) -> None:
    raw = encoded(dx_dataset())
    at = raw.index(b"\xe0\x7f\x10\0OW")
    status, comment = refused(node, intake, raw[:at] + nested_sequences(5000, defined=defined) + raw[at:], "2.25.7")
    assert (status, comment) == (0xC000, "sequences are nested more than 64 levels deep")


def _with_items(count: int) -> bytes:
    """A valid object that holds a sequence of `count` empty items."""
    raw = encoded(dx_dataset())
    at = raw.index(b"\xe0\x7f\x10\0OW")
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * count
    return raw[:at] + explicit(0x0040, 0xA730, b"SQ", items) + raw[at:]


@pytest.mark.alone
def test_a_header_of_endless_elements_is_refused_in_time(node: Node, intake: MemoryIntake) -> None:
    start = time.monotonic()
    status, comment = refused(node, intake, _with_items(2_000_000), "2.25.7")
    assert (status, comment) == (0xC000, "the header has more than 100000 elements")
    assert time.monotonic() - start < 5.0


def test_a_header_of_endless_bytes_is_refused(node: Node, intake: MemoryIntake) -> None:
    raw = encoded(dx_dataset())
    at = raw.index(b"\xe0\x7f\x10\0OW")
    long = raw[:at] + explicit(0x0041, 0x0010, b"UN", b"x" * (64 * 1024**2)) + raw[at:]
    assert refused(node, intake, long, "2.25.7") == (0xC000, "the header is longer than 64 MiB")


def test_pixel_data_do_not_count_as_header(node: Node, intake: MemoryIntake) -> None:
    ds = dx_dataset(Rows=6000, Columns=6000, PixelData=bytes(6000 * 6000 * 2))
    with association(node) as opened:
        assert store_bytes(opened, encoded(ds), sop_instance=str(ds.SOPInstanceUID)) == (0, "")


def test_a_header_of_many_elements_is_kept(node: Node, intake: MemoryIntake) -> None:
    data = _with_items(50_000)
    uid = dcmread(io.BytesIO(data), force=True).SOPInstanceUID
    with association(node) as opened:
        assert store_bytes(opened, data, sop_instance=uid) == (0, "")


def test_ordinary_nesting_is_kept(node: Node, intake: MemoryIntake) -> None:
    ds = dx_dataset()
    raw = encoded(ds)
    at = raw.index(b"\xe0\x7f\x10\0OW")
    for defined in (False, True):
        uid = str(ds.SOPInstanceUID)
        with association(node) as opened:
            data = raw[:at] + nested_sequences(30, defined=defined) + raw[at:]
            assert store_bytes(opened, data, sop_instance=uid) == (0, "")


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": "2000000000"}, "Rows"),
        ({"NumberOfFrames": "2147483647"}, "NumberOfFrames"),
        ({"NumberOfFrames": "-1"}, "NumberOfFrames"),
        ({"BitsStored": 17}, "BitsStored"),
        ({"BitsStored": 0}, "BitsStored"),
        ({"HighBit": 16}, "HighBit"),
        ({"BitsAllocated": 65528}, "BitsAllocated"),
    ],
)
def test_absurd_extents_are_refused_before_any_allocation(
    node: Node, intake: MemoryIntake, changes: dict[str, object], element: str
) -> None:
    ds = dx_dataset(**changes)
    status, comment = refused(node, intake, encoded(ds), str(ds.SOPInstanceUID))
    assert status == 0xC000
    assert element in comment


def test_truncated_pixel_data_are_kept_for_the_report_to_say_so(node: Node, intake: MemoryIntake) -> None:
    ds = dx_dataset()
    with association(node) as opened:
        assert store_bytes(opened, encoded(ds)[:-40], sop_instance=str(ds.SOPInstanceUID)) == (0, "")


def test_malformed_values_are_kept_and_flagged_by_keyword(node: Node, intake: MemoryIntake) -> None:
    ds = dx_dataset()
    raw = encoded(ds).replace(explicit(0x0010, 0x1010, b"AS", b"070Y"), explicit(0x0010, 0x1010, b"AS", b"81"))
    raw = raw.replace(explicit(0x0010, 0x0030, b"DA", b"19500101"), explicit(0x0010, 0x0030, b"DA", b"yesterday!"))
    at = raw.index(b"\x20\0\x0d\0UI")
    raw = raw[:at].replace(b"\x08\0\x16\0UI", explicit(0x0008, 0x0005, b"CS", b"ISO_IR 999") + b"\x08\0\x16\0UI") + (
        explicit(0x0018, 0x0060, b"DS", b"abc ") + raw[at:]
    )
    with association(node) as opened:
        assert store_bytes(opened, raw, sop_instance=str(ds.SOPInstanceUID)) == (0, "")
    kept = intake.kept[str(ds.SOPInstanceUID)]
    assert (kept.instance.kvp, kept.instance.patient_age_years, kept.patient.patient_birth_date) == (None, None, None)
    assert set(kept.instance.header_flags) == {
        "PatientAge is not a valid AS",
        "PatientBirthDate is not a valid DA",
        "KVP is not a valid DS",
        "SpecificCharacterSet names a character set that is not known",
    }
    assert kept.part10.endswith(raw)  # the original bytes


@pytest.mark.alone
def test_ten_idle_sockets_do_not_keep_others_out(node: Node) -> None:
    peers = [RawPeer(node.port) for _ in range(10)]
    try:
        start = time.monotonic()
        assert answers_echo(node)
        assert time.monotonic() - start < 1.0
        time.sleep(SHORT.acse_timeout_seconds + 0.5)
        for peer in peers:
            assert peer.read_pdu() == b""  # all of them were closed
    finally:
        for peer in peers:
            peer.socket.close()


def test_a_peer_that_stops_in_the_middle_of_a_pdu_is_dropped(node: Node, intake: MemoryIntake) -> None:
    with RawPeer(node.port) as before, RawPeer(node.port) as within:
        before.send(b"\1\0\0")
        assert within.request_association()[0] == 2
        within.send(b"\4\0\0\0\1\0only a part")
        assert answers_echo(node)
        assert before.read_pdu() == b""
        assert within.read_pdu() == b""
    _wait_for(lambda: len(intake.closed) == len(intake.opened))


def test_a_silent_association_is_aborted(node: Node, intake: MemoryIntake) -> None:
    with RawPeer(node.port) as peer:
        assert peer.request_association()[0] == 2
        assert peer.read_pdu()[:1] in (b"\7", b"")
    _wait_for(lambda: len(intake.closed) == len(intake.opened))


@pytest.mark.parametrize("associated", [False, True])
def test_a_pdu_that_claims_4_gib_is_aborted(node: Node, *, associated: bool) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with RawPeer(node.port) as peer:
        if associated:
            assert peer.request_association()[0] == 2
        peer.send(b"\4\0\xff\xff\xff\xff" if associated else b"\1\0\xff\xff\xff\xff")
        assert peer.read_pdu()[:1] in (b"\7", b"")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_an_object_larger_than_allowed_is_aborted() -> None:
    intake = MemoryIntake()
    with Node(NodeSettings(maximum_object_bytes=1_000_000), intake) as small, RawPeer(small.port) as peer:
        assert peer.request_association()[0] == 2
        peer.send(fragment(store_command("2.25.7"), command=True, last=True))
        with pytest.raises(OSError), peer.socket:  # noqa: PT011, PT012
            for _ in range(500):
                peer.send(fragment(b"x" * 100_000, command=False, last=False))
                time.sleep(0.005)
        assert answers_echo(small)
    assert not intake.kept


def test_too_many_bytes_in_flight_are_refused_for_now_and_given_back() -> None:
    intake = MemoryIntake()
    settings = NodeSettings(maximum_bytes_in_flight=1_000_000, network_timeout_seconds=5.0)
    with Node(settings, intake) as small, association(small) as other:
        with RawPeer(small.port) as peer:
            assert peer.request_association()[0] == 2
            peer.send(fragment(store_command("2.25.7"), command=True, last=True))
            for _ in range(9):
                peer.send(fragment(b"x" * 100_000, command=False, last=False))
            _wait_for(lambda: small.bytes_in_flight.taken >= 900_000)
            big = dx_dataset(Rows=300, Columns=300, PixelData=bytes(300 * 300 * 2))
            uid = str(big.SOPInstanceUID)
            status, comment = store_bytes(other, encoded(big), sop_instance=uid)
            assert (status, comment) == (0xA700, "too many bytes are being received at once; send it again later")
            small_one = dx_dataset()
            assert store_bytes(other, encoded(small_one), sop_instance=str(small_one.SOPInstanceUID)) == (0, "")
        _wait_for(lambda: small.bytes_in_flight.taken < 100_000)  # the peer has gone in mid transfer
        assert store_bytes(other, encoded(big), sop_instance=uid) == (0, "")
        _wait_for(lambda: small.bytes_in_flight.taken == 0)
    assert set(intake.kept) == {uid, str(small_one.SOPInstanceUID)}


def test_garbage_instead_of_a_command_set_ends_only_its_own_association(node: Node) -> None:
    for garbage in (os.urandom(200), b"", b"\0\0\0\1\2\0\0\0\xff\xff"):
        with RawPeer(node.port) as peer:
            assert peer.request_association()[0] == 2
            peer.send(fragment(garbage, command=True, last=True))
            assert peer.read_pdu()[:1] in (b"\7", b"")


def test_unknown_pdus_and_http_end_only_their_own_connection(node: Node) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x99\0\0\0\0\4abcd", os.urandom(64)):
        with RawPeer(node.port) as peer:
            peer.send(garbage)
            assert peer.read_pdu()[:1] in (b"\7", b"")


def test_an_abort_in_mid_transfer_leaves_nothing(node: Node, intake: MemoryIntake) -> None:
    with RawPeer(node.port) as peer:
        assert peer.request_association()[0] == 2
        peer.send(fragment(store_command("2.25.7"), command=True, last=True))
        peer.send(fragment(encoded(dx_dataset())[:100], command=False, last=False))
        peer.send(b"\7\0\0\0\0\4\0\0\0\0")
    _wait_for(lambda: len(intake.closed) == len(intake.opened) == 1)
    assert not intake.kept


def test_a_connection_cut_in_mid_transfer_leaves_nothing(node: Node, intake: MemoryIntake) -> None:
    with RawPeer(node.port) as peer:
        assert peer.request_association()[0] == 2
        peer.send(fragment(store_command("2.25.7"), command=True, last=True))
        peer.send(fragment(encoded(dx_dataset())[:100], command=False, last=False))
    _wait_for(lambda: len(intake.closed) == len(intake.opened) == 1)
    assert not intake.kept


class FailingIntake(MemoryIntake):
    """A store in trouble."""

    error: Exception = DiskFull("too little disk is left")

    def keep(self, received: ReceivedObject) -> str:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DiskFull("too little disk is left"), 0xA700),
        (Unavailable("the database is away"), 0xA700),
        (InvalidStudy("not like this", refusal=Refusal.DOES_NOT_MATCH), 0xA900),
        (ZeroDivisionError("Canary^Name"), 0xC0FF),
    ],
)
def test_what_the_store_cannot_keep_is_never_called_stored(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    intake = FailingIntake()
    intake.error = error
    with Node(SHORT, intake) as running:
        ds = dx_dataset()
        with open_association(to_node(running), [DX]) as sender:
            result = sender.send(part10(ds))
        assert (result.status, result.sent, result.retryable) == (status, False, status == 0xA700)
        assert answers_echo(running)
    assert [refusal[3] for refusal in intake.refusals] == [error]
    assert "anary" not in "".join(capsys.readouterr())


def _wait_for(condition, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
