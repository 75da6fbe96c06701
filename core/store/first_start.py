"""Tell a first start from a lost database: an installation that kept studies must never begin again as an empty one.

A new database answers every sender with success, while the studies of the old one are nowhere to be found.
"""

from __future__ import annotations

from sqlalchemy import Engine, inspect

from core.errors import IntegrityError
from core.settings import Settings
from core.store.objects import ObjectStore

_LOST = (
    "the database is {state}, but this is no first start: {proof}; nothing is accepted; "
    "stop Candor and restore the database from the backup"
)


def refuse_truncated_database(settings: Settings) -> None:
    """Raise IntegrityError for a database file of 0 bytes where there is a key: Candor leaves no such file behind."""
    url = settings.store_url
    if url.startswith("sqlcipher:///"):
        path = settings.data_dir / url.removeprefix("sqlcipher:///")
        if path.exists() and not path.stat().st_size and settings.site_key_file.exists():
            raise IntegrityError(
                _LOST.format(state="empty (0 bytes)", proof=f"the key {settings.site_key_file} is there")
            )


def refuse_lost_database(engine: Engine, objects: ObjectStore) -> None:
    """Raise IntegrityError for a database without tables where objects are kept; call it before tables are made."""
    if inspect(engine).has_table("alembic_version"):
        return
    if next(objects.object_keys(), None) is not None:
        raise IntegrityError(
            _LOST.format(state="missing or without tables", proof="objects are kept in this data folder")
        )
