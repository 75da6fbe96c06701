"""What holds for all tests: one that is marked `alone` waits until no worker of the run is at another."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Outside of everything else, so that waiting is not counted by pytest-timeout."""
    if not hasattr(item.config, "workerinput"):  # no other worker
        return (yield)
    with _room(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _room(*, alone: bool) -> Iterator[None]:
    """Shared with other tests, or not. Everybody queues at the door, so that who wants it alone is not passed over."""
    with Path(__file__).open() as room, Path(__file__).with_name("__init__.py").open() as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        try:
            fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(room, fcntl.LOCK_UN)  # by name: a process that a test forked has the open file too
