"""How the demo shows what happens and what came back.

"In all" is from the last image to the report in the PACS; the pictures follow after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from api.demo.outcome import Outcome
from core.store.studies.overview import StudyTimes
from core.wording import finding_in_words, on_a_terminal, probability
from pipeline.results_json import FindingEntry, StudyEntry

_HOPS = {
    "received": "receive",
    "assembled": "assemble",
    "reported": "report",
    "delivered": "deliver",
    "total": "in all",
    "illustrated": "pictures",
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


def print_studies(entries: Sequence[StudyEntry], files: Mapping[str, Sequence[Path]]) -> None:
    """A line for each study: the files that it came in, what became of it, its findings or the reason."""
    for entry in entries:
        named = files.get(entry.study_instance_uid, ())
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        name = f"{named[0]}{more}" if named else entry.study_instance_uid
        print(on_a_terminal(f"{name}: {_became(entry)}"))  # noqa: T201


def _became(entry: StudyEntry) -> str:
    status = entry.status.replace("_", " ")
    if entry.status != "reported":
        return f"{status}, because {entry.reason}" if entry.reason else status
    flagged = [finding for finding in entry.findings if bool(finding.flagged)]
    return (
        f"{status}; flagged: {', '.join(map(_flagged, flagged))}"
        if flagged
        else f"{status}; no finding above its operating point"
    )


def _flagged(finding: FindingEntry) -> str:
    """A flagged finding with its figures: "lung opacity 0.63 (threshold 0.34)"."""
    because = f", flagged because of {', '.join(finding.implied_by)}" if finding.implied_by else ""
    point = probability(finding.operating_point.threshold)
    return f"{finding_in_words(finding.name)} {probability(finding.probability)} (threshold {point}{because})"


def print_outcomes(outcomes: Sequence[Outcome], output: Path, console: Console) -> None:
    """One report as text, findings, time per hop, and where everything is."""
    _print_report(outcomes, console)
    console.print(_findings_table(outcomes))
    _print_cohorts(outcomes, console)
    for outcome in outcomes:
        if outcome.times.reason:
            ended = str(outcome.times.state).replace("_", " ")
            console.print(f"{outcome.name}: {ended}, because {outcome.times.reason}", markup=False)
    console.print(_hops_table(outcomes))
    for overlay in [path for outcome in outcomes for path in outcome.overlays]:
        console.print(f"Overlay {overlay}", markup=False, soft_wrap=True)
    console.print(f"DICOM results in {output / 'pacs'}, log in {output / 'log.jsonl'}", markup=False, soft_wrap=True)


def _findings_table(outcomes: Sequence[Outcome]) -> Table:
    table = _table("What the reports say", "study", "finding")
    for column in ("probability", "threshold", "result"):
        table.add_column(column, justify="right")
    for outcome in outcomes:
        for number, finding in enumerate(outcome.findings):
            result = "[bold red]above[/]" if finding.positive else "below"
            figures = (f"{finding.probability:.3f}", f"{finding.operating_point.threshold:.3f}")
            table.add_row("" if number else outcome.name, finding.name, *figures, result)
        table.add_section()
    return table


def _print_cohorts(outcomes: Sequence[Outcome], console: Console) -> None:
    """For each finding above its operating point: how well the model does for patients like this one."""
    for outcome in outcomes:
        lines = {metric.finding: metric.statement for metric in reversed(outcome.cohorts)}  # the narrowest first
        for finding in outcome.findings:
            if finding.positive and finding.name in lines:
                words = f"{outcome.name}, {finding.name}: {lines[finding.name]}"
                console.print(words, markup=False, soft_wrap=True)


def _print_report(outcomes: Sequence[Outcome], console: Console) -> None:
    """The report with the most to say, as it is in the PACS."""
    candidates = [(len(text), text, outcome.name) for outcome in outcomes for text in outcome.sr_texts]
    if candidates:
        _, text, name = max(candidates)
        console.rule(f"The SR of {escape(name)}, as it came back")
        console.print(text, markup=False, soft_wrap=True)
        console.rule()


def _hops_table(outcomes: Sequence[Outcome]) -> Table:
    table = _table("Seconds per hop", "study")
    for words in _HOPS.values():
        table.add_column(words, justify="right")
    for outcome in outcomes:
        hops = outcome.times.hops()
        table.add_row(outcome.name, *(f"{hops[hop]:.2f}" if hop in hops else "" for hop in _HOPS))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)  # the widest fits into 80 columns without
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
