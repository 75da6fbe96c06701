"""A job at the turns: alive as long as it works, and without a trace when it was given up meanwhile."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from core.clock import SettableClock
from core.domain.explanation_job import ExplanationJob, JobState
from core.settings import Settings
from core.store.store import Store, open_store
from core.store.studies.explanations import SILENT_SECONDS
from core.store.tables.trail import trail_events
from models.package.format import load_package
from pipeline.data_folder import make_data_folder
from pipeline.loops import heartbeats
from pipeline.reading import explain_jobs
from pipeline.reading.explain_child import ExplainChild
from pipeline.reading.explain_jobs import ExplainJobs
from pipeline.reading.reader import RememberingReader
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns
from tests.e2e.studies import radiograph
from tests.known_model import make_known_model
from tests.store_fixtures import arrival
from tests.unit.inference.test_select import image
from tests.unit.pipeline.test_same_version import PACS, file_report

Work = Callable[[Callable[[], object]], ExplanationJob]


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(time.time())


@pytest.fixture
def store(tmp_path: Path, clock: SettableClock) -> Iterator[Store]:
    make_data_folder(tmp_path / "data")
    settings = Settings(data_dir=tmp_path / "data", minimum_free_bytes=0)
    store = open_store(settings, now=clock)
    yield store
    store.close()


@pytest.fixture
def work(tmp_path: Path, store: Store) -> Iterator[Work]:
    """Do a job that sends, and call something when its objects are in the outbox but the job is not over."""
    package = load_package(make_known_model(tmp_path / "package"))
    settings = Settings(data_dir=tmp_path / "data", destinations=(PACS,))
    header = image(rows=256, columns=256)
    came = arrival("1", "1", part10=radiograph(1, bright=True).part10)
    store.intake.keep(dataclasses.replace(came, instance=header))
    revision = file_report(store, package)
    with ExitStack() as stack:
        models = LocalModels((package,), store.objects, threads=1)
        stack.callback(models.close)
        explanations = ExplainChild((package,), store.objects, threads=1)
        stack.callback(explanations.close)
        reader = RememberingReader(store, (package,), models, Turns(1), settings)

        def do(meanwhile: Callable[[], object]) -> ExplanationJob:
            turns = ExplainJobs(
                store, settings, reader, explanations, holder="tests", on_filed=lambda: (meanwhile(), None)[1]
            )
            job = store.explanations.ask(revision.study_id, "bright_patch", "class_activation", destination="PACS")
            assert turns.tick()
            ended = store.explanations.find(job.job_id)
            assert ended is not None
            return ended

        yield do


def test_a_job_that_works_in_silence_is_not_taken_for_dead(
    work: Work, store: Store, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_jobs, "SIGN_SECONDS", 0.1)

    def long_silence() -> None:
        for _ in range(2):
            clock.advance(SILENT_SECONDS * 0.9)
            time.sleep(1.0)
        assert store.explanations.interrupt() == 0

    ended = work(long_silence)
    assert (ended.state, ended.reason) == (JobState.DONE, "")


def test_a_job_that_was_given_up_leaves_no_picture_and_is_no_success(work: Work, store: Store) -> None:
    before = set(store.objects.object_keys())
    ended = work(lambda: store.explanations.interrupt("tests"))
    assert (ended.state, ended.picture_key) == (JobState.INTERRUPTED, "")
    assert set(store.objects.object_keys()) - before == {
        waiting.object_key for waiting in store.outbox.pending("PACS")[1:]
    }
    query = select(trail_events.c.outcome).where(trail_events.c.action == "explanation.made")
    with store.explanations._reader.connect() as connection:
        assert connection.execute(query).scalars().all() == ["failure"]


def test_a_sign_that_fails_is_followed_by_the_next_and_none_comes_after_the_work() -> None:
    given: list[int] = []

    def give() -> None:
        given.append(1)
        raise OSError("the database is away")

    with heartbeats(give, every_seconds=0.01):
        time.sleep(0.3)
    number = len(given)
    assert number >= 2
    time.sleep(0.1)
    assert len(given) == number
