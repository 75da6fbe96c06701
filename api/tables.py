"""What the tables of the command line share."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Column


def finding_column(names: Iterable[str]) -> Column:
    """A column that shows the names of findings whole, however narrow the terminal."""
    return Column("finding", min_width=max(map(len, names), default=0))
