"""Explanations that a person asks for after the report: a second method's map of one finding, as a job.

A job lives in the database, is carried out by one process at a time and may be cancelled. A process that dies leaves
its job behind as `interrupted`; nothing runs again by itself, because the person who asked may have gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class JobState(StrEnum):
    """How far a job has come."""

    QUEUED = "queued"  # waiting for a worker
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # `reason` says why
    CANCELLED = "cancelled"  # by the person who asked
    INTERRUPTED = "interrupted"  # the process that ran it died: run again

    @property
    def is_over(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


INTERRUPTED = "the process that worked on it ended before it was done; run it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationJob:
    """One asked-for explanation. Names no person: the study is a pseudonym.

    `passes` of about `passes_expected` forward passes are done (0: not known yet). `destination`: where the map goes
    as DICOM objects when it is done; "" for nowhere. `document`: the figures as JSON text, once done;
    `picture_key`: the overlay as PNG among the encrypted objects.
    """

    job_id: str
    study_id: str
    finding: str
    method: str
    destination: str = ""
    state: JobState = JobState.QUEUED
    passes: int = 0
    passes_expected: int = 0
    asked_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    reason: str = ""
    document: str = field(default="", repr=False)
    picture_key: str = ""
