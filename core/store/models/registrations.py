"""Registered model versions in the database: one signed record each, changed only together with a trail event."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from core.clock import Clock
from core.domain.registration import (
    ModelState,
    Registration,
    SecondReader,
    SignedRegistration,
    is_authentic,
    read_record,
    sign,
)
from core.domain.trail import TrailEvent
from core.errors import ConfigurationError, IntegrityError
from core.store.engine import read_only
from core.store.keys import SiteKey
from core.store.statements import insert_if_absent
from core.store.tables.models import model_versions
from core.store.trail import Trail
from core.trail import public_key

_MINE = (model_versions.c.name, model_versions.c.version)


class ModelStore:
    """The records of the model registry."""

    def __init__(self, engine: Engine, key: SiteKey, trail: Trail, *, now: Clock) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._seed = key.model_signing_seed
        self._trail = trail
        self._now = now

    @property
    def public_key(self) -> bytes:
        """What the records are checked with: the site's Ed25519 public key, raw."""
        return public_key(self._seed).public_bytes_raw()

    def records(self) -> list[SignedRegistration]:
        """Every record as it was kept, in the order of name and version; nothing is checked here."""
        with self._reader.connect() as connection:
            return [_record(row) for row in connection.execute(select(model_versions).order_by(*_MINE))]

    def add(self, registration: Registration) -> Registration:
        """Keep a new version; what is registered under its name and version already is returned as it is.

        IntegrityError when those have other bytes, or when the record of any version of the name was tampered with.
        """
        now = self._timestamp()
        new = replace(registration, registered_at=now, state_changed_at=now)
        record = sign(self._seed, new)
        row = {
            "name": new.name,
            "version": new.version,
            "record": json.loads(record.text),
            "signature": record.signature,
        }
        with self._engine.begin() as connection:
            if not insert_if_absent(connection, model_versions, row):
                return self._same_bytes(connection, new)
            if new.state is ModelState.LIVE:
                self._retire_others(connection, new)
            self._trail.record_in(connection, _event("model.registered", new, f"{new.state}; gates: {new.verdict}"))
        return new

    def change_state(
        self,
        name: str,
        version: str,
        state: ModelState,
        by: str,
        second_reader: SecondReader | None = None,
        *,
        signed: str = "",
    ) -> Registration:
        """Make a version live, shadow or retired; the version of that name that was live is retired when another is.

        `second_reader`: who signed that it reads what another live model reads too; it holds until the next change.
        `signed`: who decided the change and why, as words for the trail.

        ConfigurationError when it is not registered, IntegrityError when its record was changed outside Candor.
        """
        with self._engine.begin() as connection:
            before = self._find(connection, name, version)
            return self._change(connection, before, state, by, second_reader, signed)

    def _change(
        self,
        connection: Connection,
        before: Registration,
        state: ModelState,
        by: str,
        second_reader: SecondReader | None = None,
        signed: str = "",
    ) -> Registration:
        after = replace(
            before,
            state=state,
            state_changed_at=self._timestamp(),
            state_changed_by=by,
            second_reader_signed_by=second_reader.by if second_reader else "",
            second_reader_because=second_reader.because if second_reader else "",
        )
        record = sign(self._seed, after)
        mine = (model_versions.c.name == after.name) & (model_versions.c.version == after.version)
        connection.execute(
            update(model_versions).where(mine).values(record=json.loads(record.text), signature=record.signature)
        )
        if state is ModelState.LIVE:
            self._retire_others(connection, after)
        reason = "; ".join(filter(None, (f"was {before.state}", signed)))
        self._trail.record_in(connection, _event(f"model.{state}", after, reason))
        return after

    def _retire_others(self, connection: Connection, live: Registration) -> None:
        """One version of a name reads for the radiologist: whichever did before has ended."""
        for row in connection.execute(select(model_versions).where(model_versions.c.name == live.name)).all():
            other = self._authentic(_record(row))
            if other.version != live.version and other.state is ModelState.LIVE:
                self._change(connection, other, ModelState.RETIRED, live.state_changed_by or live.registered_by)

    def _find(self, connection: Connection, name: str, version: str) -> Registration:
        mine = (model_versions.c.name == name) & (model_versions.c.version == version)
        row = connection.execute(select(model_versions).where(mine).with_for_update()).one_or_none()
        if row is None:
            raise ConfigurationError(f"no model {name} {version} is registered; candor models list says which are")
        return self._authentic(_record(row))

    def _same_bytes(self, connection: Connection, new: Registration) -> Registration:
        known = self._find(connection, new.name, new.version)
        if known.files != new.files:
            raise IntegrityError(
                f"{new.title} is registered with other bytes; a version never changes: give this one another version"
            )
        return known

    def _authentic(self, record: SignedRegistration) -> Registration:
        if record.registration is None or not is_authentic(record, self.public_key):
            raise IntegrityError(f"the record of {record.title} was changed outside Candor; restore the database")
        return record.registration

    def _timestamp(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds")


def _record(row: Any) -> SignedRegistration:
    return read_record(f"{row.name} {row.version}", json.dumps(row.record), row.signature)


def _signed_words(registration: Registration) -> str:
    if not registration.second_reader_signed_by:
        return ""
    signed_by, because = registration.second_reader_signed_by, registration.second_reader_because
    return f"; second reader, signed by {signed_by}, because {because}"


def _event(action: str, registration: Registration, reason: str) -> TrailEvent:
    return TrailEvent(
        action=action,
        actor=registration.state_changed_by or registration.registered_by or "unknown",
        outcome="success",
        subject=registration.title[:64],
        reason=f"{reason}{_signed_words(registration)}; sha256 of the weights {registration.sha256}",
    )
