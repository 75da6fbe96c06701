"""Charts of curves: ROC, precision-recall, reliability, deletion and insertion; with bands, whiskers and counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TypeVar

from markupsafe import Markup

from api.pages.kit.blocks import folded, table
from api.pages.kit.markup import join, tag
from api.pages.kit.scale import Scale, between, tick_text

_T = TypeVar("_T")

_WIDTH, _HEIGHT = 340.0, 300.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 46.0, 10.0, 12.0, 44.0
_COUNT_HEIGHT = 34.0
_DRAWN_POINTS, _TABLE_POINTS = 240, 21
_STYLES = 6
_LINE, _LEADING = 42, 16.0  # letters of an axis label that fit in one line, and the distance of lines
_MOST_WITH_ENDS = 2  # with more curves, whiskers and columns would hide each other; they stand in the table
_SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M-3.6-3.6H3.6V3.6H-3.6z",
    "M0-5.2 5.2 0 0 5.2-5.2 0z",
    "M0-5 4.8 3.6H-4.8z",
    "M0 5 4.8-3.6H-4.8z",
    "M-4-1.5H-1.5V-4H1.5V-1.5H4V1.5H1.5V4H-1.5V1.5H-4z",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One curve: `points` (x, y) in order; `low` and `high`, when given, one end of the interval for each point.

    `counts` says how many cases stand behind each point (a reliability curve's bins). With `has_markers` each point
    is drawn, its interval as a whisker; without, the line alone, its interval as a band.
    """

    label: str
    points: Sequence[tuple[float, float]]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    counts: Sequence[int] = ()
    has_markers: bool = False


@dataclass(frozen=True, slots=True)
class _Plot:
    x: Scale
    y: Scale

    def across(self, value: float) -> float:
        return _LEFT + self.x.share(value) * (_WIDTH - _LEFT - _RIGHT)

    def down(self, value: float) -> float:
        return _TOP + (1 - self.y.share(value)) * (_HEIGHT - _TOP - _BOTTOM)


def lines(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] = (0.0, 1.0),
    y_range: tuple[float, float] = (0.0, 1.0),
    diagonal: str = "",
    caption: str = "",
) -> Markup:
    """Curves on common axes; `diagonal` names the line from corner to corner ("chance", "perfect calibration").

    Each series has its own colour, dash and marker, a legend below, and its figures in a table that opens.
    """
    series = [_finite(one) for one in series]
    plot = _Plot(between(*x_range), between(*y_range))
    is_busy = len(series) > _MOST_WITH_ENDS
    with_counts = any(one.counts for one in series) and not is_busy
    parts = [tag("title", title), tag("desc", _described(series, x_label, y_label)), *_axes(plot, x_label, y_label)]
    if diagonal:
        parts.append(_segment((_LEFT, _HEIGHT - _BOTTOM), (_WIDTH - _RIGHT, _TOP), "reference-line"))
    parts += [_band(one, plot, index) for index, one in enumerate(series) if one.low and not one.has_markers]
    parts += [_curve(one, plot, index, not is_busy) for index, one in enumerate(series)]
    columns = [join(_counts(one, plot, index)) for index, one in enumerate(series) if one.counts and with_counts]
    if columns:
        parts.append(tag("g", *columns, transform=f"translate(0 {_more_lines(x_label)})"))
    height = _HEIGHT + _more_lines(x_label) + (_COUNT_HEIGHT + 16 if with_counts else 0)
    drawing = tag("svg", join(parts), viewBox=f"0 0 {_WIDTH:g} {height:g}", role="img")
    words = [tag("figcaption", tag("b", title), *([" ", caption] if caption else []))]
    return tag(
        "figure", *words, drawing, _legend(series, diagonal), _numbers(series, title, x_label, y_label), class_="chart"
    )


def _finite(one: Series) -> Series:
    """Leave out points that are not numbers (an empty bin): a gap is better than a drawing that ends there."""
    kept = [index for index, point in enumerate(one.points) if all(map(math.isfinite, point))]
    return Series(
        label=one.label,
        points=[one.points[index] for index in kept],
        low=[one.low[index] for index in kept] if one.low else (),
        high=[one.high[index] for index in kept] if one.high else (),
        counts=[one.counts[index] for index in kept] if one.counts else (),
        has_markers=one.has_markers,
    )


def _axes(plot: _Plot, x_label: str, y_label: str) -> list[Markup]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for tick in plot.x.ticks:
        at = plot.across(tick)
        parts.append(_segment((at, _TOP), (at, bottom), "grid-line"))
        parts.append(tag("text", tick_text(tick), x=at, y=bottom + 16, text_anchor="middle"))
    for tick in plot.y.ticks:
        at = plot.down(tick)
        parts.append(_segment((_LEFT, at), (right, at), "grid-line"))
        parts.append(tag("text", tick_text(tick), x=_LEFT - 7, y=at + 4, text_anchor="end"))
    middle = (_LEFT + right) / 2
    for index, line in enumerate(wrap(x_label, _LINE)):
        parts.append(
            tag("text", line, x=middle, y=_HEIGHT - 8 + _LEADING * index, text_anchor="middle", class_="axis-label")
        )
    up = (_TOP + bottom) / 2
    turn = f"rotate(-90 12 {up:g})"
    parts.append(tag("text", y_label, x=12, y=up, text_anchor="middle", transform=turn, class_="axis-label"))
    return parts


