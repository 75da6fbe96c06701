"""What a database driver says, as an error of the tree with a sentence that a person can act on.

Nothing here promises that something is tried again: that is for the process to say that does it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import OperationalError

from core.errors import CandorError, ConfigurationError, DiskFull, IntegrityError, Unavailable
from core.files import why_unusable

WRONG_KEY = "the database does not open with this site key, or it is damaged; is it the key of this data folder?"
_POSTGRESQL_PORT = 5432
_DISK_FULL, _NOT_ALLOWED = "53100", "42501"  # SQLSTATE, PostgreSQL's Appendix A


def explained(context: ExceptionContext, url: URL) -> CandorError | None:
    """The error that a driver's error means; None for constraints and faults of ours, which pass as they are."""
    error = context.original_exception
    message = str(error)
    if "database or disk is full" in message or getattr(error, "sqlstate", "") == _DISK_FULL:
        return DiskFull("the disk of the database is full; free some space or add some")
    if getattr(error, "sqlstate", "") == _NOT_ALLOWED:
        return _of_server(url, message)
    if is_not_a_database(error) or "disk image is malformed" in message:
        return IntegrityError(WRONG_KEY)
    if not isinstance(context.sqlalchemy_exception, OperationalError) and not context.is_disconnect:
        return None
    return _of_file(Path(url.database or ""), message) if url.drivername == "sqlcipher" else _of_server(url, message)


def is_away(error: BaseException) -> bool:
    """Whether an error of DBOS's own engine, which explains none, says that its database is away or full."""
    return isinstance(error, OperationalError)


def is_not_a_database(error: BaseException) -> bool:
    """Whether SQLCipher could not decrypt the first page."""
    return "file is not a database" in str(error) or "hmac check failed" in str(error)


def _of_file(path: Path, message: str) -> CandorError | None:
    """Whether waiting may help. SQLite files programming errors under OperationalError too, so its words decide."""
    if "is locked" in message:
        return Unavailable(f"the database {path} is busy: another process holds it")
    if "readonly database" in message and _can_be_written(path):
        return None  # a connection that we opened for reading only
    if any(words in message for words in ("readonly database", "disk I/O error", "unable to open database")):
        return Unavailable(_why_not_usable(path))
    return None


def _why_not_usable(path: Path) -> str:
    if not path.parent.exists():
        return f"the folder {path.parent} does not exist"
    known = why_not_writable(path.parent) or why_not_writable(path)
    return known or f"the database {path} cannot be read or written; check its disk"


def _can_be_written(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


def why_not_writable(path: Path) -> str | None:
    """One sentence why this account cannot write a file or folder that is there; None when it can."""
    if not path.exists():
        return None
    try:
        if path.is_file():
            os.close(os.open(path, os.O_RDWR))
        elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            os.utime(path)  # the kernel says why: a read-only file system, another account
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        return why_unusable(path, error, "written")
    return None


_OF_SERVER: tuple[tuple[tuple[str, ...], type[CandorError], str], ...] = (
    (("pg_hba.conf",), ConfigurationError, "{place} has no entry in pg_hba.conf for this account and address"),
    (
        ("authentication failed", "no password supplied", "role "),
        ConfigurationError,
        "{place} refuses the account or its password; check both in database_url",
    ),
    (
        ("permission denied", "must be owner"),
        ConfigurationError,
        "{place} does not let this account use the database or make tables there; make it the owner: "
        "ALTER DATABASE {database} OWNER TO {account}",
    ),
    (
        ("does not exist",),
        ConfigurationError,
        '{place} has no database "{database}"; create it, or correct database_url',
    ),
    (
        ("ssl", "certificate"),
        ConfigurationError,
        "{place} and this machine do not agree on TLS; check sslmode in database_url",
    ),
    (
        ("resolve host", "translate host name"),
        Unavailable,
        "the name {host} of the PostgreSQL server cannot be resolved; check database_url",
    ),
    (
        ("connection refused",),
        Unavailable,
        "{place} does not answer (connection refused); check it and {url}",
    ),
    (
        ("timeout", "timed out"),
        Unavailable,
        "{place} does not answer (no answer in time); check it and {url}",
    ),
    (("no route to host", "unreachable"), Unavailable, "{place} cannot be reached; check the network, and {url}"),
    (("starting up", "shutting down"), Unavailable, "{place} is starting or stopping"),
    (("too many",), Unavailable, "{place} has too many connections open"),
)
"""What PostgreSQL's words mean: its refusals of a connection come without SQLSTATE, as text. The first that fits."""


def _of_server(url: URL, message: str) -> CandorError:
    place = f"PostgreSQL at {url.host or 'this machine'}:{url.port or _POSTGRESQL_PORT}"
    names = {"place": place, "database": url.database, "account": url.username, "host": url.host, "url": "database_url"}
    for words, kind, sentence in _OF_SERVER:
        if any(word in message.lower() for word in words):
            return kind(sentence.format(**names))
    return Unavailable(f"{place} is away or busy; its log says more")
