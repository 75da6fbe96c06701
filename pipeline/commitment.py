"""What a destination says it keeps, on whichever association it says so."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core.store.store import Store
from dicom_node.intake import Failure, Reference

_log = structlog.get_logger()


def note_commitment(
    store: Store, transaction_uid: str, committed: Sequence[Reference], failed: Sequence[Failure]
) -> None:
    """Keep the answer of a destination; what it does not keep is sent again."""
    again = store.commitments.answered(transaction_uid, [uid for _, uid in committed], [uid for _, uid, _ in failed])
    _log.info("commitment.answered", count=len(committed), instances=again)