def _more_lines(x_label: str) -> float:
    """How much height the lines of the label after its first take."""
    return _LEADING * max(0, len(wrap(x_label, _LINE)) - 1)


def _segment(start: tuple[float, float], end: tuple[float, float], kind: str) -> Markup:
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=kind)


def _style(index: int) -> str:
    return f"s{index % _STYLES + 1}"


def _curve(one: Series, plot: _Plot, index: int, with_ends: bool) -> Markup:
    thinned = one.points if one.has_markers else _thin(one.points, _DRAWN_POINTS)
    parts = [tag("path", d=_path([(plot.across(x), plot.down(y)) for x, y in thinned]), class_="line")]
    if one.has_markers:
        parts += _whiskers(one, plot) if with_ends else []
        parts += [_marker_at(plot.across(x), plot.down(y), index) for x, y in one.points]
    return tag("g", *parts, class_=_style(index))


def _whiskers(one: Series, plot: _Plot) -> list[Markup]:
    if not one.low:
        return []
    return [
        _segment((plot.across(x), plot.down(low)), (plot.across(x), plot.down(high)), "whisker")
        for (x, _), low, high in zip(one.points, one.low, one.high, strict=True)
        if math.isfinite(low) and math.isfinite(high)
    ]


def _band(one: Series, plot: _Plot, index: int) -> Markup:
    together = list(zip(one.points, one.low, one.high, strict=True))
    ends = _thin([(x, low, high) for (x, _), low, high in together if math.isfinite(low + high)], _DRAWN_POINTS)
    there = [(plot.across(x), plot.down(high)) for x, _, high in ends]
    back = [(plot.across(x), plot.down(low)) for x, low, _ in reversed(ends)]
    return tag("path", d=_path([*there, *back]) + "z", class_=f"band {_style(index)}")


def _counts(one: Series, plot: _Plot, index: int) -> list[Markup]:
    """How many cases stand behind each point: little columns under the axis, the tallest bin says its number."""
    floor, most = _HEIGHT + _COUNT_HEIGHT + 8, max(one.counts, default=0) or 1
    columns = [
        _segment(
            (plot.across(x) + 4 * index, floor),
            (plot.across(x) + 4 * index, floor - _COUNT_HEIGHT * count / most),
            f"count {_style(index)}",
        )
        for (x, _), count in zip(one.points, one.counts, strict=True)
    ]
    if index:
        return columns
    scale = tag("text", f"{most:,}", x=_LEFT - 7, y=floor - _COUNT_HEIGHT + 9, text_anchor="end")
    return [*columns, scale, tag("text", "n", x=_LEFT - 7, y=floor, text_anchor="end")]


def _marker_at(x: float, y: float, index: int) -> Markup:
    shape = _SHAPES[index % len(_SHAPES)]
    return tag("path", d=shape, transform=f"translate({x:.1f} {y:.1f})", class_="point")


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else "M0 0"


def _thin(points: Sequence[_T], most: int) -> list[_T]:
    """At most `most` of the points, evenly by index, with the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]


def _legend(series: Sequence[Series], diagonal: str) -> Markup:
    entries = [tag("li", _swatch(one, index), tag("span", one.label)) for index, one in enumerate(series)]
    if diagonal:
        line = tag("line", x1=0, y1=7, x2=30, y2=7, class_="reference-line")
        entries.append(tag("li", tag("svg", line, width=30, height=14, aria_hidden="true"), tag("span", diagonal)))
    return tag("ul", *entries, class_="legend")


def _swatch(one: Series, index: int) -> Markup:
    parts = [tag("line", x1=0, y1=7, x2=30, y2=7, class_="line")]
    if one.has_markers:
        parts.append(_marker_at(15, 7, index))
    return tag("svg", *parts, width=30, height=14, aria_hidden="true", class_=_style(index))


def _described(series: Sequence[Series], x_label: str, y_label: str) -> str:
    names = ", ".join(one.label for one in series)
    return f"{y_label} against {x_label} for {names}. The figures are in the table below the chart."


def _numbers(series: Sequence[Series], title: str, x_label: str, y_label: str) -> Markup:
    with_ends, with_counts = any(one.low for one in series), any(one.counts for one in series)
    columns = ["", x_label, y_label, *(["from", "to"] if with_ends else []), *(["n"] if with_counts else [])]
    rows = [row for one in series for row in _number_rows(one, with_ends, with_counts)]
    if len(series) == 1:  # its name says nothing that the title does not
        columns, rows = columns[1:], [row[1:] for row in rows]
    return folded("Figures", [table(columns, rows, caption=title)])


def _number_rows(one: Series, with_ends: bool, with_counts: bool) -> list[list[str]]:
    rows = []
    for index in _thin(range(len(one.points)), _TABLE_POINTS):
        x, y = one.points[index]
        ends = [f"{end[index]:.3f}" if end else "" for end in (one.low, one.high)] if with_ends else []
        count = [f"{one.counts[index]:,}" if one.counts else ""] if with_counts else []
        rows.append([one.label, f"{x:.3f}", f"{y:.3f}", *ends, *count])
    return rows
