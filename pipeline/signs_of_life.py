"""Signs of life of long work, from a thread of its own, so that no silent stretch of it looks like a dead process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

_log = structlog.get_logger()


@contextmanager
def signs_of_life(give: Callable[[], None], *, every_seconds: float) -> Iterator[None]:
    """Call `give` every so often while the block is at work; one that fails is logged, and the next one tried."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(every_seconds):
            try:
                give()
            except Exception as error:  # noqa: BLE001 - the boundary of a thread: the work itself meets what is wrong
                _log.warning("sign_of_life.failed", error=type(error).__name__)

    thread = threading.Thread(target=run, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
