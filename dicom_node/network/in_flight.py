"""How many bytes of half-received objects the node holds in memory, over all associations.

One object has a size that the settings bound; sixty-four peers that send at once have not. Each data set that arrives
is therefore collected in a buffer that takes what it grows by from one common allowance and gives it back when it
goes, by whatever way. A buffer that gets nothing more forgets what it had and says so: its object is refused for
now (out of resources), and the association lives on.
"""

from __future__ import annotations

import contextlib
import io
import threading
from typing import Any


class BytesInFlight:
    """The common allowance; safe to use from many threads."""

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum_bytes = maximum_bytes
        self._lock = threading.RLock()  # a buffer may be collected while its own thread holds the lock
        self.taken = 0

    def take(self, count: int) -> bool:
        """Take `count` bytes; False when there are not so many left."""
        with self._lock:
            if self.taken + count > self._maximum_bytes:
                return False
            self.taken += count
            return True

    def give_back(self, count: int) -> None:
        """What was taken is free again."""
        with self._lock:
            self.taken -= count


class DataSetBuffer(io.BytesIO):
    """The bytes of one data set, or nothing but the note that there was no room for them."""

    def __init__(self, in_flight: BytesInFlight) -> None:
        super().__init__()
        self._in_flight = in_flight
        self._taken = 0
        self.overflowed = False

    def write(self, data: Any, /) -> int:
        """Append `data`, or drop all there is when the allowance is used up."""
        count = len(data)
        if self.overflowed or not self._in_flight.take(count):
            self._drop()
            return count
        self._taken += count
        return super().write(data)

    def _drop(self) -> None:
        self.overflowed = True
        self.seek(0)
        self.truncate()
        self._give_back()

    def _give_back(self) -> None:
        self._in_flight.give_back(self._taken)
        self._taken = 0

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # never quite made
            self._give_back()
