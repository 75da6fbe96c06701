"""What a section is made of: text, tables, facts, callouts, pictures, and folds."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Literal

from markupsafe import Markup

from api.pages.kit.markup import join, tag

Cell = str | Markup
Kind = Literal["ok", "warn", "insufficient"]

_MEDIA_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_ICONS: dict[Kind, str] = {
    "ok": "M5 12.5l4.5 4.5L19 7.5",
    "warn": "M12 5v8.5M12 17.6v.9",
    "insufficient": "M8.6 9.2a3.4 3.4 0 1 1 4.6 3.4c-.8.3-1.2.9-1.2 1.9M12 17.6v.9",
}
_WORDS: dict[Kind, str] = {"ok": "Holds", "warn": "Attention", "insufficient": "Not enough data"}


def paragraph(*parts: Cell) -> Markup:
    """A paragraph; parts that are no Markup are escaped."""
    return tag("p", *parts)


def callout(kind: Kind, title: str, *parts: Cell, word: str | None = None) -> Markup:
    """A statement that must not be overlooked: its kind is said by a word and a sign, the colour only repeats it."""
    icon = tag("svg", tag("path", d=_ICONS[kind]), viewBox="0 0 24 24", aria_hidden="true")
    head = tag("p", icon, tag("b", _WORDS[kind] if word is None else word), " ", title, class_="callout-title")
    return tag("div", head, *([tag("p", *parts)] if parts else []), class_=f"callout {kind}", role="note")


def facts(pairs: Mapping[str, Cell]) -> Markup:
    """Names and values side by side: provenance, sizes, versions."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs.items()))


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, caption: str, text_columns: int = 1) -> Markup:
    """A table in a box of its own, which scrolls when the page is narrower.

    The first column heads its row; the first `text_columns` stand left, the others are figures and stand right.
    """
    sides = ["text" if index < text_columns else "figure" for index in range(len(columns))]
    head = tag("tr", *(tag("th", name, scope="col", class_=side) for name, side in zip(columns, sides, strict=True)))
    body = [_table_row(row, sides) for row in rows]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _table_row(row: Sequence[Cell], sides: Sequence[str]) -> Markup:
    cells = [
        tag("td" if index else "th", cell, class_=side, scope=None if index else "row")
        for index, (cell, side) in enumerate(zip(row, sides, strict=True))
    ]
    return tag("tr", *cells)


def figure(picture: bytes, alt: str, caption: str = "") -> Markup:
    """A JPEG or PNG inside the document; `alt` says what it shows to who cannot see it. ValueError for other bytes."""
    media_type = next((kind for start, kind in _MEDIA_TYPES.items() if picture.startswith(start)), None)
    if media_type is None:
        raise ValueError("a picture is JPEG or PNG")
    address = f"data:{media_type};base64,{base64.b64encode(picture).decode('ascii')}"
    image = tag("img", src=address, alt=alt)
    return tag("figure", image, *([tag("figcaption", caption)] if caption else []), class_="picture")


def gallery(figures: Sequence[Markup]) -> Markup:
    """Pictures side by side, as many as fit."""
    return tag("div", join(list(figures)), class_="gallery")


def grid(blocks: Sequence[Markup]) -> Markup:
    """Charts side by side where there is room, below each other where there is not."""
    return tag("div", join(list(blocks)), class_="grid")


def folded(summary: Cell, blocks: Sequence[Markup], *, is_open: bool = False) -> Markup:
    """Blocks behind a line that opens them, by mouse or keyboard."""
    return tag("details", tag("summary", summary), tag("div", *blocks, class_="fold"), open="" if is_open else None)
