"""DICOM over TLS as BCP 195 / RFC 9325 ask for it: TLS 1.2 or later, AEAD suites, mutual certificates (PS3.15 B.12)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigurationError
from dicom_node.network.tls_files import faults_of_authority, faults_of_identity

_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: who we are, and who signs those we talk to (without `ca_file` no certificate is asked for)."""

    certificate_file: Path
    key_file: Path
    ca_file: Path | None = None


def acceptor_context(files: TlsFiles, *, of: str = "[tls]") -> ssl.SSLContext:
    """For a listener; with a `ca_file` the peer must show a certificate signed by it.

    `of`: whose files these are, for the message of a ConfigurationError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _filled(context, files, of)


def requestor_context(files: TlsFiles, *, of: str = "[destinations.tls]") -> ssl.SSLContext:
    """For a peer we call; it must show a certificate signed by `ca_file`, or by an authority the system knows.

    An authority of the system signs for anyone, so the certificate must bear the host name or address that is called
    (RFC 9325, host name validation). The site's own authority vouches for its machines, which are addressed by number
    more often than by name: there the name is not compared (PS3.15 B.12).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = files.ca_file is None
    if files.ca_file is None:
        context.load_default_certs()
    return _filled(context, files, of)


def faults_of(files: TlsFiles) -> list[str]:
    """A sentence for each file that cannot be used, with the name of its setting: missing, no PEM, not the key."""
    faults = faults_of_identity(files.certificate_file, files.key_file)
    return faults if files.ca_file is None else [*faults, *faults_of_authority(files.ca_file)]


def _filled(context: ssl.SSLContext, files: TlsFiles, of: str) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    faults = faults_of(files)  # first: of an encrypted key OpenSSL would ask the terminal for its password
    if faults:
        raise ConfigurationError("; ".join(f"{of}: {fault}" for fault in faults))
    try:
        context.load_cert_chain(files.certificate_file, files.key_file)
        if files.ca_file is not None:
            context.load_verify_locations(files.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{of}: OpenSSL does not take {files.certificate_file}, {files.key_file} and "
            f"{files.ca_file or 'the authorities of the system'} ({reason_of(error)})"
        ) from error
    return context


def reason_of(error: OSError) -> str:
    """OpenSSL's own word for a failure, in small letters; the system's for what is none of TLS."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return (error.strerror or type(error).__name__).lower()
