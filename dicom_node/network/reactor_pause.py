"""A pause of pynetdicom's reactor that is one.

A requestor must stop the reactor thread before it waits for an answer, or the reactor may take the answer off the
queue. pynetdicom 3.0.4 does so by clearing an event and looking at `_is_paused`; but the reactor says "paused" also in
the moment in which it goes on. On a loaded machine that moment is long enough: the answer is lost and the requestor
waits for its whole timeout. This checkpoint knows whether somebody really waits at it.
"""

from __future__ import annotations

import threading

from pynetdicom.association import Association

PATIENCE_SECONDS = 5.0


class Checkpoint:
    """The part of threading.Event that pynetdicom uses, with `pause`."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_open = True
        self._is_blocked = False

    def set(self) -> None:
        """Let the reactor go on."""
        with self._condition:
            self._is_open = True
            self._condition.notify_all()

    def clear(self) -> None:
        """Stop the reactor when it next comes here."""
        with self._condition:
            self._is_open = False

    def is_set(self) -> bool:
        """Whether the reactor may pass."""
        return self._is_open

    def wait(self) -> None:
        """Called by the reactor: pass, or wait here until `set`."""
        with self._condition:
            while not self._is_open:
                self._is_blocked = True
                self._condition.notify_all()
                self._condition.wait()
            self._is_blocked = False

    @property
    def is_blocked(self) -> bool:
        """Whether the reactor waits here."""
        return self._is_blocked

    def pause(self, timeout_seconds: float = PATIENCE_SECONDS) -> bool:
        """Stop the reactor and return only when it waits here; False when it does not come (it has ended)."""
        with self._condition:
            self._is_open = False
            return self._condition.wait_for(lambda: self._is_blocked, timeout_seconds)


def pause_reactor(association: Association) -> None:
    """Pause the reactor of an association that we opened, so that the next answer is ours.

    `_reactor_checkpoint.set()` lets it go on; pynetdicom's own `send_*` methods do so when they end.
    """
    checkpoint = association._reactor_checkpoint
    if isinstance(checkpoint, Checkpoint) and association.is_alive():
        checkpoint.pause()
