"""Documents are read as they were written, and what is wrong with one is said by its place, never by its value."""

from __future__ import annotations

import json
from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from core.documents.model import NOTHING, Document, KeepsUnknownKeys, KnowsAllKeys, Nothing, Number, Share, absent
from core.documents.reading import read_document, read_file, read_stored, read_toml, text_of, write_file
from core.errors import ConfigurationError


class Part(KnowsAllKeys):
    share: Share
    words: str | None = absent()


class Whole(KeepsUnknownKeys):
    noun: ClassVar[str] = "a whole"

    name: str
    size: Number = 1
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = {}  # noqa: RUF012 - pydantic copies it
    kind: Literal["a", "b"] | None = absent()
    extra: Part | Nothing = NOTHING


def fault(entries: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_stored(Whole, entries, "whole.json")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__  # pydantic's own error quotes values
    return str(caught.value)


@pytest.mark.parametrize(
    "entries",
    [
        {"name": "x", "size": 18, "parts": [], "by_name": {}, "extra": {}},
        {"name": "x", "size": 18.0, "parts": [{"share": 1}, {"share": 0.5, "words": "y"}], "by_name": {}, "extra": {}},
        {"name": "x", "size": 1, "parts": [], "by_name": {"b": {"share": 0.1}}, "kind": "b", "extra": {"share": 1.0}},
        {"name": "é", "size": 1, "parts": [], "by_name": {}, "extra": {}, "of a newer version": {"a": [1, None]}},
    ],
)
def test_a_document_is_written_as_it_was_read(tmp_path, entries):
    text = json.dumps(entries, indent=1, ensure_ascii=False)
    found = read_document(Whole, text, "whole.json")
    assert text_of(found) == text
    write_file(tmp_path / "whole.json", found)
    assert (tmp_path / "whole.json").read_text(encoding="utf-8") == text + "\n"
    assert read_file(Whole, tmp_path / "whole.json") == found


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "whole.json is not a whole: name is missing"),
        ({"name": 3}, "whole.json is not a whole: name must be a valid string"),
        ({"name": "x", "size": "18"}, "size must be a valid number"),
        ({"name": "x", "size": True}, "size must be a valid number"),
        ({"name": "x", "size": 10**400}, "size must be a valid number"),
        ({"name": "x", "size": float("nan")}, "size must be a finite number"),
        ({"name": "x", "parts": [{"share": 0.1}, {"share": 1.1}]}, "parts[1].share must be less than or equal to 1"),
        ({"name": "x", "parts": [{"share": 0.1, "wordz": ""}]}, "parts[0]: there is no wordz; there are share, words"),
        ({"name": "x", "by_name": {"p": {"shar": 1}}}, "by_name.p.share is missing"),
        ({"name": "x", "by_name": {"p": {"share": 1, "x": 1}}}, "by_name.p: there is no x; there are share, words"),
        ({"name": "x", "kind": "c"}, "kind must be 'a' or 'b'"),
        ([], "whole.json cannot be read: it must be an object"),
    ],
)
def test_a_message_names_the_place(entries, words):
    assert words in fault(entries)


def test_a_message_never_quotes_a_value():
    canary = "CANARY^JANE"
    entries = {"name": [canary], "size": canary, "parts": canary, "by_name": {"p": {"share": canary}}, "kind": canary}
    for key, value in entries.items():
        assert canary not in fault({"name": "x", key: value})
    with pytest.raises(ConfigurationError) as caught:
        read_document(Whole, f'{{"name": "{canary}', "whole.json")
    assert canary not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff\xfe{}", "null"])
def test_what_is_no_json_object_cannot_be_read(text):
    with pytest.raises(ConfigurationError, match=r"^whole\.json cannot be read: it "):
        read_document(Whole, text, "whole.json")


def test_toml_is_read_by_the_same_rules():
    assert read_toml(Whole, 'name = "x"\nsize = 2\n[by_name.p]\nshare = 1', "w.toml").by_name["p"].share == 1
    with pytest.raises(ConfigurationError, match=r"w\.toml is not a whole: by_name\.p\.share must be less"):
        read_toml(Whole, 'name = "x"\n[by_name.p]\nshare = 70', "w.toml")
    with pytest.raises(ConfigurationError, match=r"w\.toml is not a whole: size must be a finite number"):
        read_toml(Whole, 'name = "x"\nsize = nan', "w.toml")
    with pytest.raises(ConfigurationError, match=r"w\.toml cannot be read"):
        read_toml(Whole, "name =", "w.toml")


def test_a_file_that_is_missing_is_no_document_and_one_that_cannot_be_read_is_an_error(tmp_path):
    assert read_file(Whole, tmp_path / "none.json") is None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_file(Whole, tmp_path)


def test_our_own_code_cannot_write_what_cannot_be_read():
    with pytest.raises(ValidationError):
        Whole(name="x", parts=[Part(share=0.5)])  # a list may change
    with pytest.raises(ValidationError):
        Whole(name="x", size=float("inf"))


class OnlyIgnores(Document):
    name: str


def test_a_key_of_a_newer_version_is_ignored_where_nothing_else_is_asked_for():
    assert text_of(read_stored(OnlyIgnores, {"name": "x", "newer": 1}, "x")) == '{\n "name": "x"\n}'
