"""The web process: uvicorn around `create_app`."""

from __future__ import annotations

import socket

import structlog
import uvicorn

from api.processes.addresses import why_no_listener
from api.web.app import create_app
from api.web.bounds import BoundedConnection
from core.errors import ConfigurationError
from core.settings import Settings
from core.store.store import open_store

_log = structlog.get_logger()


def serve_web(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT; ConfigurationError when the port is taken or the address is not loopback."""
    store = open_store(settings)
    try:
        app = create_app(store, settings)
        with _listening(settings) as listener:
            _log.info("web.listening", host=settings.web_host, port=listener.getsockname()[1])
            config = uvicorn.Config(
                app,
                http=BoundedConnection,
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        store.close()


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.web_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.web_host, settings.web_port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"the web process cannot listen on {settings.web_host}, port {settings.web_port}: "
            f"{why_no_listener(error, settings.web_host, settings.web_port, 'web_port')}"
        ) from error
    listener.listen(128)
    return listener
