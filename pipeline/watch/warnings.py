"""What an operator should know although everything runs: one sentence each, with what to do."""

from __future__ import annotations

from core.settings import Settings
from core.store.store import Store

NO_DESTINATION = (
    "no destination is configured, so that no report leaves this machine; add one below [[destinations]] in "
    "candor.toml, restart, and send what waits with: candor deliver --all"
)


def warnings_of(store: Store, settings: Settings) -> tuple[str, ...]:
    """Every warning there is now."""
    return (*_no_destination(store, settings), *_left_behind(store, settings), *_commitments(store, settings))


def _no_destination(store: Store, settings: Settings) -> list[str]:
    """Reports that go nowhere."""
    waiting = store.lookup.without_destination()
    if not settings.destinations:
        return [f"{NO_DESTINATION}; {waiting} {_reports(waiting)}" if waiting else NO_DESTINATION]
    if not waiting:
        return []
    return [f"{waiting} {_reports(waiting)} that no destination gets; send them with: candor deliver --all --missing"]


def _left_behind(store: Store, settings: Settings) -> list[str]:
    """Objects in line for a destination that is no longer in candor.toml."""
    known = {destination.name for destination in settings.destinations}
    return [
        f"{count} objects wait for {name}, which is no destination in candor.toml; add it again, or send them to "
        "another one with: candor deliver --all --to NAME"
        for name, count in sorted(store.outbox.waiting().items())
        if name not in known
    ]


def _commitments(store: Store, settings: Settings) -> list[str]:
    overdue, errors = store.commitments.overdue(), store.commitments.errors()
    return [
        f"{name} has not committed to {overdue[name]} objects that it took more than an hour ago"
        + (f": {errors[name]}" if errors.get(name) else "; ask again with: candor retry")
        for name in (destination.name for destination in settings.destinations)
        if overdue.get(name)
    ]


def _reports(count: int) -> str:
    return "report waits" if count == 1 else "reports wait"
