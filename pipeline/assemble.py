"""Assemble: notice that a study is complete, freeze it as a revision, and hand it to the workflow.

Polling the database a few times a second costs a millisecond each time and works the same with one process or many,
after a crash or without one; there is no event to lose.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from core.settings import Settings
from core.store.store import Store
from core.store.studies.revisions import Revision
from pipeline.reading.reader import RememberingReader

LOOK_AGAIN_SECONDS = 15.0
_log = structlog.get_logger()


class Assembler:
    """Finds what is due and starts its reading."""

    def __init__(self, store: Store, settings: Settings, start: Callable[[Revision, bool], None]) -> None:
        self._studies = store.studies
        self._settings = settings
        self._start = start
        self._started: dict[Revision, float] = {}

    def tick(self) -> bool:
        """Assemble every study that is due and start every revision that waits; True when there was work."""
        due = self._studies.due(
            quiet_seconds=self._settings.quiet_seconds, maximum_wait_seconds=self._settings.maximum_wait_seconds
        )
        for study_id in due:
            revision = self._studies.assemble(study_id)
            if revision is not None:
                _log.info("study.complete", study=study_id, revision=revision.revision)
        return self._start_waiting()

    def _start_waiting(self) -> bool:
        """Start what waits; look again after a while at what should have ended, in case it ended without a word."""
        now = time.monotonic()
        waiting = self._studies.assembled()
        new = [
            revision
            for revision in waiting
            if now - self._started.get(revision, -LOOK_AGAIN_SECONDS) >= LOOK_AGAIN_SECONDS
        ]
        self._studies.begin_reading(new)
        for revision in new:
            self._start(revision, revision in self._started)
        started = dict.fromkeys(new, now)
        self._started = {revision: started.get(revision) or self._started[revision] for revision in waiting}
        return bool(new)


class Anticipator:
    """Reads images ahead while their studies are still quiet."""

    def __init__(self, store: Store, reader: RememberingReader) -> None:
        self._studies = store.studies
        self._reader = reader
        self._newest_seen = 0

    def tick(self) -> bool:
        """Read what has newly arrived; True when there was work."""
        arriving = self._studies.arriving(after=self._newest_seen)
        for number, instance in arriving:
            self._reader.read_ahead(instance)
            self._newest_seen = number
        for _, instance in arriving:
            if self._studies.arriving(after=self._newest_seen):
                break  # the next images first: how far to trust a map matters less than what it says
            self._reader.measure_ahead(instance)
        return bool(arriving)
