"""The pause after a failure: it doubles with each failure in a row, up to a longest one."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_DOUBLINGS = 60  # far beyond any longest pause; 2.0 ** 1100 would be an OverflowError


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to pause: `first_seconds` after the first failure, `factor` times longer after each further one."""

    first_seconds: float
    longest_seconds: float
    factor: float = 2.0

    def seconds(self, failures: int) -> float:
        """The pause after so many failures in a row, in seconds; the first pause when there was none."""
        doublings = min(max(0, failures - 1), _MOST_DOUBLINGS)
        return min(self.longest_seconds, self.first_seconds * self.factor**doublings)
