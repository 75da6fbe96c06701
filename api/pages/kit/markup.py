"""Elements of HTML and SVG, escaped: the one place where markup is put together."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

_VOID = frozenset({"img", "br"})
Attribute = str | float | None


def tag(name: str, /, *children: str | Markup, **attributes: Attribute) -> Markup:
    """The element `name` around its children; a child that is no Markup is escaped, and so is each attribute.

    `class_` is written `class`, other underscores become hyphens; None leaves an attribute out.
    Numbers are written with at most two decimals: a hundredth of a pixel is enough.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(_name(key), _text(value)) for key, value in attributes.items() if value is not None
    )
    if name in _VOID:
        return Markup("<{}{}>").format(name, written)
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, join(children))


def join(parts: Iterable[str | Markup]) -> Markup:
    """The parts one after the other; those that are no Markup are escaped."""
    return Markup("").join(parts)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
