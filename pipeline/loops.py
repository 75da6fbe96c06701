"""Loops that run until the process ends: look, work, rest. A failure is logged and tried again, never fatal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from core.backoff import Backoff
from core.errors import CandorError


def describe(error: Exception) -> str:
    """Say what went wrong: our own error in its words, a foreign one by its class: its words may be patient data."""
    return str(error) if isinstance(error, CandorError) else f"an unexpected {type(error).__name__}"


_log = structlog.get_logger()
LONGEST_REST_SECONDS = 30.0


class Loop:
    """A thread that calls `tick` again and again: at once after work, after `rest_seconds` (or a `nudge`) without."""

    def __init__(self, name: str, tick: Callable[[], bool], *, rest_seconds: float) -> None:
        self._name = name
        self._tick = tick
        self._rest = Backoff(first_seconds=rest_seconds, longest_seconds=LONGEST_REST_SECONDS)
        self._nudged = threading.Event()
        self._stopping = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def nudge(self) -> None:
        """There may be work: do not rest."""
        self._nudged.set()

    def stop(self) -> None:
        """End after the tick that is under way."""
        self._stopping.set()
        self._nudged.set()
        self._thread.join(timeout=LONGEST_REST_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._worked():
                self._nudged.wait(self._rest.seconds(self._failures))
            self._nudged.clear()

    def _worked(self) -> bool:
        try:
            worked = self._tick()
        except Exception as error:  # noqa: BLE001 - the boundary of a loop: it must outlive whatever one tick meets
            self._failures += 1
            _log.error("loop.failed", process=self._name, error=describe(error), attempts=self._failures)
            return False
        self._failures = 0
        return worked


@contextmanager
def heartbeats(give: Callable[[], None], *, every_seconds: float) -> Iterator[None]:
    """Call `give` every so often while the block is at work; one that fails is logged, and the next one tried."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(every_seconds):
            try:
                give()
            except Exception as error:  # noqa: BLE001 - the boundary of a thread: the work itself meets what is wrong
                _log.warning("heartbeat.failed", error=type(error).__name__)

    thread = threading.Thread(target=run, name="heartbeats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
