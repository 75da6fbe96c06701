"""`candor echo` and `candor retry`: is a destination there, and try again what has stopped."""

from __future__ import annotations

from core.settings import Settings
from core.store.store import Store
from pipeline.carriers import carrier_for


def echo_destination(settings: Settings, name: str) -> str:
    """One sentence that says how the destination answers; Unavailable says why there is no answer."""
    return carrier_for(settings.destination(name), settings).check()


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


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"
