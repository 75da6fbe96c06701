"""Operating points per cohort, as proposed and as signed off: nothing is in force without a name and a reason.

Who signed, when and why is in the trail, in the same transaction that puts the policy in force. A policy
belongs to one model version by the SHA-256 of its weights: a new version begins without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, or_, select, update

from core.clock import Clock
from core.domain.trail import TrailEvent
from core.errors import ConfigurationError
from core.store.engine import read_only
from core.store.tables.fairness import operating_policies
from core.store.trail import Trail


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPolicy:
    """A proposal, or what became of it. `document`: `fairness.mitigation.OperatingPolicy`."""

    policy_id: int
    model_sha256: str
    document: dict[str, Any]
    proposed_at: float
    signed_by: str
    signed_at: float | None
    reason: str
    ended_at: float | None

    @property
    def state(self) -> str:
        """In one word: proposed, in force, ended."""
        if self.signed_at is None:
            return "proposed"
        return "in force" if self.ended_at is None else "ended"


class OperatingPolicyStore:
    """Proposals are only ever added; at most one for a model is in force."""

    def __init__(self, engine: Engine, trail: Trail, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._trail = trail
        self._now = now

    def propose(self, model_sha256: str, document: dict[str, Any]) -> int:
        """Keep a proposal; returns its number. It changes nothing."""
        row = {
            "model_sha256": model_sha256,
            "document": document,
            "proposed_at": self._now(),
            "signed_by": "",
            "reason": "",
        }
        with self._engine.begin() as connection:
            number = connection.execute(insert(operating_policies).values(row)).inserted_primary_key
        assert number is not None, "the database numbers policies"
        return int(number[0])

    def find(self, policy_id: int) -> StoredPolicy:
        """One policy; ConfigurationError when there is no such number."""
        found = self._all(operating_policies.c.policy_id == policy_id)
        if not found:
            raise ConfigurationError(f"there is no policy {policy_id}; see: candor mitigation show")
        return found[0]

    def all(self) -> list[StoredPolicy]:
        """Every policy, the newest first."""
        return self._all()

    def in_force(self, model_sha256: str, *, at: float) -> StoredPolicy | None:
        """The policy of a model that was in force at a moment."""
        found = self._all(
            operating_policies.c.model_sha256 == model_sha256,
            operating_policies.c.signed_at <= at,
            or_(operating_policies.c.ended_at.is_(None), operating_policies.c.ended_at > at),
        )
        return found[0] if found else None

    def sign_off(self, policy_id: int, *, by: str, reason: str) -> StoredPolicy:
        """Put a proposal in force in the place of what was; ConfigurationError unless it is a proposal."""
        policy = self.find(policy_id)
        if policy.state != "proposed":
            raise ConfigurationError(f"policy {policy_id} is {policy.state}; propose a new one")
        with self._engine.begin() as connection:
            self._end(connection, policy.model_sha256)
            this = operating_policies.c.policy_id == policy_id
            signed = {"signed_by": by, "signed_at": self._now(), "reason": reason}
            connection.execute(update(operating_policies).where(this).values(signed))
            self._record(connection, "mitigation.signed_off", by, f"policy {policy_id}, {reason}")
        return self.find(policy_id)

    def end(self, policy_id: int, *, by: str, reason: str) -> None:
        """Take a policy out of force; ConfigurationError unless it is in force."""
        policy = self.find(policy_id)
        if policy.state != "in force":
            raise ConfigurationError(f"policy {policy_id} is {policy.state}")
        with self._engine.begin() as connection:
            self._end(connection, policy.model_sha256)
            self._record(connection, "mitigation.ended", by, f"policy {policy_id}, {reason}")

    def _end(self, connection: Connection, model_sha256: str) -> None:
        mine = (operating_policies.c.model_sha256 == model_sha256) & operating_policies.c.signed_at.is_not(None)
        running = update(operating_policies).where(mine, operating_policies.c.ended_at.is_(None))
        connection.execute(running.values(ended_at=self._now()))

    def _record(self, connection: Connection, action: str, by: str, reason: str) -> None:
        self._trail.record_in(connection, TrailEvent(action=action, actor=by, outcome="success", reason=reason))

    def _all(self, *which: Any) -> list[StoredPolicy]:
        query = select(operating_policies).where(*which).order_by(operating_policies.c.policy_id.desc())
        with self._reader.connect() as connection:
            return [StoredPolicy(**row._asdict()) for row in connection.execute(query)]
