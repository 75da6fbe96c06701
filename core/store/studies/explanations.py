"""Explanations kept: the faithfulness of each map, measured once, and the jobs of those who ask for another method."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from core.clock import Clock
from core.domain.explanation import Faithfulness
from core.domain.explanation_job import INTERRUPTED, ExplanationJob, JobState
from core.domain.model import ModelVersion
from core.store.engine import read_only
from core.store.statements import insert_if_absent
from core.store.tables.explanations import explanation_jobs, faithfulness

SILENT_SECONDS = 60.0
"""A running job without a heartbeat for so long has lost its process."""
_FIELDS = tuple(explanation_jobs.c[field.name] for field in dataclasses.fields(ExplanationJob))


class FaithfulnessStore:
    """Figures by input, model version and finding, so that no retry and no drawing measures again.

    By version, not by weights: the figures are of probabilities, and versions may be calibrated differently.
    """

    def __init__(self, engine: Engine, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._now = now

    def of(self, input_key: str, model: ModelVersion) -> dict[str, Faithfulness]:
        """The figures that are known of an input's maps, by finding."""
        query = select(faithfulness).where(
            faithfulness.c.input_key == input_key, faithfulness.c.device_uid == model.device_uid
        )
        with self._reader.connect() as connection:
            return {row.finding: Faithfulness(**row.document) for row in connection.execute(query)}

    def remember(self, input_key: str, model: ModelVersion, figures: dict[str, Faithfulness]) -> None:
        """Keep figures; those that are known already stay as they were, so that a drawing repeats its report."""
        with self._engine.begin() as connection:
            for finding, measured in figures.items():
                row = {
                    "input_key": input_key,
                    "device_uid": model.device_uid,
                    "finding": finding,
                    "document": dataclasses.asdict(measured),
                    "measured_at": self._now(),
                }
                insert_if_absent(connection, faithfulness, row)


class ExplanationStore:
    """The jobs, oldest first."""

    def __init__(self, engine: Engine, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._now = now

    def ask(self, study_id: str, finding: str, method: str, *, destination: str = "") -> ExplanationJob:
        """Queue a job; one that is asked for and not over yet is not asked for twice."""
        same = {"study_id": study_id, "finding": finding, "method": method, "destination": destination}
        under_way = explanation_jobs.c.state.in_([JobState.QUEUED, JobState.RUNNING])
        with self._engine.begin() as connection:
            twin = select(*_FIELDS).filter_by(**same).where(under_way, explanation_jobs.c.is_unwanted.is_(False))
            if (row := connection.execute(twin).first()) is not None:
                return _job(row)
            job = ExplanationJob(
                job_id=uuid.uuid4().hex,
                study_id=study_id,
                finding=finding,
                method=method,
                destination=destination,
                asked_at=self._now(),
            )
            row_of_job = {**dataclasses.asdict(job), "holder": "", "is_unwanted": False}
            connection.execute(insert(explanation_jobs).values(row_of_job))
        return job

    def take(self, holder: str, job_id: str = "") -> ExplanationJob | None:
        """Begin the oldest queued job, or the one named; None when there is none to begin."""
        with self._engine.begin() as connection:
            queued = select(*_FIELDS).where(explanation_jobs.c.state == JobState.QUEUED)
            if job_id:
                queued = queued.where(explanation_jobs.c.job_id == job_id)
            row = connection.execute(queued.order_by(explanation_jobs.c.asked_at).limit(1)).one_or_none()
            if row is None:
                return None
            now = self._now()
            values = {"state": JobState.RUNNING, "holder": holder, "started_at": now, "seen_at": now}
            changed = self._change(connection, row.job_id, JobState.QUEUED, **values)
        return dataclasses.replace(_job(row), state=JobState.RUNNING, started_at=now) if changed else None

    def progress(self, job_id: str, passes: int, expected: int) -> bool:
        """Say how far a running job has come; False when it is not wanted any more."""
        values = {"passes": passes, "passes_expected": expected, "seen_at": self._now()}
        with self._engine.begin() as connection:
            is_ours = self._change(connection, job_id, JobState.RUNNING, **values)
            query = select(explanation_jobs.c.is_unwanted).where(explanation_jobs.c.job_id == job_id)
            return is_ours and not connection.execute(query).scalar_one()

    def give_heartbeat(self, job_id: str) -> None:
        """Say that the process of a running job lives, however long it has nothing else to say."""
        with self._engine.begin() as connection:
            self._change(connection, job_id, JobState.RUNNING, seen_at=self._now())

    def end(
        self,
        job_id: str,
        state: JobState,
        *,
        reason: str = "",
        document: str = "",
        picture_key: str = "",
    ) -> bool:
        """End a running job; False when somebody else ended it before."""
        values = {
            "reason": reason,
            "document": json.loads(document) if document else None,
            "picture_key": picture_key,
            "ended_at": self._now(),
        }
        with self._engine.begin() as connection:
            return self._change(connection, job_id, JobState.RUNNING, state=state, **values)

    def cancel(self, job_id: str) -> ExplanationJob | None:
        """Cancel a queued job at once and a running one as soon as its process looks; returns it, None if unknown."""
        with self._engine.begin() as connection:
            values = {"state": JobState.CANCELLED, "ended_at": self._now()}
            if not self._change(connection, job_id, JobState.QUEUED, **values):
                self._change(connection, job_id, JobState.RUNNING, is_unwanted=True)
        return self.find(job_id)

    def interrupt(self, holder: str = "") -> int:
        """Give up the running jobs of a process that starts again, and those that were silent too long; how many."""
        lost = explanation_jobs.c.seen_at < self._now() - SILENT_SECONDS
        if holder:
            lost |= explanation_jobs.c.holder == holder
        values = {"state": JobState.INTERRUPTED, "reason": INTERRUPTED, "ended_at": self._now()}
        running = explanation_jobs.c.state == JobState.RUNNING
        with self._engine.begin() as connection:
            return connection.execute(update(explanation_jobs).where(running & lost).values(**values)).rowcount

    def has_work(self) -> bool:
        """Whether a job waits, or runs: a look that waits for no writer."""
        query = select(explanation_jobs.c.job_id).where(
            explanation_jobs.c.state.in_([JobState.QUEUED, JobState.RUNNING])
        )
        with self._reader.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def find(self, job_id: str) -> ExplanationJob | None:
        """The job of this name."""
        with self._reader.connect() as connection:
            row = connection.execute(select(*_FIELDS).where(explanation_jobs.c.job_id == job_id)).one_or_none()
        return None if row is None else _job(row)

    def of_study(self, study_id: str) -> list[ExplanationJob]:
        """The jobs of a study, the newest first."""
        mine = select(*_FIELDS).where(explanation_jobs.c.study_id == study_id)
        with self._reader.connect() as connection:
            return [_job(row) for row in connection.execute(mine.order_by(explanation_jobs.c.asked_at.desc()))]

    def _change(self, connection: Connection, job_id: str, state_before: JobState, **values: Any) -> bool:
        mine = (explanation_jobs.c.job_id == job_id) & (explanation_jobs.c.state == state_before)
        return connection.execute(update(explanation_jobs).where(mine).values(**values)).rowcount == 1


def _job(row: Row[Any]) -> ExplanationJob:
    document = json.dumps(row.document) if row.document else ""
    return ExplanationJob(**{**row._asdict(), "state": JobState(row.state), "document": document})
