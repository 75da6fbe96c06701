"""The durable workflow around the story: what survives a pulled plug.

DBOS checkpoints each step in the workflow database; a worker that died goes on with the first step that was not
finished. Each step may therefore run twice, and each is built so that the second time changes nothing: predictions
are remembered, SOP Instance UIDs are derived, filing is one transaction that happens once. Inputs are a pseudonym
and a number, never identity.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID

from core.domain import Image, Instance, ObjectKind, Report, ReportStatus, Study
from core.errors import CandorError, Unavailable
from core.settings import Settings
from core.store.reports import FiledReport
from core.store.store import Store
from core.store.studies import Revision
from dicom_node.encode import encode
from inference.select import Choice, select
from pipeline.document import document
from pipeline.reading_room import ReadingRoom
from pipeline.story import Predecessor, read_study

_log = structlog.get_logger()
_PIXEL_KINDS = frozenset({ObjectKind.SC})
RETRY: dict[str, Any] = {
    "retries_allowed": True,
    "max_attempts": 6,
    "interval_seconds": 0.5,
    "should_retry": lambda error: isinstance(error, Unavailable),
}


@DBOS.dbos_class()
class StudyWorkflow(DBOSConfiguredInstance):
    """Reads one revision of one study, once."""

    def __init__(self, store: Store, room: ReadingRoom, settings: Settings, on_filed: Callable[[], None]) -> None:
        self._store = store
        self._room = room
        self._settings = settings
        self._on_filed = on_filed
        super().__init__(config_name="candor")

    def start(self, revision: Revision) -> None:
        """Start reading a revision; starting it again, also after a crash, does nothing."""
        with SetWorkflowID(revision.report_id):
            DBOS.start_workflow(self.run, revision.study_id, revision.revision)

    @DBOS.workflow(name="read_study")
    def run(self, study_id: str, revision: int) -> str:
        """Assemble came before; select, infer, explain, report and hand over to deliver. Returns how it ended."""
        try:
            self.infer(study_id, revision)
            return self.report(study_id, revision)
        except Exception as error:  # noqa: BLE001 - the boundary of the workflow: whatever happened, the operator must see it
            return self.give_up(study_id, revision, _sentence(error))

    @DBOS.step(name="infer", **RETRY)
    def infer(self, study_id: str, revision: int) -> None:
        """Run the model and remember what it said."""
        this = Revision(study_id=study_id, revision=revision)
        self._store.studies.begin_reading(this)
        choice = select(self._store.studies.load(this), self._room.packages)
        if isinstance(choice, Choice):
            self._try_infer(choice)

    @DBOS.step(name="report", **RETRY)
    def report(self, study_id: str, revision: int) -> str:
        """Explain, encode and file the report with its places in the outbox; returns the report's status."""
        this = Revision(study_id=study_id, revision=revision)
        filed = self._store.reports.find(this)
        if filed is None:
            filed = self._file(this)
            self._on_filed()
        return filed.status.value

    @DBOS.step(name="give_up")
    def give_up(self, study_id: str, revision: int, sentence: str) -> str:
        """Our fault: keep the study, say so, let the operator start it again."""
        _log.error("study.failed", study=study_id, revision=revision, error=sentence)
        self._store.studies.fail(Revision(study_id=study_id, revision=revision), sentence)
        return ReportStatus.FAILED.value

    def _try_infer(self, choice: Choice) -> None:
        """An image that cannot be decoded is the report's business, not a failure of the workflow."""
        try:
            self._room.infer(choice)
        except Unavailable:
            raise
        except CandorError as error:
            _log.info("infer.not_possible", error=type(error).__name__)

    def _file(self, this: Revision) -> FiledReport:
        started = time.perf_counter()
        study = self._store.studies.load(this)
        before = self._store.reports.predecessor(this)
        predecessor = (
            Predecessor()
            if before is None
            else Predecessor(
                sop_instance_uid=before.sr_sop_instance_uid, series_instance_uid=before.sr_series_instance_uid
            )
        )
        report = read_study(study, self._room.packages, self._room, predecessor=predecessor, at=datetime.now(UTC))
        wanted = self._wanted(report.status)
        objects = self._encode(report, study, frozenset[ObjectKind]().union(*wanted.values()))
        sr = next((item for item in objects if item.kind is ObjectKind.SR), None)
        filed = FiledReport(
            revision=this,
            status=report.status,
            document=document(report),
            sr_sop_instance_uid=sr.sop_instance_uid if sr else "",
            sr_series_instance_uid=sr.series_instance_uid if sr else "",
            completed_at=self._store.studies.completed_at(this),
            created_at=report.created_at.timestamp(),
        )
        self._store.reports.file(filed, objects, wanted)
        seconds = round(time.perf_counter() - started, 3)
        _log.info(
            "report.filed", study=this.study_id, revision=this.revision, status=report.status, elapsed_seconds=seconds
        )
        return filed

    def _wanted(self, status: ReportStatus) -> dict[str, frozenset[ObjectKind]]:
        """Which kinds each destination gets of a report of this status."""
        refused = status is ReportStatus.REFUSED
        return {d.name: frozenset(d.objects) for d in self._settings.destinations if d.refused_reports or not refused}

    def _encode(self, report: Report, study: Study, wanted: frozenset[ObjectKind]) -> tuple[Any, ...]:
        """The DICOM objects of a report; the SR always, so that it can be read here even when nobody wants it."""
        analysed = _instance(study, report.analysed_sop_instance_uid)
        if analysed is None:
            return ()
        kinds = wanted | {ObjectKind.SR}
        images: dict[str, Image] = {}
        if report.saliencies and kinds & _PIXEL_KINDS:
            images[analysed.sop_instance_uid] = self._room.decode(analysed)
        sources = {analysed.sop_instance_uid: self._store.objects.get(analysed.object_key)}
        return encode(report, sources=sources, images=images, kinds=kinds)


def _instance(study: Study, sop_instance_uid: str) -> Instance | None:
    for series in study.series:
        for instance in series.instances:
            if instance.sop_instance_uid == sop_instance_uid:
                return instance
    return None


def _sentence(error: Exception) -> str:
    """Our own errors speak for themselves; of a stranger only the kind is told, its text may hold patient data."""
    return str(error) if isinstance(error, CandorError) else f"an unexpected {type(error).__name__}; see the log"
