"""Ground truth from a CSV file, and the list of studies that wait for a blind read as a file to fill in.

Both have the same columns, so that a filled-in list is what is imported. A file is imported as a whole or not at all;
errors name lines and columns, never values, because those are accession numbers and names.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.domain.reading import GroundTruth, ReadingRecord, TruthSource
from core.domain.trail import TrailEvent
from core.errors import ConfigurationError
from core.pseudonym import pseudonym
from core.store.store import Store
from fairness.service.truth import settled, to_be_read_blind
from pipeline.watch.facts import whole_studies

IDS = ("accession_number", "study_instance_uid")
COLUMNS = (*IDS, "finding", "truth", "reader", "ai_seen", "at")
MOST_ERRORS = 10
_TRUTHS = {"0": False, "1": True}
_ANSWERS = {"yes": True, "no": False}
_FUTURE_SECONDS = 24 * 3600  # clocks and time zones may differ by a day


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: new answers, those known before, lines left open, lines about studies not here."""

    new: int
    known: int
    open: int
    elsewhere: tuple[int, ...]  # line numbers


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the file with the number a text editor gives it."""

    number: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return (self.cells.get(column) or "").strip()


class _Wrong(Exception):
    """What is wrong with one line, without its values."""


def import_truth(path: Path, store: Store, *, now: float) -> Imported:
    """Add the answers of a file to the ground truth; ConfigurationError lists what is wrong, by line.

    A line without a truth is open and left out; a line about a study that was never read here is counted.
    """
    lines = [line for line in _lines(path) if any(line.cells.values())]
    answered = [line for line in lines if line["truth"]]
    studies = _studies_of(answered, store)
    readings = {made.study_id: made for made in whole_studies(store.readings.newest())}
    answers, elsewhere, wrong = [], [], []
    for line in answered:
        try:
            found = studies(line)
            if found not in readings:
                elsewhere.append(line.number)
                continue
            answers.append(_answer(line, readings[found], store.key.pseudonym_key, now))
        except _Wrong as error:
            wrong.append(f"line {line.number}: {error}")
    if wrong:
        more = f"; and {len(wrong) - MOST_ERRORS} more" if len(wrong) > MOST_ERRORS else ""
        raise ConfigurationError(f"nothing was imported of {path.name}: {'; '.join(wrong[:MOST_ERRORS])}{more}")
    new = store.truths.add(answers)
    _record(store, new)
    return Imported(new, len(answers) - new, len(lines) - len(answered), tuple(elsewhere))


def write_blind_list(path: Path, store: Store, rate: float) -> int:
    """Write the studies to be read blind as a file to fill in (mode 0600: it holds identity); returns how many."""
    key = store.key.pseudonym_key
    waiting = to_be_read_blind(whole_studies(store.readings.newest()), settled(store.truths.all()), key, rate)
    names = store.studies.names_of([made.study_id for made in waiting])
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for made in waiting:
                writer.writerows((*names[made.study_id], finding, "", "", "no", "") for finding in made.above)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}); choose another --out") from error
    return len(waiting)


def _lines(path: Path) -> Iterator[_Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            _check_columns(path, rows.fieldnames or ())
            for cells in rows:
                if None in cells or None in cells.values():
                    raise ConfigurationError(f"{path.name}, line {rows.line_num}: it has not as many cells as columns")
                yield _Line(rows.line_num, cells)
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no CSV in UTF-8"
        raise ConfigurationError(f"{path} cannot be read: {reason}") from None


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    missing = [name for name in COLUMNS[len(IDS) :] if name not in columns]
    if not set(IDS) & set(columns):
        missing.insert(0, " or ".join(IDS))
    unknown = [str(number + 1) for number, name in enumerate(columns) if name not in COLUMNS]
    if missing:
        raise ConfigurationError(f"{path.name} lacks columns: {', '.join(missing)}")
    if unknown:
        known = ", ".join(COLUMNS)
        raise ConfigurationError(f"{path.name}: column {', '.join(unknown)} has an unknown name; there are {known}")


def _studies_of(lines: Sequence[_Line], store: Store) -> Callable[[_Line], str]:
    """A function that gives the pseudonym of a line's study, "" when it is not here."""
    by_accession = store.studies.by_accession_number(line["accession_number"] for line in lines)

    def study_of(line: _Line) -> str:
        if uid := line["study_instance_uid"]:
            return store.study_id_of(uid)
        number = line["accession_number"]
        if not number:
            raise _Wrong("accession_number and study_instance_uid are both empty")
        found = by_accession.get(number, [""])
        if len(found) > 1:
            raise _Wrong(f"{len(found)} studies bear this accession_number; give study_instance_uid")
        return found[0]

    return study_of


def _answer(line: _Line, made: ReadingRecord, key: bytes, now: float) -> GroundTruth:
    finding, truth, ai_seen, reader = (line[name] for name in ("finding", "truth", "ai_seen", "reader"))
    if finding not in made.above:
        known = ", ".join(made.above) or "nothing, it was not analysed"
        raise _Wrong(f"finding is none that the study was read for ({known})")
    if truth not in _TRUTHS:
        raise _Wrong("truth is neither 0 nor 1")
    if ai_seen.lower() not in _ANSWERS:
        raise _Wrong("ai_seen is neither yes nor no")
    if not reader:
        raise _Wrong("reader is empty")
    return GroundTruth(
        study_id=made.study_id,
        finding=finding,
        value=_TRUTHS[truth],
        source=TruthSource.CSV,
        reader=pseudonym(key, "reader", " ".join(reader.lower().split())),
        ai_seen=_ANSWERS[ai_seen.lower()],
        at=_moment(line["at"], now),
    )


def _moment(text: str, now: float) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Wrong("at is no date or time of ISO 8601 (2026-10-31, 2026-10-31T14:05)") from None
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if at > now + _FUTURE_SECONDS:
        raise _Wrong("at is in the future")
    return at


def _record(store: Store, new: int) -> None:
    event = TrailEvent(
        action="truth.imported", actor="command line", outcome="success", reason=f"{new} new answers from a CSV file"
    )
    store.trail.record(event)
