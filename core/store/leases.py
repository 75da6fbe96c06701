"""Leases: who may do a job that only one may do at a time, and for how long without renewing it."""

from __future__ import annotations

from sqlalchemy import Engine, delete, or_, select, update

from core.clock import Clock
from core.store.engine import read_only
from core.store.statements import insert_if_absent
from core.store.tables.leases import leases


class LeaseStore:
    """Named leases that expire unless their holder renews them."""

    def __init__(self, engine: Engine, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._now = now

    def acquire(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew the lease; False while another holder's is alive."""
        now = self._now()
        until = now + seconds
        with self._engine.begin() as connection:
            taken = connection.execute(
                update(leases)
                .where(leases.c.name == name, or_(leases.c.holder == holder, leases.c.expires_at < now))
                .values(holder=holder, expires_at=until)
            )
            row = {"name": name, "holder": holder, "expires_at": until}
            return taken.rowcount == 1 or insert_if_absent(connection, leases, row)

    def release(self, name: str, holder: str) -> None:
        """Give the lease back, if it is ours."""
        with self._engine.begin() as connection:
            connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))

    def living(self, prefix: str) -> set[str]:
        """Names of the leases under `prefix` that have not expired."""
        query = select(leases.c.name).where(leases.c.name.startswith(prefix), leases.c.expires_at >= self._now())
        with self._reader.connect() as connection:
            return set(connection.scalars(query))
