"""Reports first, pictures after: who may use the encoder when many studies end at once.

A radiologist's worklist waits for the SR; overlays, outlines and segmentations may come a moment later. So drawing
waits while any study is being reported, but never for ever: after `PATIENCE_SECONDS` its turn has come anyway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 10.0


class Desk:
    """At most `places` studies are reported at the same time; one is drawn, when nobody reports."""

    def __init__(self, places: int) -> None:
        self._places = threading.Semaphore(places)
        self._drawing = threading.Lock()
        self._nobody_reports = threading.Condition()
        self._reporting = 0

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """A place for reporting one study; those who wait for a place count as reporting too."""
        with self._nobody_reports:
            self._reporting += 1
        try:
            with self._places:
                yield
        finally:
            with self._nobody_reports:
                self._reporting -= 1
                self._nobody_reports.notify_all()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """The place for drawing, when nobody reports or patience has run out."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._drawing:
            with self._nobody_reports:
                self._nobody_reports.wait_for(lambda: self._reporting == 0, timeout=deadline - time.monotonic())
            yield
