"""The model card as one HTML document (core.pages): drawings, light and dark, opened without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from models.card_blocks import Block, Bullets, CardSection, Curves, Forest, Grid, Picture, Text

if TYPE_CHECKING:
    from markupsafe import Markup


def html(title: str, subtitle: str, sections: Sequence[CardSection]) -> str:
    """The whole card. Sections without a title stand above the first heading."""
    from core.pages import Section, page

    lead = [markup for section in sections if not section.title for block in section.blocks for markup in _of(block)]
    headed = [
        Section(title=section.title, blocks=[markup for block in section.blocks for markup in _of(block)])
        for section in sections
        if section.title
    ]
    return page(title, headed, subtitle=subtitle, lead=lead)


def _of(block: Block) -> Iterator[Markup]:
    from core.pages import callout, figure, forest, grid, lines, paragraph, table
    from core.pages.charts import Row
    from core.pages.curves import Series
    from core.pages.markup import tag

    if isinstance(block, Text):
        yield callout("warn", block.words) if block.strong else paragraph(block.words)
    elif isinstance(block, Bullets):
        yield tag("ul", *(tag("li", item) for item in block.items))
    elif isinstance(block, Grid):
        yield table(block.columns, block.rows, caption=block.caption, text_columns=block.text_columns)
    elif isinstance(block, Forest):
        rows = [
            Row(
                label=row.label,
                value=row.estimate[0],
                low=row.estimate[1],
                high=row.estimate[2],
                counts=row.counts,
                note=row.note if row.estimate[0] is None else "",
                is_reference=row.label == "all",
            )
            for row in block.rows
        ]
        yield forest(rows, caption=block.title, value_label=block.value_label, counts_label="+ / -", bounds=(0.0, 1.0))
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
