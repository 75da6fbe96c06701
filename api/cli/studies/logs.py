"""`candor logs`: the newest lines of the log of all processes, in the order in which they were written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import DEFAULT_DATA, Data, opened, settings_of
from api.cli.studies.choice import moment_of, studies_called
from core.clock import system_clock
from core.errors import ConfigurationError
from core.log import LOG_FOLDER

LEVELS = ("debug", "info", "warning", "error", "critical")
_SAID_FIRST = ("timestamp", "level", "event", "process_log")
_LOOK_AGAIN_SECONDS = 0.5

Line = dict[str, str]


def logs(
    count: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the newest lines.")] = 50,
    level: Annotated[str, typer.Option("--level", help="This level and worse: debug, info, warning, error.")] = "info",
    study: Annotated[
        str, typer.Option("--study", help="Only lines about this study, by any of its names.", metavar="STUDY")
    ] = "",
    since: Annotated[str, typer.Option("--since", help="Only since then: 2026-11-24T18:30, or 2h.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they were written.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Show what the processes of this data folder logged: no patient data, studies by pseudonym."""
    folder = settings_of(data).data_dir / LOG_FOLDER
    if level not in LEVELS:
        raise ConfigurationError(f"{level!r} is no level; it is one of: {', '.join(LEVELS)}")
    names = {found.study_id for found in studies_called(opened(data)[1], study)} if study else set()
    after = moment_of(since, system_clock())
    if not folder.is_dir():
        raise ConfigurationError(f"there is no log in {folder} yet; candor serve writes it")

    def wanted(line: Line) -> bool:
        is_loud = LEVELS.index(line.get("level", "info")) >= LEVELS.index(level)
        is_new = not after or _written_at(line) >= after
        return is_loud and is_new and (not names or line.get("study") in names)

    ends = {path: path.stat().st_size for path in sorted(folder.glob("*.log"))}
    shown = sorted(filter(wanted, _all_lines(folder)), key=lambda line: line.get("timestamp", ""))
    for line in shown[-count:]:
        typer.echo(_in_words(line, as_json=as_json))
    while follow:
        time.sleep(_LOOK_AGAIN_SECONDS)
        for line in filter(wanted, _new_lines(folder, ends)):
            typer.echo(_in_words(line, as_json=as_json))


def _all_lines(folder: Path) -> Iterator[Line]:
    """Every line of every file, also of those that were put aside when they were full."""
    for path in sorted(folder.glob("*.log*")):
        yield from _lines(path, 0)


def _new_lines(folder: Path, ends: dict[Path, int]) -> Iterator[Line]:
    """What was written since the last look; a file that became shorter was begun again."""
    for path in sorted(folder.glob("*.log")):
        size, before = path.stat().st_size, ends.get(path, 0)
        if size != before:
            yield from _lines(path, before if size > before else 0)
        ends[path] = size


def _lines(path: Path, start: int) -> Iterator[Line]:
    with path.open(encoding="utf-8", errors="replace") as file:
        file.seek(start)
        for text in file:
            try:
                line = json.loads(text)
            except ValueError:
                continue  # a line that a pulled plug cut
            yield {"process_log": path.name.split(".")[0], **{key: _text(value) for key, value in line.items()}}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _written_at(line: Line) -> float:
    try:
        return datetime.fromisoformat(line["timestamp"]).timestamp()
    except (KeyError, ValueError):
        return 0.0


def _in_words(line: Line, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({key: value for key, value in line.items() if key != "process_log"})
    at = datetime.fromtimestamp(_written_at(line)).strftime("%Y-%m-%d %H:%M:%S")
    rest = " ".join(f"{key}={value}" for key, value in line.items() if key not in _SAID_FIRST)
    process, level, event = (line.get(key, "") for key in ("process_log", "level", "event"))
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in f"{at} {process:8} {level:7} {event} {rest}")
