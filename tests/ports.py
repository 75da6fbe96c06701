"""Free ports for the tests, no port twice: not in one run, not in its workers, not in another run on this machine."""

from __future__ import annotations

import socket

# below those that the system gives to connections, which could take one between our look and its use
_UNUSED = iter(range(20_000, 32_000))
_CLAIMS: list[socket.socket] = []


def free_port() -> int:
    """A loopback port that no process listens on, and that no other test is given before this process ends."""
    for port in _UNUSED:
        claim = _bound(port, socket.SOCK_DGRAM)  # no test speaks UDP, so its port reserves the number
        if claim is None:
            continue
        _CLAIMS.append(claim)
        probe = _bound(port, socket.SOCK_STREAM)
        if probe is not None:
            probe.close()
            return port
    raise AssertionError("no port is free from 20000 to 32000")


def _bound(port: int, kind: socket.SocketKind) -> socket.socket | None:
    made = socket.socket(socket.AF_INET, kind)
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        return None
    return made
