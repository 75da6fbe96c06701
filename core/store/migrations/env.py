"""How Alembic reaches the database: on the connection, inside the transaction and under the lock of `migrate`."""

from __future__ import annotations

from importlib import import_module

from alembic import context
from sqlalchemy import Connection

from core.errors import ConfigurationError
from core.store.tables.metadata import metadata

TABLES = ("studies", "reports", "models", "leases", "fairness", "explanations", "trail")
for name in TABLES:
    import_module(f"core.store.tables.{name}")  # fills the metadata


def run() -> None:
    """Run the migrations that are missing on the connection that `core.store.engine.migrate` hands over."""
    connection = context.config.attributes.get("connection")
    if not isinstance(connection, Connection):
        raise ConfigurationError("migrations run inside Candor only; use: candor init or candor serve")
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True, compare_type=True
    )
    with context.begin_transaction():
        context.run_migrations()


run()
