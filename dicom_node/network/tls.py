"""DICOM over TLS as BCP 195 / RFC 9325 ask for it: TLS 1.2 or later, AEAD suites, mutual certificates (PS3.15 B.12)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigurationError

_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: who we are, and who signs those we talk to (without `ca_file` no certificate is asked for)."""

    certificate_file: Path
    key_file: Path
    ca_file: Path | None = None


def acceptor_context(files: TlsFiles) -> ssl.SSLContext:
    """For a listener; with a `ca_file` the peer must show a certificate signed by it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _filled(context, files)


def requestor_context(files: TlsFiles) -> ssl.SSLContext:
    """For a peer we call; it must show a certificate signed by `ca_file`, or by an authority the system knows.

    An authority of the system signs for anyone, so the certificate must bear the host name or address that is called
    (RFC 9325, host name validation). The site's own authority vouches for its machines, which are addressed by number
    more often than by name: there the name is not compared (PS3.15 B.12).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = files.ca_file is None
    if files.ca_file is None:
        context.load_default_certs()
    return _filled(context, files)


def _filled(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    try:
        context.load_cert_chain(files.certificate_file, files.key_file)
        if files.ca_file is not None:
            context.load_verify_locations(files.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the TLS files of the DICOM node cannot be used ({error.__class__.__name__}): "
            f"check {files.certificate_file}, {files.key_file} and {files.ca_file or 'the system authorities'}"
        ) from error
    return context
