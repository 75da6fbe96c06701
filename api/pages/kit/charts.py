"""Charts of rows: forest plots and bars. The chart is a table, whose third cell is drawn.

So nothing is lost to who cannot see the drawing, the words keep their size however narrow the page is, and on a
telephone (or at 400 %) each row folds into two lines. The drawings are placed in per cent and never scaled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from markupsafe import Markup

from api.pages.kit.markup import join, tag
from api.pages.kit.scale import Scale, between, scale_of, tick_text

_HEIGHT = 22
_MOST_TICKS = 7
_OVER = 14  # lines reach into the next row, so that they run through the whole chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a chart: a value with its interval, or (value None) the reason why there is none, as `note`.

    `counts` says how many cases it rests on; `is_reference` marks the row that the others are compared with;
    `detail` is a second, quieter line under the label;
    `mark` is a short word at the number ("Holm"), which also draws the row's marker as a diamond.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    counts: str = ""
    note: str = ""
    mark: str = ""
    detail: str = ""
    is_reference: bool = False


def forest(
    rows: Sequence[Row],
    *,
    caption: str,
    value_label: str,
    counts_label: str = "n",
    reference: float | None = None,
    bounds: tuple[float, float] | None = None,
    digits: int = 2,
) -> Markup:
    """Values with intervals, one row each, in the order given; an upright line marks `reference`."""
    axis = _axis(rows, reference, bounds)
    drawn = [_strip(row, axis, reference, digits) for row in rows]
    return _chart(rows, drawn, axis, caption, (value_label, counts_label), digits)


def bars(
    rows: Sequence[Row],
    *,
    caption: str,
    value_label: str,
    counts_label: str = "n",
    bounds: tuple[float, float] | None = None,
    digits: int = 2,
) -> Markup:
    """Lengths from zero, one row each, with intervals where a row has them."""
    axis = _axis(rows, 0.0, bounds)
    drawn = [_bar(row, axis, digits) for row in rows]
    return _chart(rows, drawn, axis, caption, (value_label, counts_label), digits)


def _axis(rows: Sequence[Row], extra: float | None, bounds: tuple[float, float] | None) -> Scale:
    if bounds is not None:
        return between(*bounds)
    ends = [end for row in rows for end in (row.value, row.low, row.high)]
    return scale_of([*ends, extra])


def _chart(
    rows: Sequence[Row], drawn: Sequence[Markup], axis: Scale, caption: str, labels: tuple[str, str], digits: int
) -> Markup:
    value_label, counts_label = labels
    with_counts = any(row.counts for row in rows)
    head = tag(
        "tr",
        tag("th", "", class_="label", scope="col", role="columnheader"),
        *([tag("th", counts_label, class_="counts", scope="col", role="columnheader")] if with_counts else []),
        tag("th", _axis_drawing(axis), class_="plot", scope="col", role="columnheader"),
        tag("th", value_label, class_="value", scope="col", role="columnheader"),
        role="row",
    )
    body = [_chart_row(row, strip, with_counts, digits) for row, strip in zip(rows, drawn, strict=True)]
    # the roles say once more what the elements say: a browser forgets it when the narrow page shows rows as blocks
    whole = tag(
        "table",
        tag("caption", caption),
        tag("thead", head, role="rowgroup"),
        tag("tbody", *body, role="rowgroup"),
        class_="rows",
        role="table",
    )
    return tag("div", whole, class_="rows-box")  # its width, not the page's, decides how rows are laid out


def _chart_row(row: Row, strip: Markup, with_counts: bool, digits: int) -> Markup:
    detail = [" ", tag("span", row.detail, class_="detail")] if row.detail else []
    cells = [tag("th", row.label, *detail, class_="label", scope="row", role="rowheader")]
    if with_counts:
        cells.append(tag("td", row.counts, class_="counts", role="cell"))
    cells += [
        tag("td", strip, class_="plot" if _is_number(row.value) else "plot none", role="cell"),
        tag("td", _value_text(row, digits), class_="value", role="cell"),
    ]
    return tag("tr", *cells, class_="reference" if row.is_reference else None, role="row")


def _value_text(row: Row, digits: int) -> Markup:
    if not _is_number(row.value):
        return tag("i", row.note or "no data")
    parts = [tag("b", f"{row.value:z.{digits}f}")]
    if _is_number(row.low) and _is_number(row.high):
        parts.append(tag("span", f"{row.low:z.{digits}f} to {row.high:z.{digits}f}", class_="interval"))
    if row.mark:
        parts.append(tag("span", row.mark, class_="mark"))
    if row.note:
        parts.append(tag("i", row.note))
    return Markup(" ").join(parts)


def _strip(row: Row, axis: Scale, reference: float | None, digits: int) -> Markup:
    parts = [tag("title", _spoken(row, digits)), *_grid_lines(axis)]
    if reference is not None:
        parts.append(_line_at(axis.share(reference), "reference-line"))
    if _is_number(row.value):
        parts += [*_whisker(row, axis), _marker(row, axis)]
    return _drawing(parts)


def _bar(row: Row, axis: Scale, digits: int) -> Markup:
    parts = [tag("title", _spoken(row, digits)), *_grid_lines(axis)]
    if _is_number(row.value):
        start, end = sorted((axis.share(0.0), axis.share(row.value)))
        parts.append(
            tag("rect", x=_per_cent(start), y=4, width=_per_cent(end - start), height=_HEIGHT - 8, class_="bar")
        )
        parts += _whisker(row, axis)
    return _drawing(parts)


def _drawing(parts: list[Markup]) -> Markup:
    return tag("svg", join(parts), width="100%", height=_HEIGHT, role="img")


def _axis_drawing(axis: Scale) -> Markup:
    ticks = [axis.low, axis.high] if len(axis.ticks) < 2 else list(axis.ticks)
    if len(ticks) > _MOST_TICKS:  # words side by side must not touch, however narrow the page is
        ticks = ticks[::2]
    words = [
        tag("text", tick_text(tick), x=_per_cent(axis.share(tick)), y=13, text_anchor=_anchor(axis.share(tick)))
        for tick in ticks
    ]
    spoken = tag("title", f"axis from {tick_text(axis.low)} to {tick_text(axis.high)}")
    return tag("svg", spoken, join(words), width="100%", height=16, role="img", class_="axis")


def _anchor(share: float) -> str:
    return "start" if share < 0.03 else "end" if share > 0.97 else "middle"


def _grid_lines(axis: Scale) -> list[Markup]:
    """All lines as one path, stretched over the width: a page has thousands of rows."""
    down = f"V{_HEIGHT + _OVER}"
    path = "".join(f"M{100 * axis.share(tick):.4g}-{_OVER}{down}" for tick in axis.ticks)
    line = tag("path", d=path, class_="grid-line")
    return [tag("svg", line, viewBox=f"0 0 100 {_HEIGHT}", preserveAspectRatio="none", overflow="visible")]


def _line_at(share: float, kind: str) -> Markup:
    return tag("line", x1=_per_cent(share), x2=_per_cent(share), y1=-_OVER, y2=_HEIGHT + _OVER, class_=kind)


def _whisker(row: Row, axis: Scale) -> list[Markup]:
    if not (_is_number(row.low) and _is_number(row.high)):
        return []
    low, high, middle = axis.share(row.low), axis.share(row.high), _HEIGHT / 2
    ends = [
        tag("line", x1=_per_cent(end), x2=_per_cent(end), y1=middle - 4, y2=middle + 4, class_="whisker")
        for end, value in ((low, row.low), (high, row.high))
        if axis.low <= value <= axis.high  # an interval that leaves the axis has no end there
    ]
    return [tag("line", x1=_per_cent(low), x2=_per_cent(high), y1=middle, y2=middle, class_="whisker"), *ends]


def _marker(row: Row, axis: Scale) -> Markup:
    """A circle; a square for the reference, a diamond for a marked row: seen without colour too."""
    assert row.value is not None  # its caller asked
    shape = "M-5-5H5V5H-5z" if row.is_reference else "M0-7 7 0 0 7-7 0z" if row.mark else ""
    kind = "marker warn" if row.mark else "marker"
    if not shape:
        return tag("circle", cx=_per_cent(axis.share(row.value)), cy=_HEIGHT / 2, r=4.5, class_=kind)
    path = tag("path", d=shape, class_=kind)
    return tag("svg", path, x=_per_cent(axis.share(row.value)), y=_HEIGHT / 2, overflow="visible")


def _spoken(row: Row, digits: int) -> str:
    if not _is_number(row.value):
        return f"{row.label}: {row.note or 'no data'}"
    ends = f", {row.low:z.{digits}f} to {row.high:z.{digits}f}" if _is_number(row.low) and _is_number(row.high) else ""
    name = f"{row.label}, {row.detail}" if row.detail else row.label
    return f"{name}: {row.value:z.{digits}f}{ends}"


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _per_cent(share: float) -> str:
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"
