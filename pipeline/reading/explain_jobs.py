"""Explanations on demand: take a job, make the second map, keep its figures and picture, send it where asked.

The stored image is read from the encrypted store; what comes of it goes back there. Whoever asks follows the job in
the database: the command line and the web process know nothing of this process, and this one nothing of them.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from core.domain.explanation import Saliency
from core.domain.explanation_job import INTERRUPTED, ExplanationJob, JobState
from core.domain.report import Finding, ObjectKind, Report
from core.domain.study import Study
from core.domain.trail import TrailEvent
from core.errors import Cancelled, ConfigurationError, Unsupported
from core.settings import Settings
from core.store.store import Store
from core.store.studies.explanations import SILENT_SECONDS
from core.store.studies.reports import FiledReport
from explain.gate.result import withheld_reason
from explain.maps.methods import method_named
from inference.select import Choice, select
from pipeline.loops import describe, heartbeats
from pipeline.reading.explain_child import ExplainChild, Explanation
from pipeline.reading.measuring import with_figures
from pipeline.reading.reader import RememberingReader
from pipeline.results_json import figures_of
from pipeline.story import Predecessor, read_study
from pipeline.trust import trusted
from pipeline.watch.cohort_lines import Audits

SIGN_SECONDS = SILENT_SECONDS / 6
"""Often enough that a slow database does not make a living job look dead."""
_log = structlog.get_logger()


def ask(
    store: Store, settings: Settings, study_id: str, finding: str, method: str, *, send: str = ""
) -> ExplanationJob:
    """Queue an explanation of a reported study; ConfigurationError, saying what there is, for what cannot be done."""
    method_named(method)
    filed = store.reports.current(study_id)
    found = {entry["name"]: entry for entry in filed.document["findings"]} if filed else {}
    if not found:
        raise ConfigurationError("this study has no report with findings, so there is nothing to explain")
    if finding not in found:
        raise ConfigurationError(f"there is no such finding; the report has: {', '.join(found)}")
    if send:
        settings.destination(send)
        if not found[finding]["positive"]:
            raise ConfigurationError("only a finding above its operating point is sent; leave --send out")
        _require_open(filed.document.get("explanation_gate", "") if filed else "")
    return store.explanations.ask(study_id, finding, method, destination=send)


class ExplainJobs:
    """Does the jobs, one at a time."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        room: RememberingReader,
        runner: ExplainChild,
        *,
        holder: str,
        on_filed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._jobs = store.explanations
        self._settings = settings
        self._room = room
        self._runner = runner
        self._holder = holder
        self._on_filed = on_filed
        self._audits = Audits(store, settings)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let go of the job at work: it is interrupted, not cancelled."""
        self._stopping.set()

    def tick(self) -> bool:
        """Do the next job; True when there was one."""
        if not self._jobs.has_work():
            return False
        self._jobs.interrupt()
        job = self._jobs.take(self._holder)
        if job is not None:
            self.work(job)
        return job is not None

    def work(self, job: ExplanationJob) -> None:
        """Do a job that was taken, to its end, whatever that is."""
        with heartbeats(lambda: self._jobs.give_heartbeat(job.job_id), every_seconds=SIGN_SECONDS):
            state = self._to_its_end(job)
        self._store.trail.record(_event(job, state))
        _log.info("explanation.ended", study=job.study_id, finding_name=job.finding, status=state.value)

    def _to_its_end(self, job: ExplanationJob) -> JobState:
        """How the job ended. One that was given up meanwhile stays so: nobody is told of what came of it after all."""
        state, reason, document, picture_key = JobState.DONE, "", None, ""
        try:
            document, picture_key = self._explain(job)
        except Cancelled as error:
            state, reason = JobState.CANCELLED, str(error)
            if self._stopping.is_set():
                state, reason = JobState.INTERRUPTED, INTERRUPTED
        except Exception as error:  # noqa: BLE001 - the boundary of a job: whoever asked must hear how it ended
            state, reason = JobState.FAILED, describe(error)
        if self._jobs.end(job.job_id, state, reason=reason, document=document, picture_key=picture_key):
            return state
        if picture_key:
            self._store.objects.delete(picture_key)
        return JobState.INTERRUPTED

    def _explain(self, job: ExplanationJob) -> tuple[dict[str, Any], str]:
        filed = self._store.reports.current(job.study_id)
        if filed is None:
            raise Unsupported("this study has no report")
        study = self._store.studies.load(filed.revision)
        choice = self._choice(study, filed)
        gate = withheld_reason(choice.package)
        if job.destination:
            _require_open(gate)
        report = self._report(job, study, filed, choice)
        (finding,) = report.findings
        explanation = self._runner.explain(
            choice.package,
            self._store.objects.get(choice.instance.object_key),
            choice.instance.sop_instance_uid,
            finding,
            job.method,
            lambda done, expected: self._is_wanted(job, done, expected),
            gate=gate,
        )
        self._require_wanted(job, explanation)
        if explanation.first is not None:
            (first,) = trusted(with_figures((explanation.first,), figures_of(filed.document)), gate)
            explanation = dataclasses.replace(explanation, first=first)
        if job.destination:
            self._send(job, filed, report, choice, explanation)
        return _document(finding, choice, explanation), self._store.objects.put(explanation.picture).object_key

    def _is_wanted(self, job: ExplanationJob, done: int, expected: int) -> bool:
        return self._jobs.progress(job.job_id, done, expected) and not self._stopping.is_set()

    def _require_wanted(self, job: ExplanationJob, explanation: Explanation) -> None:
        if not self._is_wanted(job, *_both(explanation)):
            raise Cancelled("the explanation was cancelled")

    def _send(
        self, job: ExplanationJob, filed: FiledReport, report: Report, choice: Choice, explanation: Explanation
    ) -> None:
        """File the pictures of the second map beside the report's, under UIDs of their own, for one destination."""
        kinds = frozenset(self._settings.destination(job.destination).objects) - {ObjectKind.SR}
        report = dataclasses.replace(report, saliencies=(explanation.second,))
        objects = self._room.encode(report, choice.instance, kinds)
        self._require_wanted(job, explanation)  # drawing takes a while, and what is in the outbox leaves
        self._store.reports.append(filed.revision, objects, {job.destination: kinds})
        self._on_filed()

    def _choice(self, study: Study, filed: FiledReport) -> Choice:
        """The version that reported and the image it read; Unsupported when there is no such version any more."""
        packages = self._room.packages_of(filed.document)
        if not packages:
            raise Unsupported("the version that reported is not live any more")
        choice = select(study, packages)
        if not isinstance(choice, Choice):
            raise Unsupported(f"no model takes this study any more, because {choice.reason}")
        return choice

    def _report(self, job: ExplanationJob, study: Study, filed: FiledReport, choice: Choice) -> Report:
        """The report as it would be about this finding alone."""
        at = datetime.fromtimestamp(job.asked_at, UTC)
        reader = self._room.as_filed(filed.document)
        whole = read_study(study, (choice.package,), reader, self._audits, predecessor=Predecessor(), at=at)
        findings = tuple(finding for finding in whole.findings if finding.name == job.finding)
        if not findings:
            raise Unsupported("the model that reads this study now does not know this finding")
        cohorts = tuple(metric for metric in whole.cohorts if metric.finding_name == job.finding)
        return dataclasses.replace(whole, explanation=job.method, findings=findings, cohorts=cohorts)


