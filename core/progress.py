"""One way for long work to say how far it is, and to end early when its result is no longer wanted.

Whatever takes longer than a few seconds takes a `Progress` and calls it between its steps. Whether that draws a bar,
writes to a database or does nothing is up to the caller, who may also end the work by raising Cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from core.errors import Cancelled


class Progress(Protocol):
    """Called between two steps of long work."""

    def __call__(self, what: str, done: int, total: int, note: str = "", /) -> None:
        """Say that `done` of `total` steps of `what` are done, 0 when the total is not known; raises Cancelled.

        `note`: what else a person would like to see, such as the loss.
        """


def silent(_what: str, _done: int, _total: int, _note: str = "") -> None:
    """The progress of work that is not watched."""


def cancellable(is_cancelled: Callable[[], bool], progress: Progress = silent) -> Progress:
    """`progress` that ends the work, with Cancelled, as soon as `is_cancelled` says so."""

    def report(what: str, done: int, total: int, note: str = "") -> None:
        if is_cancelled():
            raise Cancelled(f"cancelled after {done:,} of {total:,} {what}")
        progress(what, done, total, note)

    return report
