"""Peers for the node's tests: small DICOM objects, a raw socket that speaks as badly as asked, TLS certificates."""

from __future__ import annotations

import io
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from dicom_node.header.part10 import layout_of
from dicom_node.network.peers import Destination
from dicom_node.network.tls import TlsFiles
from dicom_node.receive import Node
from dicom_node.send import echo

DX = "1.2.840.10008.5.1.4.1.1.1.1"
CR = "1.2.840.10008.5.1.4.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
SHARED_DICOM = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"
"""Real DICOM files next to the repository; tests that need them skip where they are absent."""


def dx_dataset(**changes: object) -> Dataset:
    """A small, valid DX data set (8 x 6, 12 of 16 bits); keywords replace elements, None deletes them."""
    ds = Dataset()
    ds.SOPClassUID = DX
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[str(time.perf_counter_ns()), "instance"])
    ds.StudyInstanceUID = "2.25.1001"
    ds.SeriesInstanceUID = "2.25.1002"
    ds.PatientID, ds.PatientName, ds.PatientSex = "ID-CANARY", "Canary^Name", "F"
    ds.PatientBirthDate, ds.StudyDate, ds.PatientAge = "19500101", "20200101", "070Y"
    ds.AccessionNumber, ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "ACC-CANARY", "DX", "CHEST", "PA"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 8, 6, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = np.arange(48, dtype="<u2").tobytes()
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set alone, as it travels in P-DATA."""
    data = part10(ds, syntax)
    return data[layout_of(data).data_set_start :]


def part10(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a file; native syntaxes are written, others keep the encapsulated pixel data given."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = str(ds.get("SOPInstanceUID", "2.25.1")) or "2.25.1"
    meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    copy = Dataset(ds)
    copy.file_meta, copy.preamble = meta, b"\0" * 128
    if syntax == ExplicitVRBigEndian and ds.BitsAllocated == 16 and "PixelData" in ds:
        copy.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()  # pydicom writes OW as it is
    dcmwrite(
        stream,
        copy,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    return stream.getvalue()


def explicit(group: int, number: int, vr: bytes, value: bytes, *, length: int | None = None) -> bytes:
    """One element in explicit VR little endian, with the length it claims."""
    claimed = len(value) if length is None else length
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return struct.pack("<HH2sHL", group, number, vr, 0, claimed) + value
    return struct.pack("<HH2sH", group, number, vr, claimed) + value


def nested_sequences(depth: int, *, defined: bool) -> bytes:
    """`depth` sequences within each other, with undefined or with defined lengths."""
    if not defined:
        opening = explicit(0x0040, 0xA730, b"SQ", b"", length=0xFFFFFFFF) + struct.pack(
            "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
        )
        closing = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        return opening * depth + closing * depth
    data = b""
    for _ in range(depth):
        data = explicit(0x0040, 0xA730, b"SQ", struct.pack("<HHL", 0xFFFE, 0xE000, len(data)) + data)
    return data


def to_node(node: Node, **changes: object) -> Destination:
    """How to reach a node under test."""
    fields: dict[str, object] = {
        "name": "node",
        "ae_title": node.settings.ae_title,
        "host": "127.0.0.1",
        "port": node.port,
        "calling_ae_title": "TESTER",
        "connect_timeout_seconds": 5.0,
        "answer_timeout_seconds": 10.0,
    }
    return Destination(**(fields | changes))  # type: ignore[arg-type]


def answers_echo(node: Node) -> bool:
    """Whether the node still answers a C-ECHO, in time."""
    return echo(to_node(node)) < 5.0


@contextmanager
def association(node: Node, sop_class: str = DX, syntax: str = ExplicitVRLittleEndian) -> Iterator[Association]:
    """A plain pynetdicom association, without our sender in between."""
    ae = ApplicationEntity("TESTER")
    ae.acse_timeout = ae.dimse_timeout = 10
    ae.add_requested_context(sop_class, syntax)
    ae.add_requested_context(VERIFICATION)
    opened = ae.associate("127.0.0.1", node.port, ae_title=node.settings.ae_title)
    assert opened.is_established
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()


def store_bytes(
    opened: Association, data_set: bytes, *, sop_instance: str = "2.25.99", sop_class: str = DX
) -> tuple[int, str]:
    """C-STORE bytes that no library would send; status and ErrorComment."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop_instance
    request.DataSet = io.BytesIO(data_set)
    context_id = next(c.context_id for c in opened.accepted_contexts if c.abstract_syntax == sop_class)
    opened._reactor_checkpoint.clear()
    while not opened._is_paused:
        time.sleep(0.001)
    try:
        opened.dimse.send_msg(request, context_id)
        _, response = opened.dimse.get_msg(block=True)
    finally:
        opened._reactor_checkpoint.set()
    assert isinstance(response, C_STORE), "the association was lost"
    return response.Status, str(response.ErrorComment or "")


