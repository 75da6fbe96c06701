"""The model card as one HTML document (api.pages.kit): drawings, light and dark, opened without a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeGuard

from api.pages.card.blocks import Block, Bullets, CardSection, Curves, Forest, Gallery, Grid, Picture, Text
from core.wording import cohort_in_words

if TYPE_CHECKING:
    from markupsafe import Markup

    from api.pages.kit.charts import Row


def html(title: str, subtitle: str, sections: Sequence[CardSection]) -> str:
    """The whole card. Sections without a title stand above the first heading."""
    from api.pages.kit import Section, page

    lead = [markup for section in sections if not section.title for block in section.blocks for markup in _of(block)]
    headed = [
        Section(title=section.title, blocks=[markup for block in _in_order(section) for markup in block])
        for section in sections
        if section.title
    ]
    return page(title, headed, subtitle=subtitle, lead=lead)


def _in_order(section: CardSection) -> Iterator[Iterable[Markup]]:
    """Forest plots before the table that leads to them, which is folded: the plots say their figures in words too."""
    from api.pages.kit import folded

    before: Block | None = None
    for block in section.blocks:
        if _is_forests(block) and isinstance(before, Grid):
            yield [*_of(block), folded("All figures as a table", list(_of(before)))]
        elif before is not None:
            yield _of(before)
        before = None if _is_forests(block) and isinstance(before, Grid) else block
    if before is not None:
        yield _of(before)


def _is_forests(block: Block | None) -> TypeGuard[Gallery]:
    return (
        isinstance(block, Gallery) and bool(block.blocks) and all(isinstance(inner, Forest) for inner in block.blocks)
    )


def _inline(text: str) -> list[str | Markup]:
    """Text whose `code` is marked as in Markdown."""
    from api.pages.kit.markup import tag

    return [tag("code", part) if index % 2 else part for index, part in enumerate(text.split("`"))]


def _of(block: Block) -> Iterator[Markup]:
    from api.pages.kit import callout, figure, forest, grid, lines, paragraph, table
    from api.pages.kit.charts import Row
    from api.pages.kit.curves import Series
    from api.pages.kit.markup import tag

    if isinstance(block, Text):
        yield callout("warn", block.words) if block.strong else paragraph(*_inline(block.words))
    elif isinstance(block, Bullets):
        yield tag("ul", *(tag("li", *_inline(item)) for item in block.items))
    elif isinstance(block, Grid):
        for part in block.parts():
            yield table(part.columns, part.rows, caption=part.caption, text_columns=part.text_columns)
    elif isinstance(block, Forest):
        rows = [
            Row(
                label=cohort_in_words(row.label),
                value=row.estimate[0],
                low=row.estimate[1],
                high=row.estimate[2],
                counts=row.counts,
                note=row.note if row.estimate[0] is None else "",
                is_reference=row.label == "all",
            )
            for row in block.rows
        ]
        yield forest(
            rows,
            caption=block.title,
            value_label=block.value_label,
            counts_label="+ / -",
            reference=next((row.value for row in rows if row.is_reference), None),
            bounds=_bounds(rows),
        )
    elif isinstance(block, Curves):
        series = [
            Series(
                label=one.label,
                points=one.points,
                low=one.low,
                high=one.high,
                counts=one.counts,
                has_markers=bool(one.counts),
            )
            for one in block.series
        ]
        yield lines(series, title=block.title, x_label=block.x_label, y_label=block.y_label, diagonal=block.diagonal)
    elif isinstance(block, Picture):
        yield figure(block.path.read_bytes(), block.words, block.words)
    else:
        yield grid([markup for item in block.blocks for markup in _of(item)])


def _bounds(rows: Sequence[Row]) -> tuple[float, float]:
    """One of two axes, so that charts side by side can be compared: the upper part, or all of 0..1."""
    lowest = min((row.low for row in rows if row.low is not None), default=0.0)
    return (0.4, 1.0) if lowest >= 0.4 else (0.0, 1.0)
