"""Reports first, pictures after: who may use the encoder when many studies end at once.

A radiologist's worklist waits for the SR; overlays, outlines and segmentations may come a moment later. So drawing
waits for a lull in reporting, but never for ever: after `PATIENCE_SECONDS` its turn has come anyway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 10.0
LULL_SECONDS = 0.25
"""No study must have been reported for so long: in a burst the next study follows within milliseconds."""


class Turns:
    """At most `places` studies are reported at the same time; one is drawn, when none is reported."""

    def __init__(self, places: int) -> None:
        self._number_of_places = places
        self._places = threading.Semaphore(places)
        self._drawing = threading.Lock()
        self._counting = threading.Lock()
        self._reporting = 0
        self._last_reported = 0.0

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """A place for reporting one study; those who wait for a place count as reporting too."""
        with self._counting:
            self._reporting += 1
        try:
            with self._places:
                yield
        finally:
            with self._counting:
                self._reporting -= 1
                self._last_reported = time.monotonic()

    @property
    def is_crowded(self) -> bool:
        """Whether studies wait for a place: what can be left out should not be done now."""
        with self._counting:
            return self._reporting > self._number_of_places

    def wait_for_room(self, deadline: float) -> bool:
        """Wait until no study waits for a place, or until the deadline (monotonic); True, for what is done then."""
        while self.is_crowded and time.monotonic() < deadline:
            time.sleep(LULL_SECONDS)
        return True

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """The place for drawing, in a lull of reporting or when patience has run out."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._drawing:
            while time.monotonic() < deadline and not self._is_lull():
                time.sleep(LULL_SECONDS / 5)
            yield

    def _is_lull(self) -> bool:
        with self._counting:
            return self._reporting == 0 and time.monotonic() - self._last_reported >= LULL_SECONDS
