"""The worker process: reads what is complete and delivers what is filed (pipeline.worker), with heartbeats."""

from __future__ import annotations

import structlog

from api.processes.heartbeat import heartbeat, start_of, stop_signal
from core.settings import Settings
from core.store.store import open_store
from pipeline.watch.warnings import warnings_of
from pipeline.worker import Worker

_log = structlog.get_logger()


def serve_worker(settings: Settings, *, name: str) -> None:
    """Read and deliver until SIGTERM or SIGINT."""
    stop = stop_signal()
    worker = Worker(settings, name=name)
    store = open_store(settings)  # first: a disk that goes away later must not end a worker that is already at work
    try:
        for warning in warnings_of(store, settings) if settings.destinations else ():  # serve warns that there is none
            _log.warning("delivery.warning", reason=warning)
        with start_of(store, f"worker/{name}"):
            worker.start()
        with heartbeat(store, f"worker/{name}"):
            stop.wait()
    finally:
        store.close()
        worker.stop()
