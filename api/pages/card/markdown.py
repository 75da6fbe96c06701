"""The model card as Markdown: for a terminal, a repository, a reviewer's diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from api.pages.card.blocks import Block, Bullets, CardSection, Curves, Forest, Gallery, Grid, Picture, Text


def markdown(title: str, sections: Sequence[CardSection]) -> str:
    """The whole card; drawings are named and stand in the HTML form."""
    parts = [f"# {title}"]
    for section in sections:
        if section.title:
            parts.append(f"## {section.title}")
        parts += [part for block in section.blocks if (part := "\n".join(_lines(block)))]
    return "\n\n".join(parts) + "\n"


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield f"**{block.words}**" if block.strong else block.words
    elif isinstance(block, Bullets):
        yield from (f"* {item}" for item in block.items)
    elif isinstance(block, Grid):
        yield _row(block.columns)
        yield "|" + "---|" * len(block.columns)
        yield from (_row(row) for row in block.rows)
    elif isinstance(block, Gallery):
        yield from _gallery(block)


def _gallery(block: Gallery) -> Iterator[str]:
    drawn = [item.title for item in block.blocks if isinstance(item, Curves | Forest)]
    if drawn:
        yield f"Drawn in [card.html](card.html): {'; '.join(drawn)}."
    for item in block.blocks:
        if isinstance(item, Picture):
            parts = item.path.parts
            yield f"![{item.words}]({'/'.join(parts[parts.index('docs') + 1 :])})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
