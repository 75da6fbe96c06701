"""What `candor serve` says to the person who started it: warnings first, and when it is ready.

The log has both as events; a terminal gets them in plain words besides, because the log is JSON for machines.
"""

from __future__ import annotations

import json
import sys
import threading
import urllib.error
import urllib.request
from typing import TextIO

import structlog

from api.processes.warnings import warnings_of
from core.settings import Settings

LOOK_SECONDS = 0.5
PATIENCE_LOOKS = 40
"""So many looks before a terminal is given the reason why it is not ready yet."""
_ANSWER_SECONDS = 5.0
_UNKNOWN = {"web": "the web process does not answer yet"}
_log = structlog.get_logger()


def warn(settings: Settings, terminal: TextIO | None) -> None:
    """Log each warning, and show it on a terminal."""
    for words in warnings_of(settings):
        _log.warning("settings.warning", message=words)
        _show(f"Warning: {words}", terminal)


def terminal_of(stream: TextIO) -> TextIO | None:
    """The stream when a person sees it."""
    return stream if stream.isatty() else None


def announce_readiness(settings: Settings, terminal: TextIO | None) -> None:
    """Start a thread that says once that the service is ready, or after a while why it is not."""
    if settings.web_port:  # port 0 takes a free one, which only the log names
        threading.Thread(target=_wait, args=(settings, terminal), name="ready", daemon=True).start()


def ready_line(settings: Settings) -> str:
    """Where studies are taken, and where the state is seen."""
    places = [_place(settings.host, settings.port)] if settings.plain_listener else []
    places += [f"{_place(settings.host, settings.tls.port)} over TLS"] if settings.tls else []
    status = f"http://{_place(settings.web_host, settings.web_port)}"
    return f"Candor is ready: DICOM {settings.ae_title.strip()} at {' and '.join(places)}, status {status}"


def _wait(settings: Settings, terminal: TextIO | None) -> None:
    pause, said = threading.Event(), ""
    looks = 0
    while missing := _missing(settings):
        looks += 1
        words = "; ".join(f"{what}: {why}" for what, why in missing.items())
        if looks >= PATIENCE_LOOKS and words != said:
            _log.warning("service.not_ready", reason=words)
            _show(f"Candor is not ready yet: {words}", terminal)
            said = words
        pause.wait(LOOK_SECONDS)
    _log.info("service.ready", host=settings.host, port=settings.port, called_ae_title=settings.ae_title)
    _show(ready_line(settings), terminal)


def _missing(settings: Settings) -> dict[str, str]:
    """What is not ready, by what was looked at; empty when all is."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"http://{_place(settings.web_host, settings.web_port)}/readyz"
    try:
        with opener.open(url, timeout=_ANSWER_SECONDS):
            return {}
    except urllib.error.HTTPError as error:
        try:
            checks = json.loads(error.read())["checks"]
        except (OSError, ValueError, KeyError, TypeError):
            return _UNKNOWN
        return {str(what): str(why) for what, why in checks.items() if why != "ok"}
    except OSError:
        return _UNKNOWN


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _show(words: str, terminal: TextIO | None) -> None:
    if terminal is not None:
        print(words, file=terminal, flush=True)


def speak(settings: Settings) -> None:
    """Warn, and announce readiness, to the log and to the terminal on stdout."""
    terminal = terminal_of(sys.stdout)
    warn(settings, terminal)
    announce_readiness(settings, terminal)
