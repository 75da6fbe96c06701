"""Shadow versions: what is not yet trusted reads the same studies, later, and is never reported.

It takes its turn only when no study is being read or waits to be, one study at a time, in a child process of its own
at the lowest priority, so that no report is a moment later because of it. What it says is kept for `candor models
compare` and goes nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from core.domain.report import Finding, ReportStatus
from core.errors import CandorError, InvalidStudy, RunnerDied, Unavailable
from core.store.models.shadows import ShadowReading
from core.store.store import Store
from core.store.studies.revisions import Revision
from inference.findings import to_findings
from inference.quality import refuse_faulty
from inference.select import select
from models.package.format import ModelPackage
from pipeline.reading.service import ModelService
from pipeline.watch.facts import any_above, highest

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shadow:
    """A shadow version, and since when it is one: studies reported earlier are not its business."""

    package: ModelPackage
    since: float  # seconds since the epoch


class ShadowLoop:
    """Reads one study after the other for each shadow version."""

    def __init__(self, store: Store, shadows: Sequence[Shadow], models: ModelService) -> None:
        self._store = store
        self._shadows = shadows
        self._models = models

    def tick(self) -> bool:
        """Read one study, if nothing else is to be read; True when there was work."""
        for shadow in self._shadows:
            if self._store.studies.assembled():  # somebody waits for a report
                return False
            model = shadow.package.model
            waiting = self._store.shadows.waiting(model.name, model.version, since=shadow.since)
            if waiting:
                return self._read(shadow.package, waiting[0])
        return False

    def _read(self, package: ModelPackage, revision: Revision) -> bool:
        """Read and record; False when what is needed is away for now, so that the loop takes a rest."""
        try:
            made = self._reading(package, revision)
        except Unavailable as error:
            if not isinstance(error, RunnerDied):
                return False
            made = _unread(package, revision, ReportStatus.FAILED, str(error))
        except CandorError as error:
            made = _unread(package, revision, ReportStatus.FAILED, str(error))
        self._store.shadows.record(made)
        version = f"{package.model.name} {package.model.version}"
        _log.info("shadow.read", study=revision.study_id, model=version, status=made.status.value)
        return True

    def _reading(self, package: ModelPackage, revision: Revision) -> ShadowReading:
        """What the shadow says of a study, over all the inputs that it takes."""
        study = self._store.studies.load(revision)
        selection = select(study, [package])
        if not selection.choices:
            return _unread(package, revision, selection.most_telling.status, selection.most_telling.reason)
        findings: list[Finding] = []
        reasons: list[str] = []
        for choice in selection.choices:
            try:
                prediction = self._models.predict(package.model, choice.what)
                refuse_faulty(prediction.quality, choice.what.instances[0])
                findings += to_findings(prediction, {})
            except InvalidStudy as error:
                reasons.append(str(error))
        if not findings:
            return _unread(package, revision, ReportStatus.NOT_ANALYSED, reasons[0])
        return ShadowReading(
            revision=revision,
            name=package.model.name,
            version=package.model.version,
            status=ReportStatus.REPORTED,
            probabilities=highest(findings),
            above=any_above(findings),
        )


def since_of(state_changed_at: str) -> float:
    """Seconds since the epoch of an ISO 8601 time, 0 when there is none."""
    return datetime.fromisoformat(state_changed_at).timestamp() if state_changed_at else 0.0


def _unread(package: ModelPackage, revision: Revision, status: ReportStatus, reason: str) -> ShadowReading:
    return ShadowReading(
        revision=revision, name=package.model.name, version=package.model.version, status=status, reason=reason
    )
