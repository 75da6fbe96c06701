"""How far long work is: bars on a terminal; elsewhere, as in a log file, a line per twentieth of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from core.wording import on_a_terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from core.progress import Progress

_LINES = 20


@contextmanager
def shown_progress(console: Console | None = None) -> Iterator[Progress]:
    """A progress that a person sees on stderr, for as long as the context lasts."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        yield _bars(bars)


def _bars(bars: Bars) -> Progress:
    """A bar for each kind of work; one of unknown length only moves."""
    from rich.markup import escape

    tasks: dict[str, TaskID] = {}

    def progress(what: str, done: int, total: int, note: str = "", /) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=None)
        said = escape(on_a_terminal(f"{what}, {note}" if note else what))
        bars.update(tasks[what], completed=done, total=total or None, description=said)

    return progress


def _lines() -> Progress:
    printed: dict[str, int] = {}

    def progress(what: str, done: int, total: int, note: str = "", /) -> None:
        twentieth = _LINES * done // total if total else 0
        if printed.get(what) == twentieth:
            return
        printed[what] = twentieth
        of = f"{done:,} of {total:,}" if total else f"{done:,}"
        typer.echo(on_a_terminal(", ".join(part for part in (f"{what}: {of}", note) if part)), err=True)

    return progress
