"""The document around the blocks: heading, contents, sections, style, and what a page may load (nothing)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

_FOLDER = Path(__file__).parent
RESEARCH_ONLY = "Research software, not a medical device. Not for diagnosis."
_CONTENTS_FROM = 4
"""Pages of so many sections get a list of contents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and its blocks."""

    title: str
    blocks: Sequence[Markup]


def page(
    title: str,
    sections: Sequence[Section],
    *,
    subtitle: str = "",
    lead: Sequence[Markup] = (),
    notice: str = RESEARCH_ONLY,
) -> str:
    """A whole HTML document; `lead` is above the first heading, where everybody looks.

    The policy in its head forbids scripts and every request, so that a page says the same on a machine without a
    network, and cannot tell anybody that it was opened.
    """
    return _template().render(
        title=title,
        subtitle=subtitle,
        lead=lead,
        notice=notice,
        sections=list(zip(_anchors(sections), sections, strict=True)),
        with_contents=len(sections) >= _CONTENTS_FROM,
        style=Markup(_style()),  # noqa: S704 - our own file
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2")


@cache
def _style() -> str:
    """The style sheet, as every page holds it; a closing tag in it would end the element early."""
    text = (_FOLDER / "page.css").read_text(encoding="utf-8")
    if "</" in text:
        raise ValueError("page.css must not contain </")
    return text


def _anchors(sections: Sequence[Section]) -> list[str]:
    """One address per section: its title in lower case; a second one of the same title gets its number."""
    found: list[str] = []
    for section in sections:
        plain = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section"
        found.append(plain if plain not in found else f"{plain}-{len(found) + 1}")
    return found
