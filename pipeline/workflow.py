"""The durable workflow around the story: what survives a pulled plug.

DBOS checkpoints each step in the workflow database; a worker that died goes on with the first step that was not
finished. Each step may therefore run twice, and each is built so that the second time changes nothing: predictions
are remembered, SOP Instance UIDs are derived, filing is one transaction that happens once. Inputs are a pseudonym
and a number, never identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID
from dbos import error as dbos_error

from core.domain.report import ObjectKind, Report, ReportStatus, ResultObject
from core.domain.study import Study
from core.errors import CandorError, RunnerDied, Unavailable, answer_for
from core.settings import Settings
from core.settings.destinations import DEFAULT_OBJECTS
from core.store.database_errors import is_away
from core.store.store import Store
from core.store.studies.reports import FiledReport
from core.store.studies.revisions import Revision
from dicom_node.sop_classes import why_no_parametric_map
from models.package.format import ModelPackage
from pipeline.carriers import kinds_wanted
from pipeline.loops import describe
from pipeline.patient.rejection import Rejection
from pipeline.reading.reader import RememberingReader
from pipeline.results_json import NotMadeEntry, StudyEntry
from pipeline.story import Predecessor, Reader, read_study
from pipeline.watch.cohort_lines import Audits
from pipeline.watch.facts import failed_reading, records_of

_log = structlog.get_logger()
_REPORT = frozenset({ObjectKind.SR})
RETRY: dict[str, Any] = {
    "retries_allowed": True,
    "max_attempts": 6,
    "interval_seconds": 0.5,
    "should_retry": lambda error: answer_for(error).retry,
}


_ENDED = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
POSTPONED = "postponed"


@DBOS.dbos_class()
class StudyWorkflow(DBOSConfiguredInstance):
    """Reads one revision of one study, once."""

    def __init__(
        self,
        store: Store,
        reader: RememberingReader,
        settings: Settings,
        on_filed: Callable[[], None],
        *,
        executor: str = "worker",
    ) -> None:
        self._store = store
        self._reader = reader
        self._settings = settings
        self._on_filed = on_filed
        self._executor = executor
        self._turns = reader.turns
        self._audits = Audits(store, settings)
        self._rejection = Rejection(store, settings, reader.encode)
        self._under_way: set[str] = set()
        """The workflows that this process was handed and has not ended; adding and discarding are atomic."""
        super().__init__(config_name="candor")

    def start(self, revision: Revision, again: bool) -> None:
        """Start reading a revision. While it is being read, also after a crash, starting it again does nothing.

        A reading that ended without settling the revision (the database was away for too long, the disk was full) is
        followed by another attempt when it is started `again`: what was acknowledged is reported, however long that
        takes.
        """
        attempt = 1
        while again and self._has_ended(_workflow_id(revision, attempt)):
            attempt += 1
        this = _workflow_id(revision, attempt)
        self._under_way.add(this)
        with ExitStack() as undo:
            undo.callback(self._under_way.discard, this)
            with SetWorkflowID(this):
                DBOS.start_workflow(self.run, revision.study_id, revision.revision)
            undo.pop_all()

    def _has_ended(self, workflow_id: str) -> bool:
        """Whether a workflow runs no more, also where the disk was too full to say so."""
        status = DBOS.get_workflow_status(workflow_id)
        if status is None:
            return False
        is_ours = status.executor_id == self._executor
        return status.status in _ENDED or (is_ours and workflow_id not in self._under_way)

    @DBOS.workflow(name="read_study", max_recovery_attempts=None)
    def run(self, study_id: str, revision: int) -> str:
        """Receive and assemble came before; deliver empties the outbox that `report` and `illustrate` fill."""
        try:
            return self._run(study_id, revision)
        finally:
            self._under_way.discard(DBOS.workflow_id or "")

    def _run(self, study_id: str, revision: int) -> str:
        try:
            with self._turns.reporting():
                status = self.report(study_id, revision)
            with self._turns.drawing():
                self.illustrate(study_id, revision)
        except Exception as error:  # noqa: BLE001 - the boundary of the workflow: the operator must see it, whatever it is
            cause = error.errors[-1] if isinstance(error, dbos_error.DBOSMaxStepRetriesExceeded) else error
            if is_away(cause) or (isinstance(cause, Unavailable) and not isinstance(cause, RunnerDied)):
                _log.warning("study.postponed", study=study_id, revision=revision, error=describe(cause))
                return POSTPONED
            return self.give_up(study_id, revision, describe(cause))
        return status

    @DBOS.step(name="report", **RETRY)
    def report(self, study_id: str, revision: int) -> str:
        """Select, infer, explain, write the SR and file it with its places in the outbox; returns how it ended.

        What the model said is remembered (pipeline.reading.reader), so a second run of this step runs no model.
        """
        this = Revision(study_id=study_id, revision=revision)
        with _own_errors_only("report"):
            filed = self._store.reports.find(this)
            if filed is None:
                self._rejection.withdraw_superseded(this)
                at = datetime.fromtimestamp(self._store.now(), UTC)
                report = self._read(this, self._reader, self._reader.packages, at=at)
                filed = self._file(this, report, self._reader.encode(report, _REPORT))
                _log.info("report.filed", study=study_id, revision=revision, status=filed.status.value)
                self._on_filed()
            if self._rejection.reject_superseded(this):
                self._on_filed()
        return filed.status.value

    @DBOS.step(name="illustrate", **RETRY)
    def illustrate(self, study_id: str, revision: int) -> None:
        """Draw what destinations want besides the SR, for each positive finding; then the study is reported.

        Where there is no destination yet, what one gets by default is drawn: it may be asked for when there is one.
        """
        with _own_errors_only("illustrate"):
            self._illustrate(Revision(study_id=study_id, revision=revision))

    def _illustrate(self, this: Revision) -> None:
        filed = self._store.reports.find(this)
        wanted = self._wanted(filed.status) if filed else {}
        drawn = wanted.values() if self._settings.destinations else [DEFAULT_OBJECTS]
        kinds = frozenset[ObjectKind]().union(*drawn) - _REPORT
        objects: tuple[ResultObject, ...] = ()
        if filed and kinds:
            entry = StudyEntry.model_validate(filed.document)
            if any(finding.positive for finding in entry.findings):
                objects = self._draw(this, filed, entry, kinds)
        self._store.reports.complete(this, objects, wanted)
        self._on_filed()

    def _draw(
        self, this: Revision, filed: FiledReport, entry: StudyEntry, kinds: frozenset[ObjectKind]
    ) -> tuple[ResultObject, ...]:
        """Draw a filed report; nothing where the version that read went between the report and its turn."""
        packages = self._reader.packages_of(entry)
        if not packages:
            reason = "the version that reported is not live any more"
            _log.warning("pictures.not_made", study=this.study_id, revision=this.revision, reason=reason)
            return ()
        at = datetime.fromtimestamp(filed.created_at, UTC)
        return self._reader.encode(self._read(this, self._reader.as_filed(entry), packages, at=at), kinds)

    @DBOS.step(name="give_up")
    def give_up(self, study_id: str, revision: int, sentence: str) -> str:
        """Our fault: keep the study, say so, let the operator start it again."""
        _log.error("study.failed", study=study_id, revision=revision, error=sentence)
        this = Revision(study_id=study_id, revision=revision)
        with suppress(CandorError):  # what keeps us from reading it may keep us from auditing it too
            study = self._store.studies.load(this)
            made = failed_reading(study, self._store.key.pseudonym_key, at=self._store.now())
            self._store.readings.record(made)
        self._store.studies.fail(this, sentence)
        return ReportStatus.FAILED.value

    def _read(self, this: Revision, reader: Reader, packages: Sequence[ModelPackage], *, at: datetime) -> Report:
        before = self._store.reports.predecessor(this) if this.revision > 1 else None
        predecessor = Predecessor()
        if before is not None:
            predecessor = Predecessor(
                sop_instance_uid=before.sr_sop_instance_uid,
                series_instance_uid=before.sr_series_instance_uid,
                created_at=datetime.fromtimestamp(before.created_at, UTC),
            )
        study = self._store.studies.load(this)
        return read_study(study, packages, reader, self._audits, predecessor=predecessor, at=at)

    def _file(self, this: Revision, report: Report, objects: tuple[ResultObject, ...]) -> FiledReport:
        sr = next((item for item in objects if item.kind is ObjectKind.SR), None)
        filed = FiledReport(
            revision=this,
            status=report.status,
            document=StudyEntry.of(report, objects_not_made=self._not_made(report)).document(),
            sr_sop_instance_uid=sr.sop_instance_uid if sr else "",
            sr_series_instance_uid=sr.series_instance_uid if sr else "",
            completed_at=self._store.studies.completed_at(this),
            created_at=report.created_at.timestamp(),
        )
        self._record(report)  # before it is filed: what is filed is not read again
        self._store.reports.file(filed, objects, self._wanted(report.status))
        return filed

    def _record(self, report: Report) -> None:
        """Keep the rows of the audit; a study that no model takes is in no cohort."""
        if report.status is not ReportStatus.REFUSED:
            key = self._store.key.pseudonym_key
            for made in records_of(report, key, turnaround_seconds=self._waited(report.study)):
                self._store.readings.record(made)

    def _waited(self, study: Study) -> float | None:
        """How long after its last image a study is reported, in seconds; None for one that is read once more."""
        if self._store.studies.is_read_again(Revision(study_id=study.study_id, revision=study.revision)):
            return None
        return max(0.0, self._store.now() - self._store.studies.last_received_at(study.study_id))

    def _not_made(self, report: Report) -> tuple[NotMadeEntry, ...]:
        """What a destination asks for and these images do not allow, each with the reason."""
        if ObjectKind.PMAP not in frozenset[ObjectKind]().union(*self._wanted(report.status).values()):
            return ()
        shown = [r.what.instances[0] for r in report.readings if any(s.shown for s in r.saliencies)]
        reasons = {why_no_parametric_map(image.sop_class_uid, image.number_of_frames): None for image in shown}
        reasons.pop("", None)
        for reason in reasons:
            _log.info("object.not_made", study=report.study.study_id, kind=ObjectKind.PMAP.value, reason=reason)
        return tuple(NotMadeEntry(kind=ObjectKind.PMAP.value, reason=reason) for reason in reasons)

    def _wanted(self, status: ReportStatus) -> dict[str, frozenset[ObjectKind]]:
        return kinds_wanted(self._settings, status)


def _workflow_id(revision: Revision, attempt: int) -> str:
    return revision.report_id if attempt == 1 else f"{revision.report_id}.{attempt}"


@contextmanager
def _own_errors_only(step: str) -> Iterator[None]:
    """DBOS stores what a step raises: let only errors of our own tree, which hold no patient data, get there."""
    try:
        yield
    except CandorError:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary of a step: anything may come out of the libraries below
        _log.error("step.failed", step=step, exc_info=True)
        raise CandorError(f"{describe(error)} in step {step}; the log says where") from None
