"""An explanation for a person at the keyboard: queue the job, follow it to its end, write what came of it.

A worker that runs on the data folder does the job; without one this process does, in the same way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from core.documents.reading import read_document, write_file
from core.domain.explanation_job import ExplanationJob, JobState
from core.errors import CandorError, ConfigurationError, Unavailable
from core.progress import Progress
from core.settings import Settings
from core.store.store import Store
from pipeline.installed_models import site_registry
from pipeline.reading.explain_child import ExplainChild
from pipeline.reading.explain_document import ExplanationDocument
from pipeline.reading.explain_jobs import ExplainJobs, ask
from pipeline.reading.reader import RememberingReader
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns

LOOK_SECONDS = 0.3


def find_study(store: Store, name: str) -> str:
    """The pseudonym of the reported study that a person means by any of its names (core.store.studies.lookup).

    Raises ConfigurationError when it is none, or several.
    """
    known = store.lookup.find(name)
    found = [study.study_id for study in known if store.reports.current(study.study_id)]
    if known and not found:
        raise ConfigurationError(f"there is no report of that study yet; it is {known[0].state.replace('_', ' ')}")
    if len(found) > 1:
        raise ConfigurationError(f"several studies are called that; name one of: {', '.join(sorted(found))}")
    if not found:
        raise ConfigurationError(
            "no reported study is called that; give its accession number, StudyInstanceUID, PatientID or pseudonym "
            "(candor studies lists them)"
        )
    return found[0]


class ExplainHere:
    """Has one explanation made. `has_worker`: whether a worker runs on the data folder now."""

    def __init__(self, store: Store, settings: Settings, *, has_worker: Callable[[], bool], progress: Progress) -> None:
        self._store = store
        self._settings = settings
        self._has_worker = has_worker
        self._progress = progress
        self._holder = f"candor explain {os.getpid()}"

    def explain(self, study: str, finding: str, method: str, out: Path, *, send: str = "") -> Path:
        """Have the map made and write `<finding>-<method>.png` and `.json` into `out`; returns the JSON's path.

        `study`: as `find_study` takes it. Ctrl-C cancels the job. Raises ConfigurationError for what does not exist,
        and the error that ended the job.
        """
        study_id = find_study(self._store, study)
        _make_folder(out)
        self._store.explanations.interrupt()
        job = ask(self._store, self._settings, study_id, finding, method, send=send)
        with ExitStack() as exit_stack:
            try:
                ended = self._follow(job, exit_stack)
            except KeyboardInterrupt:
                self._store.explanations.cancel(job.job_id)
                raise
        return _write(self._store, ended, out)

    def _follow(self, job: ExplanationJob, exit_stack: ExitStack) -> ExplanationJob:
        """Wait for the end of the job; start it here when it waits and there is no worker."""
        what = f"{job.method} of {job.finding}"
        self._progress(what, 0, 0, "waiting for a worker")
        while True:
            now = self._store.explanations.find(job.job_id)
            if now is None:
                raise Unavailable("the job has gone from the database; ask again")
            if now.state.is_over:
                return now
            if now.state is JobState.RUNNING:
                expected = now.passes_expected
                done = min(now.passes, expected) if expected else now.passes
                self._progress(what, done, expected, f"{now.passes} of about {expected or '?'} forward passes")
            if now.state is JobState.QUEUED and not self._has_worker():
                self._start(job, exit_stack)
            self._store.explanations.interrupt()
            time.sleep(LOOK_SECONDS)

    def _start(self, job: ExplanationJob, exit_stack: ExitStack) -> None:
        """Do the job in this process, unless a worker took it meanwhile; leaving the stack waits for its end."""
        taken = self._store.explanations.take(self._holder, job.job_id)
        if taken is not None:
            jobs = self._open_jobs(exit_stack)
            thread = threading.Thread(target=jobs.work, args=(taken,), daemon=True)
            thread.start()
            exit_stack.callback(thread.join)  # a cancelled job ends with its next batch

    def _open_jobs(self, exit_stack: ExitStack) -> ExplainJobs:
        packages, threads = site_registry(self._settings, self._store).packages, self._settings.model_threads
        models = LocalModels(packages, self._store.objects, threads=threads)
        exit_stack.callback(models.close)
        child = ExplainChild(packages, self._store.objects, threads=threads)
        exit_stack.callback(child.close)
        reader = RememberingReader(self._store, packages, models, Turns(1), self._settings)
        return ExplainJobs(self._store, self._settings, reader, child, holder=self._holder)


def _write(store: Store, job: ExplanationJob, out: Path) -> Path:
    if job.state is not JobState.DONE or not job.document:
        raise CandorError(f"the explanation was {job.state}: {job.reason or 'it was cancelled by a person'}")
    name = f"{job.finding}-{job.method}"
    path = out / f"{name}.json"
    document = read_document(ExplanationDocument, job.document, "the explanation")
    (out / f"{name}.png").write_bytes(store.objects.get(job.picture_key))
    write_file(path, document.model_copy(update={"study_id": job.study_id, "picture": f"{name}.png"}))
    return path


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written ({error.strerror}); choose another --out") from error
