"""Take back what was reported of a study under another patient: withdraw what waits, reject what was sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from core.domain.report import ObjectKind, RejectedObject, Report, ReportStatus, ResultObject
from core.errors import IntegrityError
from core.settings import Settings
from core.store.store import Store
from core.store.studies.reports import SentPayload
from core.store.studies.revisions import Revision
from dicom_node.header.read import read_header
from dicom_node.header.values import Values

_NOTE = frozenset({ObjectKind.REJECTION_NOTE})
_log = structlog.get_logger()


class Rejection:
    """What follows, at each destination, from a corrected patient."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        encode: Callable[[Report, frozenset[ObjectKind]], tuple[ResultObject, ...]],
    ) -> None:
        self._store = store
        self._wanting = [d.name for d in settings.destinations if ObjectKind.REJECTION_NOTE in d.objects]
        self._encode = encode

    def withdraw_superseded(self, this: Revision) -> None:
        """Before a report of a corrected study is filed: what still waits of the earlier ones is not sent."""
        if self._corrected_since(this):
            self._store.reports.withdraw(this.study_id)

    def reject_superseded(self, this: Revision) -> bool:
        """File a rejection note for each destination that wants one and has something to reject; True where one has.

        Filing it twice changes nothing: its UID is derived from what it rejects.
        """
        before = self._corrected_since(this) if self._wanting else 0
        if not before:
            return False
        filed = [self._reject_at(destination, this) for destination in self._wanting]
        return any(filed)

    def _corrected_since(self, this: Revision) -> int:
        """The revision of the report before this one, where it names another patient than this one; else 0."""
        previous = self._store.reports.previous(this)
        after = previous.revision.revision if previous else 0
        changed = after and self._store.corrections.names_another_patient(
            this.study_id, after=after, up_to=this.revision
        )
        return after if changed else 0

    def _reject_at(self, destination: str, this: Revision) -> bool:
        sent = self._store.reports.sent(this.study_id, destination, before=this.revision)
        if not sent:
            return False
        filed = self._store.reports.find(this)
        assert filed is not None, "the note follows its report"
        report = Report(
            study=self._store.studies.load(this),
            status=ReportStatus.REPORTED,
            created_at=datetime.fromtimestamp(filed.created_at, UTC),
            rejected=tuple(map(self._rejected, sent)),
        )
        self._store.reports.append(this, self._encode(report, _NOTE), {destination: _NOTE})
        _log.info("report.rejected", study=this.study_id, revision=this.revision, count=len(sent))
        return True

    def _rejected(self, payload: SentPayload) -> RejectedObject:
        header = read_header(self._store.objects.get(payload.object_key))
        series = Values(header).text("SeriesInstanceUID")
        if not series:
            raise IntegrityError("a result that was sent has no series; restore it from the backup")
        return RejectedObject(
            sop_class_uid=payload.payload_type, sop_instance_uid=payload.payload_id, series_instance_uid=series
        )
