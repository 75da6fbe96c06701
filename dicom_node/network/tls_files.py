"""PEM files of certificates and keys: what is wrong with each, and when a certificate ends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from core.files import why_unusable

MAXIMUM_BYTES = 4 * 1024 * 1024
"""All authorities of a system are a quarter of a megabyte."""


class _Fault(Exception):
    """A sentence that says why a file cannot be used."""


def faults_of_identity(certificate_file: Path, key_file: Path) -> list[str]:
    """What is wrong with a certificate and its private key, a sentence for each file."""
    faults: list[str] = []
    public: list[bytes] = []
    for read, path in ((_public_of_certificate, certificate_file), (_public_of_key, key_file)):
        try:
            public.append(read(path))
        except _Fault as fault:
            faults.append(str(fault))
    if len(set(public)) > 1:
        faults.append(f"key_file {key_file} is not the key of certificate_file {certificate_file}")
    return faults


def faults_of_authority(ca_file: Path) -> list[str]:
    """What is wrong with a file of authorities."""
    try:
        _certificates("ca_file", ca_file)
    except _Fault as fault:
        return [str(fault)]
    return []


def validity_faults(setting: str, path: Path, *, now: float, soon_seconds: float = 0.0) -> list[str]:
    """A sentence when the first certificate of a readable file is not valid at `now`, or ends within `soon_seconds`."""
    try:
        certificate = _certificates(setting, path)[0]
    except _Fault:
        return []
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends.timestamp() <= now:
        return [f"{setting} {path} expired on {ends:%Y-%m-%d}: renew it"]
    if begins.timestamp() > now:
        return [f"{setting} {path} is not valid before {begins:%Y-%m-%d}: is the clock of this machine right?"]
    days = (ends - datetime.fromtimestamp(now, UTC)).days
    return [f"{setting} {path} expires on {ends:%Y-%m-%d}, in {days} days"] if days * 86400 < soon_seconds else []


def _public_of_certificate(path: Path) -> bytes:
    [certificate, *_] = _certificates("certificate_file", path)
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public_of_key(path: Path) -> bytes:
    text = _read("key_file", path)
    try:
        key = load_pem_private_key(text, None)
    except TypeError:
        raise _Fault(
            f"key_file {path} is encrypted, and there is no place to give its password; write it without: "
            "openssl pkey -in OLD -out NEW"
        ) from None
    except Exception:  # noqa: BLE001 - boundary to a parser of a file that may hold anything
        raise _Fault(f"key_file {path} holds no private key in PEM{_what_else(text)}") from None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _certificates(setting: str, path: Path) -> list[x509.Certificate]:
    text = _read(setting, path)
    try:
        return x509.load_pem_x509_certificates(text)
    except Exception:  # noqa: BLE001 - boundary to a parser of a file that may hold anything
        raise _Fault(f"{setting} {path} holds no certificate in PEM{_what_else(text)}") from None


def _what_else(text: bytes) -> str:
    """What a file is instead."""
    if b"PRIVATE KEY-----" in text:
        return ", but a private key"
    if b"-----BEGIN CERTIFICATE-----" in text:
        return ", but a certificate"
    return "; it looks like DER: convert it with openssl x509 or openssl pkey" if text[:1] == b"\x30" else ""


def _read(setting: str, path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise _Fault(f"{setting} {path} is not a file")
        with path.open("rb") as file:
            return file.read(MAXIMUM_BYTES)
    except FileNotFoundError:
        raise _Fault(f"{setting} {path} does not exist") from None
    except OSError as error:
        raise _Fault(f"{setting} " + why_unusable(path, error, "read")) from None
