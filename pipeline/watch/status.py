"""How the installation is doing, as JSON values: studies appear under their pseudonyms. Times are seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from core.clock import month_of
from core.domain.registration import ModelState
from core.errors import CandorError
from core.settings import Settings
from core.store.fairness.site_audits import Alarm
from core.store.store import Store
from core.store.studies.outbox import DestinationState
from core.store.studies.overview import Overview

A_MONTH_SECONDS = 31 * 24 * 3600


def status_of(store: Store, settings: Settings, processes: Sequence[str]) -> dict[str, Any]:
    """Everything `candor status` shows. `processes`: those that run now."""
    free = store.objects.free_bytes()
    destinations = store.outbox.states([d.name for d in settings.destinations])
    return {
        "processes": list(processes),
        "studies": {state.value: count for state, count in store.studies.counts().items()},
        "quarantined": Overview(store.engine).quarantined(),
        "destinations": [_destination(state, store.now()) for state in destinations],
        "failed": [
            {"study_id": times.study_id, "reason": times.reason, "completed_at": times.completed_at}
            for times in Overview(store.engine).failed()
        ],
        "alarms": [asdict(alarm) for alarm in _alarms(store)],
        "models": _models(settings, store),
        "torch": _torch(),
        "disk": {
            "free_bytes": free,
            "minimum_free_bytes": settings.minimum_free_bytes,
            "enough": free >= settings.minimum_free_bytes,
        },
        "data_dir": str(settings.data_dir),
        "key_file": str(settings.site_key_file),
    }


def _destination(state: DestinationState, now: float) -> dict[str, Any]:
    pause = max(0.0, state.next_attempt_at - now)
    return {
        "name": state.destination,
        "pending": state.pending,
        "sent": state.sent,
        "committed": state.committed,
        "refused": state.refused,
        "failures": state.failures,
        "last_error": state.last_error,
        "next_attempt_seconds": round(pause, 1),
        "last_success_at": state.last_success_at,
    }


def _models(settings: Settings, store: Store) -> list[dict[str, str]]:
    """Each installed model with what it is for and what it would run on here, or why it would not run."""
    from models.runtimes.onnx import OnnxModel
    from pipeline.installed_models import site_registry

    registry = site_registry(settings, store)
    rows = []
    for entry in registry.entries:
        version = entry.package.model
        row = _model(version.name, version.version, state=entry.state.value, sha256=version.sha256)
        if entry.state is not ModelState.RETIRED:
            try:
                loaded = OnnxModel.load(entry.package, threads=1)
                row |= {"provider": loaded.provider, "fallback": loaded.fallback}
            except CandorError as error:
                row |= {"state": "refused", "error": str(error)}
        rows.append(row)
    for refused in registry.refused:
        name = refused.name or refused.folder.name
        rows.append(_model(name, refused.version, state="refused", error=str(refused.reason)))
    return rows


def _model(name: str, version: str, *, state: str, sha256: str = "", error: str = "") -> dict[str, str]:
    blank = {"provider": "", "fallback": ""}
    return {"name": name, "version": version, "state": state, "sha256": sha256, **blank, "error": error}


def _torch() -> dict[str, str]:
    """What explanations and training that need torch would run on here."""
    from models.runtimes.devices import torch_device

    return asdict(torch_device())


def _alarms(store: Store) -> list[Alarm]:
    """Cohorts that left their bounds this month or the last one."""
    return store.site_audits.alarms(since_month=month_of(store.now() - A_MONTH_SECONDS))
