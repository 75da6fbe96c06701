"""When cohorts are looked at and audited: once a day, by whichever worker comes first, and not while it starts."""

from __future__ import annotations

from collections.abc import Callable

from core.settings import Settings
from core.store.store import Store

DAY_SECONDS = 24 * 3600.0
FIRST_LOOK_SECONDS = 120.0
LOOK_AGAIN_SECONDS = 3600.0


class Watch:
    """Asks for the day's lease every hour; who gets it looks."""

    def __init__(self, store: Store, settings: Settings, name: str, *, now: Callable[[], float]) -> None:
        self._store = store
        self._settings = settings
        self._name = name
        self._now = now
        self._next_at = now() + FIRST_LOOK_SECONDS

    def tick(self) -> bool:
        """Look, if no worker did for a day; always False: there is nothing to look at again at once."""
        now = self._now()
        if now >= self._next_at:
            self._next_at = now + LOOK_AGAIN_SECONDS
            # the holder bears the time, so that not even the same worker gets it twice, restarted or not
            if self._store.leases.acquire("cohort-watch", f"{self._name[:32]} {now:.0f}", DAY_SECONDS):
                self._look(now)
        return False

    def _look(self, now: float) -> None:
        from pipeline.installed_models import site_registry
        from pipeline.watch.drift import watch_cohorts  # statistics take a second to load
        from pipeline.watch.site_audit import refresh_audits

        watch_cohorts(self._store, self._settings, now=now)
        models = [package.model for package in site_registry(self._settings, self._store).packages]
        refresh_audits(self._store, self._settings, models, now=now)
