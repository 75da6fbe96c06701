"""Jobs of asked-for explanations, and figures that are measured once, on a real encrypted store."""

import dataclasses

import pytest

from core.clock import SettableClock
from core.domain.explanation import Faithfulness
from core.domain.explanation_job import JobState
from core.domain.model import ModelVersion
from core.store.studies.explanations import SILENT_SECONDS
from tests.store_fixtures import arrival, make_store

FIGURES = Faithfulness(deletion_auc=0.2, insertion_auc=0.7, null_percentile=95.0, stability=0.9, forward_passes=25)
MODEL = ModelVersion(name="m", version="1", sha256="ab" * 32, manufacturer="x", device_uid="2.25.1", findings=())


@pytest.fixture
def clock():
    return SettableClock(1000.0)


@pytest.fixture
def store(tmp_path, clock):
    store = make_store(tmp_path, clock)
    store.intake.keep(arrival("1", "1"))
    yield store
    store.close()


@pytest.fixture
def study_id(store):
    return store.study_id_of("1.2.1")


def ask(store, study_id, method="shap"):
    return store.explanations.ask(study_id, "lung_opacity", method)


def test_a_job_is_queued_taken_followed_and_done(store, study_id, clock):
    job = ask(store, study_id)
    assert job.state is JobState.QUEUED
    clock.advance(1.0)
    taken = store.explanations.take("worker")
    assert (taken.job_id, taken.state, taken.started_at) == (job.job_id, JobState.RUNNING, 1001.0)
    assert store.explanations.progress(job.job_id, 10, 100)
    found = store.explanations.find(job.job_id)
    assert (found.passes, found.passes_expected) == (10, 100)
    assert store.explanations.end(job.job_id, JobState.DONE, document='{"a": 1}', picture_key="k")
    found = store.explanations.find(job.job_id)
    assert (found.state, found.document, found.picture_key, found.ended_at) == (JobState.DONE, '{"a": 1}', "k", 1001.0)
    assert store.explanations.take("worker") is None


def test_what_is_under_way_is_not_asked_for_twice_but_may_be_asked_again_when_over(store, study_id):
    job = ask(store, study_id)
    assert ask(store, study_id).job_id == job.job_id
    assert ask(store, study_id, "occlusion").job_id != job.job_id
    store.explanations.cancel(job.job_id)
    assert ask(store, study_id).job_id != job.job_id


def test_jobs_are_taken_in_the_order_of_asking_and_only_once(store, study_id, clock):
    first = ask(store, study_id)
    clock.advance(1.0)
    second = ask(store, study_id, "occlusion")
    assert [store.explanations.take("a").job_id, store.explanations.take("b").job_id] == [first.job_id, second.job_id]
    assert store.explanations.take("c") is None


def test_a_queued_job_is_cancelled_at_once_and_never_taken(store, study_id):
    job = ask(store, study_id)
    assert store.explanations.cancel(job.job_id).state is JobState.CANCELLED
    assert store.explanations.take("worker") is None


def test_a_running_job_hears_of_its_cancellation_when_it_reports_progress(store, study_id):
    job = ask(store, study_id)
    store.explanations.take("worker")
    assert store.explanations.cancel(job.job_id).state is JobState.RUNNING
    assert not store.explanations.progress(job.job_id, 11, 100)


def test_a_job_that_is_over_stays_as_it_ended(store, study_id):
    job = ask(store, study_id)
    store.explanations.take("worker")
    store.explanations.end(job.job_id, JobState.CANCELLED)
    assert not store.explanations.end(job.job_id, JobState.DONE, document="{}")
    assert store.explanations.cancel(job.job_id).state is JobState.CANCELLED
    assert store.explanations.cancel("no such job") is None


def test_a_restart_leaves_the_jobs_of_the_dead_process_interrupted(store, study_id):
    mine, other = ask(store, study_id), ask(store, study_id, "occlusion")
    store.explanations.take("worker", mine.job_id)
    store.explanations.take("another", other.job_id)
    assert store.explanations.interrupt("worker") == 1
    found = store.explanations.find(mine.job_id)
    assert found.state is JobState.INTERRUPTED
    assert "run it again" in found.reason
    assert store.explanations.find(other.job_id).state is JobState.RUNNING


def test_a_job_without_a_heartbeat_is_interrupted(store, study_id, clock):
    job = ask(store, study_id)
    store.explanations.take("a process that was killed")
    clock.advance(SILENT_SECONDS)
    store.explanations.progress(job.job_id, 1, 2)
    clock.advance(SILENT_SECONDS)
    assert store.explanations.interrupt() == 0
    clock.advance(1.0)
    assert store.explanations.interrupt() == 1
    assert not store.explanations.progress(job.job_id, 2, 2), "its process, if it lives after all, must stop"


def test_figures_are_kept_by_image_model_and_finding_and_the_first_ones_stay(store):
    store.faithfulness.remember("1.2.3", MODEL, {"opacity": FIGURES})
    store.faithfulness.remember("1.2.3", MODEL, {"opacity": dataclasses.replace(FIGURES, stability=0.1)})
    assert store.faithfulness.of("1.2.3", MODEL) == {"opacity": FIGURES}
    assert store.faithfulness.of("1.2.4", MODEL) == {}
    recalibrated = dataclasses.replace(MODEL, version="2", device_uid="2.25.2")
    assert store.faithfulness.of("1.2.3", recalibrated) == {}, "the figures are of calibrated probabilities"
