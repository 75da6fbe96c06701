"""Tables that fit the terminal: a column that has no room goes into a table below, and no interval is cut.

Cells are plain text: markup in them is printed, and control characters are shown, because names come from files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from core.wording import on_a_terminal

Rows = Sequence[Sequence[str]]


def print_table(
    console: Console, columns: Sequence[str], rows: Rows, *, title: str = "", keys: int = 1, text_columns: int = 0
) -> None:
    """Print a table; the first `keys` columns name a row and are repeated where the others do not all fit.

    `text_columns`: how many columns are words and stand left, at least `keys`; the others are figures.
    """
    words = max(keys, text_columns)
    for number, chosen in enumerate(_groups(console, columns, rows, keys)):
        table = _table(columns, rows, chosen, words, title if number == 0 else "")
        if _width(console, table) <= console.width:
            console.print(table)
        else:
            _print_lists(console, columns, rows, chosen, keys)


def print_line(console: Console, text: str) -> None:
    """Print a line of plain text, however long."""
    console.print(Text(on_a_terminal(text)), soft_wrap=True)


def _groups(console: Console, columns: Sequence[str], rows: Rows, keys: int) -> Iterator[list[int]]:
    """Which columns go into one table: as many as fit, at least one with the keys."""
    named = list(range(keys))
    group: list[int] = []
    for column in range(keys, len(columns)):
        if group and _width(console, _table(columns, rows, [*named, *group, column], keys, "")) > console.width:
            yield [*named, *group]
            group = []
        group.append(column)
    yield [*named, *group]


def _table(columns: Sequence[str], rows: Rows, chosen: Sequence[int], words: int, title: str) -> Table:
    table = Table(
        *(Column(_plain(columns[i]), no_wrap=True, justify="left" if i < words else "right") for i in chosen),
        title=_plain(title) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for row in rows:
        table.add_row(*(_plain(row[i]) for i in chosen))
    return table


def _width(console: Console, table: Table) -> int:
    table.title, title = None, table.title  # a title wraps, a cell does not
    width = console.measure(table, options=console.options.update(max_width=10_000)).maximum
    table.title = title
    return width


def _print_lists(console: Console, columns: Sequence[str], rows: Rows, chosen: Sequence[int], keys: int) -> None:
    """A block for each row, where even one column has no room next to a long name."""
    for row in rows:
        print_line(console, ", ".join(row[:keys]))
        for column in chosen[keys:]:
            print_line(console, f"  {columns[column]}: {row[column]}")


def _plain(text: str) -> Text:
    return Text(on_a_terminal(text))
