"""What a file of predictions may be: its kind and its sizes, found out in one fast pass before anything else reads it.

A line of 100 MB or a header of 5,000 columns is no table of predictions; each has a sentence, within seconds.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigurationError

MOST_COLUMNS = 512
LONGEST_LINE = 1024 * 1024  # bytes, of a header too
_CHUNK = 4 * 1024 * 1024
_QUOTE, _NEWLINE = ord('"'), ord("\n")
_KINDS = {
    b"PAR1": "a Parquet file; write the table as CSV (polars: write_csv, pandas: to_csv)",
    b"PK\x03\x04": "a spreadsheet or an archive; save the table as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet; save the table as CSV UTF-8",
    b"\x1f\x8b": "compressed (gzip); unpack it first",
    b"\xff\xfe": "text in UTF-16; save it as CSV UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as CSV UTF-8",
}


def header_of(path: Path) -> list[str]:
    """The names of the columns; ConfigurationError where the file is no CSV file, or larger than a table is."""
    start = _start_of(path)
    _refuse_other_kinds(path, start)
    _refuse_long_lines(path)
    try:
        names = next(csv.reader([start.splitlines()[0].decode("utf-8-sig", "replace")]), [])
    except csv.Error as error:
        raise ConfigurationError(f"the header of {path.name} holds a name that is too long; shorten it") from error
    _refuse_wrong_names(names)
    return names


def _start_of(path: Path) -> bytes:
    if not path.is_file():
        raise ConfigurationError(f"{path} is not there; give a CSV file of predictions")
    try:
        with path.open("rb") as file:
            start = file.read(LONGEST_LINE)
    except OSError as error:
        raise ConfigurationError(f"{path.name} cannot be read ({error.strerror})") from error
    if not start.strip():
        raise ConfigurationError(f"{path.name} is empty; it needs a header and a line for each study")
    return start


def _refuse_other_kinds(path: Path, start: bytes) -> None:
    for magic, words in _KINDS.items():
        if start.startswith(magic):
            raise ConfigurationError(f"{path.name} is not a CSV file but {words}")
    header = start.splitlines()[0]
    if b"\r" in start and b"\n" not in start:
        raise ConfigurationError(f"{path.name} ends its lines as old Macs did (CR); save it as CSV UTF-8")
    if b"\0" not in start and b"," not in header and b";" in header:
        raise ConfigurationError(
            f"{path.name} is separated by semicolons; save it with commas between cells and points in numbers"
        )
    if b"\0" in start or b"," not in header:
        raise ConfigurationError(f"{path.name} is not a CSV file: its first line holds no comma-separated header")


def _refuse_long_lines(path: Path) -> None:
    """Line ends within quotes end no line, so a cell of many lines is one line here."""
    length, is_quoted, line = 0, False, 1
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            ends, is_quoted = _line_ends(chunk, is_quoted)
            lengths = np.diff(ends, prepend=-1 - length)
            if (too_long := lengths > LONGEST_LINE).any():
                _refuse_line(path, line + int(np.argmax(too_long)))
            length = len(chunk) - 1 - int(ends[-1]) if len(ends) else length + len(chunk)
            line += len(ends)
            if length > LONGEST_LINE:
                _refuse_line(path, line)


def _line_ends(chunk: bytes, is_quoted: bool) -> tuple[NDArray[np.intp], bool]:
    found = np.frombuffer(chunk, np.uint8)
    newlines = np.flatnonzero(found == _NEWLINE)
    if _QUOTE not in chunk:
        return (newlines[:0] if is_quoted else newlines), is_quoted
    quotes = np.flatnonzero(found == _QUOTE)
    before = np.searchsorted(quotes, newlines)
    return newlines[(before + is_quoted) % 2 == 0], bool((len(quotes) + is_quoted) % 2)


def _refuse_line(path: Path, line: int) -> None:
    raise ConfigurationError(
        f"{path.name}, line {line:,} is longer than {LONGEST_LINE // 1024**2} MB, or a quotation mark in it is not "
        "closed; leave columns of text out"
    )


def _refuse_wrong_names(names: Sequence[str]) -> None:
    """polars would call a doubled name something else, and an audit would speak of a finding that does not exist."""
    if len(names) > MOST_COLUMNS:
        raise ConfigurationError(
            f"the header names {len(names):,} columns and an audit takes at most {MOST_COLUMNS}; leave out those that "
            "are neither predictions nor what patients are divided by"
        )
    counts = Counter(name.strip() for name in names)
    if counts[""] > 1:
        raise ConfigurationError(f"the header has {counts['']} columns without a name; delete the empty columns")
    if doubled := [name for name, count in counts.items() if count > 1]:
        raise ConfigurationError(f"the header names column {doubled[0]} twice; keep one of them")
