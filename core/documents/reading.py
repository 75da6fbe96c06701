"""Reads a document into its model and writes it again.

A message about a file that is wrong says which entry is wrong and what it must be. It never quotes the value that was
found: the files of a site may hold what identifies a patient.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.documents.model import Document
from core.errors import ConfigurationError

Model = TypeVar("Model", bound=Document)


def read_document(model: type[Model], text: str | bytes, what: str) -> Model:
    """The document in JSON `text`; `what` names the file. ConfigurationError says which entry is wrong."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ConfigurationError(_sentence(model, error, what, _contradictions(model, text))) from None


def read_stored(model: type[Model], entries: object, what: str) -> Model:
    """The document in a JSON column of the database. ConfigurationError says which entry is wrong."""
    return read_document(model, json.dumps(entries), what)


def read_toml(model: type[Model], text: str, what: str) -> Model:
    """The document in TOML `text`; `what` names the file. ConfigurationError says which entry is wrong."""
    try:
        entries = tomllib.loads(text)
        return read_document(model, json.dumps(entries, default=str), what)
    except ValueError as error:
        raise ConfigurationError(f"{what} cannot be read: {error}") from error
    except RecursionError:
        raise ConfigurationError(f"{what} cannot be read: lists or tables are nested too deep") from None


def read_file(model: type[Model], path: Path) -> Model | None:
    """The document in a JSON file, None where there is no file; ConfigurationError when it cannot be read."""
    try:
        return read_document(model, path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror})") from error


def text_of(document: Document) -> str:
    """A document as JSON text, its keys in the order of the model. ValueError when a number is not finite."""
    return json.dumps(document.model_dump(mode="json", warnings="error"), indent=1, ensure_ascii=False, allow_nan=False)


def write_file(path: Path, document: Document) -> None:
    """Write a document as a JSON file."""
    path.write_text(text_of(document) + "\n", encoding="utf-8")


def schema_of(model: type[Document]) -> str:
    """The JSON Schema of a document, as text."""
    return json.dumps(model.model_json_schema(), indent=1) + "\n"


MOST_FAULTS = 30
"""Faults that one message names; a file that has more is another kind of file."""


def _contradictions(model: type[Document], text: str | bytes) -> list[str]:
    """What disagrees between entries, as far as it can be seen where others are wrong."""
    try:
        return list(model.contradictions(json.loads(text)))
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError):  # the other faults are in the way
        return []


def _sentence(model: type[Document], error: ValidationError, what: str, contradictions: Sequence[str]) -> str:
    """Every fault of a document in one message, the first one with what the document is."""
    first, *others = list(error.errors(include_url=False, include_input=False))
    named = ["; ".join(_fault(model, first)), *(": ".join(filter(None, _fault(model, fault))) for fault in others)]
    unnamed = [words for words in contradictions if not any(words in each for each in named)]
    more = list(dict.fromkeys([*named[1:], *unnamed]))
    hidden = f"; and {len(more) - MOST_FAULTS} more" if len(more) > MOST_FAULTS else ""
    return "; ".join((_first(model, first, what), *more[:MOST_FAULTS])) + hidden


def _first(model: type[Document], fault: ErrorDetails, what: str) -> str:
    place, words = _fault(model, fault)
    if fault["type"] in ("value_error", "extra_forbidden"):  # a sentence of its own
        return f"{what} is not {model.noun}: {place + ': ' if place else ''}{words}"
    return f"{what} is not {model.noun}: {place} {words}" if place else f"{what} cannot be read: it {words}"


def _fault(model: type[Document], fault: ErrorDetails) -> tuple[str, str]:
    """Where, and what is wrong there."""
    kind, location = fault["type"], list(fault["loc"])
    if kind == "extra_forbidden":
        key = location.pop()
        names = ", ".join(_fields_at(model, location)) or "none"
        words = f"there is no {key}; there are {names}"
    else:
        words = _words(kind, fault["msg"])
    return _place(location[:-2] if location and location[-1] == "[key]" else location), words


def _words(kind: str, message: str) -> str:
    known = {
        "missing": "is missing",
        "unexpected_keyword_argument": "is not known",
        "json_invalid": f"is not JSON ({message.removeprefix('Invalid JSON: ')})",
    }
    plain = re.sub(r"^\w+ should", "must", message.removeprefix("Value error, ")).replace(" after validation", "")
    return known.get(kind, plain)


def _place(location: Sequence[int | str]) -> str:
    """Where in a document: "findings[2].code.value"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _fields_at(model: object, location: Sequence[int | str]) -> list[str]:
    """The keys that a document knows at a place: a field of a model, an element of a tuple or a value of a mapping."""
    if get_origin(model) is Annotated:
        return _fields_at(get_args(model)[0], location)
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        inner = [part for part in get_args(model) if part not in (NoneType, Ellipsis)]
        if isinstance(model, UnionType):
            return _fields_at(inner[0], location)
        return _fields_at(inner[-1], location[1:]) if inner else []
    if not location:
        return list(model.model_fields)
    return _fields_at(model.model_fields[str(location[0])].annotation, location[1:])