def _require_open(gate: str) -> None:
    """ConfigurationError when no map of the model may be sent, whatever method made it."""
    if gate:
        raise ConfigurationError(f"no map of this model is sent, because {gate}; leave --send out")


def _both(explanation: Explanation) -> tuple[int, int]:
    measured = explanation.second.faithfulness
    passes = measured.forward_passes if measured else 0
    return passes, passes


def _document(finding: Finding, choice: Choice, explanation: Explanation) -> dict[str, Any]:
    """What is told of the job in JSON: figures and names, no person and no pixel."""
    model = choice.package.model
    return {
        "finding": finding.name,
        "probability": finding.probability,
        "positive": finding.is_positive,
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "map": _map(explanation.second),
        "report_map": None if explanation.first is None else _map(explanation.first),
        "agreement": explanation.agreement,
        "meaning": "regions that influenced the model; not the place of a disease",
    }


def _map(saliency: Saliency) -> dict[str, Any]:
    measured = saliency.faithfulness
    return {
        "method": saliency.parameters.get("method", saliency.method.meaning),
        "code": dataclasses.asdict(saliency.method),
        "parameters": saliency.parameters,
        "shown": saliency.shown,
        "withheld_reason": saliency.withheld_reason,
        "faithfulness": None if measured is None else dataclasses.asdict(measured),
    }


def _event(job: ExplanationJob, state: JobState) -> TrailEvent:
    return TrailEvent(
        action="explanation.made",
        actor="worker",
        outcome="success" if state is JobState.DONE else "failure",
        subject=job.study_id,
        reason=f"{job.method} of {job.finding}: {state}",
    )
