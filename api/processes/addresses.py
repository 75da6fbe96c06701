"""The addresses of this machine, and why a listener could not be opened on one."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

_SIOCGIFADDR = 0x8915  # linux/sockios.h
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")
_UNPRIVILEGED = 1024


def why_no_listener(error: OSError, host: str, port: int, setting: str) -> str:
    """Go on after "cannot listen on HOST, port PORT": why, and what to set; `setting`: the name of the port's."""
    if error.errno == errno.EADDRINUSE:
        return f"another program listens there; is another Candor running? Else set another {setting} in candor.toml"
    if error.errno == errno.EACCES and port < _UNPRIVILEGED:
        return (
            f"this account may not open a port below {_UNPRIVILEGED}; set another {setting} in candor.toml, or "
            "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit"
        )
    return (
        why_not_ours(host)
        or f"{(error.strerror or type(error).__name__).lower()}; see host and {setting} in candor.toml"
    )


def why_not_ours(host: str) -> str | None:
    """One sentence when this machine cannot listen on `host`, else None."""
    try:
        [(family, _, _, _, place), *_] = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return f"the name {host} cannot be resolved; {_choices()}"
    with socket.socket(family, socket.SOCK_STREAM) as one:
        try:
            one.bind(place)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EINVAL):
                return f"{host} is no address of this machine; {_choices()}"
    return None


def _choices() -> str:
    return f"set host to 0.0.0.0 or to one of {', '.join(own_addresses())}"


def is_loopback(address: str) -> bool:
    """Whether `address` is one that only this machine can reach."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def own_addresses() -> list[str]:
    """The addresses of this machine's interfaces, IPv4 first."""
    return [*dict.fromkeys(_ipv4()), *dict.fromkeys(_ipv6())]


def _ipv4() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # an interface without an address
                answer = fcntl.ioctl(one.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                yield socket.inet_ntoa(answer[20:24])


def _ipv6() -> Iterator[str]:
    with suppress(OSError):  # no IPv6, or another system
        for line in _IPV6_ADDRESSES.read_text(encoding="ascii").splitlines():
            address = ip_address(bytes.fromhex(line.split()[0]))
            if not address.is_link_local:  # one that would need the name of an interface too
                yield str(address)
