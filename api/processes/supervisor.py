"""`candor serve`: starts the node, the worker and the web process, and restarts each that ends.

The supervisor does nothing else, so that there is little in it that could fail. A child that dies comes back after a
pause that doubles from 0.2 s to 10 s while it keeps dying young. A wrong setting does not heal by trying again:
a child that ends with a ConfigurationError (exit code 2, its sentence is on stderr) at its very first start ends all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from core.backoff import Backoff
from core.errors import ANSWERS, ConfigurationError

_log = structlog.get_logger()
CONFIGURATION_EXIT_CODE = ANSWERS[ConfigurationError].exit_code
BACKOFF = Backoff(first_seconds=0.2, longest_seconds=10.0)
HEALTHY_SECONDS = 30.0
"""A child that lived this long starts again with the shortest pause."""
PATIENCE_SECONDS = 20.0
"""How long children may take to stop before they are killed."""
_LOOK_SECONDS = 0.05


def candor_command(*arguments: str) -> list[str]:
    """The command that runs `candor ARGUMENTS` as a child of this process and ends with it.

    `-P`: a folder called `api` in the working directory must not be taken for ours.
    """
    return [sys.executable, "-P", "-m", "api", *arguments, "--parent", str(os.getpid())]


def commands_of(data_dir: Path, *processes: str) -> dict[str, list[str]]:
    """The commands of the named processes on a data folder."""
    return {process: candor_command(process, "--data", str(data_dir)) for process in processes}


@dataclass
class Child:
    """One process that must run."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    starts: int = 0
    failures: int = field(default=0)  # in a row, dying young

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Keeps children running until it is asked to stop."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        stderr: int | None = None,
    ) -> None:
        self.children = [Child(name, command) for name, command in commands.items()]
        self._stderr = stderr
        self._stopping = threading.Event()

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT; returns the exit code. Call from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        try:
            while not self._stopping.is_set():
                if not self.look():
                    return CONFIGURATION_EXIT_CODE
                self._stopping.wait(_LOOK_SECONDS)
            return 0
        finally:
            self.stop()

    def look(self) -> bool:
        """Start what is due and note what has ended; False when a child cannot start with these settings."""
        for child in self.children:
            if child.process is not None and not child.is_running:
                exit_code = child.process.returncode
                self._note_end(child, exit_code)
                if exit_code == CONFIGURATION_EXIT_CODE and child.starts == 1:
                    return False
            if child.process is None and time.monotonic() >= child.restart_at:
                self._start(child)
        return True

    def stop(self) -> None:
        """Ask every child to end, wait, and kill those that do not."""
        running = [child for child in self.children if child.process is not None]
        for child in running:
            if child.process is not None:
                child.process.terminate()
        deadline = time.monotonic() + PATIENCE_SECONDS
        for child in running:
            _end(child, deadline)
            _log.info("process.stopped", process=child.name)

    def _start(self, child: Child) -> None:
        child.process = subprocess.Popen(  # noqa: S603 - our own command
            child.command, stderr=self._stderr, stdin=subprocess.DEVNULL
        )
        child.started_at = time.monotonic()
        child.starts += 1
        _log.info("process.started", process=child.name, pid=child.process.pid, restarts=child.starts - 1)

    def _note_end(self, child: Child, exit_code: int) -> None:
        lived_long = time.monotonic() - child.started_at >= HEALTHY_SECONDS
        child.failures = 0 if lived_long else child.failures + 1
        pause = BACKOFF.seconds(child.failures)
        child.process, child.restart_at = None, time.monotonic() + pause
        _log.error("process.ended", process=child.name, exit_code=exit_code, backoff_seconds=pause)


def _end(child: Child, deadline: float) -> None:
    process = child.process
    if process is None:
        return
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    child.process = None
