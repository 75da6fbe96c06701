"""`candor explain`: a second method's map of a finding that was reported, with its figures and the agreement.

The job goes into the database. A worker that runs on the data folder does it; without one this process does, in the
same way. Ctrl-C cancels the job in either case.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from api.processes.heartbeat import living
from core.domain.explanation_job import ExplanationJob, JobState
from core.errors import CandorError, ConfigurationError, Unavailable
from core.settings import Settings
from core.store.store import Store
from pipeline.installed_models import site_registry
from pipeline.reading.explain_child import ExplainChild
from pipeline.reading.explain_jobs import ExplainJobs, ask
from pipeline.reading.reader import RememberingReader
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns

LOOK_SECONDS = 0.3


def explain_study(
    store: Store, settings: Settings, study: str, *, finding: str, method: str, out: Path, send: str = ""
) -> Path:
    """Make the map and write `<finding>-<method>.png` and `.json` into `out`; returns the JSON's path.

    `study`: our pseudonym, a StudyInstanceUID or an accession number. Raises ConfigurationError for what is not there,
    and the error that ended the job.
    """
    study_id = find_study(store, study)
    _make_folder(out)
    store.explanations.interrupt()
    job = ask(store, settings, study_id, finding, method, send=send)
    with ExitStack() as exit_stack:
        try:
            ended = _follow(store, job, lambda: _start_here(store, settings, job, exit_stack))
        except KeyboardInterrupt:
            store.explanations.cancel(job.job_id)
            raise
    return _written(store, ended, out)


def find_study(store: Store, name: str) -> str:
    """The pseudonym of the study that a person means; ConfigurationError when it is none, or several."""
    by_number = store.studies.by_accession_number([name]).get(name, [])
    found = {study for study in (name, store.study_id_of(name)) if store.reports.current(study)} | set(by_number)
    if len(found) > 1:
        raise ConfigurationError(f"several studies are called that; name one of: {', '.join(sorted(found))}")
    if not found:
        raise ConfigurationError(
            "no reported study is called that; give the study's pseudonym (candor status, the list of studies), its "
            "StudyInstanceUID or its accession number"
        )
    return found.pop()


def _start_here(store: Store, settings: Settings, job: ExplanationJob, exit_stack: ExitStack) -> None:
    """Do the job in this process, unless somebody took it meanwhile; leaving the stack waits for its end."""
    taken = store.explanations.take(desk_name(), job.job_id)
    if taken is not None:
        turns = _open_desk(store, settings, exit_stack)
        thread = threading.Thread(target=turns.work, args=(taken,), daemon=True)
        thread.start()
        exit_stack.callback(thread.join)  # a cancelled job ends with its next batch


def desk_name() -> str:
    """Who holds the job when no worker does."""
    return f"candor explain {os.getpid()}"


def _worker_lives(store: Store) -> bool:
    return any(name.startswith("worker/") for name in living(store))


def _open_desk(store: Store, settings: Settings, exit_stack: ExitStack) -> ExplainJobs:
    packages = site_registry(settings, store).packages
    models = LocalModels(packages, store.objects, threads=settings.model_threads)
    exit_stack.callback(models.close)
    explanations = ExplainChild(packages, store.objects, threads=settings.model_threads)
    exit_stack.callback(explanations.close)
    reader = RememberingReader(store, packages, models, Turns(1), settings)
    return ExplainJobs(store, settings, reader, explanations, holder=desk_name())


def _follow(store: Store, job: ExplanationJob, start_here: Callable[[], None]) -> ExplanationJob:
    """Show how far the job is until it is over; start it here when it waits and no worker lives."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[passes]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{job.method} of {job.finding}", total=None, passes="waiting for a worker")
        while True:
            now = store.explanations.find(job.job_id)
            if now is None:
                raise Unavailable("the job has gone from the database; ask again")
            if now.state is JobState.RUNNING:
                done = min(now.passes, now.passes_expected) if now.passes_expected else now.passes
                words = f"{now.passes} of about {now.passes_expected or '?'} forward passes"
                progress.update(task, completed=done, total=now.passes_expected or None, passes=words)
            if now.state.is_over:
                return now
            if now.state is JobState.QUEUED and not _worker_lives(store):
                start_here()
            store.explanations.interrupt()
            time.sleep(LOOK_SECONDS)


def _written(store: Store, job: ExplanationJob, out: Path) -> Path:
    if job.state is not JobState.DONE or job.document is None:
        raise CandorError(f"the explanation was {job.state}: {job.reason or 'somebody cancelled it'}")
    name = f"{job.finding}-{job.method}"
    path = out / f"{name}.json"
    document: dict[str, Any] = {"study_id": job.study_id, **job.document, "picture": f"{name}.png"}
    (out / f"{name}.png").write_bytes(store.objects.get(job.picture_key))
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written ({error.strerror}); choose another --out") from error


def in_words(path: Path) -> str:
    """What the JSON says, for a terminal."""
    document = json.loads(path.read_text(encoding="utf-8"))
    lines = [_map_in_words(document["map"])]
    if document["report_map"]:
        lines.append(_map_in_words(document["report_map"], "the report's map, "))
    agreement = document["agreement"]
    if agreement:
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in agreement.items())
        lines.append(f"agreement of the two: {figures}")
    return "\n".join([*lines, f"{path.with_suffix('.png')} shows it"])


def _map_in_words(found: dict[str, Any], whose: str = "") -> str:
    figures = found["faithfulness"]
    if figures is None:
        return f"{whose}{found['method']}: not measured"
    withheld = "" if found["shown"] else f"; not to be shown, because {found['withheld_reason']}"
    return (
        f"{whose}{found['method']}: deletion {figures['deletion_auc']:.3f}, insertion {figures['insertion_auc']:.3f}, "
        f"better than {figures['null_percentile']:.0f} % of null maps, stability {figures['stability']:.2f}, "
        f"{figures['forward_passes']} forward passes{withheld}"
    )
