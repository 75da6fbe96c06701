"""`candor status`: how the installation is doing, for a person or a script; studies appear under their pseudonyms."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from api.processes.heartbeat import living
from core.clock import month_of
from core.domain.registration import ModelState
from core.domain.study import StudyState
from core.errors import CandorError
from core.settings import Settings
from core.store.fairness.site_audits import Alarm
from core.store.store import Store
from core.store.studies.outbox import DestinationState
from core.store.studies.overview import Overview

GIB = 1024**3
A_MONTH_SECONDS = 31 * 24 * 3600


def status_of(store: Store, settings: Settings) -> dict[str, Any]:
    """Everything `candor status` tells, as JSON values. Times are seconds."""
    free = store.objects.free_bytes()
    destinations = store.outbox.states([d.name for d in settings.destinations])
    return {
        "processes": living(store),
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


def print_status(found: dict[str, Any]) -> None:
    """Print `status_of` as tables."""
    console = Console(highlight=False)
    console.print(f"Data folder {escape(found['data_dir'])}, key {escape(found['key_file'])}")
    console.print(f"Running: {', '.join(found['processes']) or 'nothing; start it with: candor serve'}")
    console.print(_disk_line(found["disk"]))
    console.print(_studies_table(found))
    if found["quarantined"]:
        console.print(f"[red]{found['quarantined']} objects came under a UID that other bytes had before[/]")
    console.print(_destinations_table(found["destinations"]))
    if found["failed"]:
        console.print(_failed_table(found["failed"]))
        console.print("Once the cause is mended: candor retry")
    console.print(_models_table(found["models"]))
    if found["alarms"]:
        console.print(_alarms_table(found["alarms"]))
    for why in sorted({row["fallback"] for row in found["models"] if row["fallback"]}):
        console.print(f"Not on a GPU: {escape(why)}", soft_wrap=True)
    console.print(f"torch runs on {found['torch']['name']}: {escape(found['torch']['fallback'] or 'the GPU answers')}")


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


def _disk_line(disk: dict[str, Any]) -> str:
    free, watermark = disk["free_bytes"] / GIB, disk["minimum_free_bytes"] / GIB
    if disk["enough"]:
        return f"Disk: {free:.1f} GiB free, receives until {watermark:.1f} GiB are left"
    return f"[bold red]Disk: {free:.1f} GiB free, below {watermark:.1f} GiB: nothing is received; free some space[/]"


def _studies_table(found: dict[str, Any]) -> Table:
    table = _table("Studies", "state", "studies")
    for state, count in found["studies"].items():
        table.add_row(state.replace("_", " "), _count(count, alarm=state == StudyState.FAILED))
    return table


def _destinations_table(destinations: list[dict[str, Any]]) -> Table:
    table = _table("Destinations", "name", "pending", "sent", "committed", "refused", "next attempt", "last error")
    for row in destinations:
        pause = f"in {row['next_attempt_seconds']:.0f} s" if row["next_attempt_seconds"] else ""
        counts = (str(row[key]) for key in ("pending", "sent", "committed"))
        table.add_row(row["name"], *counts, _count(row["refused"], alarm=True), pause, escape(row["last_error"]))
    return table


def _failed_table(failed: list[dict[str, Any]]) -> Table:
    table = _table("Last failed studies", "study", "reason")
    for row in failed:
        table.add_row(row["study_id"], escape(row["reason"]))
    return table


def _models_table(models: list[dict[str, str]]) -> Table:
    table = _table("Models", "name", "version", "state", "sha256", "runs on")
    for row in models:
        runs_on = f"[red]{escape(row['error'])}[/]" if row["error"] else row["provider"]
        table.add_row(row["name"], row["version"], row["state"], row["sha256"][:12], runs_on)
    return table


def _alarms(store: Store) -> list[Alarm]:
    """Cohorts that left their bounds this month or the last one."""
    return store.site_audits.alarms(since_month=month_of(store.now() - A_MONTH_SECONDS))


def _alarms_table(alarms: list[dict[str, Any]]) -> Table:
    table = _table("Cohorts that left their bounds", "month", "", "finding", "cohort", "figure", "value", "bound")
    for row in alarms:
        level = f"[bold red]{row['level']}[/]" if row["level"] == "alarm" else row["level"]
        words = (row["finding"], escape(row["cohort"]), row["figure"], f"{row['value']:.2f}", f"{row['bound']:.2f}")
        table.add_row(row["month"], level, *words)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _count(count: int, *, alarm: bool) -> str:
    return f"[bold red]{count}[/]" if alarm and count else str(count)
