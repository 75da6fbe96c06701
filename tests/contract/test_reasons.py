"""Why a connection came to nothing: what OpenSSL, the name server and the other side say, as a sentence that helps."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import ConfigurationError, Unavailable
from dicom_node.intake import MemoryIntake
from dicom_node.network.peers import Destination
from dicom_node.network.tls import TlsFiles, acceptor_context, faults_of
from dicom_node.network.tls_files import validity_faults
from dicom_node.receive import Node, NodeSettings
from dicom_node.send import echo
from tests.contract.dicom_peers import make_certificates
from tests.ports import free_port

Files = tuple[TlsFiles, TlsFiles, TlsFiles]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make_certificates(tmp_path)


def copy(one: Path, other: Path) -> None:
    other.write_bytes(one.read_bytes())


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A peer that does `answer` with every connection; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def said_of(**changes: object) -> str:
    """What an echo to this destination says, behind its name."""
    destination = Destination(
        **{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "answer_timeout_seconds": 1.0, **changes}  # type: ignore[arg-type]
    )
    with pytest.raises(Unavailable) as caught:
        echo(destination)
    return str(caught.value).removeprefix(f"destination pacs ({destination.place})").lstrip(": ")


def web_server(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def close_after_reading(connection: socket.socket) -> None:
    connection.recv(1000)


def say_nothing(connection: socket.socket) -> None:
    connection.settimeout(10)
    while connection.recv(1000):
        pass


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (web_server, "a web server answers there, not a DICOM node: check port"),
        (
            lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n") or say_nothing(connection),
            "an SSH server answers there, not a DICOM node: check port",
        ),
        (
            lambda connection: connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46") or say_nothing(connection),
            "it speaks TLS: give it a table [destinations.tls]",
        ),
        (
            lambda connection: connection.sendall(b"220 mail.example ESMTP\r\n") or say_nothing(connection),
            "answers, but not in DICOM: check port, and whether it expects TLS",
        ),
        (
            close_after_reading,
            "closes the connection without a DICOM answer: check port, whether it expects TLS, "
            "and whether it allows us",
        ),
        (
            say_nothing,
            "takes the connection, but gives no DICOM answer within 1 s: check port, or is it busy?",
        ),
        (
            lambda connection: (
                connection.sendall(b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00") or say_nothing(connection)
            ),
            "aborted the association without a reason: ask its administrator whether it knows us",
        ),
    ],
    ids=["http", "ssh", "tls", "smtp", "closes", "mute", "aborts"],
)
def test_a_peer_that_answers_without_an_association_is_told_apart(
    answer: Callable[[socket.socket], None], expected: str
) -> None:
    with answering(answer) as port:
        assert said_of(port=port) == expected


def test_a_closed_port_a_wrong_name_and_a_silent_address_are_told_apart() -> None:
    assert said_of(port=free_port()) == "does not answer (connection refused): check that it runs, host and port"
    assert said_of(host="pacs.hospital.invalid", port=104) == (
        "the name pacs.hospital.invalid cannot be resolved: check host, and the name server of this machine"
    )
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:  # its queue is full: a connection is not answered
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            waiting.append(one)
        said = said_of(port=full.getsockname()[1], connect_timeout_seconds=1.0)
        for one in waiting:
            one.close()
    assert said == "does not answer (timed out): check host and port, and the firewalls on the way"


def certificate(path: Path, *, begins_days: int, ends_days: int) -> TlsFiles:
    """A certificate that signs itself, valid for these days around now."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pacs.local")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now + timedelta(days=begins_days)).not_valid_after(now + timedelta(days=ends_days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path.with_suffix(".crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return TlsFiles(certificate_file=path.with_suffix(".crt"), key_file=path.with_suffix(".key"))


def said_over_tls(server: TlsFiles, client: TlsFiles) -> str:
    with Node(NodeSettings(port=None, tls_port=0, tls=server), MemoryIntake()) as node:
        return said_of(port=node.tls_port, tls=client)


def test_a_certificate_that_we_do_not_accept_says_why(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = certificate(tmp_path / "own", begins_days=-2, ends_days=9)
    old = certificate(tmp_path / "old", begins_days=-9, ends_days=-2)
    new = certificate(tmp_path / "new", begins_days=2, ends_days=9)
    client = files[1]
    assert said_over_tls(own, client) == (
        f"its certificate is not signed by ca_file {client.ca_file} (self-signed certificate)"
    )
    assert said_over_tls(own, replace(client, ca_file=None)) == (
        "its certificate is not signed by an authority of this system; set ca_file (self-signed certificate)"
    )
    assert said_over_tls(old, replace(client, ca_file=old.certificate_file)) == (
        "its certificate, or the one that signed it, has expired"
    )
    assert said_over_tls(new, replace(client, ca_file=new.certificate_file)) == (
        "its certificate is not valid yet: is the clock of this machine right?"
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(own.certificate_file))
    assert said_over_tls(own, replace(client, ca_file=None)) == (
        "its certificate does not bear the name 127.0.0.1: check host, or set ca_file to the authority of the site"
    )


def test_our_certificate_that_it_does_not_accept_is_named(files: Files) -> None:
    said = said_over_tls(files[0], files[2])
    assert said == (
        f"refuses our certificate: certificate_file {files[2].certificate_file} "
        "is not signed by an authority that it knows"
    )


def test_a_peer_without_tls_is_said(files: Files) -> None:
    with Node(NodeSettings(port=0), MemoryIntake()) as node:
        said = said_of(port=node.port, tls=files[1])
    assert "TLS" in said
    with answering(web_server) as port:
        assert said_of(port=port, tls=files[1]) == (
            "does not speak TLS on this port: check port, or remove [destinations.tls]"
        )
    with answering(say_nothing) as port:
        assert said_of(port=port, tls=files[1], connect_timeout_seconds=1.0) == (
            "takes the connection, but does not answer in TLS: check port, and whether it speaks TLS there"
        )


def client_context(certificate_of: TlsFiles | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate_of is not None:
        context.load_cert_chain(certificate_of.certificate_file, certificate_of.key_file)
    return context


def knock(port: int, context: ssl.SSLContext | None, first: bytes) -> None:
    """Connect, over TLS or not, and say something."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            if context is None:
                plain.sendall(first)
                plain.recv(1000)
                return
            with context.wrap_socket(plain) as secured:
                secured.sendall(first)
                secured.recv(1000)
    except OSError:
        pass


def test_the_node_says_why_a_client_got_no_tls(files: Files) -> None:
    intake = MemoryIntake()
    trusting = client_context()
    trusting.verify_mode = ssl.CERT_REQUIRED
    old = client_context(files[1])
    old.set_ciphers("AES128-SHA:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    knocks = [
        (None, b"\x01\x00\x00\x00\x00\x44" + bytes(68), "the peer does not speak TLS; this is the port for TLS"),
        (None, b"GET / HTTP/1.1\r\n\r\n", "the peer does not speak TLS; this is the port for TLS"),
        (client_context(), b"x", "the peer sent no certificate, and ca_file demands one"),
        (client_context(files[2]), b"x", "its certificate is not signed by ca_file of [tls]"),
        (trusting, b"x", "the peer refused our certificate: it is not signed by an authority that it knows"),
        (old, b"x", "the peer offers no cipher suite that is safe enough"),
    ]
    settings = NodeSettings(port=None, tls_port=0, tls=files[0], acse_timeout_seconds=2.0)
    with Node(settings, intake) as node:
        for context, first, _ in knocks:
            knock(node.tls_port, context, first)
    said = [str(refusal[3]) for refusal in intake.refusals]
    assert len(said) == len(knocks)
    for words, (_, _, expected) in zip(said, knocks, strict=True):
        assert words.startswith(f"no TLS connection: {expected}"), said


Spoil = Callable[[TlsFiles, TlsFiles], object]
SPOILED: dict[str, Spoil] = {
    "key_file {key} does not exist": lambda f, _: f.key_file.unlink(),
    "certificate_file {crt} does not exist": lambda f, _: f.certificate_file.unlink(),
    "ca_file {ca} does not exist": lambda f, _: f.ca_file and f.ca_file.unlink(),
    "key_file {key} is not the key of certificate_file {crt}": lambda f, other: copy(other.key_file, f.key_file),
    "certificate_file {crt} holds no certificate in PEM, but a private key": lambda f, _: copy(
        f.key_file, f.certificate_file
    ),
    "key_file {key} holds no private key in PEM, but a certificate": lambda f, _: copy(f.certificate_file, f.key_file),
    "key_file {key} holds no private key in PEM": lambda f, _: f.key_file.write_bytes(b""),
    "ca_file {ca} holds no certificate in PEM": lambda f, _: f.ca_file and f.ca_file.write_text("nothing"),
    "certificate_file {crt} holds no certificate in PEM; it looks like DER: convert it with openssl x509 or openssl "
    "pkey": lambda f, _: f.certificate_file.write_bytes(b"\x30\x82\x01\x00"),
    "key_file {key} is not a file": lambda f, _: (f.key_file.unlink(), f.key_file.mkdir()),
}


@pytest.mark.parametrize(("expected", "spoil"), SPOILED.items(), ids=range(len(SPOILED)))
def test_a_file_that_cannot_be_used_is_named_with_its_setting(files: Files, spoil: Spoil, expected: str) -> None:
    own = files[0]
    spoil(own, files[1])
    words = expected.format(key=own.key_file, crt=own.certificate_file, ca=own.ca_file)
    assert faults_of(own) == [words]
    with pytest.raises(ConfigurationError) as caught:
        acceptor_context(own)
    assert str(caught.value) == f"[tls]: {words}"


def test_an_encrypted_key_is_said_and_never_asked_for_at_the_terminal(files: Files) -> None:
    own = files[0]
    key = serialization.load_pem_private_key(own.key_file.read_bytes(), None)
    protection = serialization.BestAvailableEncryption(b"secret")
    own.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    )
    source = (
        "from pathlib import Path; from dicom_node.network.tls import *\n"
        f"acceptor_context(TlsFiles(certificate_file=Path({str(own.certificate_file)!r}), "
        f"key_file=Path({str(own.key_file)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "is encrypted, and there is no place to give its password" in done.stderr


def test_a_destination_names_itself_when_its_files_are_wrong(files: Files) -> None:
    files[1].key_file.unlink()
    with pytest.raises(ConfigurationError, match=r"^destination pacs: key_file .*peer\.key does not exist$"):
        echo(Destination(name="pacs", ae_title="P", host="127.0.0.1", port=104, tls=files[1]))


def test_certificates_that_end_are_said_with_their_day(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    month = 30 * 86400.0
    for name, begins, ends, expected in (
        ("old", -9, -2, f"expired on {now - timedelta(days=2):%Y-%m-%d}: renew it"),
        ("new", 2, 9, f"is not valid before {now + timedelta(days=2):%Y-%m-%d}: is the clock of this machine right?"),
        ("soon", -9, 9, f"expires on {now + timedelta(days=9):%Y-%m-%d}, in 8 days"),
    ):
        file = certificate(tmp_path / name, begins_days=begins, ends_days=ends).certificate_file
        said = validity_faults("certificate_file", file, now=now.timestamp(), soon_seconds=month)
        assert said == [f"certificate_file {file} {expected}"]
    good = certificate(tmp_path / "good", begins_days=-1, ends_days=90).certificate_file
    assert validity_faults("certificate_file", good, now=now.timestamp(), soon_seconds=month) == []
