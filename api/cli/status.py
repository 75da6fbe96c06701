"""`candor status`, `retry` and `echo`: how the installation is doing, try again, and is a destination there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from api.cli.options import DEFAULT_DATA, Data, Json, opened, settings_of
from core.wording import cohort_in_words, number

if TYPE_CHECKING:
    from core.settings import Settings
    from core.store.store import Store
    from pipeline.watch.status import AlarmEntry, DestinationEntry, DiskEntry, FailedEntry, InstalledModel, Status

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
    """Put failed studies and refused objects back in line and end every pause; says how many."""
    studies = store.studies.retry_failed()
    objects = 0
    for destination in settings.destinations:
        objects += store.outbox.redeliver_refused(destination.name)
        store.outbox.wake(destination.name)
    return (
        f"{_many(studies, 'failed study', 'failed studies')} and {_many(objects, 'refused object')} will be tried again"
    )


def print_status(found: Status) -> None:
    """Print `status_of` as tables."""
    console = Console(highlight=False)
    console.print(f"Data folder {escape(found.data_dir)}, key {escape(found.key_file)}")
    console.print(f"Running: {', '.join(found.processes) or 'nothing; start it with: candor serve'}")
    console.print(_disk_line(found.disk))
    console.print(_studies_table(found))
    if found.quarantined:
        held = _many(found.quarantined, "object is", "objects are")
        console.print(f"[red]{held} kept apart until a person decides: candor quarantine list[/]")
    console.print(_destinations_table(found.destinations))
    if found.failed:
        console.print(_failed_table(found.failed))
        console.print("Once the cause is mended: candor retry")
    console.print(_models_table(found.models))
    if found.alarms:
        console.print(_alarms_table(found.alarms))
    for why in sorted({row.fallback for row in found.models if row.fallback}):
        console.print(f"Not on a GPU: {escape(why)}", soft_wrap=True)
    console.print(f"torch runs on {found.torch.name}: {escape(found.torch.fallback or 'the GPU answers')}")


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def _disk_line(disk: DiskEntry) -> str:
    free, watermark = disk.free_bytes / GIB, disk.minimum_free_bytes / GIB
    if disk.enough:
        return f"Disk: {free:.1f} GiB free, receives until {watermark:.1f} GiB are left"
    return f"[bold red]Disk: {free:.1f} GiB free, below {watermark:.1f} GiB: nothing is received; free some space[/]"


def _studies_table(found: Status) -> Table:
    from core.domain.study import StudyState

    table = _table("Studies", "state", "studies")
    for state, count in found.studies.items():
        table.add_row(state.replace("_", " "), _count(count, alarm=state == StudyState.FAILED))
    return table


def _destinations_table(destinations: Sequence[DestinationEntry]) -> Table:
    table = _table("Destinations", "name", "pending", "sent", "committed", "refused", "next attempt", "last error")
    for row in destinations:
        pause = f"in {row.next_attempt_seconds:.0f} s" if row.next_attempt_seconds else ""
        counts = map(str, (row.pending, row.sent, row.committed))
        table.add_row(row.name, *counts, _count(row.refused, alarm=True), pause, escape(row.last_error))
    return table


def _failed_table(failed: Sequence[FailedEntry]) -> Table:
    table = _table("Last failed studies", "study", "reason")
    for row in failed:
        table.add_row(row.study_id, escape(row.reason))
    return table


def _models_table(models: Sequence[InstalledModel]) -> Table:
    table = _table("Models", "name", "version", "state", "sha256", "runs on")
    for row in models:
        runs_on = f"[red]{escape(row.error)}[/]" if row.error else row.provider
        table.add_row(row.name, row.version, row.state, row.sha256[:12], runs_on)
    return table


def _alarms_table(alarms: Sequence[AlarmEntry]) -> Table:
    table = _table("Cohorts that left their bounds", "month", "", "finding", "cohort", "figure", "value", "bound")
    for row in alarms:
        level = f"[bold red]{row.level}[/]" if row.level == "alarm" else row.level
        cohort, figures = escape(cohort_in_words(row.cohort)), (number(row.value), number(row.bound))
        table.add_row(row.month, level, row.finding, cohort, row.figure, *figures)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _count(count: int, *, alarm: bool) -> str:
    return f"[bold red]{count}[/]" if alarm and count else str(count)
