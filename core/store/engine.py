"""How Candor opens its databases: an SQLCipher file by default, PostgreSQL by URL.

An SQLCipher file is opened with a raw key derived from the site key, so there is no slow passphrase derivation, in WAL
mode with synchronous=FULL: a commit survives a power cut. `engine.begin()` takes the write lock at once (BEGIN
IMMEDIATE), because a transaction that reads first and writes later would fail with SQLITE_BUSY, without waiting, when
another process wrote in between. `read_only(engine)` is for everything that only looks: it never waits for a writer and
cannot write.

DBOS manages transactions by itself and gets an engine of its own: `open_workflow_engine`.
An engine must not cross a fork: open it in the process that uses it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlcipher3  # type: ignore[import-untyped]
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from core.errors import ConfigurationError, IntegrityError, Unavailable
from core.store.database_errors import WRONG_KEY, explained, is_not_a_database
from core.store.keys import SiteKey

BUSY_TIMEOUT_SECONDS = 30
CONNECT_TIMEOUT_SECONDS = 10
POOL_SIZE = 20
MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x43414E444F52  # "CANDOR": the PostgreSQL advisory lock
_READ_ONLY = "candor_read_only"


def open_engine(url: str, key: SiteKey) -> Engine:
    """The engine for Candor's own tables.

    `url`: `sqlcipher:///relative.db`, `sqlcipher:////absolute.db` or `postgresql+psycopg://...`. An error is one of
    the tree: IntegrityError for the wrong key, Unavailable when the database is locked or away, DiskFull.
    """
    engine = _create_engine(_parsed(url), key)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _leave_transactions_to_sqlalchemy)
        event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _explain(_parsed(url)))
    return engine


def open_workflow_engine(url: str, key: SiteKey) -> Engine:
    """The engine for DBOS (`system_database_engine`), with the same URLs and the same encryption.

    DBOS sends its own BEGIN IMMEDIATE and reads the driver's errors to decide what to retry, so here the driver begins
    transactions, at the first write, and errors stay SQLAlchemy's.
    """
    engine = _create_engine(_parsed(url), key)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _begin_at_first_write)
    check_database(url, key)
    return engine


def check_database(url: str, key: SiteKey) -> None:
    """Connect once, if the database is there: a wrong key, name or password shows here, not in DBOS's endless retries.

    Raises as `open_engine` says.
    """
    parsed = _parsed(url)
    if parsed.drivername == "sqlcipher" and not Path(parsed.database or "").exists():
        return
    engine = open_engine(url, key)
    try:
        with read_only(engine).connect():
            pass
    finally:
        engine.dispose()


def read_only(engine: Engine) -> Engine:
    """The same database for reading only: `with read_only(engine).connect() as connection`. Waits for no writer."""
    return engine.execution_options(**{_READ_ONLY: True, "postgresql_readonly": True})


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest version. Processes that start together wait for each other."""
    with engine.connect() as connection:
        _enforce_foreign_keys(connection, enforce=False)  # rebuilding a table would empty those that refer to it
        try:
            _upgrade(connection)
        finally:
            _enforce_foreign_keys(connection, enforce=True)


def rekey(url: str, key: SiteKey) -> None:
    """Encrypt a database file again, under the newest secret of `key`; Unavailable while anything has the file open."""
    target = _parsed(url)
    if target.drivername != "sqlcipher":
        return
    connection = _connect_file(target.database or "", key)
    try:
        connection.execute("PRAGMA busy_timeout = 1000")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA rekey = \"x'{key.database_keys[0].hex()}'\"")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlcipher3.OperationalError as error:
        raise Unavailable("the database is in use; stop every process of Candor and try again") from error
    finally:
        connection.close()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = URL.create("")
    if parsed.drivername == "sqlcipher" and parsed.database:
        return parsed
    if parsed.drivername == "postgresql+psycopg":
        return parsed
    raise ConfigurationError("a database URL begins with sqlcipher:/// and a path, or with postgresql+psycopg://")


def _create_engine(url: URL, key: SiteKey) -> Engine:
    # hide_parameters: SQLAlchemy would print the row, with its patient, into every error
    if url.drivername == "sqlcipher":
        path = url.database or ""
        return create_engine(
            URL.create("sqlite", database=path),
            module=sqlcipher3,
            creator=lambda: _connect_file(path, key),
            poolclass=QueuePool,
            pool_size=POOL_SIZE,
            hide_parameters=True,
        )
    patience = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
    return create_engine(url, pool_size=POOL_SIZE, pool_pre_ping=True, hide_parameters=True, connect_args=patience)


def _connect_file(path: str, key: SiteKey) -> Any:  # a sqlcipher3.Connection; the package is untyped
    """Open the file with the first secret that fits, newest first; IntegrityError when none does."""
    _make_file(path)
    for database_key in key.database_keys:
        connection = sqlcipher3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to stderr, between our lines
            connection.execute(f"PRAGMA key = \"x'{database_key.hex()}'\"")
            connection.execute("SELECT count(*) FROM sqlite_master")  # the first page is read and authenticated here
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlcipher3.DatabaseError as error:
            connection.close()
            if not is_not_a_database(error):
                raise
        else:
            return connection
    raise IntegrityError(WRONG_KEY)


def _make_file(path: str) -> None:
    """A new file is for this account only; SQLite would leave its mode to the umask."""
    with suppress(OSError):  # there already, or SQLite says what is wrong
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _leave_transactions_to_sqlalchemy(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin_at_first_write(connection: Any, _record: object) -> None:
    connection.isolation_level = "IMMEDIATE"


def _begin_sqlite(connection: Connection) -> None:
    read_only = bool(connection.get_execution_options().get(_READ_ONLY))
    connection.exec_driver_sql(f"PRAGMA query_only = {int(read_only)}")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _explain(url: URL) -> Callable[[ExceptionContext], None]:
    """Turn what the driver of this database says into what a person can act on."""

    def explain(context: ExceptionContext) -> None:
        error = explained(context, url)
        if error is not None:
            raise error from context.original_exception

    return explain


def _upgrade(connection: Connection) -> None:
    from alembic import command  # as slow to import as all of SQLAlchemy, and most processes do not migrate
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with connection.begin():  # SQLite: this is the lock; every migration, or none, is in when it ends
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        command.upgrade(config, "head")
        _refuse_broken_references(connection)


def _enforce_foreign_keys(connection: Connection, *, enforce: bool) -> None:
    """SQLite only, and past SQLAlchemy: within a transaction this pragma does nothing."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.dbapi_connection
        driver.execute(f"PRAGMA foreign_keys = {int(enforce)}")


def _refuse_broken_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise IntegrityError("the database's rows do not fit together after the update; it was left as it was")
