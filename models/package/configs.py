"""Configs that would be run as code: MONAI evaluates a text that begins with `$`, and calls what `_target_` names.

What counts is what a parser makes of a file, not how it is spelled: escapes, anchors, merge keys and a key that is
there twice all say the same to MONAI. What cannot be parsed is refused, because something more lenient may read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

SUFFIXES = frozenset({".json", ".yaml", ".yml"})
DEEPEST = 100
"""Levels of a config; each parser has a limit of its own, above which it crashes or gives up."""
_LONGEST_YAML = 1_000_000  # characters
_PLAIN = "tag:yaml.org,2002:"
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map", "timestamp", "merge")
_TAGS = frozenset(_PLAIN + kind for kind in _KINDS)


def code_of_config(path: Path) -> str:
    """Why a config cannot be taken from an unknown publisher, or ""."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return "is not UTF-8 text, as a config must be"
    if not text.strip():
        return ""  # as a write that failed leaves it: nothing can be found in it
    try:
        return next(_code_of_json(text) if path.suffix.lower() == ".json" else _code_of_yaml(text), "")
    except RecursionError:
        return f"is nested more than {DEEPEST} levels deep"


def _code_of_json(text: str) -> Iterator[str]:
    try:
        pairs = json.loads(text, object_pairs_hook=lambda found: found)  # as pairs: a key may be there twice
    except ValueError:
        yield from _unreadable(text, "JSON")
        return
    yield from _code_of(pairs, 0)


def _code_of(value: Any, depth: int) -> Iterator[str]:
    """`value`: objects are lists of pairs."""
    if depth > DEEPEST:
        yield f"is nested more than {DEEPEST} levels deep"
    elif isinstance(value, str):
        yield from _code_of_text(value)
    elif isinstance(value, tuple):
        key, inner = value
        yield from _code_of_key(key)
        yield from _code_of(inner, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _code_of(item, depth if isinstance(item, tuple) else depth + 1)


def _code_of_yaml(text: str) -> Iterator[str]:
    if len(text) > _LONGEST_YAML:
        yield f"is longer than {_LONGEST_YAML:,} characters, which no config is"
        return
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        yield from _unreadable(text, "YAML")
        return
    seen: set[int] = set()
    for document in documents:
        yield from _code_of_node(document, 0, seen)


def _code_of_node(node: Any, depth: int, seen: set[int]) -> Iterator[str]:
    """`seen`: nodes that were looked at; an alias is the node that it names."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if depth > DEEPEST:
        yield f"is nested more than {DEEPEST} levels deep"
    elif node.tag not in _TAGS:
        yield "holds a tag of its own, which says what to make of a value, and MONAI would run it"
    elif isinstance(node, yaml.ScalarNode):
        yield from _code_of_text(node.value)
    elif isinstance(node, yaml.MappingNode):
        for key, inner in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield from _code_of_key(key.value)
            else:
                yield from _code_of_node(key, depth + 1, seen)
            yield from _code_of_node(inner, depth + 1, seen)
    else:
        for inner in node.value:
            yield from _code_of_node(inner, depth + 1, seen)


def _code_of_key(key: str) -> Iterator[str]:
    if key.strip() == "_target_":
        yield "names code to call (_target_), which MONAI would run"


def _code_of_text(text: str) -> Iterator[str]:
    if text.lstrip().startswith("$"):
        yield "holds an expression ($...) that MONAI would run"
    elif text.lstrip().startswith("%"):
        yield "names another file to put in its place (%...), and MONAI would run what is there"


def _unreadable(text: str, kind: str) -> Iterator[str]:
    """Something more lenient may read it: refused, with what can be seen in it."""
    if "$" in text or "_target_" in text:
        yield f"is no {kind}, and holds an expression that MONAI would run"
    yield f"is no {kind}, and something more lenient may find an expression in it that MONAI would run"
