"""Who gets in: AE titles, addresses, limits (PS3.8 9.3.4 reasons), and TLS with mutual certificates."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ConfigurationError, Unavailable
from dicom_node.intake import MemoryIntake
from dicom_node.network.tls import TlsFiles
from dicom_node.receive import Node, NodeSettings
from dicom_node.send import echo, open_association
from tests.contract.dicom_peers import (
    DX,
    VERIFICATION,
    RawPeer,
    answers_echo,
    associate_request,
    association,
    dx_dataset,
    make_addressed_certificate,
    make_certificates,
    part10,
    to_node,
)


def rejection_of(answer: bytes) -> tuple[int, int, int]:
    """Result, source and reason of an A-ASSOCIATE-RJ."""
    kind, result, source, reason = struct.unpack(">B6xBBB", answer)
    assert kind == 3
    return result, source, reason


def test_a_wrong_called_ae_title_is_rejected() -> None:
    intake = MemoryIntake()
    with Node(NodeSettings(), intake) as node:
        with RawPeer(node.port) as peer:
            assert rejection_of(peer.request_association(called="OTHER")) == (1, 1, 7)
        assert answers_echo(node)
    assert "called AE title" in str(intake.refusals[0][3])


def test_any_called_ae_title_will_do_where_the_settings_say_so() -> None:
    with Node(NodeSettings(require_called_ae_title=False), MemoryIntake()) as node, RawPeer(node.port) as peer:
        assert peer.request_association(called="OTHER")[0] == 2


def test_an_unknown_calling_ae_title_is_rejected() -> None:
    intake = MemoryIntake()
    with Node(NodeSettings(allowed_calling_ae_titles=("TESTER", "CT1")), intake) as node:
        with RawPeer(node.port) as peer:
            assert rejection_of(peer.request_association(calling="UNRELATED")) == (1, 1, 3)
        assert answers_echo(node)
    assert [refusal[1:3] for refusal in intake.refusals] == [("UNRELATED", "127.0.0.1")]


def test_an_address_that_is_not_allowed_is_rejected() -> None:
    elsewhere = NodeSettings(allowed_addresses=("10.0.0.0/8", "192.168.1.7"))
    with Node(elsewhere, MemoryIntake()) as node, RawPeer(node.port) as peer:
        assert rejection_of(peer.request_association()) == (1, 1, 1)
    with Node(NodeSettings(allowed_addresses=("127.0.0.0/8",)), MemoryIntake()) as node:
        assert answers_echo(node)


@pytest.mark.parametrize(
    "limits", [{"maximum_associations_per_address": 2}, {"maximum_associations": 2}], ids=["address", "total"]
)
def test_too_many_associations_are_rejected_for_now(limits: dict[str, int]) -> None:
    with Node(NodeSettings(**limits), MemoryIntake()) as node:  # type: ignore[arg-type]
        with association(node), association(node), RawPeer(node.port) as third:
            assert rejection_of(third.request_association()) == (2, 3, 2)
        assert _echo_soon(node)  # the two have just released: their places come free


def _echo_soon(node: Node, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(Unavailable):
            return answers_echo(node)
    return False


def test_what_is_not_storage_is_not_accepted() -> None:
    patient_root_find = "1.2.840.10008.5.1.4.1.2.1.1"
    with Node(NodeSettings(), MemoryIntake()) as node, RawPeer(node.port) as peer:
        answer = peer.request_association(sop_class=patient_root_find)
        assert answer[0] == 2
        result = answer[answer.index(b"\x21\0") + 6]  # of the only presentation context item (PS3.8 9.3.3.2)
        assert result == 3  # abstract syntax not supported


def test_a_gate_that_fails_stays_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    with Node(NodeSettings(), MemoryIntake()) as node:
        monkeypatch.setattr(node.admission, "_networks", ("not a network",))
        with RawPeer(node.port) as peer:
            assert rejection_of(peer.request_association()) == (1, 1, 1)


def test_without_its_store_the_node_takes_no_association() -> None:
    class Away(MemoryIntake):
        def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
            raise Unavailable("the database is away")

    intake = Away()
    with Node(NodeSettings(), intake) as node, RawPeer(node.port) as peer:
        assert peer.request_association()[0] == 2
        assert peer.read_pdu()[:1] in (b"\7", b"")
    assert "cannot take objects now" in str(intake.refusals[0][3])
    assert intake.closed == []


def test_every_association_is_closed_once() -> None:
    intake = MemoryIntake()
    with Node(NodeSettings(), intake) as node:
        for _ in range(3):
            assert answers_echo(node)
        with RawPeer(node.port) as peer:
            assert peer.request_association()[0] == 2
            answers_echo(node)
            node.stop()  # with one association still open
            assert peer.read_pdu()[:1] in (b"\7", b"")
            node.start()
    assert sorted(intake.closed) == sorted(intake.opened)
    assert len(intake.closed) == 5


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[TlsFiles, TlsFiles, TlsFiles]:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def secured(certificates: tuple[TlsFiles, TlsFiles, TlsFiles]) -> NodeSettings:
    return NodeSettings(tls_port=0, tls=certificates[0], acse_timeout_seconds=1.5)


def test_an_object_arrives_over_tls(certificates: tuple[TlsFiles, TlsFiles, TlsFiles]) -> None:
    intake, ds = MemoryIntake(), dx_dataset()
    with Node(secured(certificates), intake) as node:
        destination = to_node(node, port=node.tls_port, tls=certificates[1])
        with open_association(destination, [DX]) as sender:
            assert sender.send(part10(ds)).sent
        assert answers_echo(node)  # the plain listener next to it
    assert list(intake.kept) == [str(ds.SOPInstanceUID)]


def test_a_peer_with_another_certificate_is_not_let_in(
    certificates: tuple[TlsFiles, TlsFiles, TlsFiles],
) -> None:
    intake = MemoryIntake()
    with Node(secured(certificates), intake) as node:
        destination = to_node(node, port=node.tls_port, tls=certificates[2])
        with (
            pytest.raises(Unavailable, match=r"refuses our certificate: .*unrelated\.crt is not signed by"),
            open_association(destination, [VERIFICATION]),
        ):
            pass
        assert echo(to_node(node, port=node.tls_port, tls=certificates[1])) < 5
    assert not intake.opened or len(intake.opened) == 1
    assert "TLS" in str(intake.refusals[0][3])


def test_a_node_that_we_do_not_know_gets_nothing_over_tls(certificates: tuple[TlsFiles, TlsFiles, TlsFiles]) -> None:
    impostor = NodeSettings(port=None, tls_port=0, tls=certificates[2])
    with Node(impostor, MemoryIntake()) as node:
        destination = to_node(_Reachable(node), tls=certificates[1])
        with (
            pytest.raises(Unavailable, match=r"its certificate is not signed by ca_file .*ca\.pem"),
            open_association(destination, [VERIFICATION]),
        ):
            pass


def test_without_an_authority_of_the_site_the_certificate_must_bear_the_address(
    certificates: tuple[TlsFiles, TlsFiles, TlsFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addressed, authority = make_addressed_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))  # an authority that the system knows
    with Node(NodeSettings(port=None, tls_port=0, tls=addressed), MemoryIntake()) as node:
        assert echo(to_node(_Reachable(node), tls=addressed)) < 5
    nameless = replace(certificates[0], ca_file=None)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates[0].ca_file))
    with Node(NodeSettings(port=None, tls_port=0, tls=nameless), MemoryIntake()) as node:
        with pytest.raises(Unavailable, match=r"its certificate does not bear the name 127\.0\.0\.1: check host"):
            echo(to_node(_Reachable(node), tls=nameless))
        assert echo(to_node(_Reachable(node), tls=certificates[1])) < 5  # the site's own authority vouches for it


class _Reachable:
    """A node without a plain port, seen by `to_node`."""

    def __init__(self, node: Node) -> None:
        self.settings, self.port = node.settings, node.tls_port


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_versions_are_refused(
    certificates: tuple[TlsFiles, TlsFiles, TlsFiles], version: ssl.TLSVersion
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = context.maximum_version = version
    with Node(secured(certificates), MemoryIntake()) as node:
        plain = socket.create_connection(("127.0.0.1", node.tls_port))
        with plain, pytest.raises(OSError):  # noqa: PT011 a TLS alert or a reset
            context.wrap_socket(plain)


@pytest.mark.alone
def test_peers_that_never_finish_the_handshake_keep_no_other_out(
    certificates: tuple[TlsFiles, TlsFiles, TlsFiles],
) -> None:
    with Node(secured(certificates), MemoryIntake()) as node:
        silent = [socket.create_connection(("127.0.0.1", node.tls_port), timeout=10) for _ in range(5)]
        silent[0].sendall(b"\x16\x03\x01")
        silent[1].sendall(associate_request("CANDOR", "PLAIN", VERIFICATION))  # no TLS at all
        start = time.monotonic()
        assert echo(to_node(node, port=node.tls_port, tls=certificates[1])) < 1.0
        for connection in silent:
            connection.settimeout(max(0.1, 4 - (time.monotonic() - start)))
            try:
                while connection.recv(1000):
                    pass  # a TLS alert may come first
            except ConnectionResetError:
                pass
            connection.close()


def test_unusable_tls_files_are_named(tmp_path: Path) -> None:
    files = TlsFiles(certificate_file=tmp_path / "none.crt", key_file=tmp_path / "none.key")
    with pytest.raises(ConfigurationError, match=r"none\.crt"):
        Node(NodeSettings(tls_port=0, tls=files), MemoryIntake()).start()
