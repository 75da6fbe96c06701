"""Deliver: empty the outbox of one destination, in order, however long the destination is away.

A destination that does not answer pauses with growing intervals; no model runs again, nothing is forgotten. A payload
that a destination will never take is set aside for the operator and does not hold up the others. A folder is a
destination too: that is how `candor analyze` gets its files.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import groupby

import structlog

from core.domain.delivery import Delivered, Delivery, Outcome, RetryLater, SetAside
from core.errors import IntegrityError, InvalidStudy, Unavailable
from core.settings import Settings
from core.settings.destinations import AnyDestination
from core.store.store import Store
from pipeline.carriers import Carrier, carrier_for, kinds_wanted, note_commitment

_log = structlog.get_logger()
LEASE_SECONDS = 15.0
LOOK_AGAIN_SECONDS = 15.0
ATTEMPTS = 20
"""Failures of a destination on one payload, with growing pauses: more than an hour."""


def _is_hopeless(delivery: Delivery, outcome: RetryLater) -> bool:
    """A payload that fails again and again must not hold up the others; a full disk may last."""
    return outcome.blames_object and delivery.attempts + 1 >= ATTEMPTS


def deliver_again(
    store: Store, settings: Settings, studies: Sequence[str], *, to: str = "", only_missing: bool = False
) -> dict[str, int]:
    """Put the newest reports of `studies` in line for `to`, or for every destination; returns how many objects each.

    Each destination gets the kinds that it asks for. What it has taken before is sent once more, which is harmless,
    unless `only_missing`. ConfigurationError when no destination is called `to`.
    """
    names = [settings.destination(to).name] if to else [d.name for d in settings.destinations]
    counts = dict.fromkeys(names, 0)
    for study_id in studies:
        report = store.reports.current(study_id)
        wanted = kinds_wanted(settings, report.status) if report else {}
        for name in names:
            if report and name in wanted:
                counts[name] += store.outbox.enqueue_again(report.revision, name, wanted[name], missing=only_missing)
    for name in names:
        store.outbox.wake(name)
    return counts


class DeliveryLoop:
    """Sends what waits for one destination."""

    def __init__(self, store: Store, settings: Settings, destination: AnyDestination, holder: str) -> None:
        self._store = store
        self._settings = settings
        self._name = destination.name
        self._holder = holder
        self._ours_until = 0.0
        self._look_again_at = 0.0
        self._carrier: Carrier = carrier_for(destination, settings)

    def tick(self) -> bool:
        """Send the next deliveries; True when there was work."""
        waiting = self._store.outbox.pending(self._name)
        if not waiting or not self._is_ours():
            self._carrier.rest()
            self._ask_again()
            return False
        try:
            for _, of_one_study in groupby(waiting, key=lambda delivery: delivery.study_id):
                self._send(list(of_one_study))
        except Unavailable as error:
            self._pause(str(error))
        return True

    def _is_ours(self) -> bool:
        """One worker at a time sends to a destination, or the order of a study's reports would be lost."""
        now = time.monotonic()
        if now > self._ours_until:
            if not self._store.leases.acquire(f"destination/{self._name}", self._holder, LEASE_SECONDS):
                return False
            self._ours_until = now + LEASE_SECONDS / 2
        return True

    def _send(self, deliveries: list[Delivery]) -> None:
        """Send the payloads of one study; what was taken before the destination went away stays sent."""
        taken: list[Delivery] = []
        try:
            for delivery in deliveries:
                outcome = self._carry(delivery)
                if isinstance(outcome, Delivered):
                    taken.append(delivery)
                elif isinstance(outcome, RetryLater) and not _is_hopeless(delivery, outcome):
                    self._store.outbox.count_attempt(delivery)
                    raise Unavailable(f"{self._name} answered {outcome.reason}")
                else:
                    _log.warning("delivery.refused", destination=self._name, reason=outcome.reason)
                    self._store.outbox.set_aside(delivery, outcome.reason)
        finally:
            if taken:
                self._record(taken)

    def _carry(self, delivery: Delivery) -> Outcome:
        """Hand one payload over; one that is damaged here is set aside like one that is refused there."""
        try:
            return self._carrier.carry(delivery, self._store.objects.get(delivery.object_key))
        except (IntegrityError, InvalidStudy) as error:
            return SetAside(reason=str(error))

    def _record(self, taken: list[Delivery]) -> None:
        """Record what was taken; where the destination confirms later, the transaction is recorded before the request.

        The answer may come before the request returns.
        """
        transaction_uid = self._carrier.new_transaction()
        self._store.outbox.mark_sent(taken, commitment_transaction_uid=transaction_uid)
        _log.info("report.delivered", study=taken[0].study_id, destination=self._name, count=len(taken))
        if transaction_uid is not None:
            self._ask_for_commitment(transaction_uid, taken)

    def _ask_for_commitment(self, transaction_uid: str, taken: list[Delivery]) -> None:
        """Ask; payloads count as sent whether or not the destination also confirms that it keeps them."""
        self._store.commitments.asked(taken, transaction_uid)
        try:
            self._carrier.request_commitment(transaction_uid, taken, partial(note_commitment, self._store))
        except Unavailable as error:
            _log.warning("commitment.not_requested", destination=self._name, error=str(error))
            self._store.commitments.refused(taken, str(error))

    def _ask_again(self) -> None:
        """Ask once more for what a destination took and has not committed to; looked at now and then."""
        now = time.monotonic()
        if now < self._look_again_at or (transaction_uid := self._carrier.new_transaction()) is None:
            return
        self._look_again_at = now + LOOK_AGAIN_SECONDS
        due = self._store.commitments.due(self._name)
        if due and self._is_ours():
            self._ask_for_commitment(transaction_uid, due)

    def _pause(self, error: str) -> None:
        self._carrier.rest()
        pause = self._store.outbox.pause(self._name, error, backoff=self._settings.delivery_backoff)
        _log.warning("destination.away", destination=self._name, error=error, backoff_seconds=pause)
