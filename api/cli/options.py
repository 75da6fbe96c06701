"""What the files of commands share: the options that many commands have, and how a command opens the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from core.settings import Settings
    from core.store.store import Store

PSEUDONYM = "pseudonym"
"""The head of a column of them."""
DEFAULT_DATA = Path("var/data")

Data = Annotated[
    Path, typer.Option("--data", envvar="CANDOR_DATA", help="The data folder.", metavar="DIR", readable=False)
]
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts instead of tables.")]


def settings_of(data: Path) -> Settings:
    """The settings of a data folder."""
    from core.settings import load_settings

    return load_settings(data.absolute())


def opened(data: Path) -> tuple[Settings, Store]:
    """The settings and the store of a data folder; the settings are checked before anything slow is imported."""
    settings = settings_of(data)
    from core.errors import ConfigurationError, DiskFull, Unavailable
    from core.store.store import open_store

    try:
        return settings, open_store(settings)
    except Unavailable as error:
        if isinstance(error, DiskFull) or not settings.database_url:
            raise
        raise ConfigurationError(str(error)) from error  # no command waits for a server: a person must look


def table_of(title: str, *columns: str) -> Table:
    """An empty table whose cells are folded and never cut; pseudonyms are in one piece, to be copied."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == PSEUDONYM)
    return table


def said(value: object) -> str:
    """A value of a sender or a file in a text with markup: neither markup nor control signs of it are obeyed."""
    from rich.markup import escape

    from core.wording import on_a_terminal

    return escape(on_a_terminal(str(value or "")))


def print_json(document: Any) -> None:
    """JSON for scripts."""
    import json

    typer.echo(json.dumps(document, indent=2))
