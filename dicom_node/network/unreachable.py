"""Why a connection came to nothing, in words that name what to check: for peers that we call, and that call us."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

from dicom_node.network.tls import TlsFiles, reason_of

_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_* of OpenSSL
_UNKNOWN_SIGNER = (2, 7, 18, 19, 20, 21, 27)
_OTHER_NAME = (62, 64)
_PLAIN_SIGNS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "NO_PROTOCOLS")
_ALERTS: Mapping[str, str] = {  # what the other side says of our certificate
    "UNKNOWN_CA": "is not signed by an authority that it knows",
    "DECRYPT_ERROR": "is not signed by an authority that it knows",  # of the same name, but with another key
    "CERTIFICATE_EXPIRED": "has expired, it says",
    "CERTIFICATE_UNKNOWN": "is not accepted by it",
    "BAD_CERTIFICATE": "is not accepted by it",
    "CERTIFICATE_REVOKED": "was revoked, it says",
    "UNSUPPORTED_CERTIFICATE": "is of a kind that it does not take",
    "CERTIFICATE_REQUIRED": "did not reach it, although it demands one",
    "ACCESS_DENIED": "is not allowed there",
}
_FIRST_BYTES: Mapping[bytes, str] = {
    b"HTTP": ": a web server answers there, not a DICOM node: check port",
    b"SSH-": ": an SSH server answers there, not a DICOM node: check port",
    b"\x15\x03": ": it speaks TLS: give it a table [destinations.tls]",
}
_A_ABORT = b"\x07"


def why_not_connected(error: OSError | None, *, host: str, tls: TlsFiles | None, reached: bool) -> str:
    """Go on after the name of a destination: why there is no connection to `host`.

    `reached`: TCP was open, only TLS was not.
    """
    if isinstance(error, socket.gaierror):
        return f": the name {host} cannot be resolved: check host, and the name server of this machine"
    if tls is not None and (reached or isinstance(error, ssl.SSLError)):
        return _why_no_tls(error, host, tls)
    if isinstance(error, TimeoutError):
        return "does not answer (timed out): check host and port, and the firewalls on the way"
    reason = f" ({reason_of(error)})" if error is not None else ""
    return f"does not answer{reason}: check that it runs, host and port"


def why_no_dicom(first_bytes: bytes, error: OSError | None, *, host: str, tls: TlsFiles | None, seconds: float) -> str:
    """Go on after the name of a destination: why an open connection gave no association.

    `first_bytes` of the peer, if any, say what it is instead.
    """
    if tls is not None and isinstance(error, ssl.SSLError):
        return _why_no_tls(error, host, tls)
    for start, words in _FIRST_BYTES.items():
        if first_bytes.startswith(start):
            return words
    if first_bytes.startswith(_A_ABORT):
        return "aborted the association without a reason: ask its administrator whether it knows us"
    if first_bytes:
        return "answers, but not in DICOM: check port, and whether it expects TLS"
    if isinstance(error, TimeoutError):
        return f"takes the connection, but gives no DICOM answer within {seconds:.0f} s: check port, or is it busy?"
    return "closes the connection without a DICOM answer: check port, whether it expects TLS, and whether it allows us"


def why_client_has_no_tls(error: OSError) -> str:
    """Why a peer that called us got no TLS connection."""
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = _of_their_certificate(error, "ca_file of [tls]", "")
    elif "NOT_RETURN_A_CERTIFICATE" in reason:
        words = "the peer sent no certificate, and ca_file demands one"
    elif reason in _PLAIN_SIGNS:
        words = "the peer does not speak TLS; this is the port for TLS"
    elif alert := _alert(reason):
        words = f"the peer refused our certificate: it {alert}"
    elif reason in ("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW"):
        words = "the peer speaks a TLS version before 1.2"
    elif reason == "NO_SHARED_CIPHER":
        words = "the peer offers no cipher suite that is safe enough"
    elif isinstance(error, TimeoutError):
        words = "the peer did not finish the handshake in time"
    elif isinstance(error, ssl.SSLEOFError | ConnectionError):
        words = "the peer closed the connection in the middle of the handshake"
    else:
        words = reason_of(error)
    return f"no TLS connection: {words}"


def _why_no_tls(error: OSError | None, host: str, tls: TlsFiles) -> str:
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if isinstance(error, ssl.SSLCertVerificationError):
        authority = f"ca_file {tls.ca_file}" if tls.ca_file else "an authority of this system; set ca_file"
        return ": " + _of_their_certificate(error, authority, host)
    if reason in _PLAIN_SIGNS:
        return "does not speak TLS on this port: check port, or remove [destinations.tls]"
    if alert := _alert(reason):
        return f"refuses our certificate: certificate_file {tls.certificate_file} {alert}"
    if isinstance(error, TimeoutError):
        return "takes the connection, but does not answer in TLS: check port, and whether it speaks TLS there"
    if error is None or isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "closes the connection in the middle of the TLS handshake: check whether it speaks TLS on this port"
    return f"agrees on no TLS connection ({reason_of(error)})"


def _of_their_certificate(error: ssl.SSLCertVerificationError, authority: str, host: str) -> str:
    code, words = error.verify_code, error.verify_message
    if code in _UNKNOWN_SIGNER:
        return f"its certificate is not signed by {authority} ({words})"
    if code == _EXPIRED:
        return "its certificate, or the one that signed it, has expired"
    if code == _NOT_YET:
        return "its certificate is not valid yet: is the clock of this machine right?"
    if code in _OTHER_NAME:
        return f"its certificate does not bear the name {host}: check host, or set ca_file to the authority of the site"
    return f"its certificate is not accepted ({words})"


def _alert(reason: str) -> str | None:
    return next((words for name, words in _ALERTS.items() if "ALERT" in reason and reason.endswith(name)), None)
