"""What Candor writes to stderr: one line an event, an event's name and keys from a list. No patient data, ever.

Only keys on the list pass; the rest is dropped and counted in `dropped_keys`. Callers name studies by pseudonym; as a
last line of defence anything that looks like a UID is replaced. Other people's libraries do not know these rules
(pydicom and pynetdicom log the raw value that they could not read, exceptions quote rows), so of a foreign line, a
warning or a traceback only the place in the code is kept, not the words.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import MutableMapping
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import structlog

from core.errors import CandorError

EventDict = MutableMapping[str, Any]

_ALLOWED_KEYS = """
    event level timestamp logger where error message dropped_keys
    action actor address association_id attempts backoff_seconds bound called_ae_title calling_ae_title category
    cohort columns count data_dir delivery_id destination elapsed_seconds exit_code figure finding_name
    frames free_bytes host instance instances keyword kind model model_version month object_key objects outcome pid
    port process provider queue_length reason restarts revision rows series signal size_bytes sop_class state status
    step study study_id transfer_syntax url value version worker
"""
ALLOWED_KEYS = frozenset(_ALLOWED_KEYS.split())
MAXIMUM_TEXT = 500
LOG_FOLDER = "logs"
MAXIMUM_LOG_BYTES, KEPT_LOGS = 10 * 1024**2, 4
"""A process begins a new file after so many bytes, and keeps so many old ones."""

SILENT_LOGGERS = ("pydicom", "pynetdicom", "highdicom")
LOGGERS_WITH_OWN_HANDLERS = ("dbos",)
TRUSTED_LOGGERS = ("alembic", "uvicorn.error")  # their words hold table names and addresses, nothing else
_EVENT_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*")
_UID = re.compile(r"(?<!\d)[0-2](?:\.\d+){2,}")  # PS3.5 9.1
_REGISTERED = "1.2.840.10008."  # DICOM's own classes and syntaxes name no person
UID_MARKER = "[uid]"


class LogFile(RotatingFileHandler):
    """JSON lines for this account only; a disk that is full costs lines and nothing else."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        super().__init__(path, maxBytes=MAXIMUM_LOG_BYTES, backupCount=KEPT_LOGS, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging gives the name
        """Say nothing: the line is on stderr too, and a traceback may quote it."""


def configure_logging(
    *, json: bool, level: str = "info", stream: TextIO | None = None, file: Path | None = None
) -> None:
    """Send every event of this process to `stream` (stderr), as JSON lines; a person at a terminal may have it pretty.

    `json=False` is honoured on a terminal only: what is piped away is for a machine. `file` gets the JSON lines too,
    where it can be written. Call once for each process.
    """
    target = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
        keep_allowed_keys,
        hide_uids,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handlers: list[tuple[logging.Handler, Any]] = [(logging.StreamHandler(target), _renderer(json, target))]
    if file is not None:
        with contextlib.suppress(OSError):  # a folder that cannot be written is said by what needs it
            handlers.append((LogFile(file), structlog.processors.JSONRenderer(sort_keys=False)))
    for handler, renderer in handlers:
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[keep_place_of_foreign, *shared],
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            )
        )
    root = logging.getLogger()
    root.handlers = [handler for handler, _ in handlers]
    root.setLevel(threshold)
    _tame_libraries()
    warnings.showwarning = _log_warning  # type: ignore[assignment]  # called with positions only


def level_of_log() -> str:
    """The level that this process logs at, as `configure_logging` takes it."""
    return logging.getLevelName(logging.getLogger().level).lower()


def file_of_child(name: str) -> Path | None:
    """Where a child process keeps its lines, in the folder of this one; None where this one keeps none."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile):
            path = Path(handler.baseFilename)
            return path.with_name(f"{path.stem}-{name.lower()}{path.suffix}")
    return None


def keep_allowed_keys(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Drop every key that is not on the list, and say how many."""
    kept = {key: value for key, value in event.items() if key in ALLOWED_KEYS or key.startswith("_")}
    if len(kept) < len(event):
        kept["dropped_keys"] = len(event) - len(kept)
    if not _EVENT_NAME.fullmatch(str(kept.get("event"))):
        kept["event"] = "event.without_name"  # a sentence may have a person in it
    return kept


def hide_uids(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace what looks like a UID, at any depth, and turn what is no plain value into the name of its type."""
    return {key: value if key.startswith("_") else _harmless(value) for key, value in event.items()}


def describe_exception(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Keep an exception's class and place; its words only when they are ours, which hold no patient data."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["where"] = _place(error)
        if isinstance(error, CandorError):
            event["message"] = str(error)
    event.pop("stack_info", None)
    return event


def keep_place_of_foreign(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Turn a library's line into "library.message" with the place it came from."""
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    event["where"] = f"{_short(record.pathname)}:{record.lineno}"
    if record.name.startswith(TRUSTED_LOGGERS):
        event["message"] = event["event"]
    event["event"] = "library.message"
    return event


def _harmless(value: object) -> object:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, str | Path):
        return _UID.sub(_mark, str(value))[:MAXIMUM_TEXT]
    if isinstance(value, list | tuple | set | frozenset):
        return [_harmless(item) for item in value]
    if isinstance(value, dict):
        return {str(_harmless(str(key))): _harmless(item) for key, item in value.items()}
    return f"<{type(value).__name__}>"


def _mark(match: re.Match[str]) -> str:
    """An address or a version has up to four short parts; a UID has more, or a long one (2.25.<128 bits>)."""
    text = match.group()
    parts = text.split(".")
    is_uid = len(parts) > 5 or any(len(part) > 4 for part in parts)
    return UID_MARKER if is_uid and not text.startswith(_REGISTERED) else text


def _place(error: BaseException) -> str:
    """The last few calls, innermost last: "story.py:41 > client.py:99"."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " > ".join(f"{_short(frame.filename)}:{frame.lineno}" for frame in frames)


def _short(filename: str) -> str:
    return "/".join(Path(filename).parts[-2:])


def _renderer(json: bool, target: TextIO) -> Any:
    if json or not target.isatty():
        return structlog.processors.JSONRenderer(sort_keys=False)
    return structlog.dev.ConsoleRenderer()


def _tame_libraries() -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it announces each of its plug-ins at every start
    for name in SILENT_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False  # a level would be reset when the library is imported later
    for name in LOGGERS_WITH_OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]  # having one, the library adds none that writes past us
        logger.propagate = True


def _log_warning(_message: object, category: type[Warning], filename: str, lineno: int, *_rest: object) -> None:
    """Where a warning came from, without its words: pydicom's quote the value that it could not read."""
    structlog.get_logger().warning("python.warning", category=category.__name__, where=f"{_short(filename)}:{lineno}")
