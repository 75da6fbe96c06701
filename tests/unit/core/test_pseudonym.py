"""Pseudonyms and clocks."""

from __future__ import annotations

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from core.clock import SettableClock, system_clock
from core.pseudonym import pseudonym

KEY = b"k" * 32


@given(st.text())
def test_a_pseudonym_is_short_stable_and_says_nothing(value: str) -> None:
    made = pseudonym(KEY, "study", value)
    assert re.fullmatch("[a-z2-7]{20}", made)
    assert made == pseudonym(KEY, "study", value)


def test_a_pseudonym_never_changes_between_versions_of_candor() -> None:
    assert pseudonym(KEY, "study", "1.2.3") == "wnhtnrdqlqve7lakuixa"


def test_kind_value_and_key_all_matter() -> None:
    made = {
        pseudonym(KEY, "study", "1.2"),
        pseudonym(KEY, "patient", "1.2"),
        pseudonym(KEY, "study", "1.3"),
        pseudonym(b"K" * 32, "study", "1.2"),
    }
    assert len(made) == 4


def test_the_settable_clock_moves_only_when_set() -> None:
    clock = SettableClock(10.0)
    assert clock() == clock() == 10.0
    clock.advance(2.5)
    assert clock() == 12.5


def test_the_system_clock_is_the_time() -> None:
    assert abs(system_clock() - time.time()) < 1