class RawPeer:
    """A TCP connection that sends what it is given, well-formed or not."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request_association(self, *, called: str = "CANDOR", calling: str = "RAW", sop_class: str = DX) -> bytes:
        """A-ASSOCIATE-RQ for one context; the answering PDU."""
        self.send(associate_request(called, calling, sop_class))
        return self.read_pdu()

    def read_pdu(self) -> bytes:
        """One whole PDU; b"" when the peer closed or reset the connection."""
        try:
            head = self._exactly(6)
            return head + self._exactly(struct.unpack(">L", head[2:])[0]) if head else b""
        except ConnectionResetError:
            return b""

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                return b""
            data += part
        return data


def associate_request(called: str, calling: str, sop_class: str) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2) for one SOP class in explicit VR little endian."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BBH", kind, 0, len(content)) + content

    context = item(0x20, b"\1\0\0\0" + item(0x30, sop_class.encode()) + item(0x40, ExplicitVRLittleEndian.encode()))
    user = item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"2.25.7"))
    titles = called.ljust(16).encode() + calling.ljust(16).encode()
    body = struct.pack(">HH", 1, 0) + titles + b"\0" * 32 + item(0x10, b"1.2.840.10008.3.1.1.1") + context + user
    return struct.pack(">BBL", 1, 0, len(body)) + body


def fragment(data: bytes, *, command: bool, last: bool, context_id: int = 1) -> bytes:
    """A P-DATA-TF with one fragment (PS3.8 9.3.5)."""
    control = (1 if command else 0) | (2 if last else 0)
    body = struct.pack(">LBB", len(data) + 2, context_id, control) + data
    return struct.pack(">BBL", 4, 0, len(body)) + body


def store_command(sop_instance: str) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 9.3.1.1), implicit VR little endian."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHL", 0, number, len(value)) + value

    def short(value: int) -> bytes:
        return struct.pack("<H", value)

    body = (
        element(0x0002, DX.encode())
        + element(0x0100, short(1))
        + element(0x0110, short(1))
        + element(0x0700, short(2))
        + element(0x0800, short(1))
        + element(0x1000, sop_instance.encode())
    )
    return element(0x0000, struct.pack("<L", len(body))) + body


def make_addressed_certificate(folder: Path) -> tuple[TlsFiles, Path]:
    """TLS files of a node whose certificate bears the address 127.0.0.1, and the authority that signed it."""
    authority = _authority(folder / "public-ca.pem")
    files = _signed(folder / "addressed", None, authority, address="127.0.0.1")
    return files, folder / "public-ca.pem"


def make_certificates(folder: Path) -> tuple[TlsFiles, TlsFiles, TlsFiles]:
    """TLS files of a node, of a peer with the same authority, and of an unknown peer with its own."""
    authority, unrelated = _authority(folder / "ca.pem"), _authority(folder / "unrelated-ca.pem")
    return (
        _signed(folder / "node", folder / "ca.pem", authority),
        _signed(folder / "peer", folder / "ca.pem", authority),
        _signed(folder / "unrelated", folder / "ca.pem", unrelated),
    )


Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _authority(path: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("Test authority", key, "Test authority", key, is_authority=True)
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _signed(stem: Path, trusted: Path | None, authority: Authority, *, address: str = "") -> TlsFiles:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(stem.name, key, "Test authority", authority[1], is_authority=False, address=address)
    certificate_file, key_file = stem.with_suffix(".crt"), stem.with_suffix(".key")
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return TlsFiles(certificate_file=certificate_file, key_file=key_file, ca_file=trusted)


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
    address: str = "",
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
