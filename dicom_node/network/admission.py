"""Who may come in: address and AE-title allow-lists, and a share of the room for each address.

Connections that have not yet asked for an association wait in front of admission. Too many of them from one address
push out the oldest, so that a host full of idle sockets cannot lock out its own next honest association.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import NamedTuple


class Rejection(NamedTuple):
    """An A-ASSOCIATE-RJ: result, source and reason of PS3.8 9.3.4, and the sentence for the trail."""

    result: int
    source: int
    reason: int
    sentence: str


NOT_ALLOWED_ADDRESS = Rejection(1, 1, 1, "the address is not on the list of allowed addresses")
UNKNOWN_CALLING_AE = Rejection(1, 1, 3, "the calling AE title is not on the list of allowed AE titles")
UNKNOWN_CALLED_AE = Rejection(1, 1, 7, "the called AE title is not ours")
NO_REASON = Rejection(1, 1, 1, "the association could not be checked")
LIMIT_EXCEEDED = Rejection(2, 3, 2, "too many associations are open")


class Admission:
    """Counts associations and knows the allow-lists; safe to call from many threads."""

    def __init__(
        self,
        *,
        ae_title: str,
        require_called_ae_title: bool,
        allowed_calling_ae_titles: Sequence[str],
        allowed_addresses: Sequence[str],
        maximum_associations: int,
        maximum_associations_per_address: int,
    ) -> None:
        self._ae_title = ae_title
        self._require_called_ae_title = require_called_ae_title
        self._calling = frozenset(title.strip() for title in allowed_calling_ae_titles)
        self._networks = tuple(ip_network(address, strict=False) for address in allowed_addresses)
        self._maximum = maximum_associations
        self._per_address = maximum_associations_per_address
        self._open: Counter[str] = Counter()
        self._waiting: dict[str, dict[socket.socket, None]] = defaultdict(dict)
        self._lock = threading.Lock()

    def admit(self, address: str, calling_ae_title: str, called_ae_title: str) -> Rejection | None:
        """Count an association in, or say why not. Each one admitted must `leave`."""
        if not self._allows(address):
            return NOT_ALLOWED_ADDRESS
        if self._require_called_ae_title and called_ae_title != self._ae_title:
            return UNKNOWN_CALLED_AE
        if self._calling and calling_ae_title not in self._calling:
            return UNKNOWN_CALLING_AE
        with self._lock:
            if self._open.total() >= self._maximum or self._open[address] >= self._per_address:
                return LIMIT_EXCEEDED
            self._open[address] += 1
        return None

    def leave(self, address: str) -> None:
        """An admitted association has ended."""
        with self._lock:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def wait(self, address: str, connection: socket.socket) -> None:
        """A connection without an association yet; the oldest of its address goes when there are too many."""
        with self._lock:
            queue = self._waiting[address]
            queue[connection] = None
            oldest = next(iter(queue)) if len(queue) > self._per_address else None
            if oldest is not None:
                del queue[oldest]
        if oldest is not None:
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)

    def settle(self, address: str, connection: socket.socket) -> None:
        """The connection waits no longer: admitted, rejected or gone."""
        with self._lock:
            self._waiting[address].pop(connection, None)
            if not self._waiting[address]:
                del self._waiting[address]

    def _allows(self, address: str) -> bool:
        if not self._networks:
            return True
        peer = ip_address(address.removeprefix("::ffff:"))
        return any(peer in network for network in self._networks)
