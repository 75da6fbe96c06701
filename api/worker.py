"""The worker process: reads what is complete and delivers what is filed (pipeline.worker), with a sign of life."""

from __future__ import annotations

from api.processes import heartbeat, stop_signal
from core.settings import Settings
from core.store.store import open_store
from pipeline.worker import Worker


def serve_worker(settings: Settings, *, name: str) -> None:
    """Read and deliver until SIGTERM or SIGINT."""
    stop = stop_signal()
    worker = Worker(settings, name=name)
    worker.start()
    store = open_store(settings)
    try:
        with heartbeat(store, f"worker/{name}"):
            stop.wait()
    finally:
        store.close()
        worker.stop()
