"""Explanations on demand: take a job, make the second map, keep its figures and picture, send it where asked.

The stored image is read from the encrypted store; what comes of it goes back there. The one who asks follows the job in
the database: the command line and the web process know nothing of this process, and this one nothing of them.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from core.documents.reading import text_of
from core.domain.explanation_job import INTERRUPTED, ExplanationJob, JobState
from core.domain.report import ObjectKind, Reading, Report
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
from pipeline.reading.explain_document import ExplanationDocument
from pipeline.reading.measuring import with_figures
from pipeline.reading.reader import RememberingReader
from pipeline.results_json import ModelEntry, StudyEntry
from pipeline.story import Predecessor, read_study
from pipeline.trust import withhold
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
    entry = StudyEntry.model_validate(filed.document) if filed else None
    if entry is None or not entry.findings:
        raise ConfigurationError("this study has no report with findings, so there is nothing to explain")
    strongest = entry.strongest(finding)
    if strongest is None:
        known = dict.fromkeys(found.name for found in entry.findings)
        raise ConfigurationError(f"there is no such finding; the report has: {', '.join(known)}")
    if send:
        settings.destination(send)
        if not strongest.positive:
            raise ConfigurationError("only a finding above its operating point is sent; leave --send out")
        _require_open(entry.readings[strongest.reading].explanation_gate)
    return store.explanations.ask(study_id, finding, method, destination=send)


class ExplainJobs:
    """Does the jobs, one at a time."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        reader: RememberingReader,
        runner: ExplainChild,
        *,
        holder: str,
        on_filed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._jobs = store.explanations
        self._settings = settings
        self._reader = reader
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
        """How the job ended. One that was given up meanwhile stays so: what came of it after all is dropped."""
        state, reason, document, picture_key = JobState.DONE, "", "", ""
        try:
            document, picture_key = self._explain(job)
        except Cancelled as error:
            state, reason = JobState.CANCELLED, str(error)
            if self._stopping.is_set():
                state, reason = JobState.INTERRUPTED, INTERRUPTED
        except Exception as error:  # noqa: BLE001 - the boundary of a job: the person who asked must hear how it ended
            state, reason = JobState.FAILED, describe(error)
        if self._jobs.end(job.job_id, state, reason=reason, document=document, picture_key=picture_key):
            return state
        if picture_key:
            self._store.objects.delete(picture_key)
        return JobState.INTERRUPTED

    def _explain(self, job: ExplanationJob) -> tuple[str, str]:
        filed = self._store.reports.current(job.study_id)
        if filed is None:
            raise Unsupported("this study has no report")
        study, entry = self._store.studies.load(filed.revision), StudyEntry.model_validate(filed.document)
        number, choice = self._choice(study, entry, job.finding)
        gate = withheld_reason(choice.package)
        if job.destination:
            _require_open(gate)
        report = self._report(job, study, entry, choice)
        (finding,) = report.findings
        explanation = self._runner.explain(
            choice.package.model,
            choice.what,
            finding,
            job.method,
            lambda _what, done, expected, _note="": self._require_wanted(job, done, expected),
            gate=gate,
        )
        self._require_wanted(job, *_both(explanation))
        if explanation.first is not None:
            (first,) = withhold(with_figures((explanation.first,), entry.faithfulness_of(number)), gate)
            explanation = dataclasses.replace(explanation, first=first)
        if job.destination:
            self._send(job, filed, report, explanation)
        document = ExplanationDocument.of(
            finding, choice.package.model, explanation.second, explanation.first, explanation.agreement
        )
        return text_of(document), self._store.objects.put(explanation.picture).object_key

    def _require_wanted(self, job: ExplanationJob, done: int, expected: int) -> None:
        """Write how far the job is; Cancelled when it is not wanted any more, or this process stops."""
        if not self._jobs.progress(job.job_id, done, expected) or self._stopping.is_set():
            raise Cancelled("the explanation was cancelled")

    def _send(self, job: ExplanationJob, filed: FiledReport, report: Report, explanation: Explanation) -> None:
        """File the pictures of the second map besides the report's, under UIDs of their own, for one destination."""
        kinds = frozenset(self._settings.destination(job.destination).objects) - {ObjectKind.SR}
        readings = tuple(
            dataclasses.replace(reading, saliencies=(explanation.second,) if reading.findings else ())
            for reading in report.readings
        )
        objects = self._reader.encode(dataclasses.replace(report, readings=readings), kinds)
        self._require_wanted(job, *_both(explanation))  # drawing takes a while, and what is in the outbox leaves
        self._store.reports.append(filed.revision, objects, {job.destination: kinds})
        self._on_filed()

    def _choice(self, study: Study, entry: StudyEntry, finding: str) -> tuple[int, Choice]:
        """The reading in which a finding is strongest, by its number and as the model version and the input it read.

        Unsupported when there is no such version any more, or it does not take the input any more.
        """
        strongest = entry.strongest(finding)
        packages = self._reader.packages_of(entry)
        if strongest is None or entry.readings[strongest.reading].model not in [
            ModelEntry.of(package.model) for package in packages
        ]:
            raise Unsupported("the version that reported is not live any more")
        selection = select(study, packages)
        for choice in (*selection.choices, *selection.reserves):
            if entry.number_of(choice.package.model, choice.what) == strongest.reading:
                return strongest.reading, choice
        raise Unsupported(f"no model takes this study any more, because {selection.most_telling.reason}")

    def _report(self, job: ExplanationJob, study: Study, entry: StudyEntry, choice: Choice) -> Report:
        """The report as it would be about this finding alone; its other readings stay, without findings."""
        at = datetime.fromtimestamp(job.asked_at, UTC)
        reader, packages = self._reader.as_filed(entry), self._reader.packages_of(entry)
        whole = read_study(study, packages, reader, self._audits, predecessor=Predecessor(), at=at)
        readings = tuple(_about(reading, choice, job.finding) for reading in whole.readings)
        report = dataclasses.replace(whole, explanation=job.method, readings=readings)
        if not report.findings:
            raise Unsupported("the model that reads this study now does not know this finding")
        return report


def _about(reading: Reading, choice: Choice, finding: str) -> Reading:
    """A reading with this finding alone where it is that of `choice`, else with none."""
    is_asked = reading.model == choice.package.model and reading.what.key == choice.what.key
    return dataclasses.replace(
        reading,
        findings=tuple(found for found in reading.findings if is_asked and found.name == finding),
        saliencies=tuple(s for s in reading.saliencies if is_asked and s.finding_name == finding),
        cohorts=tuple(metric for metric in reading.cohorts if is_asked and metric.finding_name == finding),
    )


def _require_open(gate: str) -> None:
    """ConfigurationError when no map of the model may be sent, whatever method made it."""
    if gate:
        raise ConfigurationError(f"no map of this model is sent, because {gate}; leave --send out")


def _both(explanation: Explanation) -> tuple[int, int]:
    measured = explanation.second.faithfulness
    passes = measured.forward_passes if measured else 0
    return passes, passes


def _event(job: ExplanationJob, state: JobState) -> TrailEvent:
    return TrailEvent(
        action="explanation.made",
        actor="worker",
        outcome="success" if state is JobState.DONE else "failure",
        subject=job.study_id,
        reason=f"{job.method} of {job.finding}: {state}",
    )
