"""The worker process: reads what is complete and delivers what is filed (pipeline.worker), with a sign of life."""

from __future__ import annotations

from api.processes import heartbeat, wait_for_stop
from core.settings import Settings
from core.store.store import open_store
from pipeline.worker import Worker


def serve_worker(settings: Settings, *, name: str) -> None:
    """Read and deliver until SIGTERM or SIGINT."""
    worker = Worker(settings, name=name)
    worker.start()
    store = open_store(settings)
    try:
        with heartbeat(store, f"worker/{name}"):
            wait_for_stop()
    finally:
        store.close()
        worker.stop()
