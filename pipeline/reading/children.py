"""Child processes that decode pixels, run models and write results.

Native decoders and model runtimes can crash or run out of memory; in a child of their own they take one job with
them and nothing else. One job at a time goes to a child, so that a death has one suspect; that job is answered with
RunnerDied, the next one finds a fresh child.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import structlog

from core.errors import RunnerDied
from core.log import configure_logging, file_of_child, level_of_log

Held = TypeVar("Held")
T = TypeVar("T")
P = ParamSpec("P")
LONGEST_JOB_SECONDS = 120
_log = structlog.get_logger()


class Child(Generic[Held]):
    """One child process that holds one object and does one job at a time; safe to call from many threads."""

    def __init__(
        self, make: Callable[..., Held], *, arguments: tuple[Any, ...] = (), longest_seconds: int = LONGEST_JOB_SECONDS
    ) -> None:
        self._make = make
        self._arguments = arguments
        self._longest_seconds = longest_seconds
        self._lock = threading.Lock()
        self._pool = self._start()

    def call(self, job: Callable[Concatenate[Held, P], T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """The result of a method of the object in the child, or its error; RunnerDied when the child died of it."""
        with self._lock:
            try:
                return self._pool.submit(_within_time, self._longest_seconds, job, arguments, keywords).result()
            except BrokenProcessPool:
                _log.error("runner.died", process=getattr(job, "__name__", "explain"))
                self._pool = self._start()
        raise RunnerDied("the model runner died, or was too slow, on this image: out of memory, or a damaged image")

    def close(self) -> None:
        """End the child."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=1,
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(self._make, self._arguments, level_of_log(), file_of_child(self._make.__name__)),
        )


# In the children ------------------------------------------------------------------------------------------------

_held: Any = None
"""The one object of this child; only `_begin` sets it and only `_within_time` uses it."""


def _begin(make: Callable[..., object], arguments: tuple[Any, ...], level: str, log: Path | None) -> None:
    global _held  # noqa: PLW0603 - a process pool has no other place for what its jobs share
    threading.Thread(target=_end_with_parent, daemon=True).start()
    configure_logging(json=True, level=level, file=log)
    _held = make(*arguments)


def _within_time(longest_seconds: int, job: Callable[..., T], arguments: Any, keywords: Any) -> T:
    """Run a job under the alarm clock: a decoder that loops for ever is ended by the kernel, with this child."""
    signal.alarm(longest_seconds)
    try:
        return job(_held, *arguments, **keywords)
    finally:
        signal.alarm(0)


def _end_with_parent() -> None:
    """A worker that is killed must not leave a child behind that holds the GPU."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
