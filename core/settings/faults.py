"""What is wrong with the settings, all of it at once: where, why, and what was probably meant.

A value is quoted only where it must be one of a few words; any other may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from core.settings.destinations import DESTINATION_KINDS, TlsSettings
from core.settings.file import Place

DESTINATIONS = "destinations"
SHOWN_FAULTS = 20
_SHOWN_CHARACTERS = 60
_KINDS = [str(kind.model_fields["kind"].default) for kind in DESTINATION_KINDS]
_WORDS = {  # by pydantic's name of the fault; the limit is pydantic's too
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le:g}",
    "string_type": "must be text in quotes",
    "path_type": "must be a path in quotes",
    "tuple_type": 'must be a list, such as ["one", "two"]',
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "string_pattern_mismatch": "must have 1 to 32 letters, digits, _ or -",
}


def quoted(text: object) -> str:
    """A name or word of the file in quotes: no control character reaches the terminal, and no text without end."""
    shown = json.dumps(str(text))
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + '..."'


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`; did you mean "port"?`, or nothing where no known name is near."""
    plain, said = {_plain(one): one for one in known}, _plain(name)
    found = get_close_matches(said, plain, n=1, cutoff=0.6) or [one for one in plain if said and one.startswith(said)]
    return f"; did you mean {quoted(plain[found[0]])}?" if found else ""


def sentence(fault: ErrorDetails, entries: object, settings: type[BaseModel]) -> tuple[Place, str]:
    """Where one of pydantic's faults is in the file, and a sentence that says what is wrong there."""
    place = _place(fault)
    if fault["type"] == "extra_forbidden":
        return place, _unknown(place, entries, settings)
    name = _name(place)
    if fault["type"] == "missing":
        return place[:-1], f"{_owner(place, entries)}{name} is missing"
    if fault["type"] in ("enum", "literal_error"):
        name = name.split(",")[0]  # the word itself says which entry is meant
    return place, f"{_owner(place, entries)}{name + ': ' if name else ''}{_words(fault, place, entries)}"


def _place(fault: ErrorDetails) -> Place:
    """Pydantic's location without the kind of destination, which is no name in the file."""
    location = tuple(fault.get("ctx", {}).get("place", fault["loc"]))
    return (*location[:2], *location[3:]) if location[:1] == (DESTINATIONS,) and location[2:3] else location


def _owner(place: Place, entries: object) -> str:
    """`destination "pacs": ` or `[tls] ` before the name of a setting."""
    if place[:1] == (DESTINATIONS,) and len(place) > 1:
        number = int(place[1])
        name = _entry((DESTINATIONS, number, "name"), entries)
        return f"destination {quoted(name) if isinstance(name, str) and name else number + 1}: "
    return "[tls] " if place[:1] == ("tls",) and len(place) > 1 else ""


def _name(place: Place) -> str:
    """The name of a setting within its table, and which entry of a list is meant."""
    inner = place[2:] if place[:1] == (DESTINATIONS,) and len(place) > 1 else place
    inner = inner[1:] if place[:1] == ("tls",) and len(place) > 1 else inner
    name = ".".join(part if _is_bare(part) else quoted(part) for part in inner if isinstance(part, str))
    return name + "".join(f", entry {part + 1}" for part in inner if isinstance(part, int))


def _is_bare(name: str) -> bool:
    return name.isascii() and name.replace("_", "").replace("-", "").isalnum() and len(name) <= _SHOWN_CHARACTERS


def _words(fault: ErrorDetails, place: Place, entries: object) -> str:
    kind, context = str(fault["type"]), fault.get("ctx", {})
    if kind in ("enum", "literal_error"):
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return _none_of(_entry(place, entries), allowed.split(", "))
    if kind == "union_tag_invalid":
        return "kind: " + _none_of(_entry((*place, "kind"), entries), _KINDS)
    if kind == "tuple_type" and place == (DESTINATIONS,):
        return "write [[destinations]], with two brackets, above the settings of each destination"
    if kind in ("model_type", "model_attributes_type") and place == ("tls",):
        return "write [tls], with one bracket, above its settings"
    known = _WORDS.get(kind)
    return known.format(**context) if known else str(fault["msg"]).removeprefix("Value error, ")


def _none_of(value: object, allowed: Sequence[str]) -> str:
    said = quoted(value) if isinstance(value, str) else "this"
    return f"{said} is none of {', '.join(allowed)}" + (did_you_mean(value, allowed) if isinstance(value, str) else "")


def _unknown(place: Place, entries: object, settings: type[BaseModel]) -> str:
    """A name that no table of this kind has: where it belongs, or what it may have been meant to be."""
    name = str(place[-1])
    if len(place) == 1:
        return _unknown_above_tables(name, _entry(place, entries), settings)
    header = "[destinations.tls]" if "tls" in place[1:-1] else "[tls]" if place[0] == "tls" else "[[destinations]]"
    here = _fields_of_table(place, entries)
    for kind in DESTINATION_KINDS:
        if header == "[[destinations]]" and name in kind.model_fields:
            meant = kind.model_fields["kind"].default
            return f"{_owner(place, entries)}{name} is a setting of destinations of kind {meant}"
    if name in settings.model_fields and name not in here:
        return (
            f"{name} belongs to {header} here, because it comes after that line; move it up: settings of the whole "
            "installation go above the first [table]"
        )
    return f"{_owner(place, entries)}there is no setting {quoted(name)}{did_you_mean(name, here)}"


def _unknown_above_tables(name: str, value: object, settings: type[BaseModel]) -> str:
    if isinstance(value, dict) or (isinstance(value, list) and value and all(isinstance(row, dict) for row in value)):
        tables = {"tls": "[tls]", DESTINATIONS: "[[destinations]]"}
        found = get_close_matches(_plain(name), tables, n=1, cutoff=0.6)
        return f"there is no table {quoted(name)}" + (f"; did you mean {tables[found[0]]}?" if found else "")
    if any(name in kind.model_fields for kind in DESTINATION_KINDS):
        return f"{name} is a setting of a destination; move it below the line [[destinations]]"
    if name in TlsSettings.model_fields:
        return f"{name} is a setting of TLS; move it below the line [tls]"
    return f"there is no setting {quoted(name)}{did_you_mean(name, list(settings.model_fields))}"


def _fields_of_table(place: Place, entries: object) -> list[str]:
    if "tls" in place[:-1]:
        return list(TlsSettings.model_fields)
    said = _entry((*place[:2], "kind"), entries)
    kind = DESTINATION_KINDS[_KINDS.index(said) if said in _KINDS else 0]
    return list(kind.model_fields)


def _entry(place: Place, entries: Any) -> Any:
    """The value at a place, None where there is none."""
    for part in place:
        try:
            entries = entries[part]
        except (KeyError, IndexError, TypeError):
            return None
    return entries


def _plain(name: str) -> str:
    """aeTitle, AE-TITLE and ae_title are the same mistake away from each other."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")[:_SHOWN_CHARACTERS]
