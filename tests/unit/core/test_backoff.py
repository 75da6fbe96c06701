"""One backoff for all: it doubles, and it ends at the longest pause."""

from hypothesis import given
from hypothesis import strategies as st

from core.backoff import Backoff


def test_it_doubles_up_to_the_longest_pause():
    backoff = Backoff(first_seconds=1.0, longest_seconds=5.0)
    assert [backoff.seconds(failures) for failures in range(6)] == [1.0, 1.0, 2.0, 4.0, 5.0, 5.0]


@given(st.integers(0, 100_000), st.floats(0.01, 100.0), st.floats(0.01, 1000.0))
def test_it_never_shrinks_and_never_overflows(failures, first, longest):
    backoff = Backoff(first_seconds=first, longest_seconds=longest)
    assert 0 < backoff.seconds(failures) <= backoff.seconds(failures + 1) <= longest
