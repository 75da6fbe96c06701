"""`candor status`, `retry` and `echo`: how the installation is doing, try again, and is a destination there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import DEFAULT_DATA, PSEUDONYM, Data, Json, opened, said, settings_of, table_of
from core.wording import cohort_in_words, number

if TYPE_CHECKING:
    from core.settings import Settings
    from core.store.store import Store
    from core.store.studies.outbox import DestinationState
    from pipeline.watch.status import (
        AlarmEntry,
        DestinationEntry,
        DiskEntry,
        FailedEntry,
        InstalledModel,
        ReasonEntry,
        Status,
    )

GIB = 1024**3


def status(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Show studies, destinations, last errors, models and disk."""
    settings, store = opened(data)
    from api.processes.heartbeat import living
    from pipeline.watch.status import status_of

    found = status_of(store, settings, living(store))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        print_status(found)


def retry(data: Data = DEFAULT_DATA) -> None:
    """Read failed studies and send refused objects again, and wake destinations that pause."""
    settings, store = opened(data)
    typer.echo(retry_all(store, settings))


def echo(
    name: Annotated[str, typer.Argument(help="A destination of candor.toml.", metavar="NAME")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Ask a destination whether it is there (C-ECHO)."""
    typer.echo(echo_destination(settings_of(data), name))


def echo_destination(settings: Settings, name: str) -> str:
    """One sentence that says how the destination answers; Unavailable says why there is no answer."""
    from pipeline.carriers import carrier_for

    return carrier_for(settings.destination(name), settings).check()


def retry_all(store: Store, settings: Settings) -> str:
    """Put failed studies and refused objects back in line and end every pause; says what that wakes."""
    studies = store.studies.retry_failed()
    lines, objects = [], 0
    for state in store.outbox.states([destination.name for destination in settings.destinations]):
        objects += store.outbox.redeliver_refused(state.destination)
        lines += _woken(state, store.now(), store.commitments.ask_now(state.destination))
        store.outbox.wake(state.destination)
    failed = _many(studies, "failed study", "failed studies")
    return "\n".join([*lines, f"{failed} and {_many(objects, 'refused object')} will be tried again"])


def _woken(state: DestinationState, now: float, uncommitted: int) -> list[str]:
    """What a retry does for one destination, as far as there is something to do."""
    lines, pause = [], state.next_attempt_at - now
    if state.pending and pause > 0:
        objects = f"its {_many(state.pending, 'object')} {'is' if state.pending == 1 else 'are'} tried now"
        lines.append(f"destination {state.destination} was waiting {pause:.0f} s more: {objects}")
    if uncommitted:
        lines.append(f"destination {state.destination} is asked again to commit to {_many(uncommitted, 'object')}")
    return lines


def print_status(found: Status) -> None:
    """Print `status_of` as tables."""
    console = Console(highlight=False)
    console.print(f"Data folder {said(found.data_dir)}, key {said(found.key_file)}")
    console.print(f"Running: {', '.join(found.processes) or 'nothing; start it with: candor serve'}")
    console.print(_disk_line(found.disk))
    console.print(_studies_table(found))
    if found.quarantined:
        held = _many(found.quarantined, "object is", "objects are")
        console.print(f"[red]{held} kept apart until a person decides: candor quarantine list[/]")
    if found.reasons:
        console.print(_reasons_table(found.reasons))
        console.print(_where_to_look(found.reasons), soft_wrap=True)
    console.print(_destinations_table(found.destinations))
    for warning in found.warnings:
        console.print(f"[yellow]Warning: {said(warning)}[/]", soft_wrap=True)
    if found.failed:
        console.print(_failed_table(found.failed))
        console.print("Once the cause is mended: candor retry")
    console.print(_models_table(found.models))
    if found.alarms:
        console.print(_alarms_table(found.alarms))
    for why in sorted({row.fallback for row in found.models if row.fallback}):
        console.print(f"Not on a GPU: {said(why)}", soft_wrap=True)
    console.print(f"torch runs on {found.torch.name}: {said(found.torch.fallback or 'the GPU answers')}")


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def _disk_line(disk: DiskEntry) -> str:
    free, watermark = disk.free_bytes / GIB, disk.minimum_free_bytes / GIB
    if disk.enough:
        return f"Disk: {free:.1f} GiB free, receives until {watermark:.1f} GiB are left"
    shortage = f"Disk: {free:.1f} GiB free, below {watermark:.1f} GiB: nothing is received"
    return f"[bold red]{shortage}; make room with: candor purge --older-than 90d[/]"


def _studies_table(found: Status) -> Table:
    from core.domain.study import StudyState

    table = table_of("Studies", "state", "studies")
    for state, count in found.studies.items():
        table.add_row(state.replace("_", " "), _count(count, alarm=state == StudyState.FAILED))
    return table


def _destinations_table(destinations: Sequence[DestinationEntry]) -> Table:
    table = table_of("Destinations", "name", "pending", "sent", "committed", "refused", "next attempt", "last error")
    for row in destinations:
        pause = f"in {row.next_attempt_seconds:.0f} s" if row.next_attempt_seconds else ""
        counts = map(str, (row.pending, row.sent, row.committed))
        error = "; ".join(filter(None, (row.last_error, row.commitment_error)))
        table.add_row(row.name, *counts, _count(row.refused, alarm=True), pause, said(error))
    return table


def _where_to_look(reasons: Sequence[ReasonEntry]) -> str:
    """What to type next: to see those studies, and to have the refused ones read."""
    states = dict.fromkeys(row.state for row in reasons)
    words = f"Which ones: {', '.join(f'candor studies --state {state}' for state in states)}"
    return f"{words}. Once a model takes them: candor read --refused" if "refused" in states else words


def _reasons_table(reasons: Sequence[ReasonEntry]) -> Table:
    table = table_of("Why there is no result", "state", "studies", "reason")
    for row in reasons:
        table.add_row(row.state.replace("_", " "), str(row.studies), said(row.reason))
    return table


def _failed_table(failed: Sequence[FailedEntry]) -> Table:
    table = table_of("Last failed studies", PSEUDONYM, "reason")
    for row in failed:
        table.add_row(row.study_id, said(row.reason))
    return table


def _models_table(models: Sequence[InstalledModel]) -> Table:
    table = table_of("Models", "name", "version", "state", "sha256", "runs on")
    for row in models:
        runs_on = f"[red]{said(row.error)}[/]" if row.error else row.provider
        table.add_row(row.name, row.version, row.state, row.sha256[:12], runs_on)
    return table


def _alarms_table(alarms: Sequence[AlarmEntry]) -> Table:
    table = table_of("Cohorts that left their bounds", "month", "", "finding", "cohort", "figure", "value", "bound")
    for row in alarms:
        level = f"[bold red]{row.level}[/]" if row.level == "alarm" else row.level
        cohort, figures = said(cohort_in_words(row.cohort)), (number(row.value), number(row.bound))
        table.add_row(row.month, level, row.finding, cohort, row.figure, *figures)
    return table


def _count(count: int, *, alarm: bool) -> str:
    return f"[bold red]{count}[/]" if alarm and count else str(count)
