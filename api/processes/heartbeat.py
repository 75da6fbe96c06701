"""What every long-running process of Candor does: give heartbeats, wait for the signal to stop, end with its parent.

All work is durable, so a process may be killed at any moment; an orderly stop only spares the others a wait.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from core.store.store import Store
from pipeline.loops import Loop

HEARTBEAT_SECONDS = 3.0
ALIVE_SECONDS = 10.0
PREFIX = "process/"
STARTING = "starting/"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOOK_SECONDS = 0.2


def stop_signal() -> threading.Event:
    """An event that SIGTERM or SIGINT sets. Call it first, so that a stop in the middle of starting is orderly too."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def end_with(parent: int | None) -> None:
    """End this process when the process `parent`, which started it, has gone, also by SIGKILL.

    At once, by SIGKILL: a supervisor that is started again must find the port and the locks free.
    """
    if parent is None:
        return
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    """For other systems, and for a parent that died before the kernel was asked."""
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def heartbeat(store: Store, process: str) -> Iterator[None]:
    """Keep a lease named after this process (`node`, `worker/NAME`) while the block runs."""
    with _leased(store, PREFIX + process, process):
        yield


@contextmanager
def start_of(store: Store, process: str) -> Iterator[None]:
    """Say that this process is starting while the block runs: it loads models, which takes some seconds."""
    with _leased(store, STARTING + process, process):
        yield


@contextmanager
def _leased(store: Store, lease: str, process: str) -> Iterator[None]:
    def tick() -> bool:
        store.leases.acquire(lease, process, ALIVE_SECONDS)
        return False

    loop = Loop(f"heartbeat-{process}", tick, rest_seconds=HEARTBEAT_SECONDS)
    loop.start()
    try:
        yield
    finally:
        loop.stop()
        store.leases.release(lease, process)


def living(store: Store) -> list[str]:
    """The processes that gave a heartbeat in the last ten seconds, on any machine of this installation."""
    return sorted(name.removeprefix(PREFIX) for name in store.leases.living(PREFIX))


def starting(store: Store) -> list[str]:
    """The processes that are starting."""
    return sorted(name.removeprefix(STARTING) for name in store.leases.living(STARTING))
