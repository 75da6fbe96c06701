"""Readings and ground truth as the audit needs them: pseudonymous rows, written once, read by model and time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Engine, Row, func, select

from core.domain.reading import CohortFacts, GroundTruth, ReadingRecord, TruthSource
from core.domain.report import ReportStatus
from core.store.engine import read_only
from core.store.statements import insert_if_absent
from core.store.tables.fairness import readings, truths


class ReadingStore:
    """What was read here, for whom, and how it ended."""

    def __init__(self, engine: Engine, *, now: Callable[[], float]) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._now = now

    def record(self, made: ReadingRecord) -> None:
        """Keep a reading; the same revision by the same model version a second time changes nothing."""
        row = dataclasses.asdict(made)
        row |= {"report_id": f"{made.study_id}.{made.revision}", "read_at": made.read_at or self._now()}
        with self._engine.begin() as connection:
            insert_if_absent(connection, readings, row)

    def newest(self, *, since: float = 0.0, until: float = float("inf")) -> list[ReadingRecord]:
        """The newest revision of each study read in `since` <= read_at < `until` (seconds since the epoch).

        One record for each model version that read it; that a study failed before any model came to it is said only
        while none did.
        """
        query = select(readings).where(readings.c.read_at >= since).order_by(readings.c.read_at, readings.c.revision)
        if until != float("inf"):
            query = query.where(readings.c.read_at < until)
        with self._reader.connect() as connection:
            found: dict[str, list[ReadingRecord]] = {}
            for made in map(_reading, connection.execute(query)):
                before = found.get(made.study_id, [])
                is_same = bool(before) and before[0].revision == made.revision
                found[made.study_id] = [*before, made] if is_same else [made]
        return [made for of_study in found.values() for made in _by_models(of_study)]


class TruthStore:
    """Ground truth: answers are only ever added; `fairness.service.truth` says which one counts."""

    def __init__(self, engine: Engine, *, now: Callable[[], float]) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._now = now

    def add(self, answers: Sequence[GroundTruth]) -> int:
        """Add all answers or none; returns how many were new."""
        new = 0
        with self._engine.begin() as connection:
            for answer in answers:
                row = {**dataclasses.asdict(answer), "recorded_at": self._now()}
                new += insert_if_absent(connection, truths, row)
        return new

    def newest_at(self) -> float:
        """When the last answer came in, seconds since the epoch; 0 while there is none."""
        with self._reader.connect() as connection:
            return float(connection.execute(select(func.coalesce(func.max(truths.c.recorded_at), 0.0))).scalar_one())

    def all(self) -> list[GroundTruth]:
        """Every answer, in the order of coming in."""
        with self._reader.connect() as connection:
            return [_truth(row) for row in connection.execute(select(truths).order_by(truths.c.truth_id))]


def _by_models(of_study: list[ReadingRecord]) -> list[ReadingRecord]:
    """Without what failed before any model came to it, where a later attempt succeeded."""
    return [made for made in of_study if made.model_name] or of_study


def _reading(row: Row[Any]) -> ReadingRecord:
    values = {**row._asdict(), "status": ReportStatus(row.status), "facts": CohortFacts(**row.facts)}
    del values["report_id"]
    return ReadingRecord(**values)


def _truth(row: Row[Any]) -> GroundTruth:
    values = {**row._asdict(), "source": TruthSource(row.source)}
    del values["truth_id"], values["recorded_at"]
    return GroundTruth(**values)
