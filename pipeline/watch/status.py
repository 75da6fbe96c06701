"""How the installation is doing, for people and scripts: studies appear under their pseudonyms. Times are seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from core.clock import month_of
from core.documents.model import Document
from core.domain.registration import ModelState
from core.domain.study import StudyState
from core.errors import CandorError
from core.settings import Settings
from core.store.fairness.site_audits import Alarm
from core.store.store import Store
from core.store.studies.outbox import DestinationState
from core.store.studies.overview import Overview
from models.registry import Entry, Refused
from pipeline.installed_models import model_warnings, site_registry
from pipeline.watch.warnings import warnings_of

A_MONTH_SECONDS = 31 * 24 * 3600


class DestinationEntry(Document):
    """One destination: how many objects are where, and when the next attempt is made.

    `uncommitted`: taken more than an hour ago, and no storage commitment that was asked for has come.
    """

    name: str
    pending: int
    sent: int
    committed: int
    refused: int
    failures: int
    last_error: str
    next_attempt_seconds: float
    last_success_at: float | None
    uncommitted: int = 0
    commitment_error: str = ""


class ReasonEntry(Document):
    """Why studies have no result, and how many."""

    state: str
    reason: str
    studies: int


class FailedEntry(Document):
    """One study whose reading failed."""

    study_id: str
    reason: str
    completed_at: float | None


class AlarmEntry(Document):
    """One cohort that left its bounds."""

    month: str
    model_sha256: str
    finding: str
    cohort: str
    figure: str
    level: str
    value: float
    bound: float
    raised_at: float


class InstalledModel(Document):
    """One model version with what it runs on here; `error` says why it would not run."""

    name: str
    version: str
    state: str
    sha256: str = ""
    provider: str = ""
    fallback: str = ""
    error: str = ""


class TorchEntry(Document):
    """What explanations and training that need torch would run on here."""

    name: str
    fallback: str


class DiskEntry(Document):
    """Whether there is room to receive."""

    free_bytes: int
    minimum_free_bytes: int
    enough: bool


class Status(Document):
    """Everything `candor status --json` says."""

    processes: tuple[str, ...]
    studies: dict[str, int]
    quarantined: int
    destinations: tuple[DestinationEntry, ...]
    failed: tuple[FailedEntry, ...]
    reasons: tuple[ReasonEntry, ...]
    warnings: tuple[str, ...]
    alarms: tuple[AlarmEntry, ...]
    models: tuple[InstalledModel, ...]
    torch: TorchEntry
    disk: DiskEntry
    data_dir: str
    key_file: str


def status_of(store: Store, settings: Settings, processes: Sequence[str]) -> Status:
    """Everything `candor status` shows. `processes`: those that run now."""
    free, overview = store.objects.free_bytes(), Overview(store.engine)
    destinations = store.outbox.states([d.name for d in settings.destinations])
    overdue, errors = store.commitments.overdue(), store.commitments.errors()
    return Status(
        processes=tuple(processes),
        studies={state.value: count for state, count in store.studies.counts().items()},
        quarantined=overview.quarantined(),
        destinations=tuple(_destination(state, store, overdue, errors) for state in destinations),
        failed=tuple(
            FailedEntry(study_id=times.study_id, reason=times.reason, completed_at=times.completed_at)
            for times in overview.failed()
        ),
        reasons=tuple(
            ReasonEntry(state=state.value, reason=reason, studies=count)
            for state in (StudyState.REFUSED, StudyState.NOT_ANALYSED)
            for reason, count in store.lookup.reasons(state)
        ),
        alarms=tuple(AlarmEntry(**asdict(alarm)) for alarm in _alarms(store)),
        models=_models(settings, store),
        warnings=(*model_warnings(settings, store), *warnings_of(store, settings)),
        torch=_torch(),
        disk=DiskEntry(
            free_bytes=free,
            minimum_free_bytes=settings.minimum_free_bytes,
            enough=free >= settings.minimum_free_bytes,
        ),
        data_dir=str(settings.data_dir),
        key_file=str(settings.site_key_file),
    )


def _destination(
    state: DestinationState, store: Store, overdue: dict[str, int], errors: dict[str, str]
) -> DestinationEntry:
    return DestinationEntry(
        name=state.destination,
        pending=state.pending,
        sent=state.sent,
        committed=state.committed,
        refused=state.refused,
        failures=state.failures,
        last_error=state.last_error,
        next_attempt_seconds=round(max(0.0, state.next_attempt_at - store.now()), 1),
        last_success_at=state.last_success_at,
        uncommitted=overdue.get(state.destination, 0),
        commitment_error=errors.get(state.destination, ""),
    )


def _models(settings: Settings, store: Store) -> tuple[InstalledModel, ...]:
    """Each installed model with what it is for and what it would run on here, or why it would not run."""
    registry = site_registry(settings, store)
    return (*map(_installed, registry.entries), *map(_refused, registry.refused))


def _installed(entry: Entry) -> InstalledModel:
    from models.runtimes.onnx import OnnxModel

    version = entry.package.model
    row = InstalledModel(name=version.name, version=version.version, state=entry.state.value, sha256=version.sha256)
    if entry.state is ModelState.RETIRED:
        return row
    try:
        loaded = OnnxModel.load(entry.package, threads=1)
    except CandorError as error:
        return row.model_copy(update={"state": "refused", "error": str(error)})
    return row.model_copy(update={"provider": loaded.provider, "fallback": loaded.fallback})


def _refused(refused: Refused) -> InstalledModel:
    name = refused.name or refused.folder.name
    return InstalledModel(name=name, version=refused.version, state="refused", error=str(refused.reason))


def _torch() -> TorchEntry:
    from models.runtimes.devices import torch_device

    return TorchEntry(**asdict(torch_device()))


def _alarms(store: Store) -> list[Alarm]:
    """Cohorts that left their bounds this month or the last one."""
    return store.site_audits.alarms(since_month=month_of(store.now() - A_MONTH_SECONDS))
