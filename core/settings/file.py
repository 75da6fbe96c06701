"""The file candor.toml: its entries, and the line that each of them is on.

tomllib reads the entries but keeps no lines. A statement of TOML ends with its line, or with the line on which its
list or text is closed; so the lines are found by reading one statement after the other, and only when a sentence
about one of them is needed.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import ConfigurationError
from core.files import why_unusable

Place = tuple[int | str, ...]
"""Where an entry is: its table, the number of the table where there are several, its name."""

MAXIMUM_BYTES = 256 * 1024
MAXIMUM_DEPTH = 16
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_OTHER_ENCODINGS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
_UNCLOSED = "the file ends in the middle of a setting; is a closing bracket or quote missing?"
_CAUSES = (  # what tomllib says, and what it means for a person
    ("Unescaped '\\'", "a backslash in double quotes has a meaning of its own: use single quotes, or write \\\\"),
    ("Invalid value", "this value is not TOML: text goes in quotes, true and false in small letters, a list in [ ]"),
    ("Invalid initial character", "a setting is written: name = value"),
    ("Expected '='", "a setting is written: name = value"),
    ("Expected newline", "one setting a line, and text in quotes"),
    ("Cannot overwrite a value", "this setting is in the file twice; remove one of the two"),
    ("Cannot declare", "this table is in the file twice; remove one of the two"),
    ("Cannot mutate", "this table is in the file twice; remove one of the two"),
    ("Cannot redefine", "this table is in the file twice; remove one of the two"),
    ("Duplicate inline", "this name is in the table twice; remove one of the two"),
    (
        "Illegal character",
        "a text in one line has no line break and no control character; is its closing quote missing?",
    ),
    ("Unterminated string", "a text is not closed; is its closing quote missing?"),
    ('Expected "\'"', "a text is not closed; is its closing quote missing?"),
    ("Unclosed", _UNCLOSED),
    ("Expected ']", "the name of a table goes in brackets: [tls], [[destinations]]"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFile:
    """What candor.toml says."""

    path: Path
    text: str
    entries: Mapping[str, Any]

    def line_of(self, place: Place) -> int | None:
        """The line of an entry, or of the nearest table around it; None for what the file does not say."""
        lines = _lines(self.text)
        for length in range(len(place), 0, -1):
            if place[:length] in lines:
                return lines[place[:length]]
        return None


def read_settings_file(path: Path) -> SettingsFile:
    """Read candor.toml; ConfigurationError says on which line it is not TOML, and why."""
    text = _decoded(path, _content(path))
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(_syntax(path, text, str(error))) from None
    except RecursionError:
        entries = {}
    if not entries or _depth(entries) > MAXIMUM_DEPTH:
        _refuse_nesting(path, text)
    return SettingsFile(path=path, text=text, entries=entries)


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"{path} is not a file")
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path.parent} is not a Candor data folder; make one with: candor init --data {path.parent}"
        ) from None
    except OSError as error:
        raise ConfigurationError(why_unusable(path, error, "read")) from None
    if len(content) > MAXIMUM_BYTES:
        raise ConfigurationError(f"{path} has more than {MAXIMUM_BYTES // 1024} KiB; is it a settings file?")
    return content


def _decoded(path: Path, content: bytes) -> str:
    """The text, which must be UTF-8; with a byte order mark or without."""
    encoding = next((name for mark, name in _OTHER_ENCODINGS.items() if content.startswith(mark)), None)
    if encoding is None and content.count(b"\0") > len(content) // 4:
        encoding = "UTF-16"
    if encoding is not None:
        raise ConfigurationError(f"{path} is saved as {encoding}; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{path}, line {line}: there is a character that is not in UTF-8 (the file may be saved as Latin-1 or "
            "Windows-1252); save it as UTF-8"
        ) from None


def _syntax(path: Path, text: str, words: str) -> str:
    """What tomllib says of a file, with the line first and its cause in plain words."""
    found = _AT.search(words)
    at_end = found is not None and not found[1]
    line = len(text.splitlines()) or 1 if found is None or at_end else int(found[1])
    known = next((cause for start, cause in _CAUSES if words.startswith(start)), None)
    if at_end and (known is None or words.startswith(("Invalid value", "Expected"))):
        known = _UNCLOSED
    return f"{path}, line {line}: {known or _AT.sub('', words)}"


def _depth(entries: object) -> int:
    """How deep lists and tables are nested; counted level by level, as recursion would end at a thousand."""
    depth, level = 0, [entries]
    while level:
        depth += 1
        level = [inner for outer in level for inner in _inside(outer)]
    return depth


def _inside(outer: object) -> list[object]:
    if isinstance(outer, dict):
        return list(outer.values())
    return list(outer) if isinstance(outer, list) else []


def _refuse_nesting(path: Path, text: str) -> None:
    for line, statement, _ in _statements(text):
        if statement is None or _depth(statement) > MAXIMUM_DEPTH:
            raise ConfigurationError(
                f"{path}, line {line}: lists or tables are nested too deep; is it a settings file?"
            )


@lru_cache(maxsize=1)  # a file has many faults, or none
def _lines(text: str) -> dict[Place, int]:
    """By place, the first line of each statement that says something of it."""
    lines: dict[Place, int] = {}
    table: Place = ()
    counts: dict[Place, int] = {}
    for line, statement, is_header in _statements(text):
        if not statement:
            continue
        if is_header:
            table = _table(statement, counts)
            lines.setdefault(table, line)
            lines.setdefault(tuple(part for part in table if isinstance(part, str)), line)
        else:
            for place in _places(statement, table):
                lines.setdefault(place, line)
    return lines


def _statements(text: str) -> Iterator[tuple[int, object, bool]]:
    """Each statement of a valid file: its first line, what it says, whether it is the header of a table.

    It says None where it is nested too deep to be read.
    """
    begun, first = "", 1
    for number, row in enumerate(text.split("\n"), 1):
        begun, first = (begun + "\n" + row, first) if begun else (row, number)
        try:
            statement = tomllib.loads(begun.rstrip("\r"))
        except RecursionError:
            yield first, None, False
        except tomllib.TOMLDecodeError:
            continue  # not closed yet
        else:
            yield first, statement, begun.lstrip().startswith("[")
        begun = ""


def _table(statement: object, counts: dict[Place, int]) -> Place:
    """The place of a table header; `counts` has how many there were of each array of tables so far."""
    place: Place = ()
    inner: Any = statement
    while isinstance(inner, dict) and inner:
        name, inner = next(iter(inner.items()))
        place = (*place, name)
        if isinstance(inner, list):
            counts[place] = counts.get(place, 0) + 1
            inner = None
        if place in counts:
            place = (*place, counts[place] - 1)
    return place


def _places(entry: object, at: Place) -> Iterator[Place]:
    """Every place inside an entry."""
    waiting = [(entry, at)]
    while waiting:
        outer, place = waiting.pop()
        if place != at:
            yield place
        pairs = outer.items() if isinstance(outer, dict) else enumerate(outer) if isinstance(outer, list) else ()
        waiting += [(inner, (*place, name)) for name, inner in pairs]
