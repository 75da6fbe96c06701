"""`candor echo` and `candor retry`: is a destination there, and try again what has stopped."""

from __future__ import annotations

import os

from core.errors import Unavailable
from core.settings import DestinationSettings, Settings
from core.store.store import Store
from dicom_node.send import echo
from pipeline.carriers import peer_of


def echo_destination(settings: Settings, name: str) -> str:
    """One sentence with the round-trip time; Unavailable says why there is no answer."""
    destination = settings.destination(name)
    if destination.kind == "folder":
        return _look_at_folder(destination)
    seconds = echo(peer_of(destination, settings))
    return (
        f"{name} ({destination.ae_title} at {destination.host}:{destination.port}) answered in {seconds * 1000:.0f} ms"
    )


def retry_all(store: Store, settings: Settings) -> str:
    """Put failed studies and refused objects back in line and end every pause; says how many."""
    studies = store.studies.retry_failed()
    objects = 0
    for destination in settings.destinations:
        objects += store.outbox.redeliver_refused(destination.name)
        store.outbox.wake(destination.name)
    return (
        f"{_many(studies, 'failed study', 'failed studies')} and {_many(objects, 'refused object')} will be tried again"
    )


def _look_at_folder(destination: DestinationSettings) -> str:
    folder = destination.folder
    if folder is None or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise Unavailable(f"destination {destination.name}: {folder} is not a folder that can be written; make it")
    return f"{destination.name}: {folder} can be written"


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"
