"""How the demo shows what happens and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from api.demo_outcome import Outcome
from core.store.figures import StudyTimes

_HOPS = {
    "received": "first to last image",
    "assembled": "last image to complete",
    "reported": "complete to report",
    "delivered": "report to PACS",
    "total": "last image to report at PACS",
    "illustrated": "report to last picture at PACS",
}


class Waiting:
    """A progress bar per study: received, complete, reported, back."""

    def __init__(self, names: Sequence[str], console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._tasks = {name: self._progress.add_task(name, total=4, state="sent") for name in names}

    def show(self, name: str, times: StudyTimes | None) -> None:
        """Move the study's bar to where it is now."""
        if times is not None:
            marks = (times.completed_at, times.reported_at, times.delivered_at)
            self._progress.update(
                self._tasks[name], completed=1 + sum(mark is not None for mark in marks), state=str(times.state)
            )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def print_outcomes(outcomes: Sequence[Outcome], output: Path, console: Console) -> None:
    """Findings, one report as text, time per hop, and where everything lies."""
    console.print(_findings_table(outcomes))
    _print_report(outcomes, console)
    console.print(_hops_table(outcomes))
    for outcome in outcomes:
        for overlay in outcome.overlays:
            console.print(f"Overlay  {escape(str(overlay))}", soft_wrap=True)
    console.print(f"DICOM results in {escape(str(output / 'pacs'))}, log in {escape(str(output / 'log.jsonl'))}")


def _findings_table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="What the reports say", title_justify="left")
    for column in ("study", "ended", "finding", "probability", "operating point", "result"):
        table.add_column(column, overflow="fold")
    for outcome in outcomes:
        ended = str(outcome.times.state).replace("_", " ")
        if not outcome.findings:
            table.add_row(outcome.name, ended, escape(outcome.times.reason), "", "", "")
        for finding in outcome.findings:
            result = "[bold red]above[/]" if finding["positive"] else "below"
            threshold = f"{finding['operating_point']['threshold']:.3f}"
            table.add_row(outcome.name, ended, finding["name"], f"{finding['probability']:.3f}", threshold, result)
    return table


def _print_report(outcomes: Sequence[Outcome], console: Console) -> None:
    """The report with the most to say, as it lies in the PACS."""
    candidates = [(len(text), text, outcome.name) for outcome in outcomes for text in outcome.sr_texts]
    if candidates:
        _, text, name = max(candidates)
        console.print(Panel(escape(text), title=f"The SR of {escape(name)}, as it came back", title_align="left"))


def _hops_table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="Seconds per hop", title_justify="left")
    table.add_column("study")
    for words in _HOPS.values():
        table.add_column(words, justify="right")
    for outcome in outcomes:
        hops = outcome.times.hops()
        table.add_row(outcome.name, *(f"{hops[hop]:.2f}" if hop in hops else "" for hop in _HOPS))
    return table
