"""The states of a study as a table: what may follow what.

A study is reopened (back to RECEIVING) whenever an image arrives after it was complete, and it is complete once more
when a person wants it read again; the next report supersedes the last one. Every other move is forward.
"""

from __future__ import annotations

from core.domain.study import StudyState
from core.errors import IntegrityError

_OUTCOMES = frozenset({StudyState.REPORTED, StudyState.NOT_ANALYSED, StudyState.REFUSED, StudyState.FAILED})

TRANSITIONS: dict[StudyState, frozenset[StudyState]] = {
    StudyState.RECEIVING: frozenset({StudyState.COMPLETE}),
    StudyState.COMPLETE: _OUTCOMES | {StudyState.READING, StudyState.RECEIVING},
    StudyState.READING: _OUTCOMES | {StudyState.RECEIVING},
    StudyState.REPORTED: frozenset({StudyState.RECEIVING, StudyState.COMPLETE}),
    StudyState.NOT_ANALYSED: frozenset({StudyState.RECEIVING, StudyState.COMPLETE}),
    StudyState.REFUSED: frozenset({StudyState.RECEIVING, StudyState.COMPLETE}),
    StudyState.FAILED: frozenset({StudyState.RECEIVING, StudyState.COMPLETE}),
}


def check_transition(before: StudyState, after: StudyState) -> None:
    """Raise IntegrityError unless `after` may follow `before`; staying in a state is always allowed."""
    if after != before and after not in TRANSITIONS[before]:
        raise IntegrityError(f"a study cannot go from {before} to {after}; the database was changed by other means")
